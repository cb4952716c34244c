//! Every published speed and size: `cargo xtask bench NAME [--json FILE]`.
//!
//! A benchmark is a list of rows; a row is one thing, measured several times. Medians are what is
//! published, because the machines that run this are shared; minimum and maximum say how noisy it was.

mod corpus;
mod cozo_graph;
mod duplicates;
mod embed;
mod extract;
mod generate;
mod gpu;
mod ingest_files;
mod machine;
mod peers;
mod quotes;
mod random_model;
mod report;
mod search;
mod size;
mod store;
mod tab;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use machine::Machine;
use report::{Report, Row, Rows};

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
    /// Only rows of this part of the benchmark.
    #[arg(long)]
    only: Option<String>,
    /// How often each row is measured.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Numbers of passages to search or store, with commas between.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    chunks: Vec<usize>,
    /// Folder that holds the models.
    #[arg(long, env = "FOOTNOTE_MODELS")]
    models: Option<String>,
    /// Tier to measure.
    #[arg(long, default_value = "cpu")]
    tier: Tier,
    /// `gpu`: measure a software adapter too, which only shows that the benchmark runs.
    #[arg(long)]
    software: bool,
    /// `gpu`: layers of the model of 1 G parameters, instead of all 16.
    #[arg(long)]
    layers: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Milliseconds per passage of 128 tokens.
    Embed,
    /// Tokens per second, prompt and answer.
    Generate,
    /// The GPU tier on a graphics card: `--only smollm2`, `llama-1b` or `embed`.
    Gpu,
    /// Milliseconds per query, and recall: `--only graph`, `duplicates` or `web`; `--chunks` says among how many.
    Search,
    /// Milliseconds from a question to its quotes among 10,000 passages.
    Quotes,
    /// Bytes per second from file to chunks.
    Ingest,
    /// The text of PDFs beside pdftotext and pypdf.
    Extract,
    /// Passages stored per second, milliseconds to open a store, bytes: `--only web`, `--chunks`.
    Store,
    /// Sizes of what a browser loads.
    Size,
    /// The web app in Chromium: start, first vector, first token, memory.
    Web,
    /// Models in a tab: `--only tokenizers`, `heap` or `llama-1b`.
    Tab,
    /// Beside other engines: `--only embed`, `webgpu`, `generate` or `search` in Chromium, `--only native` without.
    Peers,
    /// No benchmark: our generator as a process that `peers` asks line by line.
    #[value(hide = true)]
    Engine,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tier {
    Auto,
    Cpu,
    Gpu,
}

impl Args {
    /// Whether a part of the benchmark is asked for.
    fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == part)
    }

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

fn measure(args: &Args) -> Outcome<Rows> {
    Ok(match args.name {
        Name::Embed => embed::rows(args)?.into(),
        Name::Generate => generate::rows(args)?.into(),
        Name::Gpu => gpu::rows(args)?,
        Name::Search => search::rows(args)?,
        Name::Extract => extract::rows(args)?,
        Name::Quotes => quotes::rows(args)?.into(),
        Name::Ingest => ingest_files::rows(args)?.into(),
        Name::Store => store::rows(args)?,
        Name::Size => size::rows()?.into(),
        Name::Web => web::rows(args)?,
        Name::Tab => tab::rows(args)?,
        Name::Peers => peers::rows(args)?,
        Name::Engine => return Err("it is no benchmark".into()),
    })
}

fn main() -> ExitCode {
    let args = Args::parse();
    if matches!(args.name, Name::Engine) {
        return finish(peers::serve_engine(&args));
    }
    let machine = Machine::this();
    let report = measure(&args).and_then(|rows| {
        let report = Report::new(machine, rows);
        if let Some(path) = &args.json {
            std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
        }
        Ok(report)
    });
    finish(report.map(|report| print!("{report}")))
}

fn finish(outcome: Outcome<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
