//! Format, lints, and the sizes at which a reader is lost.

use std::fs;
use std::path::Path;

use crate::run::{cargo, run};
use crate::{Outcome, workspace};

/// More lines than this no file has.
const MAX_FILE_LINES: usize = 800;
/// Folders whose files nobody writes by hand, or that are not ours.
const NOT_OURS: [&str; 3] = ["target", ".git", ".cache"];

/// Formats (or, with `check_only`, checks the format), lints, checks sizes.
pub fn tidy(check_only: bool) -> Outcome {
    if check_only {
        check_format()?;
    } else {
        run(&mut cargo(&["fmt", "--all"]))?;
    }
    check_sizes()?;
    lint()
}

/// Fails where `cargo fmt` would change something.
pub fn check_format() -> Outcome {
    run(&mut cargo(&["fmt", "--all", "--check"]))
}

/// Clippy, with every warning an error.
pub fn lint() -> Outcome {
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-Dwarnings"]))
}

/// Fails for source files that are too long.
pub fn check_sizes() -> Outcome {
    let mut too_long = Vec::new();
    visit(&workspace(), &mut |path, text| {
        let n_lines = text.lines().count();
        if n_lines > MAX_FILE_LINES {
            too_long.push(format!("{}: {n_lines} lines", path.display()));
        }
    })?;
    if too_long.is_empty() {
        return Ok(());
    }
    Err(format!("at most {MAX_FILE_LINES} lines per file:\n{}", too_long.join("\n")).into())
}

fn visit(folder: &Path, see: &mut dyn FnMut(&Path, &str)) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_source = path.extension().is_some_and(|e| e == "rs" || e == "wgsl" || e == "js");
        if entry.file_type()?.is_dir() {
            if !NOT_OURS.iter().any(|skipped| name == *skipped) {
                visit(&path, see)?;
            }
        } else if is_source {
            see(&path, &fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
