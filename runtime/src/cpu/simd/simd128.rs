//! WebAssembly's fixed-width SIMD: four registers hold sixteen f32. With relaxed SIMD, which is a
//! property of the build too, it multiplies bytes.
#![expect(unsafe_code, reason = "vector loads and stores go through pointers")]

use std::arch::wasm32::*;

use super::{LANES, Simd};

/// WebAssembly with simd128, which is a property of the build.
#[derive(Debug, Clone, Copy)]
pub(super) struct Simd128(());

/// Lanes 0..4, 4..8, 8..12 and 12..16.
type Four = [v128; 4];

impl Simd128 {
    pub(super) fn new() -> Self {
        Self(())
    }
}

#[inline(always)]
fn each(x: Four, f: impl Fn(v128) -> v128) -> Four {
    [f(x[0]), f(x[1]), f(x[2]), f(x[3])]
}

#[inline(always)]
fn zip(a: Four, b: Four, f: impl Fn(v128, v128) -> v128) -> Four {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

#[inline(always)]
fn load<T, const N: usize>(x: &[T; N]) -> Four {
    const { assert!(size_of::<[T; N]>() == 64) };
    let at: *const v128 = x.as_ptr().cast();
    // SAFETY: `x` is a reference to 64 readable bytes; wasm's loads need no alignment.
    unsafe { [v128_load(at), v128_load(at.add(1)), v128_load(at.add(2)), v128_load(at.add(3))] }
}

/// `a[i] * b[i] + c[i]`, fused where the build has relaxed SIMD and the machine is faster so.
#[inline(always)]
fn mul_add(a: v128, b: v128, c: v128) -> v128 {
    #[cfg(target_feature = "relaxed-simd")]
    return f32x4_relaxed_madd(a, b, c);
    #[cfg(not(target_feature = "relaxed-simd"))]
    f32x4_add(f32x4_mul(a, b), c)
}

impl Simd for Simd128 {
    type F = Four;
    type I = Four;
    type H = Four;
    type B = Four;
    type A = Four;
    const NAME: &'static str =
        if cfg!(target_feature = "relaxed-simd") { "relaxed simd128" } else { "simd128" };
    const N_REGISTERS: usize = 4;
    const HAS_NIBBLE_DOT: bool = cfg!(target_feature = "relaxed-simd");

    #[inline(always)]
    fn splat(self, x: f32) -> Four {
        [f32x4_splat(x); 4]
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Four {
        load(x)
    }
    #[inline(always)]
    fn store(self, x: Four, to: &mut [f32; LANES]) {
        let at: *mut v128 = to.as_mut_ptr().cast();
        // SAFETY: `to` is a reference to 64 writable bytes; wasm's stores need no alignment.
        unsafe {
            v128_store(at, x[0]);
            v128_store(at.add(1), x[1]);
            v128_store(at.add(2), x[2]);
            v128_store(at.add(3), x[3]);
        }
    }
    #[inline(always)]
    fn add(self, a: Four, b: Four) -> Four {
        zip(a, b, |a, b| f32x4_add(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Four, b: Four) -> Four {
        zip(a, b, |a, b| f32x4_sub(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Four, b: Four) -> Four {
        zip(a, b, |a, b| f32x4_mul(a, b))
    }
    #[inline(always)]
    fn div(self, a: Four, b: Four) -> Four {
        zip(a, b, |a, b| f32x4_div(a, b))
    }
    // `pmin(b, a)` is `a < b ? a : b`: one instruction, unlike `min`, which also orders NaN and zeros.
    #[inline(always)]
    fn min(self, a: Four, b: Four) -> Four {
        zip(a, b, |a, b| f32x4_pmin(b, a))
    }
    #[inline(always)]
    fn max(self, a: Four, b: Four) -> Four {
        zip(a, b, |a, b| f32x4_pmax(b, a))
    }
    #[inline(always)]
    fn mul_add(self, a: Four, b: Four, c: Four) -> Four {
        [
            mul_add(a[0], b[0], c[0]),
            mul_add(a[1], b[1], c[1]),
            mul_add(a[2], b[2], c[2]),
            mul_add(a[3], b[3], c[3]),
        ]
    }
    #[inline(always)]
    fn abs(self, x: Four) -> Four {
        each(x, |x| f32x4_abs(x))
    }
    #[inline(always)]
    fn round(self, x: Four) -> Four {
        each(x, |x| f32x4_nearest(x))
    }
    #[inline(always)]
    fn exp2_int(self, n: Four) -> Four {
        each(n, |n| i32x4_shl(i32x4_add(i32x4_trunc_sat_f32x4(n), i32x4_splat(127)), 23))
    }
    #[inline(always)]
    fn sum(self, x: Four) -> f32 {
        let four = f32x4_add(f32x4_add(x[0], x[2]), f32x4_add(x[1], x[3]));
        let two = f32x4_add(four, i32x4_shuffle::<2, 3, 0, 1>(four, four));
        f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
    }
    #[inline(always)]
    fn max_lane(self, x: Four) -> f32 {
        let four = f32x4_pmax(f32x4_pmax(x[0], x[2]), f32x4_pmax(x[1], x[3]));
        let two = f32x4_pmax(four, i32x4_shuffle::<2, 3, 0, 1>(four, four));
        f32x4_extract_lane::<0>(two).max(f32x4_extract_lane::<1>(two))
    }
    #[inline(always)]
    fn to_i16(self, x: Four) -> [i16; LANES] {
        let whole = each(x, |x| i32x4_trunc_sat_f32x4(f32x4_nearest(x)));
        let mut out = [0; LANES];
        let at: *mut v128 = out.as_mut_ptr().cast();
        // SAFETY: `out` has 32 bytes; wasm's stores need no alignment.
        unsafe {
            v128_store(at, i16x8_narrow_i32x4(whole[0], whole[1]));
            v128_store(at.add(1), i16x8_narrow_i32x4(whole[2], whole[3]));
        }
        out
    }

    #[inline(always)]
    fn zero_i(self) -> Four {
        [i32x4_splat(0); 4]
    }
    #[inline(always)]
    fn to_f32(self, x: Four) -> Four {
        each(x, |x| f32x4_convert_i32x4(x))
    }
    #[inline(always)]
    fn splat_pair(self, pair: i32) -> Four {
        [i32x4_splat(pair); 4]
    }
    #[inline(always)]
    fn dot_pairs(self, acc: Four, a: Four, b: Four) -> Four {
        let products = zip(a, b, |a, b| i32x4_dot_i16x8(a, b));
        zip(acc, products, |acc, product| i32x4_add(acc, product))
    }
    #[inline(always)]
    fn load_pairs(self, x: &[i16; 2 * LANES]) -> Four {
        load(x)
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> Four {
        load(x)
    }
    #[inline(always)]
    fn low_nibble_pairs(self, x: Four) -> [Four; 2] {
        let mask = i16x8_splat(15);
        [each(x, |x| v128_and(x, mask)), each(x, |x| v128_and(u16x8_shr(x, 8), mask))]
    }
    #[inline(always)]
    fn high_nibble_pairs(self, x: Four) -> [Four; 2] {
        let mask = i16x8_splat(15);
        [each(x, |x| v128_and(u16x8_shr(x, 4), mask)), each(x, |x| u16x8_shr(x, 12))]
    }
    #[inline(always)]
    fn byte_pairs(self, x: Four) -> [Four; 2] {
        [each(x, |x| i16x8_shr(i16x8_shl(x, 8), 8)), each(x, |x| i16x8_shr(x, 8))]
    }

    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn low_nibbles(self, x: Four) -> Four {
        each(x, |x| v128_and(x, u8x16_splat(15)))
    }
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn high_nibbles(self, x: Four) -> Four {
        each(x, |x| v128_and(u16x8_shr(x, 4), u8x16_splat(15)))
    }
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn zero_a(self) -> Four {
        self.zero_i()
    }
    // The second factor has at most seven bits, so that every machine gives the same.
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn dot_nibbles(self, acc: Four, w: Four, x: i32) -> Four {
        let x = i32x4_splat(x);
        zip(acc, w, |acc, w| i32x4_relaxed_dot_i8x16_i7x16_add(x, w, acc))
    }
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn nibble_sums(self, x: Four) -> Four {
        x
    }
}
