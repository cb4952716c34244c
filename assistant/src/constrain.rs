//! An answer that can only be quoted: the generator chooses among sentences of the sources.
//!
//! Letting a small model write token by token what some source contains is worse than no model: it
//! begins with "The" and follows wherever that leads. So sentences are what it chooses among, each as a
//! whole, and they come from the search. It is asked not which sentence it would write, but how likely
//! it takes the question after each of them: a sentence that answers a question makes it likely.

use generator::Generator;

use crate::prompt::defuse;
use crate::{Quote, Result};

/// Quotes that are compared: each costs a pass of some 50 tokens.
const MAX_COMPARED: usize = 5;
/// How much a question that is e times as likely per token counts beside the scores of quotes.
const LIKELIHOOD_WEIGHT: f32 = 0.15;
/// A second sentence belongs to the answer where its score is as close to the first one's.
const MAX_GAP: f32 = 0.03;

/// Indices of the one or two quotes that answer best, best first.
pub(crate) async fn choose(question: &str, quotes: &[Quote], generator: &Generator) -> Result<Vec<usize>> {
    let mut scored = Vec::new();
    for (i, quote) in quotes.iter().take(MAX_COMPARED).enumerate() {
        let prompt = format!("{}\nQuestion: ", defuse(&quote.text));
        let likelihood = generator.likelihood(&prompt, &defuse(question)).await?;
        scored.push((i, quote.score + LIKELIHOOD_WEIGHT * likelihood));
        platform::yield_now().await;
    }
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    let best = scored.first().map_or(0.0, |(_, score)| *score);
    let chosen = scored.iter().take(2).filter(|(_, score)| *score >= best - MAX_GAP);
    Ok(chosen.map(|(i, _)| *i).collect())
}
