//! A model of the shape of a Llama with 1.2 G parameters and random 4-bit weights: how fast it is says
//! as much as a trained one would, and nobody has to download it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use runtime::{MetaValue, Weights};

use crate::Outcome;

/// Sizes as in Llama 3.2 1B.
const D_MODEL: u64 = 2048;
const D_FFN: u64 = 8192;
const N_HEADS: u64 = 32;
const N_KV_HEADS: u64 = 8;
const HEAD_DIM: u64 = 64;
const N_VOCAB: u64 = 128_256;
/// Layers of the whole shape.
pub(crate) const N_LAYERS: usize = 16;

/// ggml's numbers of the types in use.
const F32: u32 = 0;
const Q4_0: u32 = 2;
/// Elements and bytes of a block of Q4_0.
const BLOCK: (u64, u64) = (32, 18);
/// The scale of all blocks, in f16: .0049, with which the sum of 2,048 products keeps its size.
const SCALE: u16 = 0x1d00;
/// Where a tensor may begin.
const ALIGNMENT: u64 = 32;

/// Metadata that says how text becomes tokens.
const TOKENIZER_KEYS: [&str; 8] =
    ["model", "pre", "tokens", "token_type", "merges", "bos_token_id", "eos_token_id", "add_bos_token"];

/// Writes the model with `n_layers` layers to `path`, with the tokenizer of another GGUF file. The head is
/// the embedding.
pub(crate) fn write(path: &Path, tokenizer_of: &Weights, n_layers: usize) -> Outcome<()> {
    let tensors = tensors(n_layers);
    let mut header = b"GGUF".to_vec();
    header.extend(3u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    let meta = metadata(tokenizer_of, n_layers);
    header.extend((meta.len() as u64).to_le_bytes());
    for (key, value) in &meta {
        put_text(&mut header, key);
        put_value(&mut header, value)?;
    }
    let mut offset = 0;
    for (name, sizes, kind) in &tensors {
        put_text(&mut header, name);
        header.extend((sizes.len() as u32).to_le_bytes());
        // The fastest dimension comes first.
        sizes.iter().rev().for_each(|size| header.extend(size.to_le_bytes()));
        header.extend(kind.to_le_bytes());
        header.extend(u64::to_le_bytes(offset));
        offset += n_bytes(sizes, *kind).next_multiple_of(ALIGNMENT);
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT as usize), 0);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&header)?;
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for (_, sizes, kind) in &tensors {
        put_data(&mut file, n_bytes(sizes, *kind), *kind, &mut random)?;
    }
    Ok(file.flush()?)
}

/// Names, sizes (slowest first) and types.
fn tensors(n_layers: usize) -> Vec<(String, Vec<u64>, u32)> {
    let (d_query, d_kv) = (N_HEADS * HEAD_DIM, N_KV_HEADS * HEAD_DIM);
    let mut tensors = vec![
        ("token_embd.weight".into(), vec![N_VOCAB, D_MODEL], Q4_0),
        ("output_norm.weight".into(), vec![D_MODEL], F32),
    ];
    for layer in 0..n_layers {
        for (part, sizes, kind) in [
            ("attn_norm", vec![D_MODEL], F32),
            ("attn_q", vec![d_query, D_MODEL], Q4_0),
            ("attn_k", vec![d_kv, D_MODEL], Q4_0),
            ("attn_v", vec![d_kv, D_MODEL], Q4_0),
            ("attn_output", vec![D_MODEL, d_query], Q4_0),
            ("ffn_norm", vec![D_MODEL], F32),
            ("ffn_gate", vec![D_FFN, D_MODEL], Q4_0),
            ("ffn_up", vec![D_FFN, D_MODEL], Q4_0),
            ("ffn_down", vec![D_MODEL, D_FFN], Q4_0),
        ] {
            tensors.push((format!("blk.{layer}.{part}.weight"), sizes, kind));
        }
    }
    tensors
}

fn metadata(tokenizer_of: &Weights, n_layers: usize) -> Vec<(String, MetaValue)> {
    let number = |key: &str, n: u64| (format!("llama.{key}"), MetaValue::U64(n));
    let mut meta = vec![
        ("general.architecture".into(), MetaValue::Text("llama".into())),
        number("embedding_length", D_MODEL),
        number("block_count", n_layers as u64),
        number("feed_forward_length", D_FFN),
        number("attention.head_count", N_HEADS),
        number("attention.head_count_kv", N_KV_HEADS),
        number("context_length", 2048),
        ("llama.attention.layer_norm_rms_epsilon".into(), MetaValue::F64(1e-5)),
        ("llama.rope.freq_base".into(), MetaValue::F64(500_000.0)),
    ];
    for key in TOKENIZER_KEYS.map(|key| format!("tokenizer.ggml.{key}")) {
        if let Some(value) = tokenizer_of.meta(&key) {
            meta.push((key, value.clone()));
        }
    }
    meta
}

fn n_bytes(sizes: &[u64], kind: u32) -> u64 {
    let n_elements: u64 = sizes.iter().product();
    if kind == Q4_0 { n_elements / BLOCK.0 * BLOCK.1 } else { 4 * n_elements }
}

/// Random blocks, or ones in F32, filled up to the alignment.
fn put_data(file: &mut impl Write, n_bytes: u64, kind: u32, random: &mut u64) -> Outcome<()> {
    if kind == F32 {
        (0..n_bytes / 4).try_for_each(|_| file.write_all(&1f32.to_le_bytes()))?;
    } else {
        for _ in 0..n_bytes / BLOCK.1 {
            file.write_all(&SCALE.to_le_bytes())?;
            for _ in 0..2 {
                *random ^= *random << 13;
                *random ^= *random >> 7;
                *random ^= *random << 17;
                file.write_all(&random.to_le_bytes())?;
            }
        }
    }
    let n_missing = n_bytes.next_multiple_of(ALIGNMENT) - n_bytes;
    Ok(file.write_all(&[0; ALIGNMENT as usize][..n_missing as usize])?)
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text.as_bytes());
}

/// The type's number, then the value; numbers in their widest type.
fn put_value(to: &mut Vec<u8>, value: &MetaValue) -> Outcome<()> {
    to.extend(kind_of(value)?.to_le_bytes());
    if let MetaValue::Array(values) = value {
        to.extend(values.first().map_or(Ok(10), kind_of)?.to_le_bytes());
        to.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| put_plain(to, value));
    } else {
        put_plain(to, value);
    }
    Ok(())
}

fn kind_of(value: &MetaValue) -> Outcome<u32> {
    Ok(match value {
        MetaValue::Bool(_) => 7,
        MetaValue::Text(_) => 8,
        MetaValue::Array(_) => 9,
        MetaValue::U64(_) => 10,
        MetaValue::I64(_) => 11,
        MetaValue::F64(_) => 12,
        _ => return Err("a value of the metadata has a type that is not written here".into()),
    })
}

fn put_plain(to: &mut Vec<u8>, value: &MetaValue) {
    match value {
        MetaValue::Bool(flag) => to.push(u8::from(*flag)),
        MetaValue::Text(text) => put_text(to, text),
        MetaValue::U64(n) => to.extend(n.to_le_bytes()),
        MetaValue::I64(n) => to.extend(n.to_le_bytes()),
        MetaValue::F64(x) => to.extend(x.to_le_bytes()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_a_sound_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.gguf");
        let text = br#"{"__metadata__":{"tokenizer.ggml.model":"gpt2"}}"#;
        let other = [&(text.len() as u64).to_le_bytes()[..], text].concat();
        // With no layer it is 148 MB, most of them the embedding.
        write(&path, &Weights::open(Box::new(other)).expect("a header"), 0).expect("it is written");
        let bytes = std::fs::read(&path).expect("the file");
        let weights = Weights::open(Box::new(bytes)).expect("a sound file");
        assert_eq!(weights.names().collect::<Vec<_>>(), ["output_norm.weight", "token_embd.weight"]);
        assert_eq!(weights.meta("tokenizer.ggml.model").and_then(MetaValue::as_str), Some("gpt2"));
        assert_eq!(weights.meta("llama.block_count").and_then(MetaValue::as_u64), Some(0));
        assert_eq!(weights.read_f32("output_norm.weight").expect("a tensor"), [1.0; 2048]);
        assert_eq!(tensors(N_LAYERS).len(), 2 + 9 * N_LAYERS);
    }
}
