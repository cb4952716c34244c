//! One small vector abstraction: sixteen f32 or i32 lanes, or two i16 or four bytes for each of
//! them. Kernels are written once over [`Simd`] and [`dispatch`]ed to the best instruction set of
//! the machine.
//!
//! This folder is the cage of the CPU tier: its only `unsafe` code, and the only place besides
//! `platform` that asks for the target. Every set is tested against [`portable`], its safe twin.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(test, not(any(target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128")))))]
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
#[cfg(test)]
mod tests;

#[cfg(any(
    test,
    not(any(target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128")))
))]
use portable::Portable;

/// f32 and i32 lanes of a vector, and rows of a weight panel.
pub(in crate::cpu) const LANES: usize = 16;

/// An instruction set. A value of the type is the proof that the machine has it.
pub(in crate::cpu) trait Simd: Copy {
    /// A number for each lane.
    type F: Copy;
    /// An i32 for each lane.
    type I: Copy;
    /// Two i16 for each lane: a pair.
    type H: Copy;
    /// Four bytes for each lane: a quad.
    type B: Copy;
    /// A sum of up to eight products of quads of nibbles with quads of i8, for each lane.
    type A: Copy;
    /// Name for reports.
    const NAME: &'static str;
    /// How many `F` the registers hold.
    const N_REGISTERS: usize;
    /// Whether products of bytes are faster than products of pairs: where the weights are nibbles,
    /// and where they are bytes.
    const HAS_NIBBLE_DOT: bool = false;
    const HAS_BYTE_DOT: bool = false;

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
    /// The second half is added to the first until one lane is left: the same order everywhere.
    fn sum(self, x: Self::F) -> f32;
    /// The largest lane.
    fn max_lane(self, x: Self::F) -> f32;
    /// Rounds numbers in `-32768..=32767` to the nearest whole ones, ties to even.
    fn to_i16(self, x: Self::F) -> [i16; LANES];

    fn zero_i(self) -> Self::I;
    fn to_f32(self, x: Self::I) -> Self::F;
    /// All pairs are the pair in `pair` (low half first).
    fn splat_pair(self, pair: i32) -> Self::H;
    /// Adds to each lane the products of its two pairs' elements.
    fn dot_pairs(self, acc: Self::I, a: Self::H, b: Self::H) -> Self::I;
    fn load_pairs(self, x: &[i16; 2 * LANES]) -> Self::H;

    fn load_bytes(self, x: &[u8; 4 * LANES]) -> Self::B;
    /// Nibbles of bytes 0 and 2 of each quad, and of bytes 1 and 3: the low ones.
    fn low_nibble_pairs(self, x: Self::B) -> [Self::H; 2];
    /// As `low_nibble_pairs`: the high ones.
    fn high_nibble_pairs(self, x: Self::B) -> [Self::H; 2];
    /// Bytes 0 and 2 of each quad, and bytes 1 and 3, sign-extended.
    fn byte_pairs(self, x: Self::B) -> [Self::H; 2];

    /// The low nibble of each byte.
    fn low_nibbles(self, _: Self::B) -> Self::B {
        unreachable!("asked of sets that multiply nibbles by bytes")
    }
    /// The high nibble of each byte.
    fn high_nibbles(self, _: Self::B) -> Self::B {
        unreachable!("asked of sets that multiply nibbles by bytes")
    }
    fn zero_a(self) -> Self::A {
        unreachable!("asked of sets that multiply nibbles by bytes")
    }
    /// Adds to each lane the products of its quad in `w`, whose bytes are nibbles, with the quad of
    /// signed bytes in `x`, which are at least -127.
    fn dot_nibbles(self, _acc: Self::A, _w: Self::B, _x: i32) -> Self::A {
        unreachable!("asked of sets that multiply nibbles by bytes")
    }
    fn nibble_sums(self, _: Self::A) -> Self::I {
        unreachable!("asked of sets that multiply nibbles by bytes")
    }
    /// What a sum of products of signed bytes starts from, where `x_sum` is the sum of the `x`.
    fn start_bytes(self, _x_sum: i32) -> Self::I {
        unreachable!("asked of sets that multiply bytes")
    }
    /// As `dot_nibbles`, with signed bytes in `w`. A set may add 128 to them; `start_bytes` makes up
    /// for it.
    fn dot_bytes(self, _acc: Self::I, _w: Self::B, _x: i32) -> Self::I {
        unreachable!("asked of sets that multiply bytes")
    }
}

/// Code over any [`Simd`]. `run` is `#[inline(always)]`, so that it is compiled for the set.
pub(in crate::cpu) trait Kernel {
    type Output;
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// Runs the kernel with the best instruction set of this machine.
pub(in crate::cpu) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx512) = avx512::Avx512::detect() {
        return avx512.run(kernel);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2::Avx2::detect() {
        return avx2.run(kernel);
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(dot) = neon::Neon::<true>::detect() {
        return dot.run(kernel);
    }
    #[cfg(target_arch = "aarch64")]
    return neon::Neon::<false>::new().run(kernel);
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return kernel.run(simd128::Simd128::new());
    #[cfg(not(any(target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128"))))]
    kernel.run(Portable)
}

/// Runs the kernel with every instruction set that this machine has, and the portable one.
#[cfg(test)]
pub(in crate::cpu) fn with_every_set<K: Kernel>(kernel: impl Fn() -> K) -> Vec<(&'static str, K::Output)> {
    let mut outputs = vec![(Portable::NAME, kernel().run(Portable)), (name(), dispatch(kernel()))];
    #[cfg(target_arch = "x86_64")]
    outputs.extend(avx2::Avx2::detect().map(|avx2| (avx2::Avx2::NAME, avx2.run(kernel()))));
    #[cfg(target_arch = "aarch64")]
    outputs.push((neon::Neon::<false>::NAME, neon::Neon::<false>::new().run(kernel())));
    outputs
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
