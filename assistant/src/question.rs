//! A question, ready to be compared with passages and sentences.

use std::collections::HashSet;

use embedder::Embedder;
use unicode_segmentation::UnicodeSegmentation;
use vectordb::{ChunkRow, Db, Filter};

use crate::conversation::{self, Understood};
use crate::exact::Exact;
use crate::letters::Letters;
use crate::retrieve::Found;
use crate::types::Exchange;
use crate::{Error, Result, words};

/// Longer questions are cut: the rest of a pasted page says nothing about what is asked.
const MAX_QUESTION_CHARS: usize = 2_000;
/// Terms that are weighed; each costs one look into the index.
const MAX_TERMS: usize = 64;

/// What may stand around a quotation.
const QUOTATION_MARKS: [char; 10] = ['"', '“', '”', '„', '«', '»', '「', '」', '『', '』'];
/// Mean cosines of a question to the passages of documents that have its words, between which a language is taken
/// more and more for one that the embedder was made for (.04 to .1 in those): to it all texts of one that it cannot
/// read are alike.
const FAMILIAR_BACKGROUND: (f32, f32) = (0.4, 0.2);
/// Letters and digits per token of a question between which a language is taken more and more for one
/// that the embedder was made for. MiniLM has 3.0 or more of them in 99 of 100 English questions, 4.4 in
/// the median; its medians in ten other languages are 1.0 (Arabic) to 2.9 (German).
const FAMILIAR_LETTERS: (f32, f32) = (3.0, 4.0);
/// The same for the share of them in words that are one token, which short words ("Who was he?") have too. In
/// English the median is 1; in ten other languages, 19 of 20 questions have .73 at most.
const FAMILIAR_WHOLE: (f32, f32) = (0.7, 0.95);
/// Weight of a term that the question does not have itself, but goes on from.
const CARRIED_SHARE: f32 = 0.5;

/// A question's vector, and its terms with their weights.
#[derive(Clone)]
pub(crate) struct Question {
    /// As it was asked.
    pub text: String,
    /// With what it leaves unsaid, where it goes on from earlier ones.
    pub understood: Option<String>,
    /// What it asks for letter by letter.
    pub exact: Exact,
    /// Unit length.
    pub vector: Vec<f32>,
    /// The vector of what of it is asked, where that is not all.
    focus: Option<Vec<f32>>,
    /// Mean cosine to the passages of documents that have its words.
    pub background: f32,
    /// How well the embedder knows the question's language, 0 to 1.
    pub clarity: f32,
    terms: Terms,
    /// Neighbouring words, grammar too.
    pairs: HashSet<(String, String)>,
}

/// Terms of a question, each once, with their weights.
#[derive(Clone)]
pub(crate) struct Terms(Vec<Term>);

#[derive(Clone)]
struct Term {
    text: String,
    /// 1, or less for one that the question goes on from.
    share: f32,
    /// By how few texts have it.
    idf: f32,
}

impl Question {
    pub(crate) async fn new(
        text: &str,
        conversation: &[Exchange],
        place: (&Db, &Filter),
        embedder: &Embedder,
    ) -> Result<Self> {
        let text: String = text.trim().chars().take(MAX_QUESTION_CHARS).collect();
        if !text.chars().any(char::is_alphanumeric) {
            return Err(Error::EmptyQuestion);
        }
        let understood = conversation::resolve(&text, conversation);
        Self::of(text, understood, place, embedder).await
    }

    /// The same with what it leaves unsaid already known.
    pub(crate) async fn understood_as(
        text: &str,
        understood: Understood,
        place: (&Db, &Filter),
        embedder: &Embedder,
    ) -> Result<Self> {
        Self::of(text.to_owned(), Some(understood), place, embedder).await
    }

    async fn of(
        text: String,
        understood: Option<Understood>,
        (db, filter): (&Db, &Filter),
        embedder: &Embedder,
    ) -> Result<Self> {
        let vector = embedder.embed_query(understood.as_ref().map_or(&text, |u| &u.text)).await?;
        let focus = match &understood {
            Some(understood) => Some(embedder.embed_query(&understood.focus).await?),
            None => None,
        };
        let terms = Terms::of(&text, understood.as_ref().map(|u| u.text.as_str()), db)?;
        let exact = Exact::of(&text);
        let pairs = pairs(&text);
        let background = db.background(&vector, understood.as_ref().map_or(&text, |u| &u.text), filter)?;
        let clarity = between(background, FAMILIAR_BACKGROUND).max(familiarity(&text, embedder))
            * legibility(&text, embedder);
        let understood = understood.map(|u| u.text);
        Ok(Self { text, understood, exact, vector, focus, background, clarity, terms, pairs })
    }

    /// The same question with its quotations as plain words.
    pub(crate) fn unquoted(&self) -> Self {
        let plain = |text: &String| text.replace(QUOTATION_MARKS, " ");
        Self { text: plain(&self.text), understood: self.understood.as_ref().map(plain), ..self.clone() }
    }

    /// What to search for by words.
    pub(crate) fn search_text(&self) -> &str {
        self.understood.as_ref().unwrap_or(&self.text)
    }

    /// Share of the question's terms, by weight, that `terms` has: 0 to 1. A question without terms
    /// ("Who was he?") is covered by nothing.
    pub(crate) fn coverage(&self, terms: &HashSet<String>) -> f32 {
        self.terms.coverage(terms)
    }

    /// Its terms, weighed by how few of these texts have them.
    pub(crate) fn weighed_among<'a>(
        &self,
        texts: impl Iterator<Item = &'a HashSet<String>> + Clone,
    ) -> Terms {
        let n = texts.clone().count();
        let weigh = |term: &Term| {
            let n_with = texts.clone().filter(|text| text.contains(&term.text)).count();
            Term { text: term.text.clone(), share: term.share, idf: idf(n as f32, n_with as f32) }
        };
        // Among sentences it is its own words that tell them apart.
        Terms(self.terms.0.iter().filter(|term| term.share == 1.0).map(weigh).collect())
    }

    /// Its letters, weighed among passages that were found for it; `None` where the embedder knows the language.
    pub(crate) fn letters_among(&self, found: &[Found]) -> Option<Letters> {
        let rows: Vec<&ChunkRow> = found.iter().map(|found| &found.row).collect();
        let carried = (self.understood.as_deref().unwrap_or_default(), CARRIED_SHARE);
        (self.clarity < 1.0).then(|| Letters::among(&rows, &self.text, carried))
    }

    /// Share of the question's pairs of neighbouring words that a text has as they are.
    pub(crate) fn share_of_pairs(&self, text: &str) -> f32 {
        let n_shared = pairs(text).intersection(&self.pairs).count();
        n_shared as f32 / self.pairs.len().max(1) as f32
    }

    /// The vector of what is asked, to be compared with sentences.
    pub(crate) fn focus(&self) -> &[f32] {
        self.focus.as_ref().unwrap_or(&self.vector)
    }
}

impl Terms {
    fn of(text: &str, understood: Option<&str>, db: &Db) -> Result<Self> {
        let n_chunks = db.stats()?.n_chunks as f32;
        let own = words::terms(text).into_iter().map(|term| (term, 1.0));
        let carried = words::terms(understood.unwrap_or_default());
        let carried = carried.into_iter().map(|term| (term, CARRIED_SHARE));
        let mut seen = HashSet::new();
        let mut weighed = Vec::new();
        for (text, share) in own.chain(carried).filter(|(term, _)| seen.insert(term.clone())).take(MAX_TERMS)
        {
            let idf = idf(n_chunks, db.n_chunks_with(&text) as f32);
            weighed.push(Term { text, share, idf });
        }
        Ok(Self(weighed))
    }

    /// Share of the terms, by weight, that `terms` has.
    pub(crate) fn coverage(&self, terms: &HashSet<String>) -> f32 {
        let weight = |term: &Term| term.share * term.idf;
        let total: f32 = self.0.iter().map(weight).sum();
        let covered: f32 = self.0.iter().filter(|term| terms.contains(&term.text)).map(weight).sum();
        if total > 0.0 { covered / total } else { 0.0 }
    }
}

/// Weight of a term by how few texts have it, as in BM25.
pub(crate) fn idf(n: f32, n_with_term: f32) -> f32 {
    (1.0 + (n - n_with_term + 0.5) / (n_with_term + 0.5)).ln()
}

fn pairs(text: &str) -> HashSet<(String, String)> {
    let terms = vectordb::terms(text);
    terms.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// How well the embedder knows a question's language by how whole the tokenizer leaves its words. A few passages on one subject are alike in any
/// language; this tells them from texts that cannot be read.
fn familiarity(text: &str, embedder: &Embedder) -> f32 {
    let (mut n_letters, mut n_whole, mut n_tokens) = (0, 0, 0);
    for word in text.unicode_words() {
        let n_of_word = word.chars().filter(|c| c.is_alphanumeric()).count();
        let tokens = embedder.count_tokens(word);
        // In scripts that do not part words, the single character is the token.
        let is_whole = tokens == 1 && n_of_word > 1 && embedder.share_unknown(word) == 0.0;
        n_letters += n_of_word;
        n_tokens += tokens;
        n_whole += if is_whole { n_of_word } else { 0 };
    }
    let letters = n_letters as f32 / n_tokens.max(1) as f32;
    let whole = n_whole as f32 / n_letters.max(1) as f32;
    between(letters, FAMILIAR_LETTERS).max(between(whole, FAMILIAR_WHOLE))
}

/// What a question's tokens leave of it: 1 where the vocabulary has all of it, 0 where it lacks half.
fn legibility(text: &str, embedder: &Embedder) -> f32 {
    (1.0 - 2.0 * embedder.share_unknown(text)).max(0.0)
}

/// How far a value is on the way from one to another, 0 to 1.
fn between(value: f32, (from, to): (f32, f32)) -> f32 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}

/// Cosine of unit vectors.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
