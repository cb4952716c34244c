//! `footnote eval answers`: how often the right sentence is quoted, whether the answer stays with
//! its sources, and whether it is refused where there is none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use assistant::{Answer, AnswerEvent, AskOptions, Asking, Assistant};
use serde_json::{Value, json};

use super::metrics::{share, token_f1, without_marks};
use super::questions::{self, Question};
use super::report::{Failure, Page, Shown};
use super::{sets, traps};
use crate::args::{AnswersArgs, Shared};
use crate::error::{AtPath, Result};
use crate::output::{self, Reporter, round};

#[derive(Default)]
struct Totals {
    n: usize,
    /// Questions of which the first, one of the first three, any quote holds a gold span.
    n_hits: [usize; 3],
    f1: f64,
    n_refused: usize,
    n_false_refusals: usize,
    n_sentences: usize,
    n_unsupported: usize,
    n_citations: usize,
    n_supported_citations: usize,
    ms: f64,
    quotes_ms: f64,
    checks: Checks,
}

/// What the check of sentences makes of such as are supported, and of such as are not.
#[derive(Default)]
struct Checks {
    n_true: usize,
    n_true_supported: usize,
    /// By kind: how many there are, and how many of them pass for supported.
    traps: BTreeMap<&'static str, [usize; 2]>,
}

pub async fn run(shared: &Shared, args: &AnswersArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let set = sets::only(&args.corpus)?;
    let mut questions = questions::answerable(&set.questions, args.corpus.limit)?;
    let unanswerable = match &args.unanswerable {
        Some(path) => questions::unanswerable(path, args.corpus.limit)?,
        None => Vec::new(),
    };
    let mut assistant = super::open(shared, &set, &[], !args.no_llm, &mut reporter).await?;
    super::settle(&mut questions, &set, &assistant)?;
    let mut details = Details::open(args.details.as_deref())?;
    let mut page = Page::new("What the answers are worth");
    let mut totals = Totals::default();
    for (i, question) in questions.iter().enumerate() {
        let (answer, asking) = ask(&mut assistant, &question.question, args).await?;
        totals.count(question, &answer);
        totals.checks.try_traps(&asking, question, &answer, i).await?;
        if let Some(why) = failure(question, &answer) {
            page.fail(Failure::of(question, why, shown(question, &answer), &assistant)?);
        }
        details.write(question, true, &answer)?;
    }
    for question in &unanswerable {
        let (answer, _) = ask(&mut assistant, &question.question, args).await?;
        totals.n_refused += usize::from(answer.refused);
        if !answer.refused {
            let why = format!("answered, though nothing answers it: {}", answer.answer);
            page.fail(Failure::of(question, why, shown(question, &answer), &assistant)?);
        }
        details.write(question, false, &answer)?;
    }
    let row = totals.json((!unanswerable.is_empty()).then_some(unanswerable.len()));
    if let Some(path) = &args.corpus.report {
        let names = ["quote_hit1", "quote_hit3", "refusal_recall", "false_refusals"];
        page.total("all".to_owned(), totals.n, names.map(|name| row[name].to_string()).into());
        page.write(path, &names)?;
    }
    if args.corpus.json {
        output::json(&row)?;
    } else {
        for (name, value) in row.as_object().into_iter().flatten() {
            output::line(&format!("{name:32} {value}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(assistant: &mut Assistant, question: &str, args: &AnswersArgs) -> Result<(Answer, Asking)> {
    let options =
        AskOptions { generate: !args.no_llm, only_quotes: args.only_quotes, ..AskOptions::default() };
    let mut asking = assistant.ask(question, &options).await?;
    loop {
        if let Some(AnswerEvent::Done(answer)) = asking.next().await? {
            return Ok((answer, asking));
        }
    }
}

impl Totals {
    fn count(&mut self, question: &Question, answer: &Answer) {
        self.n += 1;
        let ms = |name: &str| answer.timings_ms.get(name).copied().unwrap_or_default();
        self.ms += ms("total");
        self.quotes_ms += ms("retrieve") + ms("quotes");
        if answer.refused {
            self.n_false_refusals += 1;
            return;
        }
        let hit = quote_hit(question, answer);
        for (n, depth) in self.n_hits.iter_mut().zip([1, 3, usize::MAX]) {
            *n += usize::from(hit.is_some_and(|at| at < depth));
        }
        self.f1 += token_f1(&without_marks(&answer.answer), &question.answers);
        self.n_sentences += answer.sentences.len();
        self.n_unsupported += answer.sentences.iter().filter(|s| !s.supported).count();
        self.n_citations += answer.citations.len();
        self.n_supported_citations += answer.citations.iter().filter(|c| c.supported).count();
    }

    fn json(&self, n_unanswerable: Option<usize>) -> Value {
        let n = self.n;
        let per_question = |sum: f64| round(sum / n.max(1) as f64);
        let [hit1, hit3, hit] = self.n_hits.map(|hits| round(share(hits, n)));
        let [n_traps, n_passed] =
            self.checks.traps.values().fold([0, 0], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
        let by_kind: serde_json::Map<String, Value> = self
            .checks
            .traps
            .iter()
            .map(|(kind, [n, passed])| ((*kind).to_owned(), json!({"n": n, "supported": passed})))
            .collect();
        json!({
            "n": n,
            "quote_hit": hit,
            "quote_hit1": hit1,
            "quote_hit3": hit3,
            "token_f1": per_question(self.f1),
            "citation_precision": round(share(self.n_supported_citations, self.n_citations)),
            "unsupported_rate": round(share(self.n_unsupported, self.n_sentences)),
            "unsupported_shown_as_supported": round(share(n_passed, n_traps)),
            "supported_shown_as_supported":
                round(share(self.checks.n_true_supported, self.checks.n_true)),
            "altered": by_kind,
            "refusal_recall": n_unanswerable.map(|n| round(share(self.n_refused, n))),
            "false_refusals": round(share(self.n_false_refusals, n)),
            "ms_to_quotes": per_question(self.quotes_ms),
            "ms_per_question": per_question(self.ms),
        })
    }
}

impl Checks {
    /// Checks the sentence that holds the answer, as it stands and altered in each way there is.
    async fn try_traps(
        &mut self,
        asking: &Asking,
        question: &Question,
        answer: &Answer,
        i: usize,
    ) -> Result<()> {
        let Some(quote) = quote_hit(question, answer).and_then(|at| answer.quotes.get(at)) else {
            return Ok(());
        };
        let sentence = quote.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let supports = async |text: &str| -> Result<bool> {
            let verified = asking.verify(text).await?;
            // Half a claim is not the claim.
            Ok(!verified.is_empty() && verified.iter().all(|sentence| sentence.supported))
        };
        self.n_true += 1;
        self.n_true_supported += usize::from(supports(&sentence).await?);
        for trap in traps::of(&sentence, i) {
            let is_supported = supports(&trap.text).await?;
            let [n, n_passed] = self.traps.entry(trap.kind).or_default();
            *n += 1;
            *n_passed += usize::from(is_supported);
        }
        Ok(())
    }
}

/// The first quote that contains a gold span. A refused answer shows its quotes as what they are,
/// the nearest there is, so they count for nothing.
pub fn quote_hit(question: &Question, answer: &Answer) -> Option<usize> {
    let quotes = if answer.refused { &[][..] } else { &answer.quotes };
    quotes.iter().position(|quote| holds_gold(question, quote))
}

fn holds_gold(question: &Question, quote: &assistant::Quote) -> bool {
    let contains = |s: &questions::Span| quote.start <= s.start && s.end <= quote.end;
    quote.document == question.doc && question.spans.iter().any(contains)
}

/// What is wrong with an answer, if anything is.
fn failure(question: &Question, answer: &Answer) -> Option<String> {
    let told = |text: &str| Some(format!("{text} (relevance {:.2})", answer.signals.relevance));
    if answer.refused {
        return told("refused");
    }
    match quote_hit(question, answer) {
        Some(0) => None,
        Some(at) => told(&format!("quote {} has the answer", at + 1)),
        None => told("no quote has the answer"),
    }
}

fn shown(question: &Question, answer: &Answer) -> Vec<Shown> {
    let quotes = answer.quotes.iter().map(|quote| Shown {
        list: "quotes",
        rank: quote.n as usize,
        document: quote.document.clone(),
        start: quote.start,
        text: quote.text.clone(),
        score: quote.score,
        is_good: holds_gold(question, quote),
    });
    quotes.collect()
}

/// One line of JSON for each question, where the command line asks for them.
struct Details<'a>(Option<(BufWriter<File>, &'a Path)>);

impl<'a> Details<'a> {
    fn open(path: Option<&'a Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        Ok(Self(Some((BufWriter::new(File::create(path).at(path)?), path))))
    }

    fn write(&mut self, question: &Question, answerable: bool, answer: &Answer) -> Result<()> {
        let Some((out, path)) = &mut self.0 else { return Ok(()) };
        let row = json!({
            "question": question.question,
            "answerable": answerable,
            "quote_hit": quote_hit(question, answer),
            "answer": answer,
        });
        writeln!(out, "{row}").and_then(|()| out.flush()).at(path)
    }
}
