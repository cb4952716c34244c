//! The tensor runtime: models' weights in, activations through recorded operations, numbers out.
//!
//! A [`Runtime`] serves every model of a worker or thread. Weights come from safetensors or GGUF
//! files by range ([`Weights`]), text becomes token ids ([`Tokenizer`]), and a forward pass is
//! *recorded* with a [`Recorder`] and then executed at once, on the GPU or on the CPU:
//!
//! ```
//! # fn main() -> Result<(), runtime::Error> {
//! # platform::block_on(async {
//! use runtime::{Activation, Options, Runtime, TierChoice};
//!
//! let rt = Runtime::open(&Options { tier: TierChoice::Cpu, ..Options::default() }).await?;
//! let w = rt.weight_from_f32("w", &[1, 2], &[3.0, 4.0]).await?; // [n_out, n_in]
//! let mut rec = rt.recorder();
//! let x = rec.input(1, 2, vec![1.0, 10.0])?; // [n_rows, n_in]
//! let y = rec.linear(x, &w, None, Activation::None)?; // [n_rows, n_out]
//! assert_eq!(rec.read(&y).await?, [43.0]);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Invariants:
//! - The only crate that knows wgpu or SIMD; it knows no model by name.
//! - Both tiers execute the same list of operations, and tests hold them to the same scalar twins.
//! - Nothing runs while recording; a recording checks every shape before anything runs.
//! - Weight files are read tensor by tensor by range; a whole file is never in memory.
//! - A lost device is an error value ([`Error::DeviceLost`]); [`Runtime::recover`] opens another one and
//!   fills every handle again.

mod cache_copy;
mod error;
mod kernel_choice;
mod memory;
mod op;
mod recorder;
mod recovery;
mod rope;
mod runtime;
mod self_test;
mod tensor;
mod tier;
mod token_loop;
mod tokenizer;
mod trial;
mod upload;
mod weights;

mod cpu;
mod gpu;
mod kernels;

pub use error::{Error, Result};
pub use kernels::{SampleParams, sample};
pub use memory::{Forecast, MemoryReport, ModelMemory};
pub use op::{Activation, CausalAttention, FullAttention};
pub use recorder::Recorder;
pub use rope::{Rope, RopeScaling, RopeStyle};
pub use runtime::Runtime;
pub use tensor::{KvCache, Layout, Tensor, Weight};
pub use tier::{
    KernelChoice, KernelPolicy, KernelReport, KernelTrial, KernelVariant, Options, Precision, RejectedKernel,
    SelfTest, Tier, TierChoice, TierReport,
};
pub use token_loop::{GpuCounters, TokenLoop, TokenStart};
pub use tokenizer::{Encoding, PairEncoding, TokenStream, Tokenizer};
pub use upload::{TensorView, WeightFormat};
pub use weights::{Bits, DType, MetaValue, QuantizedTensor, ReadAt, TensorInfo, Weights, quantize};
