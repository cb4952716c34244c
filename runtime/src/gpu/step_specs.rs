//! The kernels of a replayed step of decoding, and their parameters; see `specs`.

use std::mem::{offset_of, size_of};

use bytemuck::{Pod, Zeroable};

use super::kernel::Access::{Read, Write};
use super::kernel::{ParamsLayout, Part, Spec};
use super::specs::{body, params};

params!(
    /// Of `step_linear`.
    StepLinearParams {
        n_in4: u32,
        n_weight_rows: u32,
        out_col: u32,
        activation: u32,
        has_bias: u32,
        has_residual: u32,
        eps: f32,
        n_splits: u32,
        stats_at: u32,
        n_repeats: u32,
    }
);
params!(
    /// Of `step_gate_up`.
    StepGateUpParams { n_in4: u32, n_weight_rows: u32, eps: f32, n_splits: u32, stats_at: u32 }
);
params!(
    /// Of `step_attention`.
    StepAttentionParams {
        n_heads: u32,
        heads_per_kv: u32,
        kv_stride4: u32,
        pos: u32,
        interleaved: u32,
        has_bias: u32,
        eps: f32,
        scale: f32,
        stats_at: u32,
    }
);

/// Invocations of a workgroup of `step_linear` and `step_gate_up`.
pub(super) const STEP_WORKGROUP: u32 = 128;

pub(super) static STEP_ATTENTION: Spec = Spec {
    stem: "step_attention",
    body: body!("step_attention"),
    parts: &[Part::HeadDim, Part::Input, Part::Dot],
    storage: &[
        ("input", Read),
        ("weights", Read),
        ("scales", Read),
        ("gamma", Read),
        ("angles", Read),
        ("keys", Write),
        ("values", Write),
        ("out", Write),
    ],
    params: StepAttentionParams::LAYOUT,
    workgroup: [256, 1, 1],
};

pub(super) static STEP_GATE_UP: Spec = Spec {
    stem: "step_gate_up",
    body: body!("step_gate_up"),
    parts: &[Part::Activation, Part::Input, Part::Dot, Part::SecondDot],
    storage: &[
        ("input", Read),
        ("weights", Read),
        ("scales", Read),
        ("gamma", Read),
        ("weights_2", Read),
        ("scales_2", Read),
        ("out", Write),
    ],
    params: StepGateUpParams::LAYOUT,
    workgroup: [STEP_WORKGROUP, 1, 1],
};

pub(super) static STEP_LINEAR: Spec = Spec {
    stem: "step_linear",
    body: body!("step_linear"),
    parts: &[Part::Activation, Part::Input, Part::Dot],
    storage: &[
        ("input", Read),
        ("weights", Read),
        ("scales", Read),
        ("gamma", Read),
        ("bias", Read),
        ("residual", Read),
        ("out", Write),
    ],
    params: StepLinearParams::LAYOUT,
    workgroup: [STEP_WORKGROUP, 1, 1],
};
