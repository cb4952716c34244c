//! Every published speed and size: `cargo xtask bench NAME [--json FILE]`.
//!
//! A benchmark is a list of rows; a row is one thing, measured several times. Medians are what is
//! published, because the machines that run this are shared; minimum and maximum say how noisy it was.

mod embed;
mod generate;
mod ingest_files;
mod machine;
mod report;
mod search;
mod size;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use report::{Report, Row};

/// What a benchmark may fail with; only ever shown.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(name = "bench", about = "Measures Footnote and prints medians")]
struct Args {
    /// What to measure.
    name: Name,
    /// Write the report as JSON to this file, too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// How often each row is measured.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Folder that holds the models.
    #[arg(long, env = "FOOTNOTE_MODELS")]
    models: Option<String>,
    /// Tier to measure.
    #[arg(long, default_value = "cpu")]
    tier: Tier,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Milliseconds per passage of 128 tokens.
    Embed,
    /// Tokens per second, prompt and answer.
    Generate,
    /// Milliseconds per query over 10,000 passages.
    Search,
    /// Bytes per second from file to chunks.
    Ingest,
    /// Milliseconds per stored document, and to open a store.
    Store,
    /// Sizes of what a browser loads.
    Size,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tier {
    Auto,
    Cpu,
    Gpu,
}

impl Args {
    fn runtime(&self) -> Outcome<runtime::Runtime> {
        let tier = match self.tier {
            Tier::Auto => runtime::TierChoice::Auto,
            Tier::Cpu => runtime::TierChoice::Cpu,
            Tier::Gpu => runtime::TierChoice::Gpu,
        };
        Ok(platform::block_on(runtime::Runtime::open(&runtime::Options {
            tier,
            ..runtime::Options::default()
        }))?)
    }

    fn models(&self) -> Outcome<models::Store> {
        let folder = self
            .models
            .clone()
            .or_else(models::default_folder)
            .ok_or("no model folder: pass --models DIR or set FOOTNOTE_MODELS")?;
        Ok(models::Store::open(&folder, None, None))
    }
}

fn measure(args: &Args) -> Outcome<Vec<Row>> {
    match args.name {
        Name::Embed => embed::rows(args),
        Name::Generate => generate::rows(args),
        Name::Search => search::rows(args),
        Name::Ingest => ingest_files::rows(args),
        Name::Store => store::rows(args),
        Name::Size => size::rows(),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let report = measure(&args).and_then(|rows| {
        let report = Report::new(rows);
        if let Some(path) = &args.json {
            std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
        }
        Ok(report)
    });
    match report {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
