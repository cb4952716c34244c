//! The machine in words, so that a figure can be placed.

use std::fmt;

use serde::Serialize;

/// What the figures were measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    n_cores: usize,
    cpu: String,
    os: &'static str,
    /// Processes that wanted to run in the last minute; `None` where the system does not tell.
    load: Option<f64>,
}

impl Machine {
    pub(crate) fn this() -> Self {
        Self {
            n_cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: cpu_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            os: std::env::consts::OS,
            load: load(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores, {}, {}", self.n_cores, self.cpu, self.os)?;
        self.load.map_or(Ok(()), |load| write!(f, ", load {load:.1} before"))
    }
}

fn cpu_name() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Memory of this process that is in use; `None` where the system does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
