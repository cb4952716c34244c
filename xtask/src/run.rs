//! Running other programs, and telling what happens.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::{Outcome, workspace};

/// Tells the user what is going on.
pub fn say(message: &str) {
    eprintln!("xtask: {message}");
}

/// A command that runs in the workspace.
pub fn command(program: impl AsRef<OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(workspace());
    command
}

/// The cargo that started this task.
pub fn cargo(args: &[&str]) -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// How often a command that runs is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Something that runs beside others failed, so the task fails whatever they do.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// Runs a command to its end; anything but success is an error that shows the command.
pub fn run(command: &mut Command) -> Outcome {
    let shown = shown(command);
    let mut child = command.spawn().map_err(|e| format!("`{shown}` cannot be started: {e}"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if HAS_FAILED.load(Ordering::Relaxed) {
            child.kill()?;
            child.wait()?;
            return Err(format!("`{shown}` was ended").into());
        }
        thread::sleep(LOOK);
    };
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status})").into()) }
}

/// Does pieces of work beside each other and waits for all. The first that fails ends the commands of
/// the others, and its error is the one that is returned.
pub fn beside(works: &[&(dyn Fn() -> Outcome + Sync)]) -> Outcome {
    let first = Mutex::new(None);
    thread::scope(|scope| {
        for work in works {
            scope.spawn(|| {
                if let Err(error) = work() {
                    HAS_FAILED.store(true, Ordering::Relaxed);
                    let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert_with(|| error.to_string());
                }
            });
        }
    });
    HAS_FAILED.store(false, Ordering::Relaxed);
    let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
    first.map_or(Ok(()), |error| Err(error.into()))
}

/// Memory that nothing uses, in GB; `None` where the system does not tell it in Linux' way.
pub fn available_gb() -> Option<f64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(kib.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0 / 1e9)
}

/// What a command prints; `None` when it fails or is not there.
pub fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command with its output in a file of the target folder; the error names that file.
pub fn run_logged(command: &mut Command, log_name: &str) -> Outcome {
    let log_path = crate::paths::target().join(log_name);
    std::fs::create_dir_all(crate::paths::target())?;
    let log = std::fs::File::create(&log_path)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    run(command).map_err(|error| format!("{error}; its output is in {}", log_path.display()).into())
}

/// The first of these programs that is on the path.
pub fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    names.iter().find_map(|name| {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        folders.iter().map(|folder| folder.join(&file)).find(|candidate| candidate.is_file())
    })
}

fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_is_told() {
        assert!(available_gb().is_some_and(|gb| (0.01..10_000.0).contains(&gb)));
    }

    #[test]
    fn what_fails_ends_what_runs_beside_it() {
        let began = std::time::Instant::now();
        let nested = || beside(&[&|| run(&mut command("sleep", &["600"]))]);
        let error = beside(&[&nested, &|| run(&mut command("false", &[]))]).unwrap_err();
        assert!(error.to_string().starts_with("`false` failed"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(60));
        beside(&[&|| run(&mut command("true", &[])), &|| Ok(())]).unwrap();
    }
}
