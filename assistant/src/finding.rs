//! What is found for a question: passages, their best sentences as quotes, and whether that is an answer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use vectordb::{Db, DocumentId, Filter};

use crate::assistant::Assistant;
use crate::passages::{self, Passage, SPARE_PASSAGES};
use crate::question::Question;
use crate::types::{AskOptions, Quote, SearchOptions, Signals};
use crate::{Result, quotes, relevance, rerank};

/// What was found.
pub(crate) struct Found {
    pub passages: Vec<Passage>,
    pub quotes: Vec<Quote>,
    pub signals: Signals,
}

impl Found {
    /// `lap` is called with the name of each step when it is done.
    pub(crate) async fn of(
        assistant: &Assistant,
        question: &Question,
        options: &AskOptions,
        filter: &Filter,
        lap: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let (db, embedder) = (&assistant.library.db, &assistant.embedder);
        let k = options.n_passages.max(1);
        let search = SearchOptions { k: k + SPARE_PASSAGES, ..SearchOptions::default() };
        let reranker = assistant.reranker.as_ref();
        let mut found = rerank::search(db, reranker, question, &search, filter).await?;
        if found.is_empty() {
            // No passage holds the quotation; its words may still lead to an answer.
            found = rerank::search(db, reranker, &question.unquoted(), &search, filter).await?;
        }
        let nearest = db.search_vector(&question.vector, 1, filter)?;
        let letters = question.letters_among(&found);
        let mut passages = passages::load(db, found, k);
        if let Some(letters) = &letters {
            passages.iter_mut().for_each(|passage| passage.letters = letters.coverage_of_row(&passage.chunk));
        }
        lap("retrieve");
        let candidates = quotes::rank(question, letters.as_ref(), &passages, (db, embedder)).await?;
        let cosine = nearest.first().map_or(0.0, |hit| hit.score);
        let signals = relevance::judge(question, cosine, &passages, &candidates, embedder).await?;
        let mut quotes = quotes::choose(&candidates, &passages, options.max_quotes.max(1));
        set_pages(&mut quotes, db)?;
        lap("quotes");
        Ok(Self { passages, quotes, signals })
    }

    /// Whether the documents do not seem to hold an answer.
    pub(crate) fn is_refusal(&self) -> bool {
        self.quotes.is_empty() || self.signals.relevance < relevance::MIN_RELEVANCE
    }
}

/// A quote's page is that of its own first character, not of its passage's.
fn set_pages(quotes: &mut [Quote], db: &Db) -> Result<()> {
    let mut page_starts: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for quote in quotes.iter_mut().filter(|quote| quote.page.is_some()) {
        if let Entry::Vacant(unread) = page_starts.entry(quote.document_id) {
            let document = db.document(DocumentId(quote.document_id))?;
            unread.insert(document.map(|document| document.page_starts).unwrap_or_default());
        }
        let n_before = page_starts[&quote.document_id].partition_point(|&start| start <= quote.start);
        quote.page = Some(n_before.max(1) as u32);
    }
    Ok(())
}
