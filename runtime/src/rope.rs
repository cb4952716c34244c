//! How rotary position embedding turns, and how that is stretched for longer texts.

use std::rc::Rc;

/// Which elements of a head rotary position embedding turns together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RopeStyle {
    /// Pairs `(2i, 2i+1)`: Llama as GGUF files store it ("NORM" in llama.cpp).
    Interleaved,
    /// Pairs `(i, i + head_dim/2)`: GPT-NeoX and Hugging Face's order.
    Half,
}

/// Parameters of rotary position embedding (Su et al., 2021).
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Position of row 0; row `i` is at `first_pos + i`.
    pub first_pos: usize,
    /// Elements of one head; even, and a divisor of the tensor's width.
    pub head_dim: usize,
    /// Pair `i` turns by `pos * base^(-2i/head_dim)`, over the scaling's divisor.
    pub base: f32,
    /// Which elements form pair `i`.
    pub style: RopeStyle,
    /// What was changed for longer texts.
    pub scaling: Option<RopeScaling>,
}

/// What all published ways of stretching rotary positions come to: every pair turns slower by a divisor
/// of its own, and what was turned may be made longer. Clones share it.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeScaling(Rc<Scaling>);

#[derive(Debug, PartialEq)]
struct Scaling {
    divisors: Vec<f32>,
    magnitude: f32,
}

impl RopeScaling {
    /// A divisor for each of `head_dim / 2` pairs, and a factor on cosines and sines.
    pub fn new(divisors: Vec<f32>, magnitude: f32) -> Self {
        Self(Rc::new(Scaling { divisors, magnitude }))
    }

    /// Number of pairs.
    pub fn n_pairs(&self) -> usize {
        self.0.divisors.len()
    }
}

/// What tables of rotations are kept by: equal for rotations of equal speeds, whatever their positions.
pub(crate) type RopeKey = (usize, u32, Option<Vec<u32>>);

impl Rope {
    /// Radians per position of each pair.
    pub(crate) fn speeds(&self) -> Vec<f64> {
        let speed = |i: usize| f64::from(self.base).powf(-2.0 * i as f64 / self.head_dim as f64);
        let divisor = |i: usize| self.scaling.as_ref().map_or(1.0, |s| f64::from(s.0.divisors[i]));
        (0..self.head_dim / 2).map(|i| speed(i) / divisor(i)).collect()
    }

    /// Factor on cosines and sines.
    pub(crate) fn magnitude(&self) -> f64 {
        self.scaling.as_ref().map_or(1.0, |scaling| f64::from(scaling.0.magnitude))
    }

    pub(crate) fn key(&self) -> RopeKey {
        let scaling = self.scaling.as_ref().map(|scaling| {
            let numbers = scaling.0.divisors.iter().chain([&scaling.0.magnitude]);
            numbers.map(|x| x.to_bits()).collect()
        });
        (self.head_dim, self.base.to_bits(), scaling)
    }
}
