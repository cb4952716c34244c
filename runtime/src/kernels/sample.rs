//! Choosing a token from logits, defined in integers so that every tier draws the same one.
//!
//! Tokens are ordered by logit, the likeliest first, equal ones by id. Top-k keeps the first k; top-p
//! the shortest beginning of those whose weights at temperature 1 reach its share; min-p removes what
//! is less likely than its fraction of the likeliest; then one token is drawn by its weight at the
//! asked temperature. Before all that, logits of tokens that were said already are divided
//! (multiplied, below zero) by the repetition penalty.
//!
//! A weight is `2^24 * 2^-u`, rounded down, where `u` is the distance to the highest logit in units of
//! `temperature * ln 2`, in 1/65536. Sums of weights are exact in 64 bits. Random words are a hash of
//! seed and position (PCG3D of Jarzynski and Olano, 2020).

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleParams {
    /// 0, or NaN, takes the likeliest token (the one with the lowest id of equal ones).
    pub temperature: f32,
    /// Keeps the k likeliest tokens; 0 keeps all.
    pub top_k: u32,
    /// Keeps the shortest row of likeliest tokens whose probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least this fraction as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides the logits of tokens that were said already, where they are positive, and multiplies
    /// the negative ones (Keskar et al., 2019); 1 changes nothing.
    pub repetition_penalty: f32,
    /// The same seed and logits give the same tokens.
    pub seed: u64,
}

impl Default for SampleParams {
    /// Greedy.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0 }
    }
}

impl SampleParams {
    /// Whether the likeliest token is taken, whatever the seed.
    pub fn is_greedy(&self) -> bool {
        self.temperature.is_nan() || self.temperature <= 0.0 || self.top_k == 1
    }

    /// Whether tokens that were said already are less likely, or more; numbers that are no penalty
    /// change nothing.
    pub fn has_penalty(&self) -> bool {
        let penalty = self.repetition_penalty;
        penalty.is_finite() && penalty > 0.0 && penalty != 1.0
    }

    /// The factors on positive and on negative logits of tokens that were said already.
    pub(crate) fn penalties(&self) -> [f32; 2] {
        if !self.has_penalty() {
            return [1.0, 1.0];
        }
        let penalty = self.repetition_penalty.clamp(1.0 / MAX_PENALTY, MAX_PENALTY);
        [1.0 / penalty, penalty]
    }

    /// Units of 1/65536 of a halving per unit of logit, at this temperature.
    pub(crate) fn scale(&self) -> f32 {
        scale_at(self.temperature)
    }

    /// Top-p as a fraction of 2^32, where it removes anything.
    pub(crate) fn share(&self) -> Option<u32> {
        (self.top_p < 1.0).then(|| (f64::from(self.top_p.max(0.0)) * 4_294_967_296.0) as u32)
    }

    /// What is added to the highest logit to give the lowest that min-p keeps.
    pub(crate) fn floor(&self) -> f32 {
        if self.min_p > 0.0 { self.min_p.min(1.0).ln() } else { -LOWEST_DISTANCE }
    }
}

/// Beyond this a penalty would overflow.
const MAX_PENALTY: f32 = 1e6;
/// Further below the highest than this no logit is told from another.
pub(crate) const LOWEST_DISTANCE: f32 = 1e30;
/// Distances are cut here, so that a product with the largest scale stays finite.
const MAX_DISTANCE: f32 = 1e6;
/// The scale of the lowest temperatures.
const MAX_SCALE: f32 = 1e30;
/// A weight of one half to this power is nothing.
const WEIGHT_BITS: u32 = 24;

/// The scale at a temperature; see [`SampleParams::scale`].
pub(crate) fn scale_at(temperature: f32) -> f32 {
    (65_536.0 * std::f32::consts::LOG2_E / temperature).min(MAX_SCALE)
}

/// The token for `logits: [n_vocab]` that stands at position `pos` of the text, where `seen[t]` says
/// whether token `t` was said already (an empty slice: none was). `None` where a logit is NaN or plus
/// infinity, or all are minus infinity.
pub fn sample(logits: &[f32], seen: &[bool], p: &SampleParams, pos: usize) -> Option<u32> {
    let penalties = p.penalties();
    let logit = |id: usize| match seen.get(id) {
        Some(true) => logits[id] * penalties[usize::from(logits[id] < 0.0)],
        _ => logits[id],
    };
    let mut best = None;
    for (id, given) in logits.iter().enumerate() {
        if given.is_nan() || *given == f32::INFINITY {
            return None;
        }
        let key = key(logit(id));
        if best.is_none_or(|(highest, _)| key > highest) {
            best = Some((key, id));
        }
    }
    let (_, best_id) = best.filter(|(_, id)| logits[*id].is_finite())?;
    if p.is_greedy() {
        return Some(best_id as u32);
    }
    let best = logit(best_id);
    // Whoever has no weight at either temperature is neither counted nor drawn.
    let widest = scale_at(p.temperature.max(1.0));
    let mut candidates: Vec<(u32, f32)> = (0..logits.len())
        .map(|id| (id as u32, logit(id)))
        .filter(|c| weight(best - c.1, widest) > 0)
        .collect();
    candidates.sort_unstable_by_key(|c| (!key(c.1), c.0));
    if p.top_k > 0 {
        candidates.truncate(p.top_k as usize);
    }
    if let Some(share) = p.share() {
        let weight = |c: &(u32, f32)| weight(best - c.1, scale_at(1.0));
        let total = candidates.iter().map(weight).sum();
        let n_kept = reaching(candidates.iter().map(weight), part(total, share).max(1));
        candidates.truncate(n_kept + 1);
    }
    let floor = key(best + p.floor());
    candidates.retain(|c| key(c.1) >= floor);
    let weight = |c: &(u32, f32)| weight(best - c.1, p.scale());
    let total = candidates.iter().map(weight).sum();
    let drawn = reaching(candidates.iter().map(weight), part(total, random(p.seed, pos)) + 1);
    candidates.get(drawn).map(|c| c.0)
}

/// The index at which the sum reaches `target`.
fn reaching(weights: impl Iterator<Item = u64>, target: u64) -> usize {
    let sums = weights.scan(0, |sum, weight| {
        *sum += weight;
        Some(*sum)
    });
    sums.take_while(|sum| *sum < target).count()
}

/// `total * share / 2^32`, rounded down; totals are below 2^43.
fn part(total: u64, share: u32) -> u64 {
    ((u128::from(total) * u128::from(share)) >> 32) as u64
}

/// Numbers in the order of the logits; zeros of both signs are equal.
fn key(logit: f32) -> u32 {
    let bits = if logit == 0.0 { 0 } else { logit.to_bits() };
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// The weight of a token `distance` below the highest logit; at most 2^24.
fn weight(distance: f32, scale: f32) -> u64 {
    if distance >= LOWEST_DISTANCE {
        return 0;
    }
    let halvings = distance.min(MAX_DISTANCE) * scale;
    if halvings >= ((WEIGHT_BITS + 1) << 16) as f32 {
        return 0;
    }
    let halvings = halvings as u32;
    let fraction = halvings & 0xffff;
    // 2^-f for f in 0..1: a polynomial of degree 4, good to 3e-5, in 16 bits.
    let times = |x: u32| (fraction * x) >> 16;
    let power = 65_536 - times(45_420 - times(15_692 - times(3488 - times(448))));
    u64::from((power << 8) >> (halvings >> 16))
}

/// A random word.
fn random(seed: u64, pos: usize) -> u32 {
    let mut v = [seed as u32, (seed >> 32) as u32, pos as u32];
    let mix = |v: &mut [u32; 3]| {
        v[0] = v[0].wrapping_add(v[1].wrapping_mul(v[2]));
        v[1] = v[1].wrapping_add(v[2].wrapping_mul(v[0]));
        v[2] = v[2].wrapping_add(v[0].wrapping_mul(v[1]));
    };
    v = v.map(|v| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    mix(&mut v);
    v = v.map(|v| v ^ (v >> 16));
    mix(&mut v);
    v[0]
}
