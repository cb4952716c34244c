//! From logits to one token: greedy, or drawn with a seed.

use crate::constraint::{Allowed, Constraint};
use crate::error::{Error, Result};
use runtime::{SampleParams, sample};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// How tokens are chosen and when to end.
///
/// First come the biases, then the penalties, then the form, then the filters in llama.cpp's order: top-k,
/// top-p, min-p, then the temperature. Biases, presence and frequency penalties, a form and probabilities need
/// the logits on the CPU: on the GPU tier a token then costs one more read.
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
    /// Taken off the logits of tokens that the answer already has, once; 0 changes nothing.
    pub presence_penalty: f32,
    /// Taken off the logits of tokens that the answer already has, each time that it has them; 0 changes
    /// nothing.
    pub frequency_penalty: f32,
    /// Added to the logits of tokens, by their ids.
    pub logit_bias: BTreeMap<u32, f32>,
    /// Gives with each token how likely it was, and so many of the likeliest tokens, at most
    /// [`MAX_TOP_PROBABILITIES`].
    pub top_probabilities: Option<usize>,
    /// The form that the text must have.
    pub constraint: Option<Constraint>,
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
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: BTreeMap::new(),
            top_probabilities: None,
            constraint: None,
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

/// How likely a token was, before biases, penalties and forms, at temperature 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probability {
    /// The natural logarithm of the probability.
    pub logprob: f32,
    /// The likeliest tokens and their logarithms, the likeliest first.
    pub top: Vec<(u32, f32)>,
}

/// The likeliest tokens that can be asked for with each token.
pub const MAX_TOP_PROBABILITIES: usize = 20;

/// Draws tokens for one session.
pub(crate) struct Sampler {
    params: SampleParams,
    presence: f32,
    frequency: f32,
    bias: Vec<(u32, f32)>,
    n_top: Option<usize>,
}

impl Sampler {
    pub(crate) fn new(settings: &Sampling) -> Self {
        let finite = |x: f32| if x.is_finite() { x } else { 0.0 };
        Self {
            params: settings.params(),
            presence: finite(settings.presence_penalty),
            frequency: finite(settings.frequency_penalty),
            // What is infinite is forbidden, or all there is.
            bias: settings
                .logit_bias
                .iter()
                .map(|(id, bias)| (*id, bias.clamp(-MAX_BIAS, MAX_BIAS)))
                .collect(),
            n_top: settings.top_probabilities.map(|n| n.min(MAX_TOP_PROBABILITIES)),
        }
    }

    pub(crate) fn params(&self) -> &SampleParams {
        &self.params
    }

    /// Whether the highest logit is all that counts.
    pub(crate) fn takes_best(&self) -> bool {
        self.params.is_greedy() && !self.params.has_penalty() && !self.needs_logits()
    }

    /// Whether what is asked for cannot be had on the device.
    pub(crate) fn needs_logits(&self) -> bool {
        self.adjusts() || self.n_top.is_some()
    }

    fn adjusts(&self) -> bool {
        self.presence != 0.0 || self.frequency != 0.0 || !self.bias.is_empty()
    }

    /// How likely `token` is by the logits that the model gave, if that is asked for.
    pub(crate) fn probability(&self, logits: &[f32], token: u32) -> Option<Probability> {
        let n_top = self.n_top?;
        let total = log_sum(logits);
        let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
        let by_logit = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        if n_top > 0 && n_top < ids.len() {
            ids.select_nth_unstable_by(n_top - 1, by_logit);
        }
        ids.truncate(n_top);
        ids.sort_unstable_by(by_logit);
        let logprob = |id: u32| logits.get(id as usize).map_or(f32::NEG_INFINITY, |logit| logit - total);
        let top = ids.into_iter().map(|id| (id, logprob(id))).collect();
        Some(Probability { logprob: logprob(token), top })
    }

    /// The next token for `logits: [n_vocab]`, after the answer `said` so far, at position `pos` of
    /// prompt and answer, among the `allowed` ones.
    pub(crate) fn choose(
        &self,
        logits: &[f32],
        said: &[u32],
        pos: usize,
        allowed: Option<&Forms<'_>>,
    ) -> Result<u32> {
        if self.adjusts() || allowed.is_some() {
            let logits = self.adjusted(logits, said, allowed);
            let params = SampleParams { repetition_penalty: 1.0, ..self.params };
            return sample(&logits, &[], &params, pos).ok_or(Error::NotFinite);
        }
        let mut seen = vec![];
        if self.params.has_penalty() {
            seen.resize(logits.len(), false);
            for token in said {
                if let Some(seen) = seen.get_mut(*token as usize) {
                    *seen = true;
                }
            }
        }
        sample(logits, &seen, &self.params, pos).ok_or(Error::NotFinite)
    }

    /// The logits with biases and penalties; minus infinity for tokens that are not allowed.
    fn adjusted(&self, logits: &[f32], said: &[u32], allowed: Option<&Forms<'_>>) -> Vec<f32> {
        let mut logits = logits.to_vec();
        for (token, bias) in &self.bias {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit += bias;
            }
        }
        let mut counts = HashMap::<u32, f32>::new();
        said.iter().for_each(|token| *counts.entry(*token).or_default() += 1.0);
        for (token, count) in counts {
            let Some(logit) = logits.get_mut(token as usize) else { continue };
            if self.params.has_penalty() {
                let penalty = self.params.repetition_penalty;
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
            *logit -= self.presence + self.frequency * count;
        }
        if let Some(forms) = allowed {
            for (token, logit) in (0..).zip(&mut logits) {
                if !forms.has(token) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        logits
    }
}

/// A bias beyond this decides alone, and sums stay finite.
const MAX_BIAS: f32 = 1e6;

/// The tokens that a form allows, and those that end the text where it may end.
pub(crate) struct Forms<'a> {
    pub(crate) allowed: &'a Allowed,
    /// Empty where the text must go on.
    pub(crate) ends: &'a [u32],
}

impl Forms<'_> {
    fn has(&self, token: u32) -> bool {
        self.allowed.has(token) || self.ends.contains(&token)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.ends.is_empty()
    }
}

/// The logarithm of the sum of the exponentials.
pub(crate) fn log_sum(logits: &[f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f32>().ln()
}

/// The index of the highest logit, the lowest index among equals, as llama.cpp and PyTorch choose.
#[cfg(test)]
pub(crate) fn argmax(logits: &[f32]) -> Result<u32> {
    Sampler::new(&Sampling::default()).choose(logits, &[], 0, None)
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
            counts[sampler.choose(logits, said, n, None).unwrap() as usize] += 1.0 / 20_000.0;
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
    fn what_was_said_often_is_less_likely_by_count() {
        // Shares 4, 2, 1, 1 of tokens 0 to 3; token 0 was said twice, token 1 once.
        let ln = f32::ln;
        let logits = [ln(4.0), ln(2.0), 0.0, 0.0, f32::NEG_INFINITY];
        let said = [0, 1, 0, 77];
        let frequency = Sampling { frequency_penalty: ln(2.0), ..warm() };
        check_after(frequency, &logits, &said, [0.25, 0.25, 0.25, 0.25, 0.0]);
        let presence = Sampling { presence_penalty: ln(2.0), ..warm() };
        check_after(presence.clone(), &logits, &said, [0.4, 0.2, 0.2, 0.2, 0.0]);
        let both = Sampling { frequency_penalty: ln(2.0), ..presence };
        check_after(both, &logits, &said, [1.0 / 6.0, 1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 0.0]);
        // With all penalties zero the order of the penalties does not show.
        let twice = Sampling { repetition_penalty: 2.0, presence_penalty: 1e-9, ..warm() };
        check_after(
            twice,
            &logits,
            &said,
            [2.0, 2f32.sqrt(), 1.0, 1.0, 0.0].map(|x| x / (4.0 + 2f32.sqrt())),
        );
        let greedy = Sampling { presence_penalty: 3.0, ..Sampling::greedy(1) };
        check_after(greedy, &logits, &said, [0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn biases_move_tokens() {
        let logits = [0.0; 5];
        let bias = |pairs: &[(u32, f32)]| Sampling { logit_bias: pairs.iter().copied().collect(), ..warm() };
        check_after(bias(&[(1, 3f32.ln())]), &logits, &[], [1.0, 3.0, 1.0, 1.0, 1.0].map(|x| x / 7.0));
        check_after(bias(&[(1, -100.0), (99, 5.0)]), &logits, &[], [0.25, 0.0, 0.25, 0.25, 0.25]);
        check_after(bias(&[(2, f32::INFINITY)]), &logits, &[], [0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn probabilities_are_those_of_the_model() {
        let settings = Sampling { top_probabilities: Some(3), temperature: 0.1, ..warm() };
        let sampler = Sampler::new(&settings);
        let probability = sampler.probability(&logits(), 2).unwrap();
        assert!((probability.logprob.exp() - 0.0625).abs() < 1e-5);
        let ids: Vec<u32> = probability.top.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [1, 3, 0]);
        assert!((probability.top[0].1.exp() - 0.5).abs() < 1e-5);
        let none = Sampler::new(&Sampling { top_probabilities: Some(0), ..warm() });
        assert_eq!(none.probability(&logits(), 1).unwrap().top, []);
        assert!(none.needs_logits() && Sampler::new(&warm()).probability(&logits(), 1).is_none());
        let all = Sampler::new(&Sampling { top_probabilities: Some(1000), ..warm() });
        assert_eq!(all.probability(&logits(), 1).unwrap().top.len(), 5);
    }

    #[test]
    fn a_seed_reproduces_its_draws() {
        let draw = |seed| {
            let sampler = Sampler::new(&Sampling { seed, ..warm() });
            (0..50).map(|n| sampler.choose(&logits(), &[], n, None).unwrap()).collect::<Vec<_>>()
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
