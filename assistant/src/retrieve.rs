//! From a question to ranked passages: words and meaning, fused.

use vectordb::{Db, Filter, Hit};

use crate::question::Question;
use crate::{Leg, Result};

/// Hits that each leg gives to the fusion.
const LEG_DEPTH: usize = 60;
/// Weights of the legs.
const DENSE_WEIGHT: f32 = 1.0;
const BM25_WEIGHT: f32 = 1.0;

/// The `k` best passages.
pub(crate) fn search(db: &Db, question: &Question, leg: Leg, k: usize) -> Result<Vec<Hit>> {
    let depth = LEG_DEPTH.max(k);
    let all = Filter::default();
    Ok(match leg {
        Leg::Dense => db.search_vector(&question.vector, k, &all)?,
        Leg::Bm25 => db.search_text(&question.text, k, &all)?,
        Leg::Fused => {
            let dense = db.search_vector(&question.vector, depth, &all)?;
            let bm25 = db.search_text(&question.text, depth, &all)?;
            vectordb::fuse(&[(&dense, DENSE_WEIGHT), (&bm25, BM25_WEIGHT)], k)
        }
    })
}
