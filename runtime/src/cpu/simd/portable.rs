//! Plain arrays: the safe twin of every instruction set, and what machines without one run.

use super::{LANES, Simd};

/// Arrays that the compiler may vectorise.
#[derive(Debug, Clone, Copy)]
pub(in crate::cpu) struct Portable;

type F = [f32; LANES];
type H = [[i16; 2]; LANES];
type B = [[u8; 4]; LANES];

#[inline(always)]
fn zip(a: F, b: F, f: impl Fn(f32, f32) -> f32) -> F {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// Elements 0 and 2, and 1 and 3.
#[inline(always)]
fn pairs(x: B, f: impl Fn(u8) -> i16) -> [H; 2] {
    [x.map(|x| [f(x[0]), f(x[2])]), x.map(|x| [f(x[1]), f(x[3])])]
}

/// Folds the second half of the lanes onto the first, until one is left.
#[inline(always)]
fn fold(mut x: F, f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            x[i] = f(x[i], x[i + half]);
        }
    }
    x[0]
}

impl Simd for Portable {
    type F = F;
    type I = [i32; LANES];
    type H = H;
    type B = B;
    type A = [i32; LANES];
    const NAME: &'static str = "portable";
    const N_REGISTERS: usize = 4;
    const HAS_NIBBLE_DOT: bool = true;
    const HAS_BYTE_DOT: bool = true;

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
        fold(x, |a, b| a + b)
    }
    #[inline(always)]
    fn max_lane(self, x: F) -> f32 {
        fold(x, f32::max)
    }
    #[inline(always)]
    fn to_i16(self, x: F) -> [i16; LANES] {
        x.map(|x| x.round_ties_even() as i16)
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
    fn splat_pair(self, pair: i32) -> H {
        [[pair as i16, (pair >> 16) as i16]; LANES]
    }
    #[inline(always)]
    fn dot_pairs(self, acc: Self::I, a: H, b: H) -> Self::I {
        let product = |i: usize, j: usize| i32::from(a[i][j]) * i32::from(b[i][j]);
        std::array::from_fn(|i| acc[i] + product(i, 0) + product(i, 1))
    }
    #[inline(always)]
    fn load_pairs(self, x: &[i16; 2 * LANES]) -> H {
        std::array::from_fn(|i| [x[2 * i], x[2 * i + 1]])
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> B {
        std::array::from_fn(|i| std::array::from_fn(|j| x[4 * i + j]))
    }
    #[inline(always)]
    fn low_nibble_pairs(self, x: B) -> [H; 2] {
        pairs(x, |x| i16::from(x & 15))
    }
    #[inline(always)]
    fn high_nibble_pairs(self, x: B) -> [H; 2] {
        pairs(x, |x| i16::from(x >> 4))
    }
    #[inline(always)]
    fn byte_pairs(self, x: B) -> [H; 2] {
        pairs(x, |x| i16::from(x as i8))
    }

    #[inline(always)]
    fn low_nibbles(self, x: B) -> B {
        x.map(|x| x.map(|x| x & 15))
    }
    #[inline(always)]
    fn high_nibbles(self, x: B) -> B {
        x.map(|x| x.map(|x| x >> 4))
    }
    #[inline(always)]
    fn zero_a(self) -> Self::A {
        [0; LANES]
    }
    #[inline(always)]
    fn dot_nibbles(self, acc: Self::A, w: B, x: i32) -> Self::A {
        self.dot_bytes(acc, w, x)
    }
    #[inline(always)]
    fn nibble_sums(self, x: Self::A) -> Self::I {
        x
    }
    #[inline(always)]
    fn start_bytes(self, _x_sum: i32) -> Self::I {
        [0; LANES]
    }
    #[inline(always)]
    fn dot_bytes(self, acc: Self::I, w: B, x: i32) -> Self::I {
        let x = x.to_le_bytes();
        let product = |i: usize, j: usize| i32::from(w[i][j] as i8) * i32::from(x[j] as i8);
        std::array::from_fn(|i| acc[i] + (0..4).map(|j| product(i, j)).sum::<i32>())
    }
}
