//! `footnote eval follow-ups`: whether a question is understood that leans on the one before.
//!
//! Such questions are made from pairs that follow each other in a set: where the second one has a name in
//! common with the first one or its answer, a pronoun takes the name's place ("When was it founded?"). The
//! same pair always gives the same question.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use assistant::{Answer, AnswerEvent, AskOptions, Assistant, Exchange, Rewriting};
use serde_json::{Value, json};

use super::answers::quote_hit;
use super::metrics::share;
use super::questions::{self, Question};
use super::sets;
use crate::args::{FollowUpsArgs, Shared};
use crate::error::{AtPath, Result};
use crate::output::{self, Reporter, round};

/// Names of as many words are taken for persons where an answer gives them.
const MIN_PERSON_WORDS: usize = 2;

/// How a follow-up is asked.
const WAYS: [&str; 4] = ["alone", "by rules", "by generator", "in full"];

/// A pair of questions, the second of which leans on the first.
struct Pair {
    first: Question,
    second: Question,
    /// The second one with a pronoun.
    asked: String,
}

/// What came of one way to ask.
#[derive(Default)]
struct Tally {
    n_hit1: usize,
    n_hit3: usize,
    n_refused: usize,
    ms_to_quotes: f64,
}

pub async fn run(shared: &Shared, args: &FollowUpsArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let set = sets::only(&args.corpus)?;
    let mut questions = questions::answerable(&set.questions, None)?;
    let mut assistant = super::open(shared, &set, &[], true, &mut reporter).await?;
    super::settle(&mut questions, &set, &assistant)?;
    let pairs = limited(pairs(&questions), args.corpus.limit);
    let mut details = match &args.details {
        Some(path) => Some(BufWriter::new(File::create(path).at(path)?)),
        None => None,
    };
    let mut tallies: [Tally; WAYS.len()] = Default::default();
    let (mut n_written, mut rewrite_ms) = (0, 0.0);
    for pair in &pairs {
        let before = ask(&mut assistant, &pair.first.question, Vec::new(), Rewriting::Off).await?;
        let conversation =
            vec![Exchange { question: pair.first.question.clone(), answer: before.answer.clone() }];
        let mut row =
            json!({"before": pair.first.question, "asked": pair.asked, "full": pair.second.question});
        for (way, tally) in WAYS.into_iter().zip(&mut tallies) {
            let (question, conversation, rewriting) = match way {
                "alone" => (&pair.asked, Vec::new(), Rewriting::Off),
                "by rules" => (&pair.asked, conversation.clone(), Rewriting::Off),
                "by generator" => (&pair.asked, conversation.clone(), Rewriting::On),
                _ => (&pair.second.question, Vec::new(), Rewriting::Off),
            };
            let answer = ask(&mut assistant, question, conversation, rewriting).await?;
            tally.count(&pair.second, &answer);
            if let Some(ms) = answer.timings_ms.get("rewrite") {
                rewrite_ms += ms;
                n_written += usize::from(answer.timings_ms.contains_key("search_again"));
            }
            row[way] = json!({
                "understood": answer.understood,
                "quote_hit": quote_hit(&pair.second, &answer),
                "relevance": answer.signals.relevance,
                "score": answer.quotes.first().map(|quote| quote.score),
            });
        }
        if let (Some(out), Some(path)) = (&mut details, &args.details) {
            write(out, &row, path)?;
        }
    }
    let n = pairs.len();
    let ways: serde_json::Map<String, Value> =
        WAYS.iter().zip(&tallies).map(|(way, tally)| ((*way).to_owned(), tally.json(n))).collect();
    let row = json!({
        "n": n,
        "ways": ways,
        "rewritten": round(share(n_written, n)),
        "ms_to_rewrite": round(rewrite_ms / n.max(1) as f64),
    });
    if args.corpus.json {
        output::json(&row)?;
    } else {
        output::line(&format!("{n} questions, {} of them rewritten", row["rewritten"]));
        for (way, tally) in WAYS.iter().zip(&tallies) {
            output::line(&format!("{way:16} {}", tally.json(n)));
        }
        output::line(&format!("{} ms to rewrite", row["ms_to_rewrite"]));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks; the generator writes no more than the question.
async fn ask(
    assistant: &mut Assistant,
    question: &str,
    conversation: Vec<Exchange>,
    rewriting: Rewriting,
) -> Result<Answer> {
    let generate = rewriting != Rewriting::Off;
    let options = AskOptions { generate, conversation, rewriting, ..AskOptions::default() };
    let mut asking = assistant.ask(question, &options).await?;
    loop {
        match asking.next().await? {
            Some(AnswerEvent::Quotes(_)) if generate => {
                asking.reconsider(assistant).await?;
                asking.stop();
            }
            Some(AnswerEvent::Done(answer)) => return Ok(answer),
            _ => {}
        }
    }
}

fn write(out: &mut BufWriter<File>, row: &Value, path: &Path) -> Result<()> {
    writeln!(out, "{row}").and_then(|()| out.flush()).at(path)
}

impl Tally {
    fn count(&mut self, question: &Question, answer: &Answer) {
        let hit = quote_hit(question, answer);
        self.n_hit1 += usize::from(hit.is_some_and(|at| at < 1));
        self.n_hit3 += usize::from(hit.is_some_and(|at| at < 3));
        self.n_refused += usize::from(answer.refused);
        let ms = |name: &str| answer.timings_ms.get(name).copied().unwrap_or_default();
        self.ms_to_quotes += ms("retrieve") + ms("quotes");
    }

    fn json(&self, n: usize) -> Value {
        json!({
            "quote_hit1": round(share(self.n_hit1, n)),
            "quote_hit3": round(share(self.n_hit3, n)),
            "refused": round(share(self.n_refused, n)),
            "ms_to_quotes": round(self.ms_to_quotes / n.max(1) as f64),
        })
    }
}

/// At most so many, spread over all.
fn limited(pairs: Vec<Pair>, limit: Option<usize>) -> Vec<Pair> {
    let n = pairs.len();
    let Some(limit) = limit.filter(|&limit| limit > 0 && limit < n) else { return pairs };
    let mut pairs: Vec<Option<Pair>> = pairs.into_iter().map(Some).collect();
    (0..limit).filter_map(|i| pairs[i * n / limit].take()).collect()
}

/// The pairs of questions on one document that follow each other and have a name in common.
fn pairs(questions: &[Question]) -> Vec<Pair> {
    let pair = |two: &[Question]| {
        let [first, second] = two else { return None };
        (first.doc == second.doc).then_some(())?;
        let asked = leaning(&second.question, &first.question, first.answers.first()?)?;
        Some(Pair { first: first.clone(), second: second.clone(), asked })
    };
    questions.windows(2).filter_map(pair).collect()
}

/// A question with a pronoun in the place of the first name that the question before has, or its answer.
fn leaning(question: &str, before: &str, answer: &str) -> Option<String> {
    for name in names(question) {
        let is_person = !has(before, name) && name.split(' ').count() >= MIN_PERSON_WORDS;
        if !has(before, name) && !has(answer, name) {
            continue;
        }
        let [subject, owner] = if is_person { ["he", "his"] } else { ["it", "its"] };
        for (article, mark, pronoun) in
            [("the ", "'s", owner), ("", "'s", owner), ("the ", "", subject), ("", "", subject)]
        {
            let phrase = format!("{article}{name}{mark}");
            let is_whole = |at: usize| {
                question[..at].ends_with(' ')
                    && !question[at + phrase.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '\'')
            };
            if let Some(at) = question.find(&phrase).filter(|&at| is_whole(at)) {
                return Some(format!("{}{pronoun}{}", &question[..at], &question[at + phrase.len()..]));
            }
        }
    }
    None
}

/// Whether a text has a name, by itself and not as a part of a longer word.
fn has(text: &str, name: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(name).any(|(at, _)| {
        !is_letter(text[..at].chars().next_back()) && !is_letter(text[at + name.len()..].chars().next())
    })
}

/// Runs of capitalised words after the first word.
fn names(question: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut run: Option<(usize, usize)> = None;
    for word in question.split(' ').skip(1) {
        let from = word.as_ptr() as usize - question.as_ptr() as usize;
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        let bare = bare.strip_suffix("'s").unwrap_or(bare);
        let is_name = bare.chars().next().is_some_and(char::is_uppercase);
        if is_name {
            let start = run.map_or(from, |(start, _)| start);
            run = Some((start, from + bare.len()));
        }
        if let Some((start, end)) = run.filter(|_| !is_name || bare.len() < word.len()) {
            names.push(&question[start..end]);
            run = None;
        }
    }
    names.extend(run.map(|(start, end)| &question[start..end]));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_said_becomes_a_pronoun() {
        for (question, before, answer, expected) in [
            ("What did Ana Duarte sell?", "Who had it?", "Ana Duarte", Some("What did he sell?")),
            ("When was the BBC founded?", "Who runs the BBC?", "x", Some("When was it founded?")),
            ("Who was Tesla's father?", "Where was Tesla born?", "x", Some("Who was its father?")),
            ("Who was Tesla's father?", "Where was Teslas born?", "x", None),
            ("When was it founded?", "Who runs the BBC?", "x", None),
            ("Where is Paris, France?", "What is Paris?", "x", Some("Where is it, France?")),
        ] {
            assert_eq!(leaning(question, before, answer).as_deref(), expected, "{question}");
        }
    }
}
