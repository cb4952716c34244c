//! `footnote eval answers`: how often the right sentence is quoted, whether the answer stays with
//! its sources, and whether it is refused where there is none.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use assistant::{Answer, AnswerEvent, AskOptions, Assistant};
use serde_json::json;

use super::metrics::{share, token_f1, without_marks};
use super::questions::{self, Question};
use crate::args::{AnswersArgs, Shared};
use crate::error::{AtPath, Result};
use crate::output::{self, Reporter, round};

#[derive(Default)]
struct Totals {
    n: usize,
    n_quote_hits: usize,
    n_first_quote_hits: usize,
    f1: f64,
    n_false_refusals: usize,
    n_sentences: usize,
    n_unsupported: usize,
    n_citations: usize,
    n_supported_citations: usize,
    ms: f64,
}

pub async fn run(shared: &Shared, args: &AnswersArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let mut questions = questions::answerable(&args.corpus.questions, args.corpus.limit)?;
    let unanswerable = match &args.unanswerable {
        Some(path) => Some(questions::unanswerable(path, args.corpus.limit)?),
        None => None,
    };
    let mut assistant = super::open(shared, &args.corpus, !args.no_llm, &mut reporter).await?;
    super::settle(&mut questions, &args.corpus, &assistant)?;
    let mut details = match &args.details {
        Some(path) => Some(BufWriter::new(File::create(path).at(path)?)),
        None => None,
    };
    let mut totals = Totals::default();
    let mut n_refused = 0;
    let asked = questions.iter().chain(unanswerable.iter().flatten());
    for (i, question) in asked.enumerate() {
        let answer = ask(&mut assistant, &question.question, !args.no_llm).await?;
        if i < questions.len() {
            totals.count(question, &answer);
        } else {
            n_refused += usize::from(answer.refused);
        }
        if let (Some(out), Some(path)) = (&mut details, &args.details) {
            let row = json!({
                "question": question.question,
                "answerable": i < questions.len(),
                "quote_hit": quote_hit(question, &answer),
                "answer": answer,
            });
            writeln!(out, "{row}").at(path)?;
        }
    }
    if let (Some(mut out), Some(path)) = (details, &args.details) {
        out.flush().at(path)?;
    }
    let refusal_recall = unanswerable.map(|u| share(n_refused, u.len()));
    report(&totals, refusal_recall, args.corpus.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(assistant: &mut Assistant, question: &str, generate: bool) -> Result<Answer> {
    let options = AskOptions { generate, ..AskOptions::default() };
    let mut asking = assistant.ask(question, &options).await?;
    loop {
        if let Some(AnswerEvent::Done(answer)) = asking.next().await? {
            return Ok(answer);
        }
    }
}

impl Totals {
    fn count(&mut self, question: &Question, answer: &Answer) {
        self.n += 1;
        self.ms += answer.timings_ms.get("total").copied().unwrap_or_default();
        if answer.refused {
            self.n_false_refusals += 1;
            return;
        }
        let hit = quote_hit(question, answer);
        self.n_quote_hits += usize::from(hit.is_some());
        self.n_first_quote_hits += usize::from(hit == Some(0));
        self.f1 += token_f1(&without_marks(&answer.answer), &question.answers);
        self.n_sentences += answer.sentences.len();
        self.n_unsupported += answer.sentences.iter().filter(|s| !s.supported).count();
        self.n_citations += answer.citations.len();
        self.n_supported_citations += answer.citations.iter().filter(|c| c.supported).count();
    }
}

/// The first quote that contains a gold span. A refused answer shows its quotes as what they are,
/// the nearest there is, so they count for nothing.
fn quote_hit(question: &Question, answer: &Answer) -> Option<usize> {
    let quotes = if answer.refused { &[][..] } else { &answer.quotes };
    quotes.iter().position(|quote| {
        let contains = |s: &questions::Span| quote.start <= s.start && s.end <= quote.end;
        quote.document == question.doc && question.spans.iter().any(contains)
    })
}

fn report(totals: &Totals, refusal_recall: Option<f64>, as_json: bool) -> Result<()> {
    let n = totals.n;
    let row = json!({
        "n": n,
        "quote_hit": round(share(totals.n_quote_hits, n)),
        "first_quote_hit": round(share(totals.n_first_quote_hits, n)),
        "token_f1": round(totals.f1 / n.max(1) as f64),
        "citation_precision": round(share(totals.n_supported_citations, totals.n_citations)),
        "unsupported_rate": round(share(totals.n_unsupported, totals.n_sentences)),
        "refusal_recall": refusal_recall.map(round),
        "false_refusals": round(share(totals.n_false_refusals, n)),
        "ms_per_question": round(totals.ms / n.max(1) as f64),
    });
    if as_json {
        return output::json(&row);
    }
    for (name, value) in row.as_object().into_iter().flatten() {
        output::line(&format!("{name:20} {value}"));
    }
    Ok(())
}
