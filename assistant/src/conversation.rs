//! Questions that go on from earlier ones: "When did she sell it?", "And in 1998?", "Why?".
//!
//! What such a question leaves unsaid is taken from the exchange before it: the things that were
//! asked about, and for persons the names in the answer. The question keeps its own words, which are
//! shown; what is searched for has the others besides. A question that can be understood alone is left
//! as it is, because words of another subject would lead its search astray.

use unicode_segmentation::UnicodeSegmentation;
use vectordb::Role;

use crate::types::Exchange;
use crate::{Library, Result, words};

/// Exchanges that are looked back to: "it" seldom means anything from longer ago.
const MAX_LOOK_BACK: usize = 4;
/// Names that are taken from an answer.
const MAX_NAMES: usize = 3;
/// A question of as few words that say something, without a name among them, is a part of another.
const MAX_FRAGMENT_TERMS: usize = 1;

/// Words of persons: the answer may have named them.
const PERSONS: &str = "he she him her his hers they them their theirs er sie ihm ihn ihr ihre seine \
    él ella ellos ellas su sus lui elle ils elles leur son sa ses он она они его её ее их ему ей им";
/// Words of things: the question before named them.
const THINGS: &str = "it its itself es dessen deren eso esto lo ça cela это этого этом";
/// Words that point at something said before only where nothing follows that they belong to.
const POINTERS: &str = "this that these those there dies dieser diese dieses ce cette ese esa este esta";
/// What a question begins with that puts something else in the place of what was asked about.
const CONTINUATIONS: &str = "and or but und oder aber y o pero et ou mais и или а но";
/// The same in several words.
const CONTINUED: [&str; 12] = [
    "what about",
    "how about",
    "what of",
    "and what",
    "and how",
    "and for",
    "was ist mit",
    "wie ist es mit",
    "qué hay de",
    "et pour",
    "qu'en est-il",
    "а как насчет",
];
/// What may follow a pointer that stands alone.
const VERBS: &str = "is are was were has had have do does did can could will would may mean happen \
    happened work works";

impl Library {
    /// What was asked and answered in a kept conversation, oldest first, for a question that goes on
    /// from it.
    ///
    /// # Errors
    /// When the conversation is not there or cannot be read.
    pub fn exchanges(&self, conversation: u64) -> Result<Vec<Exchange>> {
        let mut exchanges: Vec<Exchange> = Vec::new();
        for message in self.messages(conversation)? {
            match (message.role, exchanges.last_mut()) {
                (Role::Answer, Some(exchange)) => exchange.answer = message.text,
                (Role::Answer, None) => {}
                (Role::Question, _) => {
                    exchanges.push(Exchange { question: message.text, answer: String::new() });
                }
            }
        }
        Ok(exchanges)
    }
}

/// The question with what it leaves unsaid, or `None` where it can be understood alone.
pub(crate) fn resolve(question: &str, conversation: &[Exchange]) -> Option<Understood> {
    let recent = &conversation[conversation.len().saturating_sub(MAX_LOOK_BACK)..];
    let (last, earlier) = recent.split_last()?;
    let kind = dependence(question)?;
    // The question before may have gone on from another one.
    let before = resolve(&last.question, earlier).map_or_else(|| last.question.clone(), |u| u.text);
    if matches!(kind, Dependence::Continues | Dependence::Fragment) {
        let focus = replaced(&last.question, question);
        return Some(Understood { text: replaced(&before, question), focus });
    }
    let mut carried = things(&before);
    if kind == Dependence::Person {
        carried.extend(names(&last.answer).into_iter().take(MAX_NAMES));
    }
    let own = words::term_set(question);
    let is_new = |phrase: &String| !words::term_set(phrase).is_subset(&own);
    let mut kept: Vec<String> = Vec::new();
    for phrase in carried.into_iter().filter(is_new) {
        if !kept.iter().any(|other| words::term_set(other).is_superset(&words::term_set(&phrase))) {
            kept.push(phrase);
        }
    }
    let text = format!("{} ({})", question.trim(), kept.join(", "));
    (!kept.is_empty()).then(|| Understood { text, focus: question.trim().to_owned() })
}

/// Whether a question leans on the one before.
pub(crate) fn leans(question: &str) -> bool {
    dependence(question).is_some()
}

/// Whether a text has a word for somebody or something that it may not name itself.
pub(crate) fn has_pronoun(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_pronoun =
        |word: &str| [PERSONS, THINGS].iter().any(|list| list.split_whitespace().any(|w| w == word));
    lower.unicode_words().any(is_pronoun)
}

/// Whether a question that leans on another one says itself what it asks, and points at whom or what it speaks of.
pub(crate) fn points(question: &str) -> bool {
    matches!(dependence(question), Some(Dependence::Person | Dependence::Thing))
}

/// A question with what it leaves unsaid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Understood {
    /// What to search for.
    pub text: String,
    /// What of it is asked: the rest only says of what, and stands around the answer more than in it.
    pub focus: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dependence {
    /// It asks the same of something else.
    Continues,
    /// It asks for more about the same.
    Fragment,
    /// It speaks of somebody who was named.
    Person,
    /// It speaks of something that was named.
    Thing,
}

/// In which way a question leans on the one before; `None` if it does not.
fn dependence(question: &str) -> Option<Dependence> {
    let lower = question.to_lowercase();
    let first = lower.unicode_words().next()?;
    let has = |list: &str, word: &str| list.split_whitespace().any(|w| w == word);
    if CONTINUED.iter().any(|begin| lower.trim_start().starts_with(begin)) {
        return Some(Dependence::Continues);
    }
    let own = words::terms(question);
    let words: Vec<&str> = question.unicode_words().collect();
    if has(CONTINUATIONS, first) && pronoun(&words).is_none() {
        return Some(Dependence::Continues);
    }
    if let Some(kind) = pronoun(&words) {
        return Some(kind);
    }
    let is_named = words.iter().skip(1).any(|word| word.chars().next().is_some_and(char::is_uppercase));
    let is_script_without_capitals = !lower.chars().any(|c| c.is_lowercase());
    (own.len() <= MAX_FRAGMENT_TERMS && !is_named && !is_script_without_capitals)
        .then_some(Dependence::Fragment)
}

/// The first word that points at something outside of the question.
fn pronoun(words: &[&str]) -> Option<Dependence> {
    let has = |list: &str, word: &str| list.split_whitespace().any(|w| w == word);
    for (i, word) in words.iter().enumerate() {
        let lower = word.to_lowercase();
        let kind = match () {
            () if has(PERSONS, &lower) => Dependence::Person,
            () if has(THINGS, &lower) => Dependence::Thing,
            () if has(POINTERS, &lower) && points_back(words, i) => Dependence::Thing,
            () => continue,
        };
        // "What did Tesla build, and when did he sell it?" says itself whom it means.
        let is_named_before =
            words[..i].iter().skip(1).any(|word| word.chars().next().is_some_and(char::is_uppercase));
        return (!is_named_before).then_some(kind);
    }
    None
}

/// Whether a pointer stands for something by itself: "after that?", "is this safe?", but neither "the
/// river that crosses" nor "are there any".
fn points_back(words: &[&str], i: usize) -> bool {
    let is_verb = |word: &str| VERBS.split_whitespace().any(|v| v == word.to_lowercase());
    let is_existential = words[i].eq_ignore_ascii_case("there");
    let before = i.checked_sub(1).map(|at| words[at]);
    match words.get(i + 1) {
        None => !is_existential || !before.is_some_and(is_verb),
        Some(next) if is_existential => !is_verb(next) && !before.is_some_and(is_verb),
        Some(next) => is_verb(next) && before.is_none_or(is_verb) || before.is_some_and(is_verb),
    }
}

/// A question about something else in the place of what was asked about: the last name or number of
/// its kind gives way.
fn replaced(before: &str, question: &str) -> String {
    let new: Vec<&str> = question.unicode_words().collect();
    let is_year = |word: &str| word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit());
    let new_names = names(question);
    let mut kept = before.trim().trim_end_matches(['?', '.']).to_owned();
    let gone = if new.iter().any(|word| is_year(word)) {
        kept.unicode_words().rfind(|word| is_year(word)).map(str::to_owned)
    } else if !new_names.is_empty() {
        names(&kept).pop()
    } else {
        None
    };
    if let Some(at) = gone.as_ref().and_then(|gone| kept.rfind(gone.as_str())) {
        let end = at + gone.map_or(0, |gone| gone.len());
        kept.replace_range(at..end, "");
    }
    let kept = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{} {kept}?", question.trim())
}

/// What a text speaks of: its runs of words that say something, without single words that are no
/// names, as verbs mostly are. What is in brackets was carried here before.
fn things(text: &str) -> Vec<String> {
    let mut runs: Vec<Vec<&str>> = vec![Vec::new()];
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let joins = ["of", "de", "la", "von", "der", "du"].contains(&bare);
        let run = runs.last_mut().expect("there is one at least");
        if !words::terms(bare).is_empty() || joins && !run.is_empty() {
            run.push(bare);
        } else if !run.is_empty() {
            runs.push(Vec::new());
        }
        if word.ends_with([',', ';', ')', ':']) {
            runs.push(Vec::new());
        }
    }
    let is_name = |word: &&str| word.chars().next().is_some_and(|c| c.is_uppercase() || c.is_numeric());
    let mut things = Vec::new();
    for mut run in runs {
        while run.last().is_some_and(|word| words::terms(word).is_empty()) {
            run.pop();
        }
        if run.len() > 1 || run.iter().any(is_name) {
            things.push(run.join(" "));
        }
    }
    if things.is_empty() {
        // "Why does rain fall?" speaks of rain; which of its words that is cannot be told.
        things.push(words_that_say_something(text));
    }
    things
}

fn words_that_say_something(text: &str) -> String {
    text.unicode_words().filter(|word| !words::terms(word).is_empty()).collect::<Vec<_>>().join(" ")
}

/// Runs of capitalised words, without such as only begin a sentence.
fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut run: Vec<&str> = Vec::new();
    let mut begins = true;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_capital = bare.chars().next().is_some_and(char::is_uppercase);
        if is_capital && !(begins && words::terms(bare).is_empty()) {
            run.push(bare);
        }
        if !is_capital || word.ends_with([',', '.', ';', '?', '!', ')', ':']) {
            let name = std::mem::take(&mut run).join(" ");
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        begins = word.ends_with(['.', '?', '!']);
    }
    let name = run.join(" ");
    if !name.is_empty() && !names.contains(&name) {
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(conversation: &[(&str, &str)], question: &str, expected: Option<&str>) {
        let exchange = |(question, answer): &(&str, &str)| Exchange {
            question: (*question).to_owned(),
            answer: (*answer).to_owned(),
        };
        let conversation: Vec<Exchange> = conversation.iter().map(exchange).collect();
        let text = resolve(question, &conversation).map(|understood| understood.text);
        assert_eq!(text.as_deref(), expected, "{question}");
    }

    const TEA: (&str, &str) = (
        "Who opened the first tea house of Lisbon?",
        "The first tea house of Lisbon was opened by Ana Duarte in 1871 [1].",
    );
    const BEES: (&str, &str) =
        ("How long does a worker bee live?", "A worker bee lives for about six weeks [1].");

    #[test]
    fn pronouns_carry_what_was_spoken_of() {
        let sold = "When did she sell it? (first tea house of Lisbon, Ana Duarte)";
        check(&[TEA], "When did she sell it?", Some(sold));
        check(&[BEES, TEA], "When did she sell it?", Some(sold));
        check(&[BEES], "Where does it live?", Some("Where does it live? (worker bee live)"));
        check(
            &[TEA],
            "What happened after that?",
            Some("What happened after that? (first tea house of Lisbon)"),
        );
        check(
            &[TEA, ("When did she sell it?", "She sold it six years later [1].")],
            "To whom?",
            Some("To whom? When did she sell it? (first tea house of Lisbon, Ana Duarte)?"),
        );
    }

    #[test]
    fn continuations_put_something_else_in_its_place() {
        check(&[BEES], "And the queen?", Some("And the queen? How long does a worker bee live?"));
        check(
            &[("Who won the Super Bowl in 2015?", "")],
            "And in 2016?",
            Some("And in 2016? Who won the Super Bowl in?"),
        );
        check(
            &[("What is the capital of France?", "Paris [1].")],
            "What about Germany?",
            Some("What about Germany? What is the capital of?"),
        );
    }

    #[test]
    fn what_can_be_understood_alone_is_left_alone() {
        for question in [
            "How hot should green tea be?",
            "What did Tesla build, and when did he sell it?",
            "Are there any rivers in Poland?",
            "Which river that crosses Warsaw is the longest?",
            "¿Quién escribió la novela Fortunata y Jacinta?",
        ] {
            check(&[TEA], question, None);
        }
        check(&[], "When did she sell it?", None);
    }
}
