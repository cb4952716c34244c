//! From logits to one token: greedy, or drawn with a seed.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How tokens are chosen and when to end.
///
/// First comes the repetition penalty, then the filters in llama.cpp's order: top-k, top-p, min-p,
/// then the temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// 0 takes the likeliest token each time (greedy); 1 draws from the model's own distribution.
    pub temperature: f32,
    /// Keeps the k likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of likeliest tokens whose probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least this fraction as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides the logits of tokens that the answer already has, where they are positive, and
    /// multiplies the negative ones (Keskar et al., 2019); 1 changes nothing. The prompt does not
    /// count: an answer may say what its sources say.
    pub repetition_penalty: f32,
    /// The same seed, prompt, model and tier give the same text.
    pub seed: u64,
    /// Ends after this many tokens.
    pub max_tokens: usize,
    /// Ends before the first of these strings, which is not given out.
    pub stop: Vec<String>,
}

impl Default for Sampling {
    /// Greedy, at most 256 tokens, no stop strings.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
            max_tokens: 256,
            stop: Vec::new(),
        }
    }
}

impl Sampling {
    /// Greedy with an upper limit.
    pub fn greedy(max_tokens: usize) -> Self {
        Self { max_tokens, ..Self::default() }
    }

    /// Numbers that are no penalty change nothing.
    pub(crate) fn has_penalty(&self) -> bool {
        let penalty = self.repetition_penalty;
        penalty.is_finite() && penalty > 0.0 && penalty != 1.0
    }

    pub(crate) fn is_greedy(&self) -> bool {
        self.temperature.is_nan() || self.temperature <= 0.0 || self.top_k == 1
    }
}

/// Draws tokens for one session.
pub(crate) struct Sampler {
    settings: Sampling,
    random: SplitMix64,
}

impl Sampler {
    pub(crate) fn new(settings: &Sampling) -> Self {
        Self { settings: settings.clone(), random: SplitMix64(settings.seed) }
    }

    /// The next token for `logits: [n_vocab]`, after the answer `said` so far.
    pub(crate) fn choose(&mut self, mut logits: Vec<f32>, said: &[u32]) -> Result<u32> {
        self.penalise(&mut logits, said);
        let logits = logits.as_slice();
        let best = argmax(logits)?;
        if self.settings.is_greedy() {
            return Ok(best);
        }
        let best_logit = logits[best as usize];
        let mut candidates = self.candidates(logits, best_logit);
        let n_kept = self.n_kept(&candidates, best_logit);
        candidates.truncate(n_kept);
        Ok(self.draw(&candidates, best_logit))
    }

    /// Each token counts once, however often it was said.
    fn penalise(&self, logits: &mut [f32], said: &[u32]) {
        if !self.settings.has_penalty() {
            return;
        }
        let mut said = said.to_vec();
        said.sort_unstable();
        said.dedup();
        let penalty = self.settings.repetition_penalty;
        for token in said {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    /// (token, logit), likeliest first, ties by token id; at most top-k of them.
    fn candidates(&self, logits: &[f32], best_logit: f32) -> Vec<(u32, f32)> {
        let by_logit = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        // Min-p looks at each token alone, so that it may go first and leave little to sort.
        let floor = best_logit + self.settings.min_p.clamp(0.0, 1.0).ln();
        let all = logits.iter().enumerate().map(|(i, &logit)| (i as u32, logit));
        let k = if self.settings.top_k == 0 { usize::MAX } else { self.settings.top_k };
        if self.settings.top_p < 1.0 {
            // Top-p sums the probabilities of what top-k leaves, including what min-p removes later.
            let mut sorted: Vec<_> = all.collect();
            if k < sorted.len() {
                sorted.select_nth_unstable_by(k, by_logit);
                sorted.truncate(k);
            }
            sorted.sort_unstable_by(by_logit);
            return sorted;
        }
        let mut sorted: Vec<_> = all.filter(|c| c.1 >= floor).collect();
        sorted.sort_unstable_by(by_logit);
        sorted.truncate(k);
        sorted
    }

    /// How many of the sorted candidates pass top-p and min-p: at least one.
    fn n_kept(&self, candidates: &[(u32, f32)], best_logit: f32) -> usize {
        let weights = candidates.iter().map(|c| (c.1 - best_logit).exp());
        let mut n_kept = candidates.len();
        if self.settings.top_p < 1.0 {
            let enough = self.settings.top_p.max(0.0) * weights.clone().sum::<f32>();
            let mut sum = 0.0;
            let reached = weights.clone().position(|w| {
                sum += w;
                sum >= enough
            });
            n_kept = reached.map_or(n_kept, |at| at + 1);
        }
        let above = weights.take_while(|&w| w >= self.settings.min_p).count();
        n_kept.min(above).max(1)
    }

    fn draw(&mut self, candidates: &[(u32, f32)], best_logit: f32) -> u32 {
        let weight = |c: &(u32, f32)| ((c.1 - best_logit) / self.settings.temperature).exp();
        let total: f32 = candidates.iter().map(weight).sum();
        let mut rest = self.random.unit() * total;
        for candidate in candidates {
            rest -= weight(candidate);
            if rest < 0.0 {
                return candidate.0;
            }
        }
        candidates.last().expect("at least one candidate is kept").0
    }
}

/// The index of the highest logit, the lowest index among equals, as llama.cpp and PyTorch choose.
pub(crate) fn argmax(logits: &[f32]) -> Result<u32> {
    let mut best = None;
    for (i, &logit) in logits.iter().enumerate() {
        if logit.is_nan() || logit == f32::INFINITY {
            return Err(Error::NotFinite);
        }
        if best.is_none_or(|(_, highest)| logit > highest) {
            best = Some((i as u32, logit));
        }
    }
    match best {
        Some((token, logit)) if logit.is_finite() => Ok(token),
        _ => Err(Error::NotFinite),
    }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014): eight bytes
/// of state, which is all that a few thousand draws need.
struct SplitMix64(u64);

impl SplitMix64 {
    /// Uniform in [0, 1), of 24 random bits.
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ln of .5, .25, .125, .0625, .0625, in mixed order.
    fn logits() -> Vec<f32> {
        [0.125f32, 0.5, 0.0625, 0.25, 0.0625].iter().map(|p| p.ln() + 3.0).collect()
    }

    /// Fraction of each token in 20,000 draws.
    fn shares(settings: Sampling, logits: &[f32], said: &[u32]) -> Vec<f32> {
        let mut sampler = Sampler::new(&settings);
        let mut counts = vec![0.0; 5];
        for _ in 0..20_000 {
            counts[sampler.choose(logits.to_vec(), said).unwrap() as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    #[track_caller]
    fn check(settings: Sampling, expect: [f32; 5]) {
        check_after(settings, &logits(), &[], expect);
    }

    #[track_caller]
    fn check_after(settings: Sampling, logits: &[f32], said: &[u32], expect: [f32; 5]) {
        let got = shares(settings, logits, said);
        // Four standard deviations of a share near one half.
        let close =
            got.iter().zip(expect).all(|(g, e)| if e == 0.0 { *g == 0.0 } else { (g - e).abs() < 0.015 });
        assert!(close, "{got:?}, expected {expect:?}");
    }

    fn warm() -> Sampling {
        Sampling { temperature: 1.0, seed: 42, ..Sampling::default() }
    }

    #[test]
    fn draws_follow_the_distribution_and_the_filters() {
        check(warm(), [0.125, 0.5, 0.0625, 0.25, 0.0625]);
        check(Sampling { top_k: 2, ..warm() }, [0.0, 2.0 / 3.0, 0.0, 1.0 / 3.0, 0.0]);
        check(Sampling { top_k: 9, ..warm() }, [0.125, 0.5, 0.0625, 0.25, 0.0625]);
        check(Sampling { top_p: 0.7, ..warm() }, [0.0, 2.0 / 3.0, 0.0, 1.0 / 3.0, 0.0]);
        check(Sampling { top_p: 0.0, ..warm() }, [0.0, 1.0, 0.0, 0.0, 0.0]);
        check(Sampling { min_p: 0.2, ..warm() }, [1.0 / 7.0, 4.0 / 7.0, 0.0, 2.0 / 7.0, 0.0]);
        check(Sampling { min_p: 1.0, ..warm() }, [0.0, 1.0, 0.0, 0.0, 0.0]);
        // Of top-k's three, top-p .9 of their sum keeps all three; min-p .3 then removes the third.
        check(Sampling { top_k: 3, top_p: 0.9, min_p: 0.3, ..warm() }, [0.0, 2.0 / 3.0, 0.0, 1.0 / 3.0, 0.0]);
        // Temperature 2 takes the square roots: .5 -> .707, .25 -> .5.
        check(Sampling { top_k: 2, temperature: 2.0, ..warm() }, [0.0, 0.5858, 0.0, 0.4142, 0.0]);
    }

    #[test]
    fn zero_temperature_and_top_one_are_greedy() {
        check(Sampling { temperature: 0.0, ..warm() }, [0.0, 1.0, 0.0, 0.0, 0.0]);
        check(Sampling { top_k: 1, ..warm() }, [0.0, 1.0, 0.0, 0.0, 0.0]);
        check(Sampling { temperature: f32::NAN, ..warm() }, [0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn what_was_said_is_less_likely() {
        // Shares of e^logit: penalty 2 makes ln 4 of token 0 to ln 2, and -ln 2 of token 1 to -ln 4.
        let ln = f32::ln;
        let logits = [ln(4.0), -ln(2.0), 0.0, f32::NEG_INFINITY, ln(1.25)];
        let twice = Sampling { repetition_penalty: 2.0, ..warm() };
        let all = 4.0 + 0.5 + 1.0 + 1.25;
        check_after(twice.clone(), &logits, &[], [4.0 / all, 0.5 / all, 1.0 / all, 0.0, 1.25 / all]);
        let rest = 2.0 + 0.25 + 1.0 + 1.25;
        let expected = [2.0 / rest, 0.25 / rest, 1.0 / rest, 0.0, 1.25 / rest];
        check_after(twice, &logits, &[1, 0, 0, 3, 1, 2, 999], expected);
        // Below 1 it is a reward: ln 1.25 times 10 passes ln 4.
        let reward = Sampling { repetition_penalty: 0.1, ..Sampling::greedy(1) };
        check_after(reward, &logits, &[4], [0.0, 0.0, 0.0, 0.0, 1.0]);
        for no_penalty in [0.0, -1.0, f32::NAN, f32::INFINITY, 1.0] {
            let greedy = Sampling { repetition_penalty: no_penalty, ..Sampling::greedy(1) };
            check_after(greedy, &logits, &[0], [1.0, 0.0, 0.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn a_seed_reproduces_its_draws() {
        let draw = |seed| {
            let mut sampler = Sampler::new(&Sampling { seed, ..warm() });
            (0..50).map(|_| sampler.choose(logits(), &[]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn equal_logits_go_to_the_lowest_token() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]).unwrap(), 1);
        assert_eq!(argmax(&[f32::NEG_INFINITY, -5.0]).unwrap(), 1);
    }

    #[test]
    fn broken_logits_are_an_error() {
        for bad in [vec![], vec![0.0, f32::NAN], vec![0.0, f32::INFINITY], vec![f32::NEG_INFINITY; 3]] {
            assert!(matches!(argmax(&bad), Err(Error::NotFinite)), "{bad:?}");
        }
    }
}
