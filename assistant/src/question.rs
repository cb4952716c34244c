//! A question, ready to be compared with passages and sentences.

use std::collections::HashSet;

use embedder::Embedder;
use vectordb::{Db, Filter};

use crate::conversation::{self, Understood};
use crate::exact::Exact;
use crate::types::Exchange;
use crate::{Error, Result, words};

/// Longer questions are cut: the rest of a pasted page says nothing about what is asked.
const MAX_QUESTION_CHARS: usize = 2_000;
/// Terms that are weighed; each costs one look into the index.
const MAX_TERMS: usize = 64;

/// What may stand around a quotation.
const QUOTATION_MARKS: [char; 10] = ['"', '“', '”', '„', '«', '»', '「', '」', '『', '』'];
/// Mean cosines of a question to all passages between which the embedder is trusted less and less; the
/// store's fusion has the same bounds.
const CLEAR_BACKGROUND: f32 = 0.2;
const MAX_BACKGROUND: f32 = 0.4;
/// Letters and digits per token of a question between which a language is taken more and more for one
/// that the embedder was made for. MiniLM has 3.0 or more of them in 99 of 100 English questions, 4.4 in
/// the median; its medians in ten other languages are 1.0 (Arabic) to 2.9 (German).
const STRANGE_LETTERS: f32 = 3.0;
const FAMILIAR_LETTERS: f32 = 4.0;
/// Letters by which forms of a word are told apart from other words. Cutting words at four or five letters finds
/// as much in Turkish as taking their endings off by rules (Can and others 2008).
const BEGINNING_CHARS: usize = 4;
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
    /// Mean cosine to all passages that are searched.
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
        let background = db.background(&vector, filter)?;
        let clarity = clarity(background).max(familiarity(&text, embedder));
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

    /// Its terms by their beginnings, weighed by how few of these texts have a word that begins so.
    pub(crate) fn begun_among<'a>(&self, texts: impl Iterator<Item = &'a HashSet<String>> + Clone) -> Terms {
        let n = texts.clone().count();
        let weigh = |term: &Term| {
            let text = beginning(&term.text).to_owned();
            let n_with = texts.clone().filter(|begun| begun.contains(&text)).count();
            Term { text, share: term.share, idf: idf(n as f32, n_with as f32) }
        };
        Terms(self.terms.0.iter().filter(|term| has_beginning(&term.text)).map(weigh).collect())
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
fn idf(n: f32, n_with_term: f32) -> f32 {
    (1.0 + (n - n_with_term + 0.5) / (n_with_term + 0.5)).ln()
}

/// The beginnings of terms.
pub(crate) fn beginnings(terms: &HashSet<String>) -> HashSet<String> {
    terms.iter().map(|term| beginning(term).to_owned()).collect()
}

/// Whether the forms of a word begin alike: not in Hebrew and Arabic letters, which have articles and prepositions
/// there.
fn has_beginning(term: &str) -> bool {
    !term.starts_with(|c| matches!(c, '\u{590}'..='\u{8FF}'))
}

/// The first letters of a word, which most of its forms have in common.
fn beginning(term: &str) -> &str {
    term.char_indices().nth(BEGINNING_CHARS).map_or(term, |(at, _)| &term[..at])
}

fn pairs(text: &str) -> HashSet<(String, String)> {
    let terms = vectordb::terms(text);
    terms.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// How well the embedder knows the language of a question with that mean cosine to all passages: to it
/// all texts of one that it cannot read are alike.
fn clarity(background: f32) -> f32 {
    ((MAX_BACKGROUND - background) / (MAX_BACKGROUND - CLEAR_BACKGROUND)).clamp(0.0, 1.0)
}

/// The same by how whole the tokenizer leaves its words. A few passages on one subject are alike in any
/// language; this tells them from texts that cannot be read.
fn familiarity(text: &str, embedder: &Embedder) -> f32 {
    let words: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let n_letters = words.chars().filter(|c| c.is_alphanumeric()).count() as f32;
    let letters = n_letters / embedder.count_tokens(&words).max(1) as f32;
    ((letters - STRANGE_LETTERS) / (FAMILIAR_LETTERS - STRANGE_LETTERS)).clamp(0.0, 1.0)
}

/// Cosine of unit vectors.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
