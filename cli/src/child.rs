//! This program once more, in a process of its own that may crash, hang or ask for too much memory.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// What is kept of its complaints; the reason stands in the first lines.
const MAX_COMPLAINT_BYTES: u64 = 4 << 10;

/// Sets the limit of memory and becomes the program, where there is such a limit.
const LIMITED: &str = "ulimit -v \"$1\" 2>/dev/null; shift; exec \"$@\"";

/// What a process may use.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Until it says the first line, and, if it is listened to line by line, the next one.
    pub time: Duration,
    /// Of addresses; heeded where the system knows such a limit (Linux).
    pub memory_bytes: Option<u64>,
}

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    /// With what it printed, if that was not heard line by line.
    Said(Vec<u8>),
    TimedOut,
    OutOfMemory,
    Crashed,
    NotStarted(io::Error),
}

/// Runs this program with `args`, gives it `input`, and waits for its end.
pub fn run(args: &[&OsStr], input: &[&[u8]], bounds: &Bounds) -> Ended {
    let until = Instant::now() + bounds.time;
    let mut said = Vec::new();
    let mut keep = |line: Vec<u8>| {
        said.extend(line);
        until.saturating_duration_since(Instant::now())
    };
    match run_lines(args, input, bounds, &mut keep) {
        Ended::Said(_) => Ended::Said(said),
        other => other,
    }
}

/// The same, but hands each line that it prints to `hear`, which says how long the next one may take.
pub fn run_lines(
    args: &[&OsStr],
    input: &[&[u8]],
    bounds: &Bounds,
    hear: &mut dyn FnMut(Vec<u8>) -> Duration,
) -> Ended {
    match std::env::current_exe() {
        Ok(program) => run_program(program.as_os_str(), args, input, (bounds, hear)),
        Err(error) => Ended::NotStarted(error),
    }
}

fn run_program(program: &OsStr, args: &[&OsStr], input: &[&[u8]], watched: Watched<'_>) -> Ended {
    let mut command = match watched.0.memory_bytes.filter(|_| cfg!(unix)) {
        None => Command::new(program),
        Some(bytes) => {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", LIMITED, "sh", &(bytes >> 10).to_string()]).arg(program);
            command
        }
    };
    let piped = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match piped.spawn() {
        Ok(child) => watch(child, input, watched),
        Err(error) => Ended::NotStarted(error),
    }
}

/// Bounds, and who hears the lines.
type Watched<'a> = (&'a Bounds, &'a mut dyn FnMut(Vec<u8>) -> Duration);

/// Writes, reads and waits at once: neither side can block the other, and the clock stops both.
fn watch(mut child: Child, input: &[&[u8]], (bounds, hear): Watched<'_>) -> Ended {
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    let (sender, lines) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            // A process that has ended reads no more; how it ended tells why.
            let _ = input.iter().try_for_each(|part| stdin.write_all(part));
        });
        let complaint = scope.spawn(move || {
            let mut text = Vec::new();
            let mut stderr = stderr.take(MAX_COMPLAINT_BYTES);
            // What it says beyond that must not fill the pipe and stop it.
            let _ = stderr.read_to_end(&mut text);
            let _ = io::copy(&mut stderr.into_inner(), &mut io::sink());
            String::from_utf8_lossy(&text).into_owned()
        });
        scope.spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = Vec::new();
            // Nobody listens any more once the time is over.
            while stdout.read_until(b'\n', &mut line).is_ok_and(|n_bytes| n_bytes > 0)
                && sender.send(mem::take(&mut line)).is_ok()
            {}
        });
        let mut time = bounds.time;
        let is_late = loop {
            match lines.recv_timeout(time) {
                Ok(line) => time = hear(line),
                Err(error) => break error == RecvTimeoutError::Timeout,
            }
        };
        if is_late {
            // This fails only for a process that has just ended by itself.
            let _ = child.kill();
        }
        let status = child.wait();
        let complaint = complaint.join().unwrap_or_default();
        match status {
            _ if is_late => Ended::TimedOut,
            Ok(status) if status.success() => Ended::Said(Vec::new()),
            _ if complaint.contains("memory allocation of") => Ended::OutOfMemory,
            _ => Ended::Crashed,
        }
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, input: &[&[u8]], bounds: &Bounds) -> Ended {
        let args = ["-c".as_ref(), script.as_ref()];
        let mut said = Vec::new();
        let mut hear = |line: Vec<u8>| {
            said.extend(line);
            bounds.time
        };
        match run_program("/bin/sh".as_ref(), &args, input, (bounds, &mut hear)) {
            Ended::Said(_) => Ended::Said(said),
            other => other,
        }
    }

    #[test]
    fn whatever_a_process_does_ends() {
        let long = Bounds { time: Duration::from_secs(60), memory_bytes: None };
        let short = Bounds { time: Duration::from_millis(200), ..long };
        let large = vec![b'x'; 4 << 20];
        let said = |ended| match ended {
            Ended::Said(said) => said,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(shell("cat", &[b"a ", &large], &long)).len(), large.len() + 2);
        assert!(said(shell("exec 0<&-; yes | head -c 3000000 >&2", &[&large], &long)).is_empty());
        assert!(matches!(shell("while :; do :; done", &[], &short), Ended::TimedOut));
        assert!(matches!(shell("echo a; while :; do :; done", &[], &short), Ended::TimedOut));
        assert!(matches!(shell("kill -SEGV $$", &[], &long), Ended::Crashed));
        assert!(matches!(shell("exit 3", &[&large], &long), Ended::Crashed));
        let refused = "echo memory allocation of 9 bytes failed >&2; kill -ABRT $$";
        assert!(matches!(shell(refused, &[], &long), Ended::OutOfMemory));
        let limited = Bounds { memory_bytes: Some(1 << 30), ..long };
        let printed = said(shell("ulimit -v", &[], &limited));
        if cfg!(target_os = "linux") {
            assert_eq!(printed, b"1048576\n");
        }
        let missing = run_program("/nowhere/footnote".as_ref(), &[], &[], (&long, &mut |_| long.time));
        assert!(matches!(missing, Ended::NotStarted(_)), "{missing:?}");
    }
}
