//! `footnote quantize` on a small model with random weights.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

use serde_json::Value;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/tiny/llama_tied");

fn quantize(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footnote"));
    command.args(["--quiet", "--tier", "cpu", "quantize"]).args(args).output().expect("the program starts")
}

#[test]
fn weights_become_smaller_and_what_that_costs_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    std::fs::write(&text, "The quick brown fox jumps over the lazy dog. ".repeat(3)).unwrap();
    // The error of uniform steps of 8 and 4 bits in groups of normally distributed weights, and the bytes of
    // a group over those of bfloat16.
    for (bits, error, share) in [("8", 0.003..0.01, 34.0 / 64.0), ("4", 0.04..0.09, 20.0 / 64.0)] {
        let out = folder.path().join(bits);
        let (out, text) = (out.to_str().unwrap(), text.to_str().unwrap());
        let output = quantize(&[MODEL, out, "--bits", bits, "--text", text, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let number = |pointer: &str| told.pointer(pointer).unwrap().as_f64().unwrap();
        assert!(error.contains(&number("/relative_error")), "{told}");
        assert!(number("/worst/relative_error") >= number("/relative_error"), "{told}");
        let shrunk = number("/bytes_after") / number("/bytes_before");
        // The embedding has 8 bits in any case; norms and the header come on top.
        assert!(shrunk > share && shrunk < 34.0 / 64.0 + 0.05, "{told}");
        let (before, after) = (number("/perplexity/before"), number("/perplexity/after"));
        assert!(number("/perplexity/n_tokens") > 40.0 && before > 100.0, "{told}");
        let most = if bits == "8" { 0.02 } else { 0.5 };
        assert!(after != before && (after / before).ln().abs() < most, "{told}");
        assert!(std::path::Path::new(out).join("tokenizer.json").exists());

        let again = quantize(&[MODEL, out, "--bits", bits]);
        assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("there already"));
        let other = format!("{out}-again");
        let twice = quantize(&[out, &other, "--bits", bits]);
        assert!(String::from_utf8_lossy(&twice.stderr).contains("not supported"), "it is quantised already");
    }
}
