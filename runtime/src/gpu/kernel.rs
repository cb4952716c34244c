//! A kernel as data: its WGSL, what it binds, its parameters, and the ways it varies.
//!
//! `wgsl/<stem>.wgsl` has one entry point, named as the stem. Storage buffers are bound from 0 on in
//! argument order, the uniform `params` comes last. Three things vary, without a preprocessor: shared
//! functions, the weights' layout and the elements of tiles by putting a file in front, the head size by a
//! one-line header,
//! numbers by `override`.

use std::fmt::Write as _;

use super::specs;
use super::variants::VariantSet;
use crate::{KernelVariant, Layout};

/// One WGSL file with an entry point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    Add,
    Argmax,
    AttentionKeys,
    AttentionRows,
    AttentionTiles,
    CopyRows,
    Gather,
    L2Normalize,
    LayerNorm,
    Matmul,
    MatmulInt8,
    MatmulReg,
    MatmulWide,
    Matvec,
    MeanPool,
    QuantizeRows,
    RmsNorm,
    Rope,
    SiluMul,
}

/// How a kernel uses a storage buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Read,
    Write,
}

/// What stands in front of a kernel's own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `activation.wgsl`.
    Activation,
    /// `elem_f32.wgsl`, or `elem_f16.wgsl`.
    Elem,
    /// `weights_<layout>.wgsl`.
    Weights,
    /// `dot_<layout>.wgsl`.
    Dot,
    /// `int8_<layout>.wgsl`.
    Int8,
    /// `const HEAD_DIM4: u32 = ..;`
    HeadDim,
    /// `reduce.wgsl`, or `reduce_subgroup.wgsl`.
    Reduce,
}

/// The uniform struct `Params` of a kernel.
#[derive(Debug)]
pub(super) struct ParamsLayout {
    /// Size of the Rust struct.
    pub(super) n_bytes: usize,
    /// Names and offsets of its fields, which the WGSL struct must equal.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares it with the WGSL"))]
    pub(super) fields: &'static [(&'static str, usize)],
}

/// The constant part of a kernel.
#[derive(Debug)]
pub(super) struct Spec {
    /// File name and entry point.
    pub(super) stem: &'static str,
    /// Text of the file.
    pub(super) body: &'static str,
    /// What is put in front of it.
    pub(super) parts: &'static [Part],
    /// Storage buffers in binding order.
    pub(super) storage: &'static [(&'static str, Access)],
    /// The uniform that follows them.
    pub(super) params: ParamsLayout,
    /// Invocations of a workgroup.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares it with the WGSL"))]
    pub(super) workgroup: [u32; 3],
}

impl Kernel {
    /// Every kernel.
    #[cfg(test)]
    pub(super) const ALL: [Self; 19] = [
        Self::Add,
        Self::Argmax,
        Self::AttentionKeys,
        Self::AttentionRows,
        Self::AttentionTiles,
        Self::CopyRows,
        Self::Gather,
        Self::L2Normalize,
        Self::LayerNorm,
        Self::Matmul,
        Self::MatmulInt8,
        Self::MatmulReg,
        Self::MatmulWide,
        Self::Matvec,
        Self::MeanPool,
        Self::QuantizeRows,
        Self::RmsNorm,
        Self::Rope,
        Self::SiluMul,
    ];

    /// Its constant part.
    pub(super) fn spec(self) -> &'static Spec {
        match self {
            Self::Add => &specs::ADD,
            Self::Argmax => &specs::ARGMAX,
            Self::AttentionKeys => &specs::ATTENTION_KEYS,
            Self::AttentionRows => &specs::ATTENTION_ROWS,
            Self::AttentionTiles => &specs::ATTENTION_TILES,
            Self::CopyRows => &specs::COPY_ROWS,
            Self::Gather => &specs::GATHER,
            Self::L2Normalize => &specs::L2_NORMALIZE,
            Self::LayerNorm => &specs::LAYER_NORM,
            Self::Matmul => &specs::MATMUL,
            Self::MatmulInt8 => &specs::MATMUL_INT8,
            Self::MatmulReg => &specs::MATMUL_REG,
            Self::MatmulWide => &specs::MATMUL_WIDE,
            Self::Matvec => &specs::MATVEC,
            Self::MeanPool => &specs::MEAN_POOL,
            Self::QuantizeRows => &specs::QUANTIZE_ROWS,
            Self::RmsNorm => &specs::RMS_NORM,
            Self::Rope => &specs::ROPE,
            Self::SiluMul => &specs::SILU_MUL,
        }
    }
}

/// A kernel in one of its forms: the key of a compiled pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    pub(super) kernel: Kernel,
    /// The weights' layout, where the kernel reads weights.
    pub(super) layout: Option<Layout>,
    /// A quarter of the head size, where the kernel needs it as a constant.
    pub(super) head_dim4: Option<u32>,
    /// Invocations that share a weight row, for `Matvec`.
    pub(super) lanes: Option<u32>,
    /// Tiles in f16, where the kernel has `Part::Elem`.
    pub(super) is_f16: bool,
    /// Sums over subgroups, where the kernel has `Part::Reduce`.
    pub(super) has_subgroups: bool,
}

impl Variant {
    /// A kernel that does not vary.
    pub(super) fn plain(kernel: Kernel) -> Self {
        Self { kernel, layout: None, head_dim4: None, lanes: None, is_f16: false, has_subgroups: false }
    }

    /// A kernel that reads weights.
    pub(super) fn of_layout(kernel: Kernel, layout: Layout) -> Self {
        Self { layout: Some(layout), ..Self::plain(kernel) }
    }

    /// This kernel with those of `variants` that are ways to write it.
    pub(super) fn specialised(self, variants: VariantSet) -> Self {
        let parts = self.kernel.spec().parts;
        Self {
            is_f16: parts.contains(&Part::Elem) && variants.has(KernelVariant::HalfTiles),
            has_subgroups: parts.contains(&Part::Reduce) && variants.has(KernelVariant::Subgroups),
            ..self
        }
    }

    /// The complete WGSL text.
    pub(super) fn source(&self) -> String {
        let spec = self.kernel.spec();
        let mut text = String::new();
        for part in spec.parts {
            match part {
                Part::Activation => text.push_str(include_str!("../../wgsl/activation.wgsl")),
                Part::Elem => text.push_str(elem_source(self.is_f16)),
                Part::Reduce => text.push_str(reduce_source(self.has_subgroups)),
                Part::Int8 => text.push_str(int8_source(self.weight_layout())),
                Part::Weights => text.push_str(weights_source(self.weight_layout())),
                Part::Dot => text.push_str(dot_source(self.weight_layout())),
                Part::HeadDim => {
                    let head_dim4 = self.head_dim4.expect("variants of attention have a head size");
                    writeln!(text, "const HEAD_DIM4: u32 = {head_dim4}u;").expect("a string takes any text");
                }
            }
        }
        text + spec.body
    }

    /// Values of the kernel's `override` constants.
    pub(super) fn constants(&self) -> Vec<(&'static str, f64)> {
        self.lanes.iter().map(|lanes| ("LANES", f64::from(*lanes))).collect()
    }

    fn weight_layout(&self) -> Layout {
        self.layout.expect("variants of kernels that read weights have a layout")
    }
}

fn elem_source(is_f16: bool) -> &'static str {
    if is_f16 { include_str!("../../wgsl/elem_f16.wgsl") } else { include_str!("../../wgsl/elem_f32.wgsl") }
}

fn reduce_source(has_subgroups: bool) -> &'static str {
    if has_subgroups {
        include_str!("../../wgsl/reduce_subgroup.wgsl")
    } else {
        include_str!("../../wgsl/reduce.wgsl")
    }
}

fn int8_source(layout: Layout) -> &'static str {
    match layout {
        Layout::Q8 => include_str!("../../wgsl/int8_q8.wgsl"),
        Layout::Q4 => include_str!("../../wgsl/int8_q4.wgsl"),
        Layout::F32 | Layout::F16 => unreachable!("only 8-bit and 4-bit weights are multiplied as integers"),
    }
}

fn weights_source(layout: Layout) -> &'static str {
    match layout {
        Layout::F32 => include_str!("../../wgsl/weights_f32.wgsl"),
        Layout::F16 => include_str!("../../wgsl/weights_f16.wgsl"),
        Layout::Q8 => include_str!("../../wgsl/weights_q8.wgsl"),
        Layout::Q4 => include_str!("../../wgsl/weights_q4.wgsl"),
    }
}

fn dot_source(layout: Layout) -> &'static str {
    match layout {
        Layout::F32 => include_str!("../../wgsl/dot_f32.wgsl"),
        Layout::F16 => include_str!("../../wgsl/dot_f16.wgsl"),
        Layout::Q8 => include_str!("../../wgsl/dot_q8.wgsl"),
        Layout::Q4 => include_str!("../../wgsl/dot_q4.wgsl"),
    }
}
