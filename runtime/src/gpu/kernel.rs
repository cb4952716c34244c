//! A kernel as data: its WGSL, what it binds, its parameters, and the ways it varies.
//!
//! `wgsl/<stem>.wgsl` has one entry point, named as the stem. Storage buffers are bound from 0 on in
//! argument order, the uniform `params` comes last. Three things vary, without a preprocessor: shared
//! functions, the weights' layout and the elements of tiles by putting a file in front, the head size by a
//! one-line header,
//! numbers by `override`.

use std::fmt::Write as _;

use super::variants::VariantSet;
use super::{specs, step_specs};
use crate::{KernelVariant, Layout};

/// The row of a step's kernel in workgroup memory.
const PLACED_ROW: &str = include_str!("../../wgsl/placed_row.wgsl");

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
    Map,
    Matmul,
    MatmulInt8,
    MatmulReg,
    MatmulWide,
    Matvec,
    MeanPool,
    Mul,
    QuantizeRows,
    RmsNorm,
    Rope,
    Sample,
    SiluMul,
    StepAttention,
    StepGateUp,
    StepLinear,
}

/// How a kernel uses a storage buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Read,
    Write,
}

/// Where a step's kernel takes the row that it multiplies from; see `wgsl/input_<kind>.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum InputKind {
    Plain,
    /// Vectors of four in the row.
    Norm {
        n_in4: u32,
    },
    /// Also vectors of four in a head.
    Heads {
        n_in4: u32,
        head_dim4: u32,
    },
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
    /// `dot_<layout>.wgsl`, which binds the weights in its own way where they are quantised.
    Dot,
    /// `int8_<layout>.wgsl`.
    Int8,
    /// Both again for a second weight, with other names and bindings.
    SecondDot,
    /// `reduce_wide.wgsl` and `input_<kind>.wgsl`, with the numbers they need.
    Input,
    /// `const HEAD_DIM4: u32 = ..;`
    HeadDim,
    /// `distance_bias.wgsl`.
    DistanceBias,
    /// `reduce.wgsl`, or `reduce_subgroup.wgsl`.
    Reduce,
    /// `soft_cap.wgsl`.
    SoftCap,
    /// `load_tiles.wgsl`.
    LoadTiles,
    /// `store_tile.wgsl`.
    StoreTile,
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
    pub(super) workgroup: [u32; 3],
}

impl Kernel {
    /// Every kernel.
    #[cfg(test)]
    pub(super) const ALL: [Self; 25] = [
        Self::Add,
        Self::Argmax,
        Self::AttentionKeys,
        Self::AttentionRows,
        Self::AttentionTiles,
        Self::CopyRows,
        Self::Gather,
        Self::L2Normalize,
        Self::LayerNorm,
        Self::Map,
        Self::Matmul,
        Self::MatmulInt8,
        Self::MatmulReg,
        Self::MatmulWide,
        Self::Matvec,
        Self::MeanPool,
        Self::Mul,
        Self::QuantizeRows,
        Self::RmsNorm,
        Self::Rope,
        Self::Sample,
        Self::SiluMul,
        Self::StepAttention,
        Self::StepGateUp,
        Self::StepLinear,
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
            Self::Map => &specs::MAP,
            Self::Matmul => &specs::MATMUL,
            Self::MatmulInt8 => &specs::MATMUL_INT8,
            Self::MatmulReg => &specs::MATMUL_REG,
            Self::MatmulWide => &specs::MATMUL_WIDE,
            Self::Matvec => &specs::MATVEC,
            Self::MeanPool => &specs::MEAN_POOL,
            Self::Mul => &specs::MUL,
            Self::QuantizeRows => &specs::QUANTIZE_ROWS,
            Self::RmsNorm => &specs::RMS_NORM,
            Self::Rope => &specs::ROPE,
            Self::Sample => &specs::SAMPLE,
            Self::SiluMul => &specs::SILU_MUL,
            Self::StepAttention => &step_specs::STEP_ATTENTION,
            Self::StepGateUp => &step_specs::STEP_GATE_UP,
            Self::StepLinear => &step_specs::STEP_LINEAR,
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
    /// Invocations that share a weight row, for `Matvec` and the kernels of a step.
    pub(super) lanes: Option<u32>,
    /// Tiles in f16, where the kernel has `Part::Elem`.
    pub(super) is_f16: bool,
    /// Sums over subgroups, where the kernel has `Part::Reduce`.
    pub(super) has_subgroups: bool,
    /// The source of the row, for the kernels of a step.
    pub(super) input: Option<InputKind>,
}

impl Variant {
    /// A kernel that does not vary.
    pub(super) fn plain(kernel: Kernel) -> Self {
        Self {
            kernel,
            layout: None,
            head_dim4: None,
            lanes: None,
            is_f16: false,
            has_subgroups: false,
            input: None,
        }
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
                Part::SoftCap => text.push_str(include_str!("../../wgsl/soft_cap.wgsl")),
                Part::DistanceBias => text.push_str(include_str!("../../wgsl/distance_bias.wgsl")),
                Part::LoadTiles => text.push_str(include_str!("../../wgsl/load_tiles.wgsl")),
                Part::StoreTile => text.push_str(include_str!("../../wgsl/store_tile.wgsl")),
                Part::Elem => text.push_str(elem_source(self.is_f16)),
                Part::Reduce => text.push_str(reduce_source(self.has_subgroups)),
                Part::Int8 => text.push_str(int8_source(self.weight_layout())),
                Part::Weights => text.push_str(weights_source(self.weight_layout())),
                Part::Dot => text.push_str(dot_source(self.weight_layout())),
                Part::SecondDot => text.push_str(&second_dot_source(self.weight_layout())),
                Part::Input => text.push_str(&self.input_source(spec.workgroup[0])),
                Part::HeadDim => {
                    let head_dim4 = self.head_dim4.expect("variants of attention have a head size");
                    writeln!(text, "const HEAD_DIM4: u32 = {head_dim4}u;").expect("a string takes any text");
                }
            }
        }
        text + spec.body
    }

    fn input_source(&self, workgroup: u32) -> String {
        let input = self.input.expect("variants of a step's kernels have an input");
        let (numbers, text) = match input {
            InputKind::Plain => (String::new(), include_str!("../../wgsl/input_plain.wgsl")),
            InputKind::Norm { n_in4 } => (
                format!("const N_IN4: u32 = {n_in4}u;\n{PLACED_ROW}"),
                include_str!("../../wgsl/input_norm.wgsl"),
            ),
            InputKind::Heads { n_in4, head_dim4 } => (
                format!("const N_IN4: u32 = {n_in4}u;\nconst HEAD_DIM4: u32 = {head_dim4}u;\n{PLACED_ROW}"),
                include_str!("../../wgsl/input_heads.wgsl"),
            ),
        };
        let reduce = include_str!("../../wgsl/reduce_wide.wgsl");
        format!("const WORKGROUP: u32 = {workgroup}u;\n{numbers}{reduce}{text}")
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
        Layout::F32 => {
            concat!(include_str!("../../wgsl/weights_f32.wgsl"), include_str!("../../wgsl/dot_f32.wgsl"))
        }
        Layout::F16 => {
            concat!(include_str!("../../wgsl/weights_f16.wgsl"), include_str!("../../wgsl/dot_f16.wgsl"))
        }
        Layout::Q8 => include_str!("../../wgsl/dot_q8.wgsl"),
        Layout::Q4 => include_str!("../../wgsl/dot_q4.wgsl"),
    }
}

/// The functions of a second weight, which is bound at 4 and 5.
fn second_dot_source(layout: Layout) -> String {
    let unit_start = |line: &&str| !line.starts_with("const UNIT4");
    let text: String = dot_source(layout).split_inclusive('\n').filter(unit_start).collect();
    let renamed = ["weight4", "dot_unit"];
    let text =
        renamed.iter().fold(text, |text, name| text.replace(&format!("{name}("), &format!("{name}_2(")));
    text.replace("weights[", "weights_2[")
        .replace("scales[", "scales_2[")
        .replace("@binding(1) var<storage, read> weights:", "@binding(4) var<storage, read> weights_2:")
        .replace("@binding(2) var<storage, read> scales:", "@binding(5) var<storage, read> scales_2:")
}
