//! One small vector abstraction: eight f32 or i32 lanes, or sixteen i16. Kernels are written once
//! over [`Simd`] and [`dispatch`]ed to the best instruction set of the machine.
//!
//! This folder is the cage of the CPU tier: its only `unsafe` code, and the only place besides
//! `platform` that asks for the target. Every set is tested against [`portable`], its safe twin.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
#[cfg(test)]
mod tests;

pub(in crate::cpu) use portable::Portable;

/// f32 and i32 lanes of a vector, and rows of a weight panel.
pub(in crate::cpu) const LANES: usize = 8;

/// An instruction set. A value of the type is the proof that the machine has it.
pub(in crate::cpu) trait Simd: Copy {
    /// Eight f32.
    type F: Copy;
    /// Eight i32.
    type I: Copy;
    /// Sixteen i16: eight pairs.
    type H: Copy;
    /// Name for reports.
    const NAME: &'static str;
    /// Whether sixteen registers hold sixteen `F` (else eight).
    const WIDE: bool;

    fn splat(self, x: f32) -> Self::F;
    fn load(self, x: &[f32; LANES]) -> Self::F;
    fn store(self, x: Self::F, to: &mut [f32; LANES]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once or twice.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    fn abs(self, x: Self::F) -> Self::F;
    /// To the nearest whole number, ties to even.
    fn round(self, x: Self::F) -> Self::F;
    /// `2^n` of whole numbers in `-126..=127`.
    fn exp2_int(self, n: Self::F) -> Self::F;
    /// `((l0+l4) + (l2+l6)) + ((l1+l5) + (l3+l7))`: the same order everywhere.
    fn sum(self, x: Self::F) -> f32;
    /// The largest lane.
    fn max_lane(self, x: Self::F) -> f32;

    fn zero_i(self) -> Self::I;
    fn to_f32(self, x: Self::I) -> Self::F;
    /// All eight pairs are the pair in `pair` (low half first).
    fn splat_pair(self, pair: i32) -> Self::H;
    /// Lane `i`: `acc[i] + a[2i] * b[2i] + a[2i+1] * b[2i+1]`.
    fn dot_pairs(self, acc: Self::I, a: Self::H, b: Self::H) -> Self::I;
    /// Sixteen bytes, sign-extended.
    fn load_i8(self, x: &[i8; 2 * LANES]) -> Self::H;
    /// Sixteen little-endian words of four nibbles each.
    fn load_words(self, x: &[u8; 4 * LANES]) -> Self::H;
    /// Nibble `J` of each word.
    fn nibble<const J: u32>(self, words: Self::H) -> Self::H;
}

/// Code over any [`Simd`]. `run` is `#[inline(always)]`, so that it is compiled for the set.
pub(in crate::cpu) trait Kernel {
    type Output;
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// Runs the kernel with the best instruction set of this machine.
pub(in crate::cpu) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2::Avx2::detect() {
        return avx2.run(kernel);
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return kernel.run(simd128::Simd128::new());
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    kernel.run(Portable)
}

/// Name of the instruction set that [`dispatch`] takes.
pub(in crate::cpu) fn name() -> &'static str {
    struct Name;
    impl Kernel for Name {
        type Output = &'static str;
        #[inline(always)]
        fn run<S: Simd>(self, _: S) -> &'static str {
            S::NAME
        }
    }
    dispatch(Name)
}
