//! What each operation computes: one scalar function per kernel, the twin that both tiers are
//! tested against, with formula and shapes. Sums are taken in f64, so that a twin is more exact
//! than what is compared with it.
//!
//! A kernel is one stem: `wgsl/<stem>.wgsl` on the GPU, `kernels/<stem>.rs` here, arguments in the
//! order of the bindings, the output last. All buffers are f32, row-major.

mod add;
mod argmax;
mod attention_causal;
mod attention_full;
mod dequantize;
mod gather;
mod kv_append;
mod l2_normalize;
mod layer_norm;
mod linear;
mod map;
mod mean_pool;
mod mul;
mod rms_norm;
mod rope;
mod sample;
mod silu_mul;

pub(crate) use add::add;
pub(crate) use argmax::argmax;
pub(crate) use attention_causal::{CausalParams, attention_causal};
pub(crate) use attention_full::{FullParams, attention_full};
pub(crate) use dequantize::dequantize;
pub(crate) use gather::gather;
pub(crate) use kv_append::kv_append;
pub(crate) use l2_normalize::l2_normalize;
pub(crate) use layer_norm::layer_norm;
pub(crate) use linear::{activate, linear};
pub(crate) use map::{map, soft_cap};
pub(crate) use mean_pool::mean_pool;
pub(crate) use mul::mul;
pub(crate) use rms_norm::rms_norm;
pub(crate) use rope::rope;
pub(crate) use sample::scale_at;
pub use sample::{SampleParams, sample};
pub(crate) use silu_mul::silu_mul;
