//! Compiled pipelines and bind groups, made once and kept.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::kernel::{Access, Variant};
use super::pool::GpuBuffer;
use super::shader_module;
use super::specs::MAX_PARAMS_BYTES;

/// Bind groups kept at most: a forward pass of a large model has about 1,000 distinct ones. Beyond
/// this all are dropped and made again as needed.
const MAX_BIND_GROUPS: usize = 8192;

/// A pipeline and the layout of what it binds.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    layout_idx: usize,
}

/// Layouts, pipelines, bind groups.
#[derive(Debug)]
pub(super) struct Registry {
    device: wgpu::Device,
    layouts: RefCell<Vec<(Vec<Access>, wgpu::BindGroupLayout)>>,
    pipelines: RefCell<HashMap<Variant, Pipeline>>,
    bind_groups: RefCell<HashMap<(usize, Vec<u64>), wgpu::BindGroup>>,
    /// Text to replace in kernels, so that a test sees what becomes of a wrong one.
    #[cfg(test)]
    sabotage: RefCell<Vec<(String, String)>>,
    /// Whether kernels are compiled with loops that end in any case.
    #[cfg(test)]
    bounds_loops: Cell<bool>,
    /// Pipelines and bind groups that were ever created, and the pipelines alone.
    n_created: Cell<u64>,
    n_compiled: Cell<u64>,
}

impl Registry {
    pub(super) fn new(device: wgpu::Device) -> Self {
        Self {
            device,
            layouts: RefCell::default(),
            pipelines: RefCell::default(),
            bind_groups: RefCell::default(),
            #[cfg(test)]
            sabotage: RefCell::default(),
            #[cfg(test)]
            bounds_loops: Cell::new(false),
            n_created: Cell::new(0),
            n_compiled: Cell::new(0),
        }
    }

    /// From now on kernels are compiled with `wrong` where they say `right`.
    #[cfg(test)]
    pub(super) fn sabotage(&self, right: &str, wrong: &str) {
        self.sabotage.borrow_mut().push((right.into(), wrong.into()));
    }

    /// From now on kernels are compiled with loops that end in any case.
    #[cfg(test)]
    pub(super) fn bound_loops(&self) {
        self.bounds_loops.set(true);
    }

    /// Number of pipelines that were made.
    #[cfg(test)]
    pub(super) fn n_pipelines(&self) -> usize {
        self.pipelines.borrow().len()
    }

    fn source(&self, variant: &Variant) -> String {
        let source = variant.source();
        #[cfg(test)]
        let source =
            self.sabotage.borrow().iter().fold(source, |text, (right, wrong)| text.replace(right, wrong));
        source
    }

    /// The pipeline of a variant, compiled when it is first asked for. Errors go to the device's
    /// error scope.
    pub(super) fn pipeline(&self, variant: &Variant) -> Pipeline {
        if let Some(pipeline) = self.pipelines.borrow().get(variant) {
            return pipeline.clone();
        }
        self.n_created.set(self.n_created.get() + 1);
        self.n_compiled.set(self.n_compiled.get() + 1);
        let spec = variant.kernel.spec();
        let accesses: Vec<Access> = spec.storage.iter().map(|(_, access)| *access).collect();
        let (layout_idx, layout) = self.layout(accesses);
        #[cfg(test)]
        let bounds_loops = self.bounds_loops.get();
        #[cfg(not(test))]
        let bounds_loops = false;
        let module = shader_module::create(&self.device, spec.stem, self.source(variant), bounds_loops);
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(spec.stem),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(spec.stem),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(spec.stem),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &variant.constants(),
                ..Default::default()
            },
            cache: None,
        });
        let pipeline = Pipeline { pipeline, layout, layout_idx };
        self.pipelines.borrow_mut().insert(*variant, pipeline.clone());
        pipeline
    }

    /// The bind group of `pipeline` with `storage` in order and `uniforms` last.
    pub(super) fn bind_group(
        &self,
        pipeline: &Pipeline,
        storage: &[Rc<GpuBuffer>],
        uniforms: &wgpu::Buffer,
    ) -> wgpu::BindGroup {
        let key = (pipeline.layout_idx, storage.iter().map(|buffer| buffer.id).collect());
        let mut bind_groups = self.bind_groups.borrow_mut();
        if bind_groups.len() >= MAX_BIND_GROUPS {
            bind_groups.clear();
        }
        let make = || self.make_bind_group(pipeline, storage, uniforms);
        bind_groups.entry(key).or_insert_with(make).clone()
    }

    /// Drops the bind groups of destroyed buffers: they would keep them.
    pub(super) fn forget_destroyed(&self, buffer_ids: &HashSet<u64>) {
        if !buffer_ids.is_empty() {
            self.bind_groups.borrow_mut().retain(|(_, ids), _| ids.iter().all(|id| !buffer_ids.contains(id)));
        }
    }

    /// Drops the pipelines: one of them may be unusable.
    pub(super) fn forget_pipelines(&self) {
        self.pipelines.borrow_mut().clear();
    }

    /// Pipelines and bind groups that were ever created.
    pub(super) fn n_created(&self) -> u64 {
        self.n_created.get()
    }

    /// Pipelines that were ever compiled.
    pub(super) fn n_compiled(&self) -> u64 {
        self.n_compiled.get()
    }

    /// A bind group that is not kept here.
    pub(super) fn make_bind_group(
        &self,
        pipeline: &Pipeline,
        storage: &[Rc<GpuBuffer>],
        uniforms: &wgpu::Buffer,
    ) -> wgpu::BindGroup {
        self.n_created.set(self.n_created.get() + 1);
        let storage = storage.iter().map(|buffer| buffer.buffer.as_entire_binding());
        let uniforms = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: uniforms,
            offset: 0,
            size: wgpu::BufferSize::new(MAX_PARAMS_BYTES as u64),
        });
        let entries: Vec<_> = storage
            .chain([uniforms])
            .enumerate()
            .map(|(idx, resource)| wgpu::BindGroupEntry { binding: idx as u32, resource })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        })
    }

    /// The layout with these storage buffers and one uniform, and its index.
    fn layout(&self, accesses: Vec<Access>) -> (usize, wgpu::BindGroupLayout) {
        let mut layouts = self.layouts.borrow_mut();
        if let Some(idx) = layouts.iter().position(|(known, _)| *known == accesses) {
            return (idx, layouts[idx].1.clone());
        }
        let storage = accesses.iter().map(|access| wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: *access == Access::Read },
            has_dynamic_offset: false,
            min_binding_size: None,
        });
        let uniform = wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: true,
            min_binding_size: None,
        };
        let entries: Vec<_> = storage
            .chain([uniform])
            .enumerate()
            .map(|(idx, ty)| wgpu::BindGroupLayoutEntry {
                binding: idx as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty,
                count: None,
            })
            .collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        layouts.push((accesses, layout.clone()));
        (layouts.len() - 1, layout)
    }
}
