//! The WebGPU device: opened, watched for loss, and the limits that kernels obey.
//!
//! One code for Vulkan, Metal, DirectX 12 and the browser. What differs there is known at run time:
//! `Drop` of a buffer frees nothing before the garbage collector runs, an internal error in a scope
//! panics, and an adapter serves one device only.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::{Error, Result};

/// Bytes between two dispatches' parameters: the largest alignment that WebGPU may ask for.
pub(super) const UNIFORM_STRIDE: usize = 256;

/// Time within which a browser tells that a device is lost, once a read-back has failed.
const LOSS_NEWS_MS: u32 = 100;

/// What variants of kernels use where an adapter has it.
const WANTED_FEATURES: wgpu::Features = wgpu::Features::SHADER_F16.union(wgpu::Features::SUBGROUP);

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    /// Never used twice.
    pub(super) id: u64,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// Name for people.
    pub(super) adapter: String,
    /// Driver and its version, where the system tells them.
    pub(super) driver: String,
    /// Runs on the CPU after all (SwiftShader, lavapipe, WARP).
    pub(super) is_software: bool,
    /// Largest range that one binding shows to a kernel; a multiple of 16.
    pub(super) max_binding_bytes: u64,
    /// Reason of the loss, once the device is lost.
    lost: Arc<Mutex<Option<String>>>,
    /// First error that no scope caught.
    uncaught: Arc<Mutex<Option<String>>>,
}

impl Device {
    /// Opens the adapter that the system prefers for speed.
    pub(super) async fn open() -> Result<Self> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::VULKAN
            | wgpu::Backends::METAL
            | wgpu::Backends::DX12
            | wgpu::Backends::BROWSER_WEBGPU;
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&options).await.map_err(no_adapter)?;
        let info = adapter.get_info();
        let offered = adapter.limits();
        let limits = wgpu::Limits {
            max_buffer_size: offered.max_buffer_size,
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            ..wgpu::Limits::default()
        };
        let request = wgpu::DeviceDescriptor {
            label: Some("runtime"),
            required_features: adapter.features() & WANTED_FEATURES,
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&request).await.map_err(no_adapter)?;

        let lost = Arc::new(Mutex::new(None));
        let uncaught = Arc::new(Mutex::new(None));
        let sink = lost.clone();
        device.set_device_lost_callback(move |reason, message| {
            keep_first(&sink, format!("{reason:?}: {message}"))
        });
        // In the browser wgpu's own handler panics on internal errors; the default one logs them.
        if info.backend != wgpu::Backend::BrowserWebGpu {
            let sink = uncaught.clone();
            device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
                keep_first(&sink, error.to_string())
            }));
        }
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            adapter: describe(&info),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            is_software: info.device_type == wgpu::DeviceType::Cpu,
            max_binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size) & !15,
            device,
            queue,
            lost,
            uncaught,
        })
    }

    /// Fails once the device is lost, or after an error that no scope caught.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(reason) = locked(&self.lost).clone() {
            return Err(Error::DeviceLost { reason });
        }
        match locked(&self.uncaught).take() {
            Some(reason) => Err(Error::Gpu { what: "an earlier command".into(), reason }),
            None => Ok(()),
        }
    }

    /// Why the device is lost, once it is; natively a loss is only told when asked for.
    pub(super) fn loss(&self) -> Option<String> {
        // Polling a lost device fails; the reason comes through the callback.
        let _ = self.device.poll(wgpu::PollType::Poll);
        locked(&self.lost).clone()
    }

    /// As [`Self::check`], after hearing what the driver has to say: natively a loss is only told when
    /// asked for.
    pub(super) fn check_now(&self) -> Result<()> {
        // Polling a lost device fails; the reason comes through the callback.
        let _ = self.device.poll(wgpu::PollType::Poll);
        self.check()
    }

    /// Runs `commands`, which allocate about `n_bytes`, and gives its result with the future of its
    /// errors, which is awaited later: commands and submission must follow each other without a pause.
    pub(super) fn scoped<T, F: FnOnce() -> T>(
        &self,
        what: &str,
        n_bytes: u64,
        commands: F,
    ) -> (T, impl Future<Output = Result<()>> + use<T, F>) {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let result = commands();
        let validation = validation.pop();
        let memory = memory.pop();
        let what = what.to_owned();
        let errors = async move {
            let (validation, memory) = (validation.await, memory.await);
            if memory.is_some() {
                return Err(Error::OutOfMemory { what, n_bytes });
            }
            validation.map_or(Ok(()), |error| Err(Error::Gpu { what, reason: error.to_string() }))
        };
        (result, errors)
    }

    /// The content of a mappable buffer that commands fill: those up to `submission`, or all so far.
    pub(super) async fn map(
        &self,
        buffer: &wgpu::Buffer,
        submission: Option<wgpu::SubmissionIndex>,
    ) -> Result<Vec<f32>> {
        let (sender, receiver) = futures_channel::oneshot::channel();
        buffer.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is gone when the caller has cancelled.
            let _ = sender.send(result);
        });
        // Natively this runs the callback; in the browser it does nothing and the event loop does.
        let wait = wgpu::PollType::Wait { submission_index: submission, timeout: None };
        let polled = self.device.poll(wait);
        let failed = |reason: String| Error::Gpu { what: "reading back a result".into(), reason };
        if let Err(error) = polled {
            self.check_now()?;
            return Err(failed(error.to_string()));
        }
        let mapped = receiver.await;
        self.check()?;
        let problem = match mapped {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the device was dropped".into()),
        };
        if let Some(reason) = problem {
            // A browser may tell of the loss only after it has refused what waited.
            platform::sleep_ms(LOSS_NEWS_MS).await;
            self.check_now()?;
            return Err(failed(reason));
        }
        let view = buffer.slice(..).get_mapped_range().map_err(|error| failed(error.to_string()))?;
        let values = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        buffer.unmap();
        Ok(values)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.device.destroy();
    }
}

fn no_adapter(reason: impl std::fmt::Display) -> Error {
    Error::NoAdapter { reason: reason.to_string() }
}

fn keep_first(sink: &Mutex<Option<String>>, message: String) {
    locked(sink).get_or_insert(message);
}

fn locked(value: &Mutex<Option<String>>) -> std::sync::MutexGuard<'_, Option<String>> {
    value.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// In the browser the name is mostly empty; the backend then has to do.
fn describe(info: &wgpu::AdapterInfo) -> String {
    let name = if info.name.is_empty() { "unnamed adapter" } else { &info.name };
    format!("{name} ({:?})", info.backend)
}
