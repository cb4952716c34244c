//! A kernel's text as a module of the device.
#![expect(unsafe_code, reason = "a driver is told that loops end")]

/// Compiles `source`. Outside the browser, wgpu makes every loop count its rounds, so that one without an end
/// ends all the same; that keeps drivers from unrolling it and costs a fifth of a decoder's speed. Here it
/// does so only if `bounds_loops`. What is read and written is checked in any case.
pub(super) fn create(
    device: &wgpu::Device,
    label: &str,
    source: String,
    bounds_loops: bool,
) -> wgpu::ShaderModule {
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(source.into()) };
    let checks = wgpu::ShaderRuntimeChecks {
        force_loop_bounding: bounds_loops,
        ..wgpu::ShaderRuntimeChecks::checked()
    };
    // SAFETY: undefined is only a loop without an end. All sources are files of this crate, and their loops
    // count up to a size of the kernel or a number in its parameters, by at least one a round; the tests
    // look at each of them.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}
