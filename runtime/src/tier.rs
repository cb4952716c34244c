//! Which hardware executes, and why.

use serde::{Deserialize, Serialize};

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TierChoice {
    /// A hardware GPU that passes the self-test, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// Any GPU adapter, a software one too; an error where there is none.
    Gpu,
}

/// What executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// SIMD on the CPU.
    Cpu,
    /// WebGPU, Vulkan, Metal or DirectX 12.
    Gpu,
}

/// How to open a runtime.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The tier asked for.
    pub tier: TierChoice,
    /// Which kernel variants the GPU tier may use.
    pub kernels: KernelPolicy,
    /// How exactly the CPU tier computes.
    pub precision: Precision,
}

/// How exactly the CPU tier computes. The GPU tier does not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Matrices of floats in 16-bit whole numbers, results exact to some 5e-5 of their size; inputs
    /// of quantised layers in 8 bits where that is faster, as llama.cpp rounds them.
    #[default]
    Fast,
    /// Matrices of floats in f32; inputs of quantised layers in 16 bits.
    Exact,
}

/// A way to run some kernels that is faster on some GPUs, and that not every device has or does well.
/// Without any the GPU tier runs on plain WebGPU in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelVariant {
    /// Matrix products in tiles of 64 x 64 instead of 32 x 32.
    WideTiles,
    /// Matrix products with tiles in f16, where the adapter has f16 arithmetic.
    HalfTiles,
    /// Matrix products of 8-bit and 4-bit weights with activations in 8 bits.
    Int8Products,
    /// Attention over tiles of keys and values that neighbouring rows share.
    AttentionTiles,
    /// Sums over a subgroup by the hardware, where the adapter has subgroups.
    Subgroups,
}

impl KernelVariant {
    /// Every variant.
    pub const ALL: [Self; 5] =
        [Self::WideTiles, Self::HalfTiles, Self::Int8Products, Self::AttentionTiles, Self::Subgroups];
}

impl std::fmt::Display for KernelVariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WideTiles => "wide tiles",
            Self::HalfTiles => "f16 tiles",
            Self::Int8Products => "8-bit products",
            Self::AttentionTiles => "attention tiles",
            Self::Subgroups => "subgroups",
        })
    }
}

/// How kernel variants are chosen. Whatever is chosen passes the self-test before it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KernelPolicy {
    /// What is faster in a trial of some tens of milliseconds. A software adapter, on which a trial
    /// would say nothing, gets none.
    #[default]
    Measure,
    /// What an earlier trial chose; measured again where the device or the version is another.
    Remembered(KernelChoice),
    /// These, where the device offers them: for tests and diagnosis.
    Forced(Vec<KernelVariant>),
}

/// The outcome of a trial, to be kept and given to [`KernelPolicy::Remembered`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelChoice {
    /// The adapter, its driver, and the version of the kernels.
    pub device: String,
    /// The variants that are used.
    pub variants: Vec<KernelVariant>,
}

/// A variant that is not used because the device lacks it or computes it wrongly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RejectedKernel {
    /// The variant.
    pub variant: KernelVariant,
    /// What is missing or wrong.
    pub reason: String,
}

/// Time of the same work without and with a variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelTrial {
    /// The variant.
    pub variant: KernelVariant,
    /// Without it.
    pub plain_ms: f64,
    /// With it.
    pub variant_ms: f64,
}

/// The kernels of the GPU tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelReport {
    /// What is used.
    pub choice: KernelChoice,
    /// What was tried and is not used, with the reason.
    pub rejected: Vec<RejectedKernel>,
    /// What was measured in this start; empty where the choice was remembered or forced.
    pub trials: Vec<KernelTrial>,
    /// How long testing and measuring variants took.
    pub took_ms: f64,
}

/// Outcome of the numeric comparison with the scalar reference at start-up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SelfTest {
    /// Whether the tier may be used.
    pub passed: bool,
    /// Largest difference to the reference, as a share of the largest reference value.
    pub max_error: f32,
    /// The operation that had it.
    pub worst: String,
    /// How long it took.
    pub took_ms: f64,
}

/// What was chosen and why, for people and for logs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TierReport {
    /// The tier that executes.
    pub tier: Tier,
    /// The GPU adapter's name, on the GPU tier.
    pub adapter: Option<String>,
    /// Whether that adapter is the CPU in disguise.
    pub is_software: bool,
    /// The CPU instruction set: "AVX-512 VNNI", "AVX2", "NEON dotprod", "NEON",
    /// "relaxed simd128", "simd128" or "portable".
    pub simd: &'static str,
    /// Threads that the CPU tier uses.
    pub n_threads: usize,
    /// Why this tier.
    pub reason: String,
    /// The self-test of the chosen tier.
    pub self_test: SelfTest,
    /// The kernel variants, on the GPU tier.
    pub kernels: Option<KernelReport>,
}
