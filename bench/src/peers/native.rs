//! Prompts to tokens without a browser, beside llama.cpp. Both run as processes that are asked line by
//! line, so that each has its own number of threads.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use generator::{Generator, Sampling};
use platform::{block_on, now_ms};
use runtime::Tokenizer;
use serde_json::{Value, json};

use super::generation::{Engines, N_CTX, SIZES, measure_sizes, tokenizer};
use super::{THREADS, folder, threads};
use crate::report::{Row, Rows};
use crate::{Args, Outcome};

const BAR: f64 = 1.0;
const SCRIPT: &str = "bench/peers/run_llama_cpp.py";

pub(super) fn measure(args: &Args, rows: &mut Rows) -> Outcome<()> {
    let models = args.models()?;
    let id = &models.catalog().default_generator().id;
    let tokenizer = tokenizer(&models)?;
    for n_threads in THREADS {
        let what = format!("{id}, natively, {}", threads(n_threads));
        match Pair::start(args, &format!("{}/{id}/model.gguf", models.folder()), n_threads) {
            Ok(mut pair) => rows.rows.extend(pair.rows(&what, &tokenizer, args.runs)?),
            Err(reason) => rows.skip(what, reason.to_string()),
        }
    }
    Ok(())
}

/// Both engines.
struct Pair {
    ours: Process,
    theirs: Process,
    peer: String,
}

impl Pair {
    fn start(args: &Args, model: &str, n_threads: u32) -> Outcome<Self> {
        let n_threads = n_threads.to_string();
        let mut ours = Command::new(env::current_exe()?);
        ours.arg("engine").env("FOOTNOTE_THREADS", &n_threads);
        if let Some(folder) = &args.models {
            ours.env("FOOTNOTE_MODELS", folder);
        }
        let mut theirs = Command::new(python());
        theirs.arg(browser::workspace().join(SCRIPT)).args([model, &n_threads, &N_CTX.to_string()]);
        let (ours, version) = Process::start(&mut ours)?;
        eprintln!("bench: {version}");
        let (theirs, version) = Process::start(&mut theirs)
            .map_err(|error| format!("llama.cpp does not start: {error}; see bench/README.md"))?;
        let version = version["version"].as_str().unwrap_or_default();
        Ok(Self { ours, theirs, peer: format!("llama-cpp-python {version}") })
    }

    fn rows(&mut self, what: &str, tokenizer: &Tokenizer, n_runs: usize) -> Outcome<Vec<Row>> {
        let measured = measure_sizes(self, tokenizer, &SIZES, n_runs)?;
        let row = |(name, pairs): (String, Vec<(f64, f64)>)| {
            Row::compared(format!("{what}: {name}"), "tokens/s", &pairs, &self.peer, BAR)
        };
        Ok(measured.into_iter().map(row).collect())
    }
}

impl Engines for Pair {
    fn ours(&mut self, prompt: &str, n_tokens: usize) -> Outcome<Value> {
        self.ours.ask(&json!({"prompt": prompt, "n_tokens": n_tokens}))
    }

    fn theirs(&mut self, prompt: &str, n_tokens: usize) -> Outcome<Value> {
        self.theirs.ask(&json!({"prompt": prompt, "n_tokens": n_tokens}))
    }
}

/// Python with the packages of `bench/peers/requirements.txt`.
pub(crate) fn python() -> PathBuf {
    let venv = folder().join("venv");
    if cfg!(windows) { venv.join("Scripts/python.exe") } else { venv.join("bin/python") }
}

/// A process that answers each line with a line.
struct Process {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it; gives the line it says when it is ready.
    fn start(command: &mut Command) -> Outcome<(Self, Value)> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut process = Self { child, requests, answers };
        let ready = process.answer()?;
        Ok((process, ready))
    }

    fn ask(&mut self, request: &Value) -> Outcome<Value> {
        writeln!(self.requests, "{request}")?;
        self.answer()
    }

    fn answer(&mut self) -> Outcome<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|_| "it ended, see its message above".into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our own engine as such a process: `bench engine`.
pub(crate) fn serve(args: &Args) -> Outcome<()> {
    let runtime = args.runtime()?;
    let models = args.models()?;
    let generator = block_on(async {
        let files = models.open_model(&models.catalog().default_generator().id).await?;
        Outcome::Ok(Generator::load(&runtime, &files).await?)
    })?;
    let report = runtime.describe();
    let version = format!("{:?} tier, {}, {} threads", report.tier, report.simd, report.n_threads);
    println!("{}", json!({"version": version}));
    for line in std::io::stdin().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let prompt = request["prompt"].as_str().ok_or("a request has a prompt")?;
        let n_tokens = request["n_tokens"].as_u64().ok_or("a request has a number of tokens")?;
        println!("{}", block_on(generate(&generator, prompt, n_tokens as usize))?);
    }
    Ok(())
}

/// The times of a greedy continuation, as `measure::Meter::generate` gives them.
async fn generate(generator: &Generator, prompt: &str, n_tokens: usize) -> Outcome<Value> {
    let begun_ms = now_ms();
    let mut session = generator.start(prompt, &Sampling::greedy(n_tokens)).await?;
    let mut n_decoded = 0;
    let mut first_ms = None;
    while session.next().await?.is_some() {
        match first_ms {
            None => first_ms = Some(now_ms()),
            Some(_) => n_decoded += 1,
        }
    }
    let first_ms = first_ms.ok_or("the model ended its answer at once")?;
    Ok(json!({
        "n_prompt": session.n_prompt(),
        "prompt_ms": first_ms - begun_ms,
        "n_decoded": n_decoded,
        "decode_ms": now_ms() - first_ms,
    }))
}
