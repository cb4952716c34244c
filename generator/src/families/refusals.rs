//! What is understood of settings, and what is refused by name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use super::from_json;
use crate::config::{FfnKind, NormKind};
use runtime::Activation;

const SMOLLM2: &str = r#"{"model_type": "llama", "hidden_act": "silu", "attention_bias": false, "hidden_size": 576,
    "intermediate_size": 1536, "max_position_embeddings": 8192, "num_attention_heads": 9, "num_hidden_layers": 30,
    "num_key_value_heads": 3, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 100000,
    "tie_word_embeddings": true, "eos_token_id": [2, 7], "vocab_size": 49152}"#;

#[test]
fn smollm2_is_understood() {
    let config = from_json(SMOLLM2.as_bytes()).unwrap();
    assert_eq!((config.n_heads, config.n_kv_heads, config.head_dim, config.layers.len()), (9, 3, 64, 30));
    assert_eq!(config.layers[0].rope.as_ref().unwrap().base, 100_000.0);
    assert_eq!((config.norm, config.is_tied), (NormKind::Rms { eps: 1e-5, plus: 0.0 }, true));
    assert_eq!(config.ffn, FfnKind::Gated(Activation::Silu));
}

/// With `from` replaced by `to`.
fn changed(from: &str, to: &str) -> String {
    let json = SMOLLM2.replace(from, to);
    assert_ne!(json, SMOLLM2);
    json
}

#[test]
fn the_newer_spelling_of_rotation_is_understood() {
    let json = changed(
        r#""rope_theta": 100000"#,
        r#""rope_parameters": {"rope_type": "default", "rope_theta": 5e5}"#,
    );
    let config = from_json(json.as_bytes()).unwrap();
    assert_eq!(config.layers[0].rope.as_ref().unwrap().base, 500_000.0);
    let both = r#""layer_types": ["full_attention", "sliding_attention"], "sliding_window": 512,
        "query_pre_attn_scalar": 256, "hidden_activation": "gelu_pytorch_tanh", "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}"#;
    let json = changed(r#""rope_scaling": null, "rope_theta": 100000"#, both)
        .replace(r#""llama", "hidden_act": "silu""#, r#""gemma3_text""#)
        .replace("30", "2");
    let config = from_json(json.as_bytes()).unwrap();
    let bases = config.layers.iter().map(|layer| (layer.rope.as_ref().unwrap().base, layer.window));
    assert_eq!(bases.collect::<Vec<_>>(), [(1e6, None), (2e4, Some(512))]);
    assert!(config.layers[0].rope.as_ref().unwrap().scaling.is_some());
    assert_eq!((config.attention_scale, config.embedding_scale), (1.0 / 16.0, Some(24.0)));
}

#[test]
fn windows_are_for_the_layers_that_have_them() {
    let windows = |json: &str| {
        let config = from_json(json.as_bytes()).unwrap();
        config.layers.iter().map(|layer| layer.window).collect::<Vec<_>>()
    };
    let two = changed("30", "2");
    let qwen =
        two.replace("llama", "qwen2").replace('}', r#", "sliding_window": 64, "max_window_layers": 1}"#);
    assert_eq!(windows(&qwen), [None, None], "it is not told to use it");
    let used = qwen.replace('}', r#", "use_sliding_window": true}"#);
    assert_eq!(windows(&used), [None, Some(64)]);
    let mistral = two.replace("llama", "mistral").replace('}', r#", "sliding_window": 64}"#);
    assert_eq!(windows(&mistral), [Some(64), Some(64)]);
    assert_eq!(windows(&mistral.replace("64}", "null}")), [None, None]);
}

/// Parsing SMOLLM2 with `from` replaced by `to` fails with a message that contains `expect`.
#[track_caller]
fn check_refused(from: &str, to: &str, expect: &str) {
    let message = from_json(changed(from, to).as_bytes()).unwrap_err().to_string();
    assert!(message.contains(expect), "{message}");
}

#[test]
fn other_architectures_are_refused_by_name() {
    check_refused(r#""llama""#, r#""mamba""#, r#"model_type = "mamba" is not supported"#);
    check_refused(r#""silu""#, r#""gelu""#, "hidden_act");
    check_refused(r#""attention_bias": false"#, r#""attention_bias": 1"#, "attention_bias = 1");
    check_refused(
        r#""num_key_value_heads": 3"#,
        r#""num_key_value_heads": 2"#,
        "2 key heads do not divide 9",
    );
    check_refused(
        r#""hidden_size": 576"#,
        r#""hidden_size": 9"#,
        "head_dim: 1 is not a positive even number",
    );
    check_refused(r#""vocab_size": 49152"#, r#""vocab_size": 0"#, "vocab_size: 0 is not within");
    check_refused(r#""num_hidden_layers": 30,"#, "", "num_hidden_layers: a number is missing");
    check_refused("100000", "-1", "rope_theta");
    check_refused("}", "", "config.json: the whole file");
    check_refused("}", r#", "partial_rotary_factor": 0.5}"#, "partial_rotary_factor = 0.5");
    let gemma = r#""gemma2", "hidden_activation": "silu""#;
    check_refused(r#""llama""#, gemma, "hidden_activation = \"silu\"");
    let chunked = r#""mistral", "layer_types": ["chunked_attention"]"#;
    check_refused(r#""llama""#, chunked, "layer_types = \"chunked_attention\"");
    check_refused(r#""llama""#, r#""mistral", "sliding_window": 0"#, "sliding_window: 0 is not within");
    check_refused(
        r#""model_type": "llama""#,
        r#""model_type": "gpt2", "n_embd": 8, "activation_function": "relu""#,
        "activation_function = \"relu\"",
    );
}

#[test]
fn scalings_of_rotation_are_refused_by_name() {
    let check = |scaling: &str, expect: &str| check_refused(r#""rope_scaling": null"#, scaling, expect);
    check(r#""rope_scaling": {"rope_type": "mrope"}"#, r#"rope_type = "mrope" is not supported"#);
    check(r#""rope_scaling": {"type": "linear"}"#, "factor: None is not a number from 1 on");
    check(r#""rope_scaling": {"type": "linear", "factor": 0.5}"#, "factor: Some(0.5)");
    check(r#""rope_scaling": {"rope_type": "llama3", "factor": 8}"#, "low_freq_factor, high_freq_factor");
    let equal = r#""rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}"#;
    check(equal, "low_freq_factor, high_freq_factor: 4 and 4");
    let short = r#""rope_scaling": {"rope_type": "longrope", "short_factor": [1, 2], "long_factor": [1]}"#;
    check(short, "short_factor: it is not a list of 32 numbers above 0");
    let negative = format!(r#""rope_scaling": {{"type": "su", "short_factor": {:?}}}"#, [-1; 32]);
    check(&negative, "short_factor: it is not a list of 32 numbers above 0");
}
