//! NEON: four registers hold sixteen f32. Products of bytes need the dot product extension.
#![expect(unsafe_code, reason = "intrinsics go through pointers, some of a detected extension")]

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use super::{Kernel, LANES, Simd};

/// NEON, which every aarch64 has; `DOT` is the proof that the machine has the dot product
/// extension: only [`Neon::detect`] makes one of these.
///
/// SAFETY of every block in this file: the intrinsics need NEON, which the target has, and those of
/// the extension stand behind `DOT`; loads and stores go through references to arrays of their full
/// width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon<const DOT: bool>(());

type F = [float32x4_t; 4];
type I = [int32x4_t; 4];
type H = [int16x8_t; 4];
type B = [int8x16_t; 4];

impl Neon<false> {
    pub(super) fn new() -> Self {
        Self(())
    }

    /// Runs the kernel.
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
}

impl Neon<true> {
    /// The proof, where the machine has the extension.
    #[inline(always)]
    pub(super) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("dotprod").then_some(Self(()))
    }

    /// Runs the kernel compiled for the extension.
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon,dotprod")]
        fn run<K: Kernel>(kernel: K, s: Neon<true>) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: see `Neon`.
        unsafe { run(kernel, self) }
    }
}

#[inline(always)]
fn each<T: Copy, U>(x: [T; 4], f: impl Fn(T) -> U) -> [U; 4] {
    [f(x[0]), f(x[1]), f(x[2]), f(x[3])]
}

#[inline(always)]
fn zip<T: Copy, U>(a: [T; 4], b: [T; 4], f: impl Fn(T, T) -> U) -> [U; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

/// `vdotq_s32`, which is no stable intrinsic yet.
#[inline(always)]
fn dot(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: see `Neon`; the instruction reads and writes these registers only.
    unsafe {
        std::arch::asm!(
            ".arch_extension dotprod",
            "sdot {acc:v}.4s, {a:v}.16b, {b:v}.16b",
            acc = inout(vreg) acc,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

impl<const DOT: bool> Simd for Neon<DOT> {
    type F = F;
    type I = I;
    type H = H;
    type B = B;
    type A = I;
    const NAME: &'static str = if DOT { "NEON dotprod" } else { "NEON" };
    const N_REGISTERS: usize = 8;
    const HAS_NIBBLE_DOT: bool = DOT;
    const HAS_BYTE_DOT: bool = DOT;

    #[inline(always)]
    fn splat(self, x: f32) -> F {
        unsafe { [vdupq_n_f32(x); 4] }
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F {
        let at = x.as_ptr();
        unsafe { [vld1q_f32(at), vld1q_f32(at.add(4)), vld1q_f32(at.add(8)), vld1q_f32(at.add(12))] }
    }
    #[inline(always)]
    fn store(self, x: F, to: &mut [f32; LANES]) {
        let at = to.as_mut_ptr();
        unsafe {
            vst1q_f32(at, x[0]);
            vst1q_f32(at.add(4), x[1]);
            vst1q_f32(at.add(8), x[2]);
            vst1q_f32(at.add(12), x[3]);
        }
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        zip(a, b, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        zip(a, b, |a, b| unsafe { vsubq_f32(a, b) })
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        zip(a, b, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        zip(a, b, |a, b| unsafe { vdivq_f32(a, b) })
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        zip(a, b, |a, b| unsafe { vbslq_f32(vcltq_f32(a, b), a, b) })
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        zip(a, b, |a, b| unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) })
    }
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        let one = |i: usize| unsafe { vfmaq_f32(c[i], a[i], b[i]) };
        [one(0), one(1), one(2), one(3)]
    }
    #[inline(always)]
    fn abs(self, x: F) -> F {
        each(x, |x| unsafe { vabsq_f32(x) })
    }
    #[inline(always)]
    fn round(self, x: F) -> F {
        each(x, |x| unsafe { vrndnq_f32(x) })
    }
    #[inline(always)]
    fn exp2_int(self, n: F) -> F {
        each(n, |n| unsafe {
            let exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        })
    }
    #[inline(always)]
    fn sum(self, x: F) -> f32 {
        unsafe {
            let four = vaddq_f32(vaddq_f32(x[0], x[2]), vaddq_f32(x[1], x[3]));
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }
    #[inline(always)]
    fn max_lane(self, x: F) -> f32 {
        unsafe { vmaxvq_f32(vmaxq_f32(vmaxq_f32(x[0], x[2]), vmaxq_f32(x[1], x[3]))) }
    }
    #[inline(always)]
    fn to_i16(self, x: F) -> [i16; LANES] {
        let mut out = [0; LANES];
        unsafe {
            let whole = each(x, |x| vqmovn_s32(vcvtnq_s32_f32(x)));
            vst1q_s16(out.as_mut_ptr(), vcombine_s16(whole[0], whole[1]));
            vst1q_s16(out.as_mut_ptr().add(8), vcombine_s16(whole[2], whole[3]));
        }
        out
    }

    #[inline(always)]
    fn zero_i(self) -> I {
        unsafe { [vdupq_n_s32(0); 4] }
    }
    #[inline(always)]
    fn to_f32(self, x: I) -> F {
        each(x, |x| unsafe { vcvtq_f32_s32(x) })
    }
    #[inline(always)]
    fn splat_pair(self, pair: i32) -> H {
        unsafe { [vreinterpretq_s16_s32(vdupq_n_s32(pair)); 4] }
    }
    #[inline(always)]
    fn dot_pairs(self, acc: I, a: H, b: H) -> I {
        let one = |i: usize| unsafe {
            let low = vmull_s16(vget_low_s16(a[i]), vget_low_s16(b[i]));
            vaddq_s32(acc[i], vpaddq_s32(low, vmull_high_s16(a[i], b[i])))
        };
        [one(0), one(1), one(2), one(3)]
    }
    #[inline(always)]
    fn load_pairs(self, x: &[i16; 2 * LANES]) -> H {
        let at = x.as_ptr();
        unsafe { [vld1q_s16(at), vld1q_s16(at.add(8)), vld1q_s16(at.add(16)), vld1q_s16(at.add(24))] }
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> B {
        let at: *const i8 = x.as_ptr().cast();
        unsafe { [vld1q_s8(at), vld1q_s8(at.add(16)), vld1q_s8(at.add(32)), vld1q_s8(at.add(48))] }
    }
    #[inline(always)]
    fn low_nibble_pairs(self, x: B) -> [H; 2] {
        unsafe {
            let words = each(x, |x| vreinterpretq_u16_s8(x));
            let low = |x| vreinterpretq_s16_u16(vandq_u16(x, vdupq_n_u16(15)));
            [each(words, low), each(words, |x| low(vshrq_n_u16::<8>(x)))]
        }
    }
    #[inline(always)]
    fn high_nibble_pairs(self, x: B) -> [H; 2] {
        unsafe {
            let words = each(x, |x| vreinterpretq_u16_s8(x));
            let low = |x| vreinterpretq_s16_u16(vandq_u16(x, vdupq_n_u16(15)));
            [each(words, |x| low(vshrq_n_u16::<4>(x))), each(words, |x| low(vshrq_n_u16::<12>(x)))]
        }
    }
    #[inline(always)]
    fn byte_pairs(self, x: B) -> [H; 2] {
        unsafe {
            let words = each(x, |x| vreinterpretq_s16_s8(x));
            [each(words, |x| vshrq_n_s16::<8>(vshlq_n_s16::<8>(x))), each(words, |x| vshrq_n_s16::<8>(x))]
        }
    }

    #[inline(always)]
    fn low_nibbles(self, x: B) -> B {
        each(x, |x| unsafe { vandq_s8(x, vdupq_n_s8(15)) })
    }
    #[inline(always)]
    fn high_nibbles(self, x: B) -> B {
        each(x, |x| unsafe { vreinterpretq_s8_u8(vshrq_n_u8::<4>(vreinterpretq_u8_s8(x))) })
    }
    #[inline(always)]
    fn zero_a(self) -> I {
        self.zero_i()
    }
    #[inline(always)]
    fn dot_nibbles(self, acc: I, w: B, x: i32) -> I {
        self.dot_bytes(acc, w, x)
    }
    #[inline(always)]
    fn nibble_sums(self, x: I) -> I {
        x
    }
    #[inline(always)]
    fn start_bytes(self, _x_sum: i32) -> I {
        self.zero_i()
    }
    #[inline(always)]
    fn dot_bytes(self, acc: I, w: B, x: i32) -> I {
        debug_assert!(DOT, "only sets with the extension are asked");
        let x = unsafe { vreinterpretq_s8_s32(vdupq_n_s32(x)) };
        [dot(acc[0], w[0], x), dot(acc[1], w[1], x), dot(acc[2], w[2], x), dot(acc[3], w[3], x)]
    }
}
