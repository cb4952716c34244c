//! Every WGSL text, in every variant, against what the host assumes about it.

use std::collections::{BTreeMap, BTreeSet};

use naga::valid::{Capabilities, ValidationFlags, Validator};

use crate::gpu::VariantSet;
use crate::gpu::kernel::{Access, InputKind, Kernel, Part, Variant};
use crate::gpu::specs;
use crate::{KernelVariant, Layout};

/// Every variant that planning can ask for, with a few head sizes standing for all.
fn variants() -> Vec<Variant> {
    let sets = [VariantSet::default(), KernelVariant::ALL.into_iter().collect()];
    let mut variants = BTreeMap::new();
    for variant in Kernel::ALL.into_iter().flat_map(forms) {
        for variant in sets.map(|set| variant.specialised(set)) {
            variants.insert(format!("{variant:?}"), variant);
        }
    }
    variants.into_values().collect()
}

const WGSL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/wgsl");

/// A kernel with every weight layout, or with some head sizes.
fn forms(kernel: Kernel) -> Vec<Variant> {
    let parts = kernel.spec().parts;
    if parts.contains(&Part::Input) {
        return step_variants(kernel);
    }
    if parts.contains(&Part::HeadDim) {
        let sizes = [1, 8, 16, 20, 36, 64];
        return sizes.map(|size| Variant { head_dim4: Some(size), ..Variant::plain(kernel) }).into();
    }
    if !parts.contains(&Part::Weights) && !parts.contains(&Part::Dot) {
        return vec![Variant::plain(kernel)];
    }
    let is_int8 = parts.contains(&Part::Int8);
    let layouts =
        [Layout::F32, Layout::F16, Layout::Q8, Layout::Q4].into_iter().skip(if is_int8 { 2 } else { 0 });
    let lanes: &[_] = if kernel == Kernel::Matvec { &[Some(1), Some(16)] } else { &[None] };
    let form = |layout, lanes: &Option<u32>| Variant { lanes: *lanes, ..Variant::of_layout(kernel, layout) };
    layouts.flat_map(|layout| lanes.iter().map(move |lanes| form(layout, lanes))).collect()
}

/// The kernels of a step with every layout and every source of their row.
fn step_variants(kernel: Kernel) -> Vec<Variant> {
    let norm = InputKind::Norm { n_in4: 144 };
    let (inputs, lanes, head_dim4) = match kernel {
        Kernel::StepAttention => (vec![norm], vec![None], Some(16)),
        Kernel::StepGateUp => (vec![InputKind::Plain, norm], vec![Some(1), Some(16), Some(32)], None),
        _ => {
            let heads = InputKind::Heads { n_in4: 144, head_dim4: 16 };
            (vec![InputKind::Plain, norm, heads], vec![Some(1), Some(16), Some(32)], None)
        }
    };
    let mut variants = vec![];
    for layout in [Layout::F32, Layout::F16, Layout::Q8, Layout::Q4] {
        for input in &inputs {
            for lanes in &lanes {
                let (lanes, input) = (*lanes, Some(*input));
                variants.push(Variant { lanes, input, head_dim4, ..Variant::of_layout(kernel, layout) });
            }
        }
    }
    variants
}

#[test]
fn every_variant_is_valid_and_fits_its_spec() {
    for variant in variants() {
        let source = variant.source();
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|error| panic!("{variant:?}: {}", error.emit_to_string(&source)));
        validator(&variant)
            .validate(&module)
            .unwrap_or_else(|error| panic!("{variant:?}: {}", error.emit_to_string(&source)));
        entry_point(&variant, &module);
        bindings(&variant, &module);
        params(&variant, &module);
        overrides(&variant, &module);
        workgroup_memory(&variant, &module);
    }
}

/// Plain WebGPU (`unpack2x16float` is part of it, which naga counts as a capability), and what a variant
/// says that it needs.
fn validator(variant: &Variant) -> Validator {
    let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    if variant.is_f16 {
        capabilities |= Capabilities::SHADER_FLOAT16;
    }
    if variant.has_subgroups {
        capabilities |= Capabilities::SUBGROUP;
    }
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    if variant.has_subgroups {
        validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
        validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    }
    validator
}

/// 16 KiB is what every WebGPU device has.
fn workgroup_memory(variant: &Variant, module: &naga::Module) {
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).expect("a layout");
    let shared = module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
    let n_bytes: u32 = shared.map(|(_, variable)| layouter[variable.ty].size).sum();
    assert!(n_bytes <= 16_384, "{variant:?} takes {n_bytes} bytes of workgroup memory");
}

fn entry_point(variant: &Variant, module: &naga::Module) {
    let spec = variant.kernel.spec();
    let [entry_point] = module.entry_points.as_slice() else { panic!("{variant:?} has one entry point") };
    assert_eq!(entry_point.name, spec.stem, "entry point and stem");
    assert_eq!(entry_point.workgroup_size, spec.workgroup, "{}", spec.stem);
    assert!(entry_point.workgroup_size.iter().product::<u32>() <= 256, "WebGPU's floor");
}

fn bindings(variant: &Variant, module: &naga::Module) {
    let spec = variant.kernel.spec();
    assert!(spec.storage.len() <= 8, "WebGPU's floor of storage buffers");
    let mut seen = BTreeSet::new();
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        assert_eq!(binding.group, 0);
        let idx = binding.binding as usize;
        seen.insert(idx);
        let name = variable.name.as_deref().expect("bindings have names");
        match variable.space {
            naga::AddressSpace::Uniform => {
                assert_eq!((name, idx), ("params", spec.storage.len()), "{}", spec.stem)
            }
            naga::AddressSpace::Storage { access } => {
                let expected = spec.storage[idx];
                let writes = access.contains(naga::StorageAccess::STORE);
                // A row that is multiplied as it is needs no copy in workgroup memory, and is `x` itself.
                let name =
                    if variant.input == Some(InputKind::Plain) && name == "x" { "input" } else { name };
                assert_eq!((name, writes), (expected.0, expected.1 == Access::Write), "{} @{idx}", spec.stem);
            }
            space => panic!("{}: {name} is bound in {space:?}", spec.stem),
        }
    }
    for (idx, (name, _)) in spec.storage.iter().enumerate() {
        // Layouts without groups have no scales; the host binds an unused buffer there.
        assert!(seen.contains(&idx) || name.starts_with("scales"), "{variant:?} binds {name}");
    }
}

fn params(variant: &Variant, module: &naga::Module) {
    let spec = variant.kernel.spec();
    let (_, params) =
        module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Params")).expect("Params");
    let naga::TypeInner::Struct { members, span } = &params.inner else { panic!("Params is a struct") };
    let fields: Vec<_> = members
        .iter()
        .map(|member| (member.name.as_deref().expect("a name"), member.offset as usize))
        .collect();
    assert_eq!(fields, spec.params.fields, "Params of {}", spec.stem);
    assert!(spec.params.n_bytes as u32 <= *span && *span as usize <= specs::MAX_PARAMS_BYTES);
}

fn overrides(variant: &Variant, module: &naga::Module) {
    let declared: Vec<_> =
        module.overrides.iter().filter_map(|(_, constant)| constant.name.as_deref()).collect();
    let given: Vec<_> = variant.constants().into_iter().map(|(name, _)| name).collect();
    assert_eq!(declared, given, "{variant:?}");
}

/// What `shader_module` promises to drivers: every loop is a `for`, goes on only while its counter is below
/// something, raises the counter each round, and nothing else in the file changes it.
#[test]
fn every_loop_ends() {
    let mut n_loops = 0;
    for file in std::fs::read_dir(WGSL).expect("the folder of kernels") {
        let path = file.expect("an entry").path();
        let source = std::fs::read_to_string(&path).expect("text");
        let lines: Vec<&str> =
            source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        for line in &lines {
            let has_word = |word| line.split(|c: char| !c.is_alphanumeric()).any(|w| w == word);
            assert!(!has_word("loop") && !has_word("while"), "{path:?}: {line}");
            if !has_word("for") {
                continue;
            }
            let header = line.trim().strip_prefix("for (").and_then(|rest| rest.strip_suffix(") {"));
            let parts: Vec<&str> = header.expect("a loop on a line").split("; ").collect();
            let [_, condition, step] = parts.as_slice() else { panic!("{path:?}: {line}") };
            let counter = step.strip_suffix("++").or_else(|| step.split_once(" += ").map(|(name, _)| name));
            let counter = counter.unwrap_or_else(|| panic!("{path:?}: {line} does not count up"));
            assert!(condition.contains(&format!("{counter} < ")), "{path:?}: {line} may not end");
            let changes = |other: &&&str| other.trim().starts_with(&format!("{counter} "));
            assert_eq!(lines.iter().find(changes), None, "{path:?} changes {counter}");
            n_loops += 1;
        }
    }
    assert!(n_loops > 50, "{n_loops} loops were looked at");
}

#[test]
fn every_file_belongs_to_a_kernel() {
    let files = std::fs::read_dir(WGSL).expect("the folder of kernels");
    let files: BTreeSet<String> =
        files.map(|file| file.expect("an entry").file_name().into_string().expect("ASCII")).collect();
    let stems = Kernel::ALL.iter().map(|kernel| kernel.spec().stem.to_owned());
    let layouts = ["f32", "f16", "q8", "q4"];
    let shared = layouts.iter().flat_map(|layout| [format!("weights_{layout}"), format!("dot_{layout}")]);
    let others = ["activation", "elem_f16", "elem_f32", "int8_q4", "int8_q8", "reduce", "reduce_subgroup"];
    let inputs = ["input_plain", "input_norm", "input_heads", "placed_row", "reduce_wide", "distance_bias"];
    let tiles = ["load_tiles", "soft_cap", "store_tile"];
    let shared = shared.chain(others.into_iter().chain(inputs).chain(tiles).map(str::to_owned));
    let known: BTreeSet<String> = stems.chain(shared).map(|stem| format!("{stem}.wgsl")).collect();
    assert_eq!(files, known);
}
