//! `footnote doctor`: what this machine has and what is missing.

use std::path::Path;
use std::process::{Command, ExitCode};

use models::{ModelEntry, ModelKind, Store};
use runtime::{KernelReport, Options, Runtime, TierReport};
use serde::Serialize;

use crate::args::{DoctorArgs, Shared};
use crate::error::Result;
use crate::output;
use crate::setup;

#[derive(Serialize)]
struct Report {
    ok: bool,
    version: &'static str,
    tier: Option<TierReport>,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// Footnote works without it.
    optional: bool,
    detail: String,
    /// What to do if it is not well.
    advice: Option<String>,
}

pub async fn run(shared: &Shared, args: &DoctorArgs) -> Result<ExitCode> {
    let store = setup::store(shared)?;
    let (runtime, check) = runtime_check(shared).await;
    let tier = runtime.as_ref().map(Runtime::describe);
    let mut checks = vec![check];
    for entry in [store.catalog().default_embedder(), store.catalog().default_generator()] {
        checks.push(model_check(entry, &store, runtime.as_ref()).await);
    }
    checks.push(python_check());
    checks.push(web_check());
    let ok = checks.iter().all(|c| c.ok || c.optional);
    let report = Report { ok, version: env!("CARGO_PKG_VERSION"), tier, checks };
    if args.json {
        output::json(&report)?;
    } else {
        for check in &report.checks {
            let mark = if check.ok {
                "ok  "
            } else if check.optional {
                "--  "
            } else {
                "FAIL"
            };
            output::line(&format!("{mark} {}: {}", check.name, check.detail));
            if let Some(advice) = &check.advice {
                output::line(&format!("     {advice}"));
            }
        }
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn runtime_check(shared: &Shared) -> (Option<Runtime>, Check) {
    let name = "runtime";
    match Runtime::open(&Options {
        tier: setup::tier(shared),
        kernels: setup::kernels(shared),
        ..Options::default()
    })
    .await
    {
        Ok(runtime) => {
            let report = runtime.describe();
            let mut detail = format!(
                "{:?} tier, {}, {} threads: {}",
                report.tier, report.simd, report.n_threads, report.reason
            );
            detail.extend(report.kernels.iter().map(kernels_detail));
            let ok = report.self_test.passed;
            (Some(runtime), Check { name, ok, optional: false, detail, advice: None })
        }
        Err(e) => {
            let advice = Some("try --tier cpu".to_owned());
            (None, Check { name, ok: false, optional: false, detail: e.to_string(), advice })
        }
    }
}

/// The GPU's kernel variants: those used, those rejected and why, and what a trial measured.
fn kernels_detail(kernels: &KernelReport) -> String {
    let used: Vec<String> = kernels.choice.variants.iter().map(ToString::to_string).collect();
    let mut text =
        if used.is_empty() { "; plain kernels".to_owned() } else { format!("; {}", used.join(", ")) };
    for rejected in &kernels.rejected {
        text += &format!("; not {}: {}", rejected.variant, rejected.reason);
    }
    for trial in &kernels.trials {
        let (variant, plain_ms, variant_ms) = (trial.variant, trial.plain_ms, trial.variant_ms);
        text += &format!("; {variant} {variant_ms:.2} ms instead of {plain_ms:.2}");
    }
    text
}

async fn model_check(entry: &ModelEntry, store: &Store, runtime: Option<&Runtime>) -> Check {
    let id = &entry.id;
    let (name, optional) = match entry.kind {
        ModelKind::Generator => ("generator", true),
        _ => ("embedder", false),
    };
    let opened = store.open_model(id).await;
    let advice = opened.is_err().then(|| format!("run `footnote models fetch {id}`"));
    let detail = match (&opened, runtime) {
        (Err(e), _) => e.to_string(),
        (Ok(_), None) => format!("{id} in {}", store.folder()),
        (Ok(files), Some(runtime)) => match assistant::forecast(runtime, entry.kind, files).await {
            Ok(forecast) => {
                let megabytes = forecast.total_bytes().div_ceil(1_000_000);
                format!("{id} in {}, needs {megabytes} MB of memory", store.folder())
            }
            Err(e) => format!("{id} in {}: {e}", store.folder()),
        },
    };
    Check { name, ok: opened.is_ok(), optional, detail, advice }
}

/// The last source of the default models.
fn python_check() -> Check {
    let run =
        Command::new("python3").args(["-m", "pip", "--version"]).current_dir(std::env::temp_dir()).output();
    let version =
        run.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    Check {
        name: "python3 with pip",
        ok: version.is_some(),
        optional: true,
        advice: version.is_none().then(|| "only needed where huggingface.co cannot be reached".to_owned()),
        detail: version.unwrap_or_else(|| "not found".to_owned()),
    }
}

fn web_check() -> Check {
    let ok = Path::new("target/web-dist/index.html").is_file();
    let detail = if ok { "built, in target/web-dist" } else { "not built here" };
    let advice = (!ok).then(|| "only `footnote serve` needs it: run `cargo xtask web`".to_owned());
    Check { name: "web app", ok, optional: true, detail: detail.to_owned(), advice }
}
