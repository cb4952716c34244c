//! The list of models.

use serde_json::{Value, json};

/// A model that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// `generator`, `embedder` or `reranker`: OpenAI's list does not say, and whoever chooses wants to know.
    pub kind: String,
}

/// The list, as it is answered.
pub fn model_list(models: &[Listed]) -> Value {
    let data: Vec<Value> = models.iter().map(model).collect();
    json!({ "object": "list", "data": data })
}

/// One model, as it is answered.
pub fn model(model: &Listed) -> Value {
    let Listed { id, kind } = model;
    json!({ "id": id, "object": "model", "created": 0, "owned_by": "footnote", "kind": kind })
}
