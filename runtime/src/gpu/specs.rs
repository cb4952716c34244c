//! The table of kernels, and their parameters: each struct equals `Params` in the WGSL of its stem,
//! which a test compares field by field.

use std::mem::{offset_of, size_of};

use bytemuck::{Pod, Zeroable};

use super::kernel::Access::{Read, Write};
use super::kernel::{ParamsLayout, Part, Spec};

macro_rules! params {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Pod, Zeroable)]
        #[repr(C)]
        pub(super) struct $name {
            $(pub(super) $field: $ty,)*
        }

        impl $name {
            pub(super) const LAYOUT: ParamsLayout = ParamsLayout {
                n_bytes: size_of::<$name>(),
                fields: &[$((stringify!($field), offset_of!($name, $field)),)*],
            };
        }
    };
}
pub(super) use params;

params!(
    /// Of elementwise kernels: vectors of four.
    ElementwiseParams { n4: u32 }
);
params!(
    /// Of `map`: vectors of four, whether it caps or scales, and by which number.
    MapParams { n4: u32, is_cap: u32, number: f32 }
);
params!(
    /// Of `copy_rows`, in elements.
    CopyRowsParams { n: u32, x_at: u32, out_at: u32 }
);
params!(
    /// Of `gather`: rows to write, the part of the table, and where the ids start.
    GatherParams { n_rows: u32, n_in4: u32, first_id: u32, n_table_rows: u32, ids_at: u32 }
);
params!(
    /// Of `matvec`: `weight: [n_weight_rows, 4 * n_in4]` writes the columns from `out_col` on.
    MatvecParams { n_in4: u32, n_weight_rows: u32, out_col: u32, out_stride: u32, activation: u32, has_bias: u32 }
);
params!(
    /// Of `matmul`, `matmul_wide` and `matmul_reg`: as `matvec`, for `n_rows` rows.
    MatmulParams {
        n_rows: u32,
        n_in4: u32,
        n_weight_rows: u32,
        out_col: u32,
        out_stride: u32,
        activation: u32,
        has_bias: u32,
    }
);
params!(
    /// Of `matmul_int8`: as `matmul`, in groups of 32.
    MatmulInt8Params {
        n_rows: u32,
        n_groups: u32,
        n_weight_rows: u32,
        out_col: u32,
        out_stride: u32,
        activation: u32,
        has_bias: u32,
    }
);
params!(
    /// Of `quantize_rows`.
    QuantizeRowsParams { n_groups: u32 }
);
params!(
    /// Of `layer_norm` and `rms_norm`.
    NormParams { n_rows: u32, n_cols4: u32, eps: f32 }
);
params!(
    /// Of `l2_normalize`.
    L2NormalizeParams { n_rows: u32, n_cols4: u32 }
);
params!(
    /// Of `mean_pool`: the ranges start at word `ranges_at`.
    MeanPoolParams { n_ranges: u32, n_cols4: u32, ranges_at: u32 }
);
params!(
    /// Of `rope`: `half_dim` pairs per head.
    RopeParams { n_rows: u32, n_heads: u32, half_dim: u32, first_pos: u32, interleaved: u32 }
);
params!(
    /// Of every kind of attention: row `i` sees the keys in the range at word `ranges_at + 2 * i`. No score
    /// is capped where the cap is 0, and none has a bias where there are none for a head.
    AttentionParams {
        n_rows: u32,
        n_heads: u32,
        heads_per_kv: u32,
        kv_stride4: u32,
        ranges_at: u32,
        scale: f32,
        soft_cap: f32,
        first_pos: u32,
        n_distances: u32,
    }
);
params!(
    /// Of `sample`: the numbers of `SampleParams`, the token's position, and where it goes.
    SampleKernelParams {
        n_vocab: u32,
        pos: u32,
        out_at: u32,
        is_greedy: u32,
        top_k: u32,
        has_share: u32,
        share: u32,
        unit_scale: f32,
        scale: f32,
        floor: f32,
        has_penalty: u32,
        penalty_above: f32,
        penalty_below: f32,
        seed_low: u32,
        seed_high: u32,
    }
);
params!(
    /// Of `argmax`.
    ArgmaxParams { n_rows: u32, n_cols: u32 }
);

/// Room that the uniform buffer gives to every dispatch's parameters.
pub(super) const MAX_PARAMS_BYTES: usize = 64;
const _: () = assert!(size_of::<MatmulParams>() <= MAX_PARAMS_BYTES);
const _: () = assert!(size_of::<SampleKernelParams>() <= MAX_PARAMS_BYTES);

/// Invocations of the kernels whose work is one flat list.
pub(super) const FLAT_WORKGROUP: u32 = 64;
/// Rows and columns of a workgroup's tile in `matmul`, `matmul_int8` and `matmul_reg`.
pub(super) const MATMUL_TILE: u32 = 32;
/// Rows and columns of a workgroup's tile in `matmul_wide`.
pub(super) const MATMUL_WIDE_TILE: u32 = 64;

macro_rules! body {
    ($stem:literal) => {
        include_str!(concat!("../../wgsl/", $stem, ".wgsl"))
    };
}
pub(super) use body;

pub(super) static ADD: Spec = Spec {
    stem: "add",
    body: body!("add"),
    parts: &[],
    storage: &[("a", Read), ("b", Read), ("out", Write)],
    params: ElementwiseParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};

pub(super) static ARGMAX: Spec = Spec {
    stem: "argmax",
    body: body!("argmax"),
    parts: &[],
    storage: &[("x", Read), ("out", Write)],
    params: ArgmaxParams::LAYOUT,
    workgroup: [256, 1, 1],
};

pub(super) static ATTENTION_KEYS: Spec = Spec {
    stem: "attention_keys",
    body: body!("attention_keys"),
    parts: &[Part::HeadDim, Part::SoftCap, Part::DistanceBias],
    storage: ATTENTION_STORAGE,
    params: AttentionParams::LAYOUT,
    workgroup: [64, 1, 1],
};

pub(super) static ATTENTION_ROWS: Spec = Spec {
    stem: "attention_rows",
    body: body!("attention_rows"),
    parts: &[Part::HeadDim, Part::SoftCap, Part::DistanceBias],
    storage: ATTENTION_STORAGE,
    params: AttentionParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};

pub(super) static ATTENTION_TILES: Spec = Spec {
    stem: "attention_tiles",
    body: body!("attention_tiles"),
    parts: &[Part::HeadDim, Part::SoftCap, Part::DistanceBias],
    storage: ATTENTION_STORAGE,
    params: AttentionParams::LAYOUT,
    workgroup: [64, 1, 1],
};

const ATTENTION_STORAGE: &[(&str, super::kernel::Access)] =
    &[("q", Read), ("k", Read), ("v", Read), ("ranges", Read), ("out", Write), ("bias", Read)];

pub(super) static COPY_ROWS: Spec = Spec {
    stem: "copy_rows",
    body: body!("copy_rows"),
    parts: &[],
    storage: &[("x", Read), ("out", Write)],
    params: CopyRowsParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};

pub(super) static GATHER: Spec = Spec {
    stem: "gather",
    body: body!("gather"),
    parts: &[Part::Weights],
    storage: &[("ids", Read), ("weights", Read), ("scales", Read), ("out", Write)],
    params: GatherParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};

pub(super) static L2_NORMALIZE: Spec = Spec {
    stem: "l2_normalize",
    body: body!("l2_normalize"),
    parts: &[Part::Reduce],
    storage: &[("x", Read), ("out", Write)],
    params: L2NormalizeParams::LAYOUT,
    workgroup: [64, 1, 1],
};

pub(super) static LAYER_NORM: Spec = Spec {
    stem: "layer_norm",
    body: body!("layer_norm"),
    parts: &[Part::Reduce],
    storage: &[("x", Read), ("gamma", Read), ("beta", Read), ("out", Write)],
    params: NormParams::LAYOUT,
    workgroup: [64, 1, 1],
};

const LINEAR_STORAGE: &[(&str, super::kernel::Access)] =
    &[("x", Read), ("weights", Read), ("scales", Read), ("bias", Read), ("out", Write)];

pub(super) static MAP: Spec = Spec {
    stem: "map",
    body: body!("map"),
    parts: &[Part::SoftCap],
    storage: &[("x", Read), ("out", Write)],
    params: MapParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};

pub(super) static MATMUL: Spec = Spec {
    stem: "matmul",
    body: body!("matmul"),
    parts: &[Part::Elem, Part::Activation, Part::Weights, Part::LoadTiles, Part::StoreTile],
    storage: LINEAR_STORAGE,
    params: MatmulParams::LAYOUT,
    workgroup: [8, 8, 1],
};

pub(super) static MATMUL_INT8: Spec = Spec {
    stem: "matmul_int8",
    body: body!("matmul_int8"),
    parts: &[Part::Activation, Part::Weights, Part::Int8, Part::StoreTile],
    storage: &[
        ("x", Read),
        ("weights", Read),
        ("scales", Read),
        ("bias", Read),
        ("out", Write),
        ("x_scales", Read),
    ],
    params: MatmulInt8Params::LAYOUT,
    workgroup: [8, 8, 1],
};

pub(super) static MATMUL_REG: Spec = Spec {
    stem: "matmul_reg",
    body: body!("matmul_reg"),
    parts: &[Part::Activation, Part::Weights, Part::StoreTile],
    storage: LINEAR_STORAGE,
    params: MatmulParams::LAYOUT,
    workgroup: [8, 8, 1],
};

pub(super) static MATMUL_WIDE: Spec = Spec {
    stem: "matmul_wide",
    body: body!("matmul_wide"),
    parts: &[Part::Elem, Part::Activation, Part::Weights, Part::LoadTiles, Part::StoreTile],
    storage: LINEAR_STORAGE,
    params: MatmulParams::LAYOUT,
    workgroup: [8, 16, 1],
};

pub(super) static MATVEC: Spec = Spec {
    stem: "matvec",
    body: body!("matvec"),
    parts: &[Part::Activation, Part::Dot],
    storage: LINEAR_STORAGE,
    params: MatvecParams::LAYOUT,
    workgroup: [64, 1, 1],
};

pub(super) static MEAN_POOL: Spec = Spec {
    stem: "mean_pool",
    body: body!("mean_pool"),
    parts: &[],
    storage: &[("x", Read), ("ranges", Read), ("out", Write)],
    params: MeanPoolParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};

pub(super) static MUL: Spec = Spec {
    stem: "mul",
    body: body!("mul"),
    parts: &[],
    storage: &[("a", Read), ("b", Read), ("out", Write)],
    params: ElementwiseParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};

pub(super) static QUANTIZE_ROWS: Spec = Spec {
    stem: "quantize_rows",
    body: body!("quantize_rows"),
    parts: &[],
    storage: &[("x", Read), ("out", Write), ("scales", Write)],
    params: QuantizeRowsParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};

pub(super) static RMS_NORM: Spec = Spec {
    stem: "rms_norm",
    body: body!("rms_norm"),
    parts: &[Part::Reduce],
    storage: &[("x", Read), ("gamma", Read), ("out", Write)],
    params: NormParams::LAYOUT,
    workgroup: [64, 1, 1],
};

pub(super) static ROPE: Spec = Spec {
    stem: "rope",
    body: body!("rope"),
    parts: &[],
    storage: &[("x", Read), ("angles", Read), ("out", Write)],
    params: RopeParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};

pub(super) static SAMPLE: Spec = Spec {
    stem: "sample",
    body: body!("sample"),
    parts: &[],
    storage: &[("logits", Read), ("seen", Write), ("out", Write)],
    params: SampleKernelParams::LAYOUT,
    workgroup: [256, 1, 1],
};

pub(super) static SILU_MUL: Spec = Spec {
    stem: "silu_mul",
    body: body!("silu_mul"),
    parts: &[],
    storage: &[("gate", Read), ("up", Read), ("out", Write)],
    params: ElementwiseParams::LAYOUT,
    workgroup: [FLAT_WORKGROUP, 1, 1],
};
