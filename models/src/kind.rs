//! What a model is for, by the names of its files and its own settings.

use crate::catalog::ModelKind;
use serde::Deserialize;

/// Families that read a text as a whole.
const ENCODERS: [&str; 5] = ["bert", "roberta", "xlm-roberta", "distilbert", "new"];

#[derive(Deserialize)]
struct Settings {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
}

/// What a model with these files is for. GGUF files are generators; a folder is what its `config.json` says.
/// `None` where there is neither.
pub fn kind_of(names: &[&str], config_json: Option<&[u8]>) -> Option<ModelKind> {
    if names.iter().any(|name| name.to_ascii_lowercase().ends_with(".gguf")) {
        return Some(ModelKind::Generator);
    }
    let settings: Settings = serde_json::from_slice(config_json?).ok()?;
    if !ENCODERS.contains(&settings.model_type.unwrap_or_default().as_str()) {
        return Some(ModelKind::Generator);
    }
    let mut architectures = settings.architectures.iter().flatten();
    let scores = architectures.any(|name| name.ends_with("ForSequenceClassification"));
    Some(if scores { ModelKind::Reranker } else { ModelKind::Embedder })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_tell_the_kind() {
        let of = |json: &str| kind_of(&["config.json", "model.safetensors"], Some(json.as_bytes()));
        assert_eq!(kind_of(&["Any.Q4.GGUF"], None), Some(ModelKind::Generator));
        assert_eq!(
            of(r#"{"model_type": "bert", "architectures": ["BertModel"]}"#),
            Some(ModelKind::Embedder)
        );
        let reranker = r#"{"model_type": "bert", "architectures": ["BertForSequenceClassification"]}"#;
        assert_eq!(of(reranker), Some(ModelKind::Reranker));
        assert_eq!(of(r#"{"model_type": "llama", "architectures": null}"#), Some(ModelKind::Generator));
        assert_eq!(of("no json"), None);
        assert_eq!(kind_of(&["model.safetensors"], None), None);
    }
}
