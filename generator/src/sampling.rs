//! From logits to one token: greedy, or drawn with a seed.

use crate::error::{Error, Result};
use runtime::{SampleParams, sample};
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

    fn params(&self) -> SampleParams {
        SampleParams {
            temperature: self.temperature,
            top_k: u32::try_from(self.top_k).unwrap_or(u32::MAX),
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        }
    }
}

/// Draws tokens for one session.
pub(crate) struct Sampler(SampleParams);

impl Sampler {
    pub(crate) fn new(settings: &Sampling) -> Self {
        Self(settings.params())
    }

    pub(crate) fn params(&self) -> &SampleParams {
        &self.0
    }

    /// Whether the highest logit is all that counts.
    pub(crate) fn takes_best(&self) -> bool {
        self.0.is_greedy() && !self.0.has_penalty()
    }

    /// The next token for `logits: [n_vocab]`, after the answer `said` so far, at position `pos` of
    /// prompt and answer.
    pub(crate) fn choose(&self, logits: &[f32], said: &[u32], pos: usize) -> Result<u32> {
        let mut seen = vec![];
        if self.0.has_penalty() {
            seen.resize(logits.len(), false);
            for token in said {
                if let Some(seen) = seen.get_mut(*token as usize) {
                    *seen = true;
                }
            }
        }
        sample(logits, &seen, &self.0, pos).ok_or(Error::NotFinite)
    }
}

/// The index of the highest logit, the lowest index among equals, as llama.cpp and PyTorch choose.
#[cfg(test)]
pub(crate) fn argmax(logits: &[f32]) -> Result<u32> {
    Sampler::new(&Sampling::default()).choose(logits, &[], 0)
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
        let sampler = Sampler::new(&settings);
        let mut counts = vec![0.0; 5];
        for n in 0..20_000 {
            counts[sampler.choose(logits, said, n).unwrap() as usize] += 1.0 / 20_000.0;
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
            let sampler = Sampler::new(&Sampling { seed, ..warm() });
            (0..50).map(|n| sampler.choose(&logits(), &[], n).unwrap()).collect::<Vec<_>>()
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
