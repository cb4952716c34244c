//! An answer on its way: quotes, then text, then the checked whole.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use embedder::Embedder;
use generator::{Finish, Generator, Sampling, Session};

use crate::assistant::Assistant;
use crate::check::{Checked, Evidence, check, take_marks};
use crate::finding::Found;
use crate::follow_up::FollowUp;
use crate::passages::Passage;
use crate::prompt::{self, Budget};
use crate::question::Question;
use crate::renumber::Renumber;
use crate::types::{Answer, AnswerEvent, AnswerSentence, AskOptions, Quote};
use crate::{Error, Result, constrain, words};

/// Quotes an answer without a generator is made of, at most.
const MAX_EXTRACTED: usize = 2;
/// A further quote is part of such an answer only if its score is this share of the best one's.
const MIN_EXTRACTED_SHARE: f32 = 0.9;

const REFUSAL: &str = "The documents do not contain an answer to this question.";

/// An answer on its way. Pull events with [`Asking::next`]; dropping it stops it.
pub struct Asking {
    /// Told with the answer: why nothing was generated though it was asked for.
    pub(crate) problem: Option<String>,
    question: String,
    /// What was searched for, where that is not the question as it was asked.
    understood: Option<String>,
    embedder: Rc<Embedder>,
    generator: Option<Rc<Generator>>,
    budget: Option<Budget>,
    /// The sources of the prompt before, which the generator may still know.
    seen: Rc<RefCell<Vec<String>>>,
    max_tokens: usize,
    only_quotes: bool,
    found: Found,
    stage: Stage,
    text: String,
    generated: bool,
    /// The generator had more to say than it may.
    was_cut: bool,
    /// What is needed to let the generator say the question in full, where that is to be done.
    follow_up: Option<FollowUp>,
    clock: Clock,
}

enum Stage {
    Quotes,
    Lead,
    Prefill,
    Generate(Box<Session>, Renumber),
    Check,
    Over,
}

impl Asking {
    pub(crate) async fn new(
        assistant: &Assistant,
        question: &str,
        options: &AskOptions,
        generator: Option<Rc<Generator>>,
    ) -> Result<Self> {
        let mut clock = Clock::new();
        let db = &assistant.library.db;
        if assistant.library.stats()?.n_documents == 0 {
            return Err(Error::NoDocuments);
        }
        let filter = assistant.library.filter(&options.scope)?;
        let embedder = assistant.embedder.clone();
        let question = Question::new(question, &options.conversation, (db, &filter), &embedder).await?;
        let found = Found::of(assistant, &question, options, &filter, &mut |name| clock.lap(name)).await?;
        let follow_up = generator.as_ref().and_then(|_| FollowUp::of(assistant, &question, options, filter));
        let budget = generator.as_ref().map(|g| Budget::new(assistant.tier(), g.n_ctx()));
        Ok(Self {
            problem: None,
            question: question.text,
            understood: question.understood,
            embedder,
            generator,
            budget,
            seen: Rc::clone(&assistant.seen_sources),
            max_tokens: options.max_tokens,
            only_quotes: options.only_quotes,
            found,
            stage: Stage::Quotes,
            text: String::new(),
            generated: false,
            was_cut: false,
            follow_up,
            clock,
        })
    }

    /// Lets the generator say in full what a question leaves unsaid that goes on from earlier ones, and
    /// searches again for what it wrote. To be called when the first quotes are shown, which need not wait
    /// for it; gives other quotes where there are better ones. `None` where nothing is to be done, and where
    /// what was written is of no use.
    ///
    /// # Errors
    /// When the store or the embedder fails. A generator that fails leaves all as it was.
    pub async fn reconsider(&mut self, assistant: &Assistant) -> Result<Option<AnswerEvent>> {
        if !matches!(self.stage, Stage::Lead) {
            return Ok(None);
        }
        let (Some(follow_up), Some(generator)) = (self.follow_up.take(), &self.generator) else {
            return Ok(None);
        };
        let written = follow_up.in_full(&self.question, generator).await;
        self.clock.lap("rewrite");
        let Ok(Some(understood)) = written else { return Ok(None) };
        let db = &assistant.library.db;
        let question =
            Question::understood_as(&self.question, understood, (db, &follow_up.filter), &self.embedder)
                .await?;
        let (options, filter) = (&follow_up.options, &follow_up.filter);
        let found = Found::of(assistant, &question, options, filter, &mut |_| {}).await?;
        self.clock.lap("search_again");
        if found.is_refusal() && !self.is_refused() {
            return Ok(None);
        }
        let is_same = found.quotes == self.found.quotes;
        self.found = found;
        self.understood = question.understood;
        Ok((!is_same).then(|| AnswerEvent::Quotes(self.found.quotes.clone())))
    }

    /// The next event; `None` after the last one.
    ///
    /// # Errors
    /// When the embedder fails during the check. A generator that fails ends the text where it is,
    /// and the answer tells why.
    pub async fn next(&mut self) -> Result<Option<AnswerEvent>> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Quotes => {
                    self.stage = Stage::Lead;
                    return Ok(Some(AnswerEvent::Quotes(self.found.quotes.clone())));
                }
                Stage::Lead => {
                    let can_generate = self.generator.is_some() && !self.is_refused();
                    if can_generate && self.only_quotes {
                        self.stage = Stage::Check;
                        let chosen = self.choose().await;
                        return Ok(Some(self.say(chosen)));
                    }
                    self.stage = if can_generate { Stage::Prefill } else { Stage::Check };
                    let lead = self.lead();
                    return Ok(Some(self.say(lead)));
                }
                Stage::Prefill => self.stage = self.prefill().await,
                Stage::Generate(session, renumber) => {
                    if let Some(text) = self.generate(session, renumber).await {
                        return Ok(Some(self.say(text)));
                    }
                }
                Stage::Check => return Ok(Some(AnswerEvent::Done(self.finish().await?))),
                Stage::Over => return Ok(None),
            }
        }
    }

    /// Ends the text where it is: the next event is the checked answer.
    pub fn stop(&mut self) {
        if !matches!(self.stage, Stage::Over) {
            self.stage = Stage::Check;
        }
    }

    fn is_refused(&self) -> bool {
        self.found.is_refusal()
    }

    fn say(&mut self, text: String) -> AnswerEvent {
        self.clock.first("first_token");
        self.text.push_str(&text);
        AnswerEvent::Token(text)
    }

    /// What is said without a generator: what the quotes say, or that there is no answer. A
    /// generator goes on from the best quote.
    fn lead(&self) -> String {
        if self.is_refused() {
            return REFUSAL.into();
        }
        let best = self.found.quotes[0].score;
        let n_quotes = if self.generator.is_some() { 1 } else { MAX_EXTRACTED };
        let quotes = self.found.quotes.iter().take(n_quotes);
        let fitting = quotes.filter(|q| q.n == 1 || q.score >= MIN_EXTRACTED_SHARE * best);
        let sentences: Vec<String> = fitting.map(|q| cited(&q.text, q.n)).collect();
        sentences.join(" ")
    }

    /// The sentences that the generator takes for the answer, word for word.
    async fn choose(&mut self) -> String {
        let Some(generator) = self.generator.clone() else { return self.lead() };
        let question = self.understood.as_ref().unwrap_or(&self.question);
        match constrain::choose(question, &self.found.quotes, &generator).await {
            Ok(chosen) => {
                self.clock.lap("generate");
                self.generated = true;
                let sentences =
                    chosen.iter().map(|&i| cited(&self.found.quotes[i].text, self.found.quotes[i].n));
                sentences.collect::<Vec<_>>().join(" ")
            }
            Err(error) => {
                self.problem = Some(error.to_string());
                self.lead()
            }
        }
    }

    async fn prefill(&mut self) -> Stage {
        match self.try_prefill().await {
            Ok(Some((session, renumber))) => Stage::Generate(Box::new(session), renumber),
            Ok(None) => Stage::Check,
            Err(e) => {
                self.problem = Some(e.to_string());
                Stage::Check
            }
        }
    }

    async fn try_prefill(&mut self) -> Result<Option<(Session, Renumber)>> {
        let (Some(generator), Some(budget)) = (&self.generator, &self.budget) else { return Ok(None) };
        let sources: Vec<_> = self.found.quotes.iter().map(|q| (q, self.passage_of(q))).collect();
        let prompt = prompt::prompt(
            self.understood.as_ref().unwrap_or(&self.question),
            &sources,
            budget,
            generator,
            &self.seen.borrow(),
        );
        let renumber = Renumber::new(prompt.footnotes);
        // The model goes on from the quote, as if it had written it itself.
        let best = &self.found.quotes[0];
        let lead = cited(&best.text, renumber.source_of(best.n).unwrap_or(best.n));
        let begun = prompt::rendered(generator, &prompt.messages)?;
        let text = format!("{begun}{}", prompt::defuse(&lead));
        let max_tokens = if self.max_tokens == 0 { budget.answer_tokens } else { self.max_tokens };
        let sampling = Sampling { stop: prompt::stops(), ..Sampling::greedy(max_tokens) };
        let session = generator.start(&text, &sampling).await?;
        self.seen.replace(prompt.sources);
        self.clock.lap("prefill");
        self.clock.count("prefill_tokens", session.n_prompt() - session.n_reused());
        self.clock.count("reused_tokens", session.n_reused());
        Ok(Some((session, renumber)))
    }

    /// The next generated piece; `None` at the end.
    async fn generate(&mut self, mut session: Box<Session>, mut renumber: Renumber) -> Option<String> {
        match session.next().await {
            Ok(Some(piece)) => {
                self.generated = true;
                let text = renumber.push(&piece.text);
                // A small model that has nothing more to say says it again.
                let said = format!("{}{text}", self.text);
                self.stage =
                    if repeats_itself(&said) { Stage::Check } else { Stage::Generate(session, renumber) };
                return Some(text);
            }
            Ok(None) => self.was_cut = session.finish() == Some(Finish::MaxTokens),
            Err(e) => self.problem = Some(e.to_string()),
        }
        self.clock.lap("generate");
        self.stage = Stage::Check;
        None
    }

    fn passage_of(&self, quote: &Quote) -> &Passage {
        let holds = |p: &&Passage| {
            let chunk = &p.chunk;
            chunk.document.0 == quote.document_id && chunk.start <= quote.start && quote.end <= chunk.end
        };
        self.found.passages.iter().find(holds).expect("a quote is a part of one of the passages")
    }

    /// Checks a text that somebody else wrote, as the answer is checked: sentence by sentence,
    /// against the passages of the quotes.
    ///
    /// # Errors
    /// When the embedder fails.
    pub async fn verify(&self, text: &str) -> Result<Vec<AnswerSentence>> {
        Ok(self.checked(text, &self.found.quotes).await?.sentences)
    }

    async fn checked(&self, text: &str, quotes: &[Quote]) -> Result<Checked> {
        let evidence = |quote| {
            let passage = self.passage_of(quote);
            let context = format!("{} {}", passage.chunk.heading_path.join(" "), passage.document);
            Evidence { quote, passage: &passage.chunk.text, context }
        };
        let evidence: Vec<Evidence<'_>> = quotes.iter().map(evidence).collect();
        check(text, &words::term_set(&self.question), &evidence, &self.embedder).await
    }

    async fn finish(&mut self) -> Result<Answer> {
        let refused = self.is_refused();
        let text = tidy(self.text.trim(), self.was_cut);
        let mut checked = self.checked(&text, if refused { &[] } else { &self.found.quotes }).await?;
        if refused {
            // The refusal claims nothing that a passage could support.
            checked.sentences.iter_mut().for_each(|s| s.supported = true);
        }
        self.clock.lap("check");
        Ok(Answer {
            answer: checked.answer,
            understood: self.understood.clone(),
            quotes: self.found.quotes.clone(),
            citations: checked.citations,
            sentences: checked.sentences,
            refused,
            generated: self.generated,
            problem: self.problem.clone(),
            signals: self.found.signals,
            timings_ms: self.clock.total(),
        })
    }
}

/// A quote as a sentence of an answer: on one line, with its mark.
fn cited(text: &str, n: u32) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_start_matches(['-', '*', '#', '>', ' ']);
    let stem = line.trim_end_matches(['.', '!', '?', ':', ';']);
    let end = if stem.len() < line.len() { &line[stem.len()..] } else { "." };
    format!("{stem} [{n}]{end}")
}

/// Whether the last whole sentence of a text was there before; marks are no part of it.
fn repeats_itself(text: &str) -> bool {
    let ends = text.trim_end().ends_with(['.', '!', '?', ']']);
    let (text, _) = take_marks(text);
    let spans = ingest::sentences(&text);
    let Some((last, earlier)) = spans.split_last().filter(|_| ends) else { return false };
    let terms = words::term_set(ingest::slice(&text, *last));
    !terms.is_empty()
        && earlier.iter().any(|span| words::term_set(ingest::slice(&text, *span)).is_superset(&terms))
}

/// The text without sentences that were there before, and without a last one that was cut short.
fn tidy(text: &str, was_cut: bool) -> String {
    let spans = ingest::sentences(text);
    let is_whole = text.ends_with(['.', '!', '?', ']', '"']);
    let n_kept = if was_cut && !is_whole && spans.len() > 1 { spans.len() - 1 } else { spans.len() };
    let mut tidied = String::new();
    for span in &spans[..n_kept] {
        let before = ingest::slice(text, ingest::Span::new(0, span.end));
        if !repeats_itself(before) {
            let separator = if tidied.is_empty() { "" } else { " " };
            tidied.push_str(separator);
            tidied.push_str(ingest::slice(text, *span));
        }
    }
    tidied
}

/// Laps by name.
struct Clock {
    start: f64,
    lap_start: f64,
    laps: BTreeMap<String, f64>,
}

impl Clock {
    fn new() -> Self {
        let now = platform::now_ms();
        Self { start: now, lap_start: now, laps: BTreeMap::new() }
    }

    fn lap(&mut self, name: &str) {
        let now = platform::now_ms();
        self.laps.insert(name.into(), now - self.lap_start);
        self.lap_start = now;
    }

    /// A number of tokens, among the times.
    fn count(&mut self, name: &str, n: usize) {
        self.laps.insert(name.into(), n as f64);
    }

    /// Time from the question on, the first time it is called.
    fn first(&mut self, name: &str) {
        let since = platform::now_ms() - self.start;
        self.laps.entry(name.into()).or_insert(since);
    }

    fn total(&self) -> BTreeMap<String, f64> {
        let mut laps = self.laps.clone();
        laps.insert("total".into(), platform::now_ms() - self.start);
        laps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_and_torn_ends_are_left_out() {
        let tea = "Tea is hot [1].";
        assert!(repeats_itself("Tea is hot [1]. Tea is hot [2]."));
        assert!(!repeats_itself("Tea is hot [1]. Tea is"));
        assert!(!repeats_itself("Tea is hot [1]. Ice is cold."));
        for (text, was_cut, expected) in [
            ("Tea is hot [1]. Tea is hot [2].", false, tea),
            ("Tea is hot [1]. The experiment was", true, tea),
            ("Tea is hot [1]. Ice is cold.", true, "Tea is hot [1]. Ice is cold."),
            ("Tea is", true, "Tea is"),
            ("", false, ""),
        ] {
            assert_eq!(tidy(text, was_cut), expected, "{text}");
        }
    }

    #[test]
    fn a_quote_becomes_a_cited_sentence() {
        assert_eq!(cited("- Tea is\nhot.", 2), "Tea is hot [2].");
        assert_eq!(cited("Is it?", 1), "Is it [1]?");
        assert_eq!(cited("no stop", 1), "no stop [1].");
    }
}
