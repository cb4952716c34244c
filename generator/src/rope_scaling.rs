//! The published ways of stretching rotary positions beyond the texts a model was trained on, each as a
//! divisor of every pair's speed and a factor on what is turned.
//!
//! "dynamic" scaling (NTK) changes nothing within the positions that a model was trained for, and a session
//! has no more; "longrope" has factors for short and for long texts, of which a session takes one kind by
//! its positions, because keys that are kept were turned by it.

use crate::config::{MAX_N_CTX, RopeConfig};
use crate::error::Result;
use crate::settings::{Gguf, Json, unsupported};
use runtime::RopeScaling;
use serde_json::Value;

const SUPPORTED: &str = "default, linear, dynamic, llama3, yarn, longrope";

/// What a head is, for rotation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) dim: usize,
    /// Positions the model was trained for, with the scaling.
    pub(crate) n_ctx_train: usize,
}

impl Head {
    /// Radians per position of each pair.
    fn speeds(self, base: f64) -> impl Iterator<Item = f64> {
        (0..self.dim / 2).map(move |i| base.powf(-2.0 * i as f64 / self.dim as f64))
    }

    fn n_ctx(self) -> usize {
        self.n_ctx_train.min(MAX_N_CTX)
    }

    fn even(self, divisor: f64, magnitude: f64) -> RopeScaling {
        RopeScaling::new(vec![divisor as f32; self.dim / 2], magnitude as f32)
    }
}

/// From `config.json`: the newer spelling keeps all of rotation in one object (`rope_parameters`), the
/// older one only what scales it (`rope_scaling`).
pub(crate) fn from_json(file: &Json, head: Head) -> Result<RopeConfig> {
    let rope = file.object("rope_parameters").or_else(|| file.object("rope_scaling"));
    let base = rope.as_ref().and_then(|rope| rope.number("rope_theta")).or(file.number("rope_theta"));
    let base = base.unwrap_or(10_000.0);
    let scaling = rope.map_or(Ok(None), |rope| scaling(&rope, file, base, head))?;
    Ok(RopeConfig { base: base as f32, scaling })
}

/// What the object `rope` says; `file` has what is outside it.
pub(crate) fn scaling(rope: &Json, file: &Json, base: f64, head: Head) -> Result<Option<RopeScaling>> {
    rope.only("partial_rotary_factor", &[Value::from(1.0), Value::from(1)], "1.0")?;
    let kind = rope.text("rope_type").or(rope.text("type")).unwrap_or("default").to_owned();
    let number = |key: &str| rope.number(key);
    let factor = || match number("factor") {
        Some(factor) if factor >= 1.0 && factor.is_finite() => Ok(factor),
        other => rope.refuse("factor", format!("{other:?} is not a number from 1 on")),
    };
    let original = || {
        let key = "original_max_position_embeddings";
        let of_file = || file.size_or(key, head.n_ctx_train);
        Ok::<f64, crate::Error>(if rope.get(key).is_some() { rope.size(key)? } else { of_file()? } as f64)
    };
    Ok(match kind.as_str() {
        "default" | "dynamic" => None,
        "linear" => Some(head.even(factor()?, 1.0)),
        "llama3" => {
            let (low, high) = (number("low_freq_factor"), number("high_freq_factor"));
            let (Some(low), Some(high)) = (low, high) else {
                return rope.refuse("low_freq_factor, high_freq_factor", "a number is missing");
            };
            if !(0.0 < low && low < high) {
                return rope.refuse("low_freq_factor, high_freq_factor", format!("{low} and {high}"));
            }
            Some(llama3(head, base, factor()?, (low, high), original()?))
        }
        "yarn" => {
            let original = original()?;
            let factor =
                if rope.get("factor").is_some() { factor()? } else { head.n_ctx_train as f64 / original };
            let magnitude = match (number("attention_factor"), number("mscale"), number("mscale_all_dim")) {
                (Some(given), ..) => given,
                (None, Some(one), Some(all)) if one > 0.0 && all > 0.0 => {
                    grown(factor, one) / grown(factor, all)
                }
                _ => grown(factor, 1.0),
            };
            let betas = (number("beta_fast").unwrap_or(32.0), number("beta_slow").unwrap_or(1.0));
            let is_whole = rope.flag_or("truncate", true)?;
            Some(yarn(head, base, Yarn { factor, betas, original, magnitude, is_whole }))
        }
        "longrope" | "su" => {
            let original = original()?;
            let key = if head.n_ctx() as f64 > original { "long_factor" } else { "short_factor" };
            let factors = rope.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let factors: Vec<f32> = factors.iter().filter_map(Value::as_f64).map(|x| x as f32).collect();
            let grown = number("factor").unwrap_or(head.n_ctx_train as f64 / original);
            let magnitude = number("attention_factor").unwrap_or(long_magnitude(grown, original));
            Some(checked(rope, key, head, factors, magnitude)?)
        }
        other => return unsupported("rope_type", &format!("{other:?}"), SUPPORTED),
    })
}

fn checked(rope: &Json, key: &str, head: Head, factors: Vec<f32>, magnitude: f64) -> Result<RopeScaling> {
    if factors.len() != head.dim / 2 || !factors.iter().all(|x| *x > 0.0 && x.is_finite()) {
        return rope.refuse(key, format!("it is not a list of {} numbers above 0", head.dim / 2));
    }
    Ok(RopeScaling::new(factors, magnitude as f32))
}

/// From a GGUF file: factors that it has computed already (Llama 3, LongRoPE), or how to.
pub(crate) fn from_gguf(gguf: &Gguf<'_>, head: Head) -> Result<RopeConfig> {
    let number = |key: &str| gguf.number(&gguf.own(key));
    let base = number("rope.freq_base").unwrap_or(10_000.0);
    let key = gguf.own("rope.scaling.type");
    let original = number("rope.scaling.original_context_length").unwrap_or(head.n_ctx_train as f64);
    let magnitude = number("rope.scaling.attn_factor").unwrap_or(1.0);
    let factor = number("rope.scaling.factor").or(number("rope.scale_linear")).unwrap_or(1.0).max(1.0);
    let is_long = head.n_ctx() as f64 > original;
    let table = if is_long { "rope_factors_long.weight" } else { "rope_factors_short.weight" };
    let scaling = match gguf.text(&key) {
        _ if gguf.has_tensor(table) => {
            Some(RopeScaling::new(gguf.weights.read_f32(table)?, magnitude as f32))
        }
        None | Some("none") if gguf.has_tensor("rope_freqs.weight") => {
            Some(RopeScaling::new(gguf.weights.read_f32("rope_freqs.weight")?, 1.0))
        }
        None | Some("none" | "linear") => (factor > 1.0).then(|| head.even(factor, 1.0)),
        Some("yarn") => {
            let magnitude = magnitude * grown(factor, 1.0);
            let betas = (
                number("rope.scaling.yarn_beta_fast").unwrap_or(32.0),
                number("rope.scaling.yarn_beta_slow").unwrap_or(1.0),
            );
            Some(yarn(head, base, Yarn { factor, betas, original, magnitude, is_whole: true }))
        }
        Some(other) => return unsupported(&key, other, "none, linear, yarn, longrope"),
    };
    Ok(RopeConfig { base: base as f32, scaling })
}

/// Llama 3.1: pairs that turn less than `low` times in the original text are slowed by `factor`, those
/// that turn more than `high` times are left, and between the two it goes over smoothly.
fn llama3(head: Head, base: f64, factor: f64, (low, high): (f64, f64), original: f64) -> RopeScaling {
    let divisors = head.speeds(base).map(|speed| {
        let n_turns = original * speed / std::f64::consts::TAU;
        let kept = ((n_turns - low) / (high - low)).clamp(0.0, 1.0);
        (1.0 / ((1.0 - kept) / factor + kept)) as f32
    });
    RopeScaling::new(divisors.collect(), 1.0)
}

struct Yarn {
    factor: f64,
    /// Turns in the original text from which on a pair is left, and up to which it is slowed.
    betas: (f64, f64),
    original: f64,
    magnitude: f64,
    /// The borders are whole pairs.
    is_whole: bool,
}

/// YaRN (Peng et al., 2023): as in Llama 3, but the border lies between numbers of pairs, and scores are
/// sharpened.
fn yarn(head: Head, base: f64, y: Yarn) -> RopeScaling {
    let dim = head.dim as f64;
    let pair = |n_turns: f64| dim * (y.original / (n_turns * std::f64::consts::TAU)).ln() / (2.0 * base.ln());
    let (mut low, mut high) = (pair(y.betas.0), pair(y.betas.1));
    if y.is_whole {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(dim - 1.0));
    let width = if high == low { 0.001 } else { high - low };
    let divisors = (0..head.dim / 2).map(|i| {
        let slowed = ((i as f64 - low) / width).clamp(0.0, 1.0);
        (1.0 / (slowed / y.factor + 1.0 - slowed)) as f32
    });
    RopeScaling::new(divisors.collect(), y.magnitude as f32)
}

/// `0.1 m ln(factor) + 1`
fn grown(factor: f64, m: f64) -> f64 {
    if factor > 1.0 { 0.1 * m * factor.ln() + 1.0 } else { 1.0 }
}

/// LongRoPE (Ding et al., 2024): `sqrt(1 + ln(factor) / ln(original))`
fn long_magnitude(factor: f64, original: f64) -> f64 {
    if factor > 1.0 { (1.0 + factor.ln() / original.ln()).sqrt() } else { 1.0 }
}
