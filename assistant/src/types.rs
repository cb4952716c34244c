//! Plain data that crosses a worker's border: progress, hits, quotes, answers.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::Scope;

/// What is being done right now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Progress {
    /// A model file is on its way.
    Fetching(models::FetchProgress),
    /// A model goes into memory.
    Loading {
        /// The model's id.
        model: String,
    },
    /// A file is being parsed.
    Reading {
        /// The file.
        name: String,
    },
    /// Passages become vectors.
    Embedding {
        /// The document.
        name: String,
        /// Passages embedded so far.
        n_done: u32,
        /// Passages of the document.
        n_total: u32,
    },
    /// The document is being written to the store.
    Storing {
        /// The document.
        name: String,
    },
}

/// A file as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Name; also the document's name, under which a newer version replaces it.
    pub name: String,
    /// Media type, where somebody said one.
    pub mime: Option<String>,
    /// Content.
    pub bytes: Vec<u8>,
}

/// A document that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// The document's id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Passages it was cut into.
    pub n_chunks: u32,
    /// Pages; 0 where the format has none.
    pub n_pages: u32,
    /// What was lost or guessed when it was read.
    pub warnings: Vec<String>,
    /// It was stored with the same content before, and nothing was done.
    pub already_there: bool,
    /// The name under which that is, where it is another one.
    pub same_as: Option<String>,
    /// The stored document that says nearly the same.
    pub near: Option<NearCopy>,
}

/// A document that says nearly the same as one that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearCopy {
    /// The document's id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Words that both have, in percent of those that either has.
    pub percent: u32,
}

impl Added {
    /// Sentences for the user: what was lost, and what else is stored that is (nearly) the same.
    pub fn notes(&self) -> Vec<String> {
        self.warnings.iter().cloned().chain(self.copies()).collect()
    }

    /// Sentences for the user: what else is stored that is (nearly) the same.
    pub fn copies(&self) -> Vec<String> {
        let same = self.same_as.iter().map(|name| format!("it is the same file as {name}, and stored once"));
        let near = self.near.iter().map(|NearCopy { name, percent, .. }| {
            format!("it shares {percent} % of its words with {name}: is one an older version of the other?")
        });
        same.chain(near).collect()
    }
}

/// What became of a file that may hold several documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedAll {
    /// The documents that are stored now.
    pub added: Vec<Added>,
    /// Why others are not.
    pub refused: Vec<ingest::Refusal>,
}

impl AddedAll {
    /// Sentences for the user about what was lost. Files of kinds that are not read, such as the
    /// pictures of an archive, are only counted.
    pub fn warnings(&self) -> Vec<String> {
        self.told(Added::notes)
    }

    /// The same without what is kept with the documents themselves.
    pub fn notices(&self) -> Vec<String> {
        self.told(Added::copies)
    }

    fn told(&self, notes: impl Fn(&Added) -> Vec<String>) -> Vec<String> {
        let mut told = Vec::new();
        for added in &self.added {
            let is_only_one = self.added.len() == 1;
            told.extend(notes(added).into_iter().map(|note| match is_only_one {
                true => note,
                false => format!("{}: {note}", added.name),
            }));
        }
        let is_other_kind =
            |refusal: &&ingest::Refusal| matches!(refusal, ingest::Refusal::UnknownKind { .. });
        told.extend(self.refused.iter().filter(|refusal| !is_other_kind(refusal)).map(ToString::to_string));
        let n_others = self.refused.iter().filter(is_other_kind).count();
        if n_others > 0 {
            told.push(format!("{n_others} files in it are of kinds that cannot be read, such as pictures"));
        }
        told
    }
}

/// A stored document's text. All spans count its code points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The document's id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What kind of file it was: `pdf`, `markdown`, `html`, `text`.
    pub kind: String,
    /// The extracted text.
    pub text: String,
    /// Code point where page i+1 starts; empty if there are no pages.
    pub page_starts: Vec<u32>,
}

/// Which ranking to search by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leg {
    /// Both, fused.
    #[default]
    Fused,
    /// Meaning only: cosine of vectors.
    Dense,
    /// Words only: BM25.
    Bm25,
}

/// How to search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchOptions {
    /// Passages wanted.
    pub k: usize,
    /// Which ranking.
    pub leg: Leg,
    /// Among which documents. Fewer than `k` passages are found only where they have no more.
    pub scope: Scope,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { k: 10, leg: Leg::default(), scope: Scope::default() }
    }
}

/// A passage that a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchHit {
    /// The passage's id.
    pub chunk: u64,
    /// The document's id.
    pub document_id: u64,
    /// The document's name.
    pub document: String,
    /// 1-based page of the first character, where there are pages.
    pub page: Option<u32>,
    /// First code point in the document's text.
    pub start: u32,
    /// One past the last code point.
    pub end: u32,
    /// The passage.
    pub text: String,
    /// Larger is better; only comparable within one search.
    pub score: f32,
    /// Headings above the passage, outermost first.
    pub heading_path: Vec<String>,
    /// Other documents with a passage that says the same; it is not among the hits.
    pub also_in: Vec<String>,
}

/// How to ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskOptions {
    /// Let the generator write; else, or without a generator, the answer is made of the quotes.
    pub generate: bool,
    /// Passages that are looked at for quotes.
    pub n_passages: usize,
    /// Quotes shown at most.
    pub max_quotes: usize,
    /// Tokens generated at most; 0 lets the tier decide.
    pub max_tokens: usize,
    /// Which documents are asked.
    pub scope: Scope,
    /// Let the generator choose among sentences of the sources, and write nothing of its own.
    #[serde(default)]
    pub only_quotes: bool,
    /// What was asked and answered before, oldest first: a question may go on from it.
    #[serde(default)]
    pub conversation: Vec<Exchange>,
    /// Whether the generator says in full what such a question leaves unsaid.
    #[serde(default)]
    pub rewriting: Rewriting,
}

/// Whether the generator writes questions anew that go on from earlier ones, once the quotes are shown that
/// are found without it; see [`crate::Asking::reconsider`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rewriting {
    /// Where the generator is large enough to be better at it than the rules.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// A question and its answer, earlier in a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// As it was typed.
    pub question: String,
    /// The answer's text; its marks do not matter. Empty for a refusal.
    pub answer: String,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            generate: true,
            n_passages: 6,
            max_quotes: 5,
            max_tokens: 0,
            scope: Scope::default(),
            only_quotes: false,
            conversation: Vec::new(),
            rewriting: Rewriting::default(),
        }
    }
}

/// A sentence of a document, word for word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// Footnote number, from 1.
    pub n: u32,
    /// The exact text of the span.
    pub text: String,
    /// The document's id.
    pub document_id: u64,
    /// The document's name.
    pub document: String,
    /// 1-based page, where there are pages.
    pub page: Option<u32>,
    /// First code point in the document's text.
    pub start: u32,
    /// One past the last code point.
    pub end: u32,
    /// How well it fits the question; only comparable within one answer.
    pub score: f32,
}

/// A footnote mark of the answer and what it points at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// Footnote number: the quote of that number.
    pub n: u32,
    /// The document's id.
    pub document_id: u64,
    /// The document's name.
    pub document: String,
    /// 1-based page, where there are pages.
    pub page: Option<u32>,
    /// First code point of the quote.
    pub start: u32,
    /// One past the last code point of the quote.
    pub end: u32,
    /// The quote.
    pub text: String,
    /// Index into [`Answer::sentences`] of the sentence that carries the mark.
    pub sentence: u32,
    /// Whether the quote or the passage around it supports that sentence.
    pub supported: bool,
}

/// A sentence of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerSentence {
    /// First code point in [`Answer::answer`].
    pub start: u32,
    /// One past the last code point.
    pub end: u32,
    /// Footnote numbers it carries.
    pub citations: Vec<u32>,
    /// Whether at least one of them supports it.
    pub supported: bool,
}

/// What the decision between answering and refusing was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// Best cosine of the question to a passage.
    pub cosine: f32,
    /// Mean cosine of the question to the passages of documents that have its words: large where the embedder does not know the
    /// language and takes all its texts for alike, and where there are only a few, on one subject.
    #[serde(default)]
    pub background: f32,
    /// How well the embedder knows the question's language, 0 to 1: the less, the more words decide.
    #[serde(default)]
    pub clarity: f32,
    /// Share of the question's terms, by weight, that the best passage has.
    pub passage_coverage: f32,
    /// The same of runs of three letters in place of terms.
    #[serde(default)]
    pub passage_letters: f32,
    /// Best cosine of the question to a sentence.
    pub sentence_cosine: f32,
    /// Share of the question's terms, by weight, that the best sentence has.
    pub sentence_coverage: f32,
    /// The same of runs of three letters in place of terms.
    #[serde(default)]
    pub sentence_letters: f32,
    /// Estimated probability that the documents hold an answer.
    pub relevance: f32,
}

/// An answer with its footnotes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text, with marks like `[1]`.
    pub answer: String,
    /// What was searched for, where that is not the question as it was asked: a question that goes on
    /// from earlier ones, with what it leaves unsaid.
    pub understood: Option<String>,
    /// What the footnotes point at; when `refused`, the nearest passages there are.
    pub quotes: Vec<Quote>,
    /// Every mark in the text.
    pub citations: Vec<Citation>,
    /// The text, sentence by sentence.
    pub sentences: Vec<AnswerSentence>,
    /// The documents do not seem to hold an answer, and the text says so.
    pub refused: bool,
    /// Whether a generator wrote part of the text.
    pub generated: bool,
    /// Why the generator could not write, where it should have.
    pub problem: Option<String>,
    /// What `refused` was decided from.
    pub signals: Signals,
    /// `retrieve`, `quotes`, `rewrite`, `search_again`, `first_token`, `prefill`, `generate`, `check`,
    /// `total`; and in tokens, what of the prompt had to be read, `prefill_tokens`, and what an earlier
    /// question had read already, `reused_tokens`.
    pub timings_ms: BTreeMap<String, f64>,
}

/// What happens while a question is answered, in this order: quotes, perhaps better ones, tokens, done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum AnswerEvent {
    /// The quotes, before anything is written.
    Quotes(Vec<Quote>),
    /// The next piece of text.
    Token(String),
    /// The checked answer. Its text may have footnote marks that the pieces did not have.
    Done(Answer),
}

/// One model's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelState {
    /// The model's id.
    pub id: String,
    /// Whether it is in memory.
    pub loaded: bool,
    /// Why it is not, where something went wrong.
    pub problem: Option<String>,
    /// Memory it takes or will take, as forecast from its file; 0 before that was read.
    pub forecast_bytes: u64,
}

/// The tier that executes, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierState {
    /// `cpu` or `gpu`.
    pub tier: String,
    /// The GPU's name, on the GPU tier.
    pub adapter: Option<String>,
    /// The CPU instruction set in use.
    pub simd: String,
    /// Threads of the CPU tier.
    pub n_threads: usize,
    /// Why this tier.
    pub reason: String,
    /// Variants of kernels that the GPU tier uses beyond the plain ones.
    pub kernels: Vec<String>,
    /// Variants that it does not use because they are not offered or wrong, each with the reason.
    pub rejected_kernels: Vec<String>,
}

/// What the state line shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What executes.
    pub tier: TierState,
    /// The embedder.
    pub embedder: ModelState,
    /// The reranker, where one is used.
    pub reranker: Option<ModelState>,
    /// The generator.
    pub generator: ModelState,
    /// Documents.
    pub n_documents: u64,
    /// Passages.
    pub n_chunks: u64,
    /// Size of the knowledge base's file; 0 in memory.
    pub store_bytes: u64,
    /// Memory of weights, caches and activations.
    pub model_bytes: u64,
    /// What models and indexes may hold together; `None` is as much as there is.
    pub memory_budget: Option<u64>,
    /// Memory of the search indexes.
    pub index_bytes: u64,
}
