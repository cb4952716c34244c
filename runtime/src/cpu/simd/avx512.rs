//! AVX-512 with VNNI: one register holds sixteen f32.
#![expect(unsafe_code, reason = "intrinsics of an instruction set that was detected at run time")]

use std::arch::x86_64::*;

use super::{Kernel, LANES, Simd};

/// Proof that the machine has AVX-512 F, BW, DQ, VL and VNNI: only [`Avx512::detect`] makes one.
///
/// SAFETY of every block in this file: the intrinsics need these features, which the machine has
/// because `self` exists; loads and stores go through references to arrays of their full width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The proof, where the machine has all of them.
    #[inline(always)]
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("fma"))
        .then_some(Self(()))
    }

    /// Runs the kernel compiled for these features.
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")]
        fn run<K: Kernel>(kernel: K, s: Avx512) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: see `Avx512`.
        unsafe { run(kernel, self) }
    }
}

impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;
    type H = __m512i;
    type B = __m512i;
    type A = __m512i;
    const NAME: &'static str = "AVX-512 VNNI";
    const N_REGISTERS: usize = 32;
    const HAS_NIBBLE_DOT: bool = true;
    const HAS_BYTE_DOT: bool = true;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> __m512 {
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, x: __m512, to: &mut [f32; LANES]) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn abs(self, x: __m512) -> __m512 {
        unsafe { _mm512_abs_ps(x) }
    }
    #[inline(always)]
    fn round(self, x: __m512) -> __m512 {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    }
    #[inline(always)]
    fn exp2_int(self, n: __m512) -> __m512 {
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        }
    }
    #[inline(always)]
    fn sum(self, x: __m512) -> f32 {
        unsafe {
            let eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    fn max_lane(self, x: __m512) -> f32 {
        unsafe { _mm512_reduce_max_ps(x) }
    }
    #[inline(always)]
    fn to_i16(self, x: __m512) -> [i16; LANES] {
        let mut out = [0; LANES];
        unsafe {
            let whole = _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(x));
            _mm256_storeu_si256(out.as_mut_ptr().cast(), whole);
        }
        out
    }

    #[inline(always)]
    fn zero_i(self) -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    fn to_f32(self, x: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(x) }
    }
    #[inline(always)]
    fn splat_pair(self, pair: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(pair) }
    }
    #[inline(always)]
    fn dot_pairs(self, acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_dpwssd_epi32(acc, a, b) }
    }
    #[inline(always)]
    fn load_pairs(self, x: &[i16; 2 * LANES]) -> __m512i {
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> __m512i {
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn low_nibble_pairs(self, x: __m512i) -> [__m512i; 2] {
        unsafe {
            let mask = _mm512_set1_epi16(15);
            [_mm512_and_si512(x, mask), _mm512_and_si512(_mm512_srli_epi16::<8>(x), mask)]
        }
    }
    #[inline(always)]
    fn high_nibble_pairs(self, x: __m512i) -> [__m512i; 2] {
        unsafe {
            let mask = _mm512_set1_epi16(15);
            [_mm512_and_si512(_mm512_srli_epi16::<4>(x), mask), _mm512_srli_epi16::<12>(x)]
        }
    }
    #[inline(always)]
    fn byte_pairs(self, x: __m512i) -> [__m512i; 2] {
        unsafe { [_mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(x)), _mm512_srai_epi16::<8>(x)] }
    }

    #[inline(always)]
    fn low_nibbles(self, x: __m512i) -> __m512i {
        unsafe { _mm512_and_si512(x, _mm512_set1_epi8(15)) }
    }
    #[inline(always)]
    fn high_nibbles(self, x: __m512i) -> __m512i {
        unsafe { _mm512_and_si512(_mm512_srli_epi16::<4>(x), _mm512_set1_epi8(15)) }
    }
    #[inline(always)]
    fn zero_a(self) -> __m512i {
        self.zero_i()
    }
    #[inline(always)]
    fn dot_nibbles(self, acc: __m512i, w: __m512i, x: i32) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(x)) }
    }
    #[inline(always)]
    fn nibble_sums(self, x: __m512i) -> __m512i {
        x
    }
    #[inline(always)]
    fn start_bytes(self, x_sum: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(-128 * x_sum) }
    }
    #[inline(always)]
    fn dot_bytes(self, acc: __m512i, w: __m512i, x: i32) -> __m512i {
        unsafe {
            // The left factor is unsigned: 128 more than the weight.
            let w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
            _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(x))
        }
    }
}
