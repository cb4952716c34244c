//! From a question to ranked passages: words and meaning, fused by the store.

use vectordb::{Db, Filter, Hit};

use crate::question::Question;
use crate::types::SearchOptions;
use crate::{Leg, Result};

/// The best passages of the documents that a filter lets through.
pub(crate) fn search(
    db: &Db,
    question: &Question,
    options: &SearchOptions,
    filter: &Filter,
) -> Result<Vec<Hit>> {
    let k = options.k;
    Ok(match options.leg {
        Leg::Dense => db.search_vector(&question.vector, k, filter)?,
        Leg::Bm25 => db.search_text(&question.text, k, filter)?,
        Leg::Fused => db.search(&question.vector, &question.text, k, filter)?,
    })
}
