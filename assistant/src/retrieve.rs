//! From a question to ranked passages: words and meaning, fused by the store.

use vectordb::{Db, Filter, Hit};

use crate::question::Question;
use crate::{Leg, Result};

/// The `k` best passages.
pub(crate) fn search(db: &Db, question: &Question, leg: Leg, k: usize) -> Result<Vec<Hit>> {
    let all = Filter::default();
    Ok(match leg {
        Leg::Dense => db.search_vector(&question.vector, k, &all)?,
        Leg::Bm25 => db.search_text(&question.text, k, &all)?,
        Leg::Fused => db.search(&question.vector, &question.text, k, &all)?,
    })
}
