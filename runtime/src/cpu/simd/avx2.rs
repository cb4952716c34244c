//! AVX2 with FMA: two registers hold sixteen f32.
#![expect(unsafe_code, reason = "intrinsics of an instruction set that was detected at run time")]

use std::arch::x86_64::*;

use super::{Kernel, LANES, Simd};

/// Proof that the machine has AVX2 and FMA: only [`Avx2::detect`] makes one.
///
/// SAFETY of every block in this file: the intrinsics need AVX2 and FMA, which the machine has
/// because `self` exists; loads and stores go through references to arrays of their full width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

/// Lanes 0..8 and 8..16.
type F = [__m256; 2];
type I = [__m256i; 2];

impl Avx2 {
    /// The proof, where the machine has both.
    #[inline(always)]
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// Runs the kernel compiled for AVX2 and FMA.
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn run<K: Kernel>(kernel: K, s: Avx2) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: see `Avx2`.
        unsafe { run(kernel, self) }
    }
}

#[inline(always)]
fn both<T: Copy, U>(x: [T; 2], f: impl Fn(T) -> U) -> [U; 2] {
    [f(x[0]), f(x[1])]
}

#[inline(always)]
fn load<T, const N: usize>(x: &[T; N]) -> I {
    const { assert!(size_of::<[T; N]>() == 64) };
    let at: *const __m256i = x.as_ptr().cast();
    unsafe { [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))] }
}

impl Simd for Avx2 {
    type F = F;
    type I = I;
    type H = I;
    type B = I;
    /// i16: eight products of two nibbles with two bytes are at most 8 * 2 * 15 * 127 < 2^15.
    type A = I;
    const NAME: &'static str = "AVX2";
    const N_REGISTERS: usize = 8;
    const HAS_NIBBLE_DOT: bool = true;

    #[inline(always)]
    fn splat(self, x: f32) -> F {
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F {
        unsafe { [_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))] }
    }
    #[inline(always)]
    fn store(self, x: F, to: &mut [f32; LANES]) {
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), x[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), x[1]);
        }
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn abs(self, x: F) -> F {
        both(x, |x| unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), x) })
    }
    #[inline(always)]
    fn round(self, x: F) -> F {
        both(x, |x| unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) })
    }
    #[inline(always)]
    fn exp2_int(self, n: F) -> F {
        both(n, |n| unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        })
    }
    #[inline(always)]
    fn sum(self, x: F) -> f32 {
        unsafe {
            let eight = _mm256_add_ps(x[0], x[1]);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    fn max_lane(self, x: F) -> f32 {
        unsafe {
            let eight = _mm256_max_ps(x[0], x[1]);
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    fn to_i16(self, x: F) -> [i16; LANES] {
        let mut out = [0; LANES];
        unsafe {
            // Packs the halves of each register: lanes 0..4, 8..12, 4..8, 12..16.
            let packed = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
            let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), ordered);
        }
        out
    }

    #[inline(always)]
    fn zero_i(self) -> I {
        unsafe { [_mm256_setzero_si256(); 2] }
    }
    #[inline(always)]
    fn to_f32(self, x: I) -> F {
        both(x, |x| unsafe { _mm256_cvtepi32_ps(x) })
    }
    #[inline(always)]
    fn splat_pair(self, pair: i32) -> I {
        unsafe { [_mm256_set1_epi32(pair); 2] }
    }
    #[inline(always)]
    fn dot_pairs(self, acc: I, a: I, b: I) -> I {
        let dot = |i: usize| unsafe { _mm256_add_epi32(acc[i], _mm256_madd_epi16(a[i], b[i])) };
        [dot(0), dot(1)]
    }
    #[inline(always)]
    fn load_pairs(self, x: &[i16; 2 * LANES]) -> I {
        load(x)
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> I {
        load(x)
    }
    #[inline(always)]
    fn low_nibble_pairs(self, x: I) -> [I; 2] {
        unsafe {
            let mask = _mm256_set1_epi16(15);
            [
                both(x, |x| _mm256_and_si256(x, mask)),
                both(x, |x| _mm256_and_si256(_mm256_srli_epi16::<8>(x), mask)),
            ]
        }
    }
    #[inline(always)]
    fn high_nibble_pairs(self, x: I) -> [I; 2] {
        unsafe {
            let mask = _mm256_set1_epi16(15);
            [
                both(x, |x| _mm256_and_si256(_mm256_srli_epi16::<4>(x), mask)),
                both(x, |x| _mm256_srli_epi16::<12>(x)),
            ]
        }
    }
    #[inline(always)]
    fn byte_pairs(self, x: I) -> [I; 2] {
        unsafe {
            [
                both(x, |x| _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x))),
                both(x, |x| _mm256_srai_epi16::<8>(x)),
            ]
        }
    }

    #[inline(always)]
    fn low_nibbles(self, x: I) -> I {
        both(x, |x| unsafe { _mm256_and_si256(x, _mm256_set1_epi8(15)) })
    }
    #[inline(always)]
    fn high_nibbles(self, x: I) -> I {
        both(x, |x| unsafe { _mm256_and_si256(_mm256_srli_epi16::<4>(x), _mm256_set1_epi8(15)) })
    }
    #[inline(always)]
    fn zero_a(self) -> I {
        self.zero_i()
    }
    #[inline(always)]
    fn dot_nibbles(self, acc: I, w: I, x: i32) -> I {
        let dot =
            |i: usize| unsafe { _mm256_add_epi16(acc[i], _mm256_maddubs_epi16(w[i], _mm256_set1_epi32(x))) };
        [dot(0), dot(1)]
    }
    #[inline(always)]
    fn nibble_sums(self, x: I) -> I {
        both(x, |x| unsafe { _mm256_madd_epi16(x, _mm256_set1_epi16(1)) })
    }
}
