//! WebAssembly's fixed-width SIMD: two registers hold eight f32.
#![expect(unsafe_code, reason = "vector loads and stores go through pointers")]

use std::arch::wasm32::*;

use super::{LANES, Simd};

/// WebAssembly with simd128, which is a property of the build.
#[derive(Debug, Clone, Copy)]
pub(super) struct Simd128(());

/// Lanes 0..4 and 4..8 (of i16: 0..8 and 8..16).
type Two = (v128, v128);

impl Simd128 {
    pub(super) fn new() -> Self {
        Self(())
    }
}

#[inline(always)]
fn zip(a: Two, b: Two, f: impl Fn(v128, v128) -> v128) -> Two {
    (f(a.0, b.0), f(a.1, b.1))
}

#[inline(always)]
fn both(x: v128) -> Two {
    (x, x)
}

/// Reads a vector from the front of `x`.
#[inline(always)]
fn load<T: Copy, const N: usize>(x: &[T; N]) -> v128 {
    const { assert!(size_of::<[T; N]>() == 16) };
    // SAFETY: `x` is a reference to 16 readable bytes; wasm's loads need no alignment.
    unsafe { v128_load(x.as_ptr().cast()) }
}

#[inline(always)]
fn store(x: v128, to: &mut [f32; 4]) {
    // SAFETY: `to` is a reference to 16 writable bytes; wasm's stores need no alignment.
    unsafe { v128_store(to.as_mut_ptr().cast(), x) }
}

/// The two halves of an array.
#[inline(always)]
fn halves<T, const N: usize, const H: usize>(x: &[T; N]) -> (&[T; H], &[T; H]) {
    const { assert!(2 * H == N) };
    let (low, high) = x.split_at(H);
    (low.try_into().expect("half of the array"), high.try_into().expect("half of the array"))
}

impl Simd for Simd128 {
    type F = Two;
    type I = Two;
    type H = Two;
    const NAME: &'static str = "simd128";
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> Two {
        both(f32x4_splat(x))
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Two {
        let (low, high) = halves::<f32, 8, 4>(x);
        (load(low), load(high))
    }
    #[inline(always)]
    fn store(self, x: Two, to: &mut [f32; LANES]) {
        let (low, high) = to.split_at_mut(4);
        store(x.0, low.try_into().expect("half of the array"));
        store(x.1, high.try_into().expect("half of the array"));
    }
    #[inline(always)]
    fn add(self, a: Two, b: Two) -> Two {
        zip(a, b, |a, b| f32x4_add(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Two, b: Two) -> Two {
        zip(a, b, |a, b| f32x4_sub(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Two, b: Two) -> Two {
        zip(a, b, |a, b| f32x4_mul(a, b))
    }
    #[inline(always)]
    fn div(self, a: Two, b: Two) -> Two {
        zip(a, b, |a, b| f32x4_div(a, b))
    }
    // `pmin(b, a)` is `a < b ? a : b`: one instruction, unlike `min`, which also orders NaN and zeros.
    #[inline(always)]
    fn min(self, a: Two, b: Two) -> Two {
        zip(a, b, |a, b| f32x4_pmin(b, a))
    }
    #[inline(always)]
    fn max(self, a: Two, b: Two) -> Two {
        zip(a, b, |a, b| f32x4_pmax(b, a))
    }
    #[inline(always)]
    fn mul_add(self, a: Two, b: Two, c: Two) -> Two {
        (f32x4_add(f32x4_mul(a.0, b.0), c.0), f32x4_add(f32x4_mul(a.1, b.1), c.1))
    }
    #[inline(always)]
    fn abs(self, x: Two) -> Two {
        (f32x4_abs(x.0), f32x4_abs(x.1))
    }
    #[inline(always)]
    fn round(self, x: Two) -> Two {
        (f32x4_nearest(x.0), f32x4_nearest(x.1))
    }
    #[inline(always)]
    fn exp2_int(self, n: Two) -> Two {
        let one = |n| i32x4_shl(i32x4_add(i32x4_trunc_sat_f32x4(n), i32x4_splat(127)), 23);
        (one(n.0), one(n.1))
    }
    #[inline(always)]
    fn sum(self, x: Two) -> f32 {
        let four = f32x4_add(x.0, x.1);
        let two = f32x4_add(four, i32x4_shuffle::<2, 3, 0, 1>(four, four));
        f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
    }
    #[inline(always)]
    fn max_lane(self, x: Two) -> f32 {
        let four = f32x4_pmax(x.0, x.1);
        let two = f32x4_pmax(four, i32x4_shuffle::<2, 3, 0, 1>(four, four));
        f32x4_extract_lane::<0>(two).max(f32x4_extract_lane::<1>(two))
    }

    #[inline(always)]
    fn zero_i(self) -> Two {
        both(i32x4_splat(0))
    }
    #[inline(always)]
    fn to_f32(self, x: Two) -> Two {
        (f32x4_convert_i32x4(x.0), f32x4_convert_i32x4(x.1))
    }
    #[inline(always)]
    fn splat_pair(self, pair: i32) -> Two {
        both(i32x4_splat(pair))
    }
    #[inline(always)]
    fn dot_pairs(self, acc: Two, a: Two, b: Two) -> Two {
        (i32x4_add(acc.0, i32x4_dot_i16x8(a.0, b.0)), i32x4_add(acc.1, i32x4_dot_i16x8(a.1, b.1)))
    }
    #[inline(always)]
    fn load_i8(self, x: &[i8; 2 * LANES]) -> Two {
        let bytes = load(x);
        (i16x8_extend_low_i8x16(bytes), i16x8_extend_high_i8x16(bytes))
    }
    #[inline(always)]
    fn load_words(self, x: &[u8; 4 * LANES]) -> Two {
        let (low, high) = halves::<u8, 32, 16>(x);
        (load(low), load(high))
    }
    #[inline(always)]
    fn nibble<const J: u32>(self, words: Two) -> Two {
        let mask = i16x8_splat(15);
        let one = |words| match J {
            0 => v128_and(words, mask),
            3 => u16x8_shr(words, 12),
            _ => v128_and(u16x8_shr(words, 4 * J), mask),
        };
        (one(words.0), one(words.1))
    }
}
