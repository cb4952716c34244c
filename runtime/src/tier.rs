//! Which hardware executes, and why.

use serde::Serialize;

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
    /// The CPU instruction set: "avx2", "simd128", "portable".
    pub simd: &'static str,
    /// Threads that the CPU tier uses.
    pub n_threads: usize,
    /// Why this tier.
    pub reason: String,
    /// The self-test of the chosen tier.
    pub self_test: SelfTest,
}
