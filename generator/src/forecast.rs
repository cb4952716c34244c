//! What a model will take, from its file's header and its settings alone.

use crate::config::DecoderConfig;
use runtime::{Forecast, Runtime, WeightFormat, Weights};

/// Bytes of an element of a cache.
const CACHE_ELEMENT_BYTES: usize = 4;

/// Weights, the caches of one text with `n_ctx` positions, and passes over up to `n_tokens`.
pub(crate) fn forecast(
    rt: &Runtime,
    weights: &Weights,
    config: &DecoderConfig,
    n_ctx: usize,
    n_tokens: usize,
) -> Forecast {
    let c = config;
    // What an encoder reads is kept, too, and read at once.
    let (n_caches, n_tokens) = if c.encoder.is_some() { (4, n_ctx) } else { (2, n_tokens) };
    let (d_query, d_kv) = (c.d_query(), c.d_kv());
    // The residual, a normalised copy and two more; queries, keys and values with their rotated
    // copies; gate, up and their product. A capped copy of the logits. What is freed on the way stays pooled, in sizes up to a
    // quarter larger.
    let n_per_token = (4 * c.d_model + 3 * d_query + 3 * d_kv + 3 * c.d_ffn) * 5 / 4;
    Forecast {
        weight_bytes: rt.forecast_weights(weights, WeightFormat::Native),
        kv_bytes: (n_caches * c.layers.len() * n_ctx * d_kv * CACHE_ELEMENT_BYTES) as u64,
        activation_bytes: 4 * (n_tokens * n_per_token + 2 * c.n_vocab) as u64,
    }
}
