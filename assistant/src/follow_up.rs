//! A question that goes on from earlier ones, said in full by the generator.
//!
//! The rules (`conversation`) say which questions these are, and what is searched for first, so that quotes
//! never wait for a generator. What it writes is searched for after that, and only if it is a question that
//! can be understood alone, keeps all that was asked, and says nothing that nobody said: a small model
//! answers, repeats or invents as often as it does what it is told.

use std::collections::HashSet;

use generator::{Generator, Message, Sampling};
use vectordb::Filter;

use crate::assistant::Assistant;
use crate::conversation::{self, Understood};
use crate::prompt::defuse;
use crate::question::Question;
use crate::types::{AskOptions, Exchange, Rewriting};
use crate::{Result, words};

/// Exchanges that the generator is told.
const MAX_EXCHANGES: usize = 2;
/// Tokens of a question, and of an answer before it, that it is told.
const MAX_QUESTION_TOKENS: usize = 64;
const MAX_ANSWER_TOKENS: usize = 48;
/// Tokens that it may write: twice a long question.
const MAX_WRITTEN_TOKENS: usize = 48;
/// A generator that takes less memory is no better at it than the rules; `docs/SEARCH.md` has the figures.
const MIN_GENERATOR_BYTES: u64 = 600 << 20;

const SYSTEM: &str = "Rewrite the last question of a conversation so that it can be understood without the \
    conversation: put names in the place of words like it, he, she or they. Write only the question.";
/// What it is shown: a conversation, and the last question in full.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "Q: Who built the first lighthouse of Brest?\nA: It was built by Marie Coste in 1862.\n\
         Last question: When did she sell it?",
        "When did Marie Coste sell the first lighthouse of Brest?",
    ),
    (
        "Q: How long do oak trees live?\nA: Oak trees live for some 500 years.\nLast question: And pines?",
        "How long do pines live?",
    ),
    (
        "Q: Which river runs through Zaragoza?\nA: The Ebro.\nLast question: Where does it begin?",
        "Where does the Ebro begin?",
    ),
];

/// What is needed to say a question in full, and to search for it again.
pub(crate) struct FollowUp {
    pub options: AskOptions,
    pub filter: Filter,
}

impl FollowUp {
    /// `None` where the question can be understood alone, or the generator is not to be asked.
    pub(crate) fn of(
        assistant: &Assistant,
        question: &Question,
        options: &AskOptions,
        filter: Filter,
    ) -> Option<Self> {
        let is_wanted = match options.rewriting {
            Rewriting::Auto => assistant.generator_bytes >= MIN_GENERATOR_BYTES,
            Rewriting::On => true,
            Rewriting::Off => false,
        };
        let is_open = conversation::leans(&question.text) && !options.conversation.is_empty();
        (is_wanted && is_open).then(|| Self { options: options.clone(), filter })
    }

    /// What the generator makes of the question; `None` if that is of no use.
    pub(crate) async fn in_full(&self, question: &str, generator: &Generator) -> Result<Option<Understood>> {
        let told = told(&self.options.conversation, question, generator);
        let prompt = generator.chat_prompt(&messages(&told))?;
        let stop = ["?", "\n"].map(str::to_owned).into();
        let sampling = Sampling { stop, ..Sampling::greedy(MAX_WRITTEN_TOKENS) };
        let mut session = generator.start(&prompt, &sampling).await?;
        let mut written = String::new();
        while let Some(piece) = session.next().await? {
            written.push_str(&piece.text);
            platform::yield_now().await;
        }
        let written = format!("{}?", written.trim().trim_start_matches(['"', '“']));
        Ok(judged(&written, question, &self.options.conversation))
    }
}

fn messages(told: &str) -> Vec<Message> {
    let mut messages = vec![Message::new("system", SYSTEM)];
    for (conversation, question) in EXAMPLES {
        messages.push(Message::new("user", conversation));
        messages.push(Message::new("assistant", question));
    }
    messages.push(Message::new("user", told));
    messages
}

/// The last exchanges and the question, in as many tokens as they may have.
fn told(conversation: &[Exchange], question: &str, generator: &Generator) -> String {
    let recent = &conversation[conversation.len().saturating_sub(MAX_EXCHANGES)..];
    let within = |text: &str, max_tokens: usize| {
        let mut kept = String::new();
        for word in defuse(text).split(' ') {
            let more = format!("{kept} {word}");
            if generator.count_tokens(&more) as usize > max_tokens {
                break;
            }
            kept = more;
        }
        kept.trim().to_owned()
    };
    let mut told = String::new();
    for exchange in recent {
        told.push_str(&format!("Q: {}\n", within(&exchange.question, MAX_QUESTION_TOKENS)));
        let (answer, _) = crate::check::take_marks(&exchange.answer);
        if !answer.trim().is_empty() {
            told.push_str(&format!("A: {}\n", within(&answer, MAX_ANSWER_TOKENS)));
        }
    }
    told.push_str(&format!("Last question: {}", within(question, MAX_QUESTION_TOKENS)));
    told
}

/// What was written as something to search for; `None` where the rules do better.
fn judged(written: &str, question: &str, conversation: &[Exchange]) -> Option<Understood> {
    let recent = &conversation[conversation.len().saturating_sub(MAX_EXCHANGES)..];
    let mut said = words::term_set(question);
    for exchange in recent {
        said.extend(words::terms(&exchange.question));
        said.extend(words::terms(&exchange.answer));
    }
    let (own, now): (HashSet<String>, HashSet<String>) =
        (words::term_set(question), words::term_set(written));
    let is_of_use = now.is_superset(&own)
        && now.len() > own.len()
        && now.is_subset(&said)
        && !conversation::has_pronoun(written)
        && !conversation::leans(written);
    // What was asked before is no new question.
    let is_new = !recent.iter().any(|exchange| words::term_set(&exchange.question) == now);
    // Of what it asks, a part of a question says nothing by itself.
    let focus = if conversation::points(question) { question } else { written };
    (is_of_use && is_new).then(|| Understood { text: written.to_owned(), focus: focus.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_taken_only_if_it_says_the_question_in_full() {
        let conversation = [Exchange {
            question: "Who opened the first tea house of Lisbon?".into(),
            answer: "The first tea house of Lisbon was opened by Ana Duarte in 1871 [1].".into(),
        }];
        for (written, is_taken) in [
            ("When did Ana Duarte sell the first tea house of Lisbon?", true),
            ("When did Ana Duarte sell it?", false),
            ("When did she sell it?", false),
            ("Who opened the first tea house of Lisbon?", false),
            ("When did Ana Duarte sell the first tea house of Porto?", false),
            ("When did Ana Duarte open the first tea house?", false),
            ("She sold it in 1877?", false),
            ("?", false),
        ] {
            let judged = judged(written, "When did she sell it?", &conversation);
            assert_eq!(judged.is_some(), is_taken, "{written}");
        }
    }
}
