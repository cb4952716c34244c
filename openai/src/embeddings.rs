//! Embeddings.

use embedder::Embedder;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::request::OneOrMany;

/// Texts of one request, as OpenAI bounds them.
const MAX_TEXTS: usize = 2048;

/// The body of a request for embeddings.
#[derive(Clone, Debug, Deserialize)]
pub struct EmbeddingsRequest {
    /// The model's name.
    #[serde(default)]
    pub model: String,
    input: OneOrMany,
    encoding_format: Option<String>,
    dimensions: Option<usize>,
    /// Beyond OpenAI's: `query` for a question where the model tells questions from passages.
    input_type: Option<String>,
}

/// Answers a request; `model` is the name that the answer gives.
///
/// # Errors
/// A [`Failure`] for what the request or the model does not allow.
pub async fn embeddings(
    embedder: &Embedder,
    request: EmbeddingsRequest,
    model: &str,
) -> Result<Value, Failure> {
    let is_base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => return Err(Failure::of("encoding_format", format!("`{other}` is not supported"))),
    };
    let is_query = match request.input_type.as_deref() {
        None | Some("passage" | "document") => false,
        Some("query") => true,
        Some(other) => return Err(Failure::of("input_type", format!("`{other}` is not supported"))),
    };
    let texts = request.input.into_vec();
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        return Err(Failure::of("input", format!("there must be 1 to {MAX_TEXTS} texts")));
    }
    let vectors = if is_query {
        let mut vectors = Vec::new();
        for text in &texts {
            vectors.push(embedder.embed_query(text).await?);
        }
        vectors
    } else {
        embedder.embed_passages(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await?
    };
    if let (Some(asked), Some(given)) = (request.dimensions, vectors.first().map(Vec::len))
        && asked != given
    {
        return Err(Failure::of(
            "dimensions",
            format!("the model's vectors have {given} elements, not {asked}"),
        ));
    }
    let n_tokens: usize = texts.iter().map(|text| embedder.count_tokens(text) as usize).sum();
    let data: Vec<Value> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| {
            let embedding = if is_base64 { base64(vector).into() } else { json!(vector) };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let usage = json!({ "prompt_tokens": n_tokens, "total_tokens": n_tokens });
    Ok(json!({ "object": "list", "data": data, "model": model, "usage": usage }))
}

/// The elements as little-endian `f32`, in base64.
fn base64(vector: &[f32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word =
            three.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let is_padding = digit > three.len();
            let value = word >> (18 - 6 * digit) & 63;
            text.push(if is_padding { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        assert_eq!(base64(&[]), "");
        assert_eq!(base64(&[0.5]), "AAAAPw==");
        assert_eq!(base64(&[1.0, -2.0]), "AACAPwAAAMA=");
        assert_eq!(base64(&[1.0, -2.0, 0.5]), "AACAPwAAAMAAAAA/");
    }
}
