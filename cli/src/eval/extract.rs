//! `footnote eval extract`: what the readers make of a folder of files, each in a process of its
//! own, so that no file can crash or hang the run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ingest::{BlockKind, Document, Hint, Limits, Span, slice};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::args::ExtractArgs;
use crate::child::{self, Bounds, Ended};
use crate::error::{AtPath, Result};
use crate::files;
use crate::index;
use crate::output;

/// What became of one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    file: String,
    ok: bool,
    kind: Option<String>,
    pages: usize,
    chars: usize,
    ms: f64,
    warnings: Vec<String>,
    /// Why there is no text.
    reason: Option<String>,
}

impl Row {
    fn failed(file: String, reason: String, ms: f64) -> Self {
        let reason = Some(reason);
        Self { file, ok: false, kind: None, pages: 0, chars: 0, ms, warnings: Vec::new(), reason }
    }
}

pub fn run(args: &ExtractArgs) -> Result<ExitCode> {
    let bounds = Bounds { time: Duration::from_secs(args.timeout), memory_bytes: None };
    let (mut rows, mut n_crashed, mut n_timed_out) = (Vec::new(), 0, 0);
    for found in files::under(&args.files)? {
        let file = files::name_below(&found.path, Some(&args.files));
        let started = Instant::now();
        let text = args.text.as_ref().map(|dir| text_path(dir, &file)).transpose()?;
        let mut one: Vec<&OsStr> = vec!["eval".as_ref(), "extract-one".as_ref(), found.path.as_os_str()];
        if let Some(text) = &text {
            one.extend([OsStr::new("--text"), text.as_os_str()]);
        }
        let ended = child::run(&one, &[], &bounds);
        let ms = started.elapsed().as_secs_f64() * 1e3;
        let said = match &ended {
            Ended::Said(said) => serde_json::from_slice::<Row>(said).ok(),
            _ => None,
        };
        let row = match (said, ended) {
            (Some(row), _) => Row { file, ..row },
            (None, Ended::TimedOut) => {
                n_timed_out += 1;
                Row::failed(file, format!("stopped after {} seconds", args.timeout), ms)
            }
            (None, Ended::NotStarted(e)) => Row::failed(file, format!("cannot start the reader: {e}"), ms),
            (None, Ended::Said(_) | Ended::Crashed | Ended::OutOfMemory) => {
                n_crashed += 1;
                Row::failed(file, "the reader crashed".into(), ms)
            }
        };
        if !args.json {
            let what = row
                .reason
                .clone()
                .unwrap_or_else(|| format!("{} pages, {} characters", row.pages, row.chars));
            output::line(&format!("{}: {what}", row.file));
        }
        rows.push(row);
    }
    let n_ok = rows.iter().filter(|r| r.ok).count();
    let totals = json!({
        "n": rows.len(),
        "ok": n_ok,
        "n_ok": n_ok,
        "refused": rows.len() - n_ok - n_crashed - n_timed_out,
        "crashed": n_crashed,
        "timed_out": n_timed_out,
        "pages": rows.iter().map(|r| r.pages).sum::<usize>(),
        "chars": rows.iter().map(|r| r.chars).sum::<usize>(),
        "ms": output::round(rows.iter().map(|r| r.ms).sum()),
        "ms_slowest": output::round(rows.iter().map(|r| r.ms).fold(0.0, f64::max)),
        "reasons": reasons(&rows),
    });
    if args.json {
        output::json(&json!({"files": rows, "totals": totals}))?;
    } else {
        output::line(&totals.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// How often each reason was given, without the names of the files.
fn reasons(rows: &[Row]) -> BTreeMap<String, usize> {
    let mut n_files = BTreeMap::new();
    for row in rows {
        if let Some(reason) = &row.reason {
            let name = Path::new(&row.file).file_name().unwrap_or_default().to_string_lossy();
            let reason = reason.split_once(name.as_ref()).map_or(reason.as_str(), |(_, after)| after.trim());
            *n_files.entry(reason.to_owned()).or_default() += 1;
        }
    }
    n_files
}

/// Where the text of a file goes: a folder below is part of the name.
fn text_path(dir: &Path, file: &str) -> Result<PathBuf> {
    fs::create_dir_all(dir).at(dir)?;
    Ok(dir.join(file.replace(['/', '\\'], "--") + ".txt"))
}

/// The text of the pages themselves: what was written on them later is no part of it.
fn without_comments(document: &Document) -> String {
    let mut text = String::new();
    let mut at = 0;
    for comment in document.blocks.iter().filter(|block| block.kind == BlockKind::Comment) {
        text += slice(&document.text, Span::new(at, comment.span.start));
        at = comment.span.end;
    }
    text + slice(&document.text, Span::new(at, u32::MAX))
}

/// Reads one file and prints its row.
pub fn one(path: &Path, text: Option<&Path>) -> Result<ExitCode> {
    let name = path.display().to_string();
    let started = Instant::now();
    let bytes = match index::read(path) {
        Ok(bytes) => bytes,
        Err(reason) => {
            output::line(&serde_json::to_string(&Row::failed(name, reason, 0.0))?);
            return Ok(ExitCode::SUCCESS);
        }
    };
    let hint = Hint { name: &name, mime: None, password: None };
    let ingested = ingest::ingest(&bytes, &hint, &Limits::default());
    let ms = output::round(started.elapsed().as_secs_f64() * 1e3);
    if let (Ok((document, _)), Some(path)) = (&ingested, text) {
        fs::write(path, without_comments(document)).at(path)?;
    }
    let row = match ingested {
        Ok((document, warnings)) => Row {
            file: name,
            ok: true,
            kind: Some(document.kind.as_str().into()),
            pages: document.page_starts.len(),
            chars: document.text.chars().count(),
            ms,
            warnings: warnings.into_iter().map(|w| w.message).collect(),
            reason: None,
        },
        Err(refusal) => Row::failed(name, refusal.to_string(), ms),
    };
    output::line(&serde_json::to_string(&row)?);
    Ok(ExitCode::SUCCESS)
}
