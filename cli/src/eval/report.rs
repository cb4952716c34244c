//! A page for people who tune: totals, and for each question that failed, what was retrieved. One
//! HTML file that needs nothing else.

use std::fs;
use std::path::Path;

use assistant::Assistant;

use super::questions::{Question, Span};
use crate::error::{AtPath, Result};

/// Failing questions that a page shows; more make it slow to open, and tell nothing new.
const MAX_FAILURES: usize = 500;
/// Code points around a gold span.
const CONTEXT_CHARS: u32 = 160;

/// The page in the making.
#[derive(Default)]
pub struct Page {
    title: String,
    totals: Vec<(String, usize, Vec<String>)>,
    failures: Vec<Failure>,
    n_failures: usize,
}

/// A question that failed.
pub struct Failure {
    pub question: String,
    pub document: String,
    /// How it failed.
    pub why: String,
    /// Text around each gold span: before, gold, after.
    pub gold: Vec<[String; 3]>,
    spans: Vec<Span>,
    pub shown: Vec<Shown>,
}

/// Something that was retrieved for it.
pub struct Shown {
    /// Which ranking it is from.
    pub list: &'static str,
    pub rank: usize,
    pub document: String,
    /// First code point in the document.
    pub start: u32,
    pub text: String,
    pub score: f32,
    pub is_good: bool,
}

impl Failure {
    /// Reads the gold spans from the stored document.
    pub fn of(question: &Question, why: String, shown: Vec<Shown>, assistant: &Assistant) -> Result<Self> {
        let named = assistant.documents()?.into_iter().find(|document| document.name == question.doc);
        let text: Vec<char> = match named {
            Some(document) => assistant.source(document.id.0)?.text.chars().collect(),
            None => Vec::new(),
        };
        let piece = |from: u32, to: u32| -> String {
            let to = (to as usize).min(text.len());
            text[(from as usize).min(to)..to].iter().collect()
        };
        let around = |span: &Span| {
            [
                piece(span.start.saturating_sub(CONTEXT_CHARS), span.start),
                piece(span.start, span.end),
                piece(span.end, span.end + CONTEXT_CHARS),
            ]
        };
        Ok(Self {
            question: question.question.clone(),
            document: question.doc.clone(),
            why,
            gold: question.spans.iter().map(around).collect(),
            spans: question.spans.clone(),
            shown,
        })
    }
}

impl Page {
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// A line of the table of totals.
    pub fn total(&mut self, name: String, n: usize, cells: Vec<String>) {
        self.totals.push((name, n, cells));
    }

    pub fn fail(&mut self, failure: Failure) {
        self.n_failures += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(failure);
        }
    }

    /// Writes the file; `columns` name the cells of the totals.
    pub fn write(&self, path: &Path, columns: &[&str]) -> Result<()> {
        fs::write(path, self.html(columns)).at(path)
    }

    fn html(&self, columns: &[&str]) -> String {
        let title = escaped(&self.title);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
            <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
            <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<table><tr><th>set</th><th>questions</th>"
        );
        columns.iter().for_each(|column| html.push_str(&format!("<th>{}</th>", escaped(column))));
        html.push_str("</tr>\n");
        for (name, n, cells) in &self.totals {
            html.push_str(&format!("<tr><td>{}</td><td>{n}</td>", escaped(name)));
            cells.iter().for_each(|cell| html.push_str(&format!("<td>{}</td>", escaped(cell))));
            html.push_str("</tr>\n");
        }
        let n_shown = self.failures.len();
        html.push_str(&format!(
            "</table>\n<p>{} questions failed; {n_shown} are shown. <mark>Gold</mark> is marked where it was \
            retrieved.</p>\n<p><input id=\"find\" type=\"search\" placeholder=\"Filter\" aria-label=\"Filter \
            questions\"></p>\n",
            self.n_failures
        ));
        self.failures.iter().for_each(|failure| html.push_str(&failure.html()));
        html.push_str(&format!("<script>{SCRIPT}</script></body></html>\n"));
        html
    }
}

impl Failure {
    fn html(&self) -> String {
        let mut html = format!(
            "<details><summary><b>{}</b> <span>{} · {}</span></summary>\n",
            escaped(&self.question),
            escaped(&self.document),
            escaped(&self.why)
        );
        for [before, gold, after] in &self.gold {
            let (before, gold, after) = (escaped(before), escaped(gold), escaped(after));
            html.push_str(&format!("<p class=\"gold\">…{before}<mark>{gold}</mark>{after}…</p>\n"));
        }
        let mut list = "";
        for shown in &self.shown {
            if shown.list != list {
                let close = if list.is_empty() { "" } else { "</ol>\n" };
                html.push_str(&format!("{close}<h3>{}</h3><ol>\n", escaped(shown.list)));
                list = shown.list;
            }
            let class = if shown.is_good { " class=\"good\"" } else { "" };
            html.push_str(&format!(
                "<li{class} value=\"{}\"><span>{} · {:.3}</span><br>{}</li>\n",
                shown.rank,
                escaped(&shown.document),
                shown.score,
                self.marked(shown)
            ));
        }
        html.push_str(if list.is_empty() { "</details>\n" } else { "</ol></details>\n" });
        html
    }

    /// The text with the parts that are gold marked.
    fn marked(&self, shown: &Shown) -> String {
        let is_gold = |at: u32| {
            shown.document == self.document && self.spans.iter().any(|s| s.start <= at && at < s.end)
        };
        let (mut html, mut inside) = (String::new(), false);
        for (c, at) in shown.text.chars().zip(shown.start..) {
            if is_gold(at) != inside {
                html.push_str(if inside { "</mark>" } else { "<mark>" });
                inside = !inside;
            }
            html.push_str(&escaped(c.encode_utf8(&mut [0; 4])));
        }
        if inside {
            html.push_str("</mark>");
        }
        html
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;\
    color:#222;background:#fff}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.25em .7em;\
    text-align:right}td:first-child,th:first-child{text-align:left}details{border-top:1px solid #ddd;\
    padding:.5em 0}summary{cursor:pointer}span{color:#666}mark{background:#ffe08a}.gold{border-left:4px solid \
    #e0a800;padding-left:.7em}li{margin:.5em 0;white-space:pre-wrap}li.good{border-left:4px solid #2a9d4a;\
    padding-left:.5em}h3{margin:.7em 0 .2em;font-size:1em}@media(prefers-color-scheme:dark){body{background:#181818;\
    color:#ddd}span{color:#999}td,th{border-color:#444}details{border-color:#333}mark{background:#7a5c00;\
    color:#fff}}";

const SCRIPT: &str = "const find=document.getElementById('find');find.oninput=()=>{const q=find.value.toLowerCase();\
    for(const d of document.querySelectorAll('details'))d.hidden=!d.firstElementChild.textContent.toLowerCase()\
    .includes(q)}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_marks_gold_and_executes_nothing_that_documents_say() {
        let failure = Failure {
            question: "What is <b>?".into(),
            document: "a.md".into(),
            why: "fused 2".into(),
            gold: vec![["x".into(), "<script>alert(1)</script>".into(), "y".into()]],
            spans: vec![Span { start: 12, end: 14 }],
            shown: vec![
                Shown {
                    list: "fused",
                    rank: 1,
                    document: "a.md".into(),
                    start: 10,
                    text: "ab&dé".into(),
                    score: 0.5,
                    is_good: true,
                },
                Shown {
                    list: "bm25",
                    rank: 1,
                    document: "b.md".into(),
                    start: 10,
                    text: "abcde".into(),
                    score: 0.5,
                    is_good: false,
                },
            ],
        };
        let mut page = Page::new("Found");
        page.total("all".into(), 2, vec![".5".into()]);
        page.fail(failure);
        let html = page.html(&["MRR@10"]);
        assert!(html.contains("ab<mark>&amp;d</mark>é") && html.contains("abcde"), "{html}");
        assert!(!html.contains("<script>alert") && html.contains("&lt;script&gt;alert"), "{html}");
        assert!(html.contains("1 questions failed") && !html.contains("http"), "{html}");
    }
}
