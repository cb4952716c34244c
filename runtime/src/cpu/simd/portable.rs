//! Plain arrays: the safe twin of every instruction set, and what machines without one run.

use super::{LANES, Simd};

/// Arrays that the compiler may vectorise.
#[derive(Debug, Clone, Copy)]
pub(in crate::cpu) struct Portable;

type F = [f32; LANES];

#[inline(always)]
fn zip(a: F, b: F, f: impl Fn(f32, f32) -> f32) -> F {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type F = F;
    type I = [i32; LANES];
    type H = [i16; 2 * LANES];
    const NAME: &'static str = "portable";
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> F {
        [x; LANES]
    }
    #[inline(always)]
    fn load(self, x: &F) -> F {
        *x
    }
    #[inline(always)]
    fn store(self, x: F, to: &mut F) {
        *to = x;
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn abs(self, x: F) -> F {
        x.map(f32::abs)
    }
    #[inline(always)]
    fn round(self, x: F) -> F {
        x.map(f32::round_ties_even)
    }
    #[inline(always)]
    fn exp2_int(self, n: F) -> F {
        n.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn sum(self, x: F) -> f32 {
        ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))
    }
    #[inline(always)]
    fn max_lane(self, x: F) -> f32 {
        x.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    fn zero_i(self) -> Self::I {
        [0; LANES]
    }
    #[inline(always)]
    fn to_f32(self, x: Self::I) -> F {
        x.map(|x| x as f32)
    }
    #[inline(always)]
    fn splat_pair(self, pair: i32) -> Self::H {
        std::array::from_fn(|i| if i % 2 == 0 { pair as i16 } else { (pair >> 16) as i16 })
    }
    #[inline(always)]
    fn dot_pairs(self, acc: Self::I, a: Self::H, b: Self::H) -> Self::I {
        let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
        std::array::from_fn(|i| acc[i] + product(2 * i) + product(2 * i + 1))
    }
    #[inline(always)]
    fn load_i8(self, x: &[i8; 2 * LANES]) -> Self::H {
        x.map(i16::from)
    }
    #[inline(always)]
    fn load_words(self, x: &[u8; 4 * LANES]) -> Self::H {
        std::array::from_fn(|i| i16::from_le_bytes([x[2 * i], x[2 * i + 1]]))
    }
    #[inline(always)]
    fn nibble<const J: u32>(self, words: Self::H) -> Self::H {
        words.map(|word| (word as u16 >> (4 * J) & 15) as i16)
    }
}
