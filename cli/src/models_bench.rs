//! `footnote models bench`: how fast the models that are here are on this machine, and which to use.

use std::process::ExitCode;

use embedder::Embedder;
use generator::{Generator, Sampling};
use models::{HubModel, ModelFiles, ModelKind, Store};
use runtime::Runtime;
use serde::Serialize;

use crate::args::Shared;
use crate::error::Result;
use crate::output::{self, Reporter};
use crate::setup;

/// A prompt with three passages and a question, and an answer of a few sentences.
const PROMPT_TOKENS: usize = 1_000;
const ANSWER_TOKENS: usize = 120;
/// What is measured of them: speeds are steady after a part.
const MEASURED_PROMPT: usize = 256;
const MEASURED_TOKENS: usize = 32;
/// Passages that are embedded to measure, each of some 100 tokens.
const MEASURED_PASSAGES: usize = 8;
/// The longest that an answer may take, for the model that writes it to be the one to use.
const MAX_ANSWER_S: f64 = 15.0;
/// What a large embedder may cost at most, for it to be the one to use: 1,000 passages in three minutes.
const MIN_PASSAGES_PER_S: f64 = 5.5;

const SENTENCE: &str = "The filter of the heat pump is changed once a year, before the winter begins. ";

/// What was measured of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Measured {
    id: String,
    kind: ModelKind,
    n_bytes: u64,
    /// What loading it and working with it takes.
    memory_bytes: u64,
    load_ms: f64,
    #[serde(flatten)]
    speed: Speed,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
enum Speed {
    Generator {
        prompt_tokens_per_s: f64,
        tokens_per_s: f64,
        /// A prompt with three passages is read and answered.
        answer_s: f64,
    },
    Embedder {
        passages_per_s: f64,
    },
}

#[derive(Debug, Serialize)]
struct Report {
    measured: Vec<Measured>,
    /// Those that could not be measured, and why.
    failed: Vec<Failed>,
    generator: Option<Choice>,
    embedder: Option<Choice>,
}

#[derive(Debug, Serialize)]
struct Failed {
    id: String,
    reason: String,
}

/// The model to use.
#[derive(Debug, PartialEq, Serialize)]
struct Choice {
    id: String,
    why: String,
}

pub async fn run(shared: &Shared, store: &Store, ids: &[String], json: bool) -> Result<ExitCode> {
    let options = runtime::Options {
        tier: setup::tier(shared),
        kernels: setup::kernels(shared),
        ..runtime::Options::default()
    };
    let runtime = Runtime::open(&options).await.map_err(assistant::Error::from)?;
    let mut reporter = Reporter::new(shared.quiet);
    let (mut measured, mut failed) = (Vec::new(), Vec::new());
    for (id, kind) in here(store, ids).await? {
        reporter.note(&format!("measuring {id}"));
        match measure(&runtime, store, (&id, kind)).await {
            Ok(model) => measured.push(model),
            Err(reason) => failed.push(Failed { id, reason }),
        }
    }
    let report =
        Report { generator: best_generator(&measured), embedder: best_embedder(&measured), measured, failed };
    if json {
        output::json(&report)?;
    } else {
        print(&report, &runtime);
    }
    Ok(if report.measured.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The models that are here, or those named.
async fn here(store: &Store, ids: &[String]) -> Result<Vec<(String, ModelKind)>> {
    let mut all: Vec<(String, ModelKind)> =
        store.catalog().entries().iter().map(|entry| (entry.id.clone(), entry.kind)).collect();
    all.extend(store.imported().await?.into_iter().map(|entry| (entry.id, entry.kind)));
    all.extend(HubModel::all().iter().map(|model| (model.id.clone(), model.kind)));
    if !ids.is_empty() {
        let kind = |id: &String| all.iter().find(|(known, _)| known == id).map(|(_, kind)| *kind);
        let named = ids.iter().map(|id| (id.clone(), kind(id).unwrap_or(ModelKind::Generator)));
        return Ok(named.collect());
    }
    let mut found = Vec::new();
    for (id, kind) in all {
        if kind != ModelKind::Reranker && store.find(&id).await.is_ok() {
            found.push((id, kind));
        }
    }
    Ok(found)
}

async fn measure(
    runtime: &Runtime,
    store: &Store,
    (id, kind): (&str, ModelKind),
) -> std::result::Result<Measured, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let files = store.find(id).await.map_err(|e| text(&e))?;
    let forecast = assistant::forecast(runtime, kind, &files).await.map_err(|e| text(&e))?;
    let n_bytes = files.n_bytes().await.map_err(|e| text(&e))?;
    let (load_ms, speed) = match kind {
        ModelKind::Generator => generator_speed(runtime, &files).await.map_err(|e| text(&e))?,
        _ => embedder_speed(runtime, &files).await.map_err(|e| text(&e))?,
    };
    let (id, memory_bytes) = (id.to_owned(), forecast.total_bytes());
    Ok(Measured { id, kind, n_bytes, memory_bytes, load_ms: output::round(load_ms), speed })
}

async fn generator_speed(runtime: &Runtime, files: &ModelFiles) -> generator::Result<(f64, Speed)> {
    let began_ms = platform::now_ms();
    let generator = Generator::load(runtime, files).await?;
    let load_ms = platform::now_ms() - began_ms;
    let n_prompt = MEASURED_PROMPT.min(generator.n_ctx().saturating_sub(MEASURED_TOKENS + 1)).max(1);
    let per_sentence = generator.count_tokens(SENTENCE).max(1) as usize;
    let prompt = SENTENCE.repeat((n_prompt / per_sentence).max(1));
    // Once for whatever is made at first use.
    generator.start("The", &Sampling::greedy(1)).await?.next().await?;
    let began_ms = platform::now_ms();
    // A model must not end before it is measured.
    let sampling = Sampling::greedy(MEASURED_TOKENS);
    let mut session = generator.start(&prompt, &sampling).await?;
    session.next().await?;
    let prompt_tokens_per_s = per_s(session.n_prompt(), platform::now_ms() - began_ms);
    let began_ms = platform::now_ms();
    let mut n_tokens = 0;
    while session.next().await?.is_some() {
        n_tokens += 1;
    }
    let tokens_per_s = per_s(n_tokens.max(1), platform::now_ms() - began_ms);
    let answer_s = PROMPT_TOKENS as f64 / prompt_tokens_per_s + ANSWER_TOKENS as f64 / tokens_per_s;
    let answer_s = output::round(answer_s);
    Ok((load_ms, Speed::Generator { prompt_tokens_per_s, tokens_per_s, answer_s }))
}

async fn embedder_speed(runtime: &Runtime, files: &ModelFiles) -> embedder::Result<(f64, Speed)> {
    let began_ms = platform::now_ms();
    let embedder = Embedder::load(runtime, files).await?;
    let load_ms = platform::now_ms() - began_ms;
    let passages: Vec<String> =
        (0..MEASURED_PASSAGES).map(|n| format!("{n}. {}", SENTENCE.repeat(6))).collect();
    let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
    embedder.embed_passages(&passages[..1]).await?;
    let began_ms = platform::now_ms();
    embedder.embed_passages(&passages).await?;
    let passages_per_s = per_s(passages.len(), platform::now_ms() - began_ms);
    Ok((load_ms, Speed::Embedder { passages_per_s }))
}

fn per_s(n: usize, ms: f64) -> f64 {
    output::round(n as f64 / ms.max(0.01) * 1e3)
}

/// The largest generator that answers in time; where none does, the one that answers first. A larger model of the
/// same family answers better, as a rule.
fn best_generator(measured: &[Measured]) -> Option<Choice> {
    let answer_s = |model: &Measured| match model.speed {
        Speed::Generator { answer_s, .. } => Some(answer_s),
        Speed::Embedder { .. } => None,
    };
    let all = || measured.iter().filter_map(|model| Some((model, answer_s(model)?)));
    let in_time = all().filter(|(_, s)| *s <= MAX_ANSWER_S).max_by_key(|(model, _)| model.n_bytes);
    let (id, why) = match in_time {
        Some((model, s)) => {
            (&model.id, format!("the largest here that answers within {MAX_ANSWER_S} s: {s:.1} s"))
        }
        None => {
            let (model, s) = all().min_by(|a, b| a.1.total_cmp(&b.1))?;
            (&model.id, format!("the fastest here; an answer takes {s:.1} s, and quotes alone take none"))
        }
    };
    Some(Choice { id: id.clone(), why })
}

fn best_embedder(measured: &[Measured]) -> Option<Choice> {
    let speed = |model: &Measured| match model.speed {
        Speed::Embedder { passages_per_s } => Some(passages_per_s),
        Speed::Generator { .. } => None,
    };
    let all = || measured.iter().filter_map(|model| Some((model, speed(model)?)));
    let quick = all().filter(|(_, n)| *n >= MIN_PASSAGES_PER_S).max_by_key(|(model, _)| model.n_bytes);
    let (model, n) = quick.or_else(|| all().max_by(|a, b| a.1.total_cmp(&b.1)))?;
    let why = format!("{n:.1} passages per second; {:.0} s for 1,000", 1_000.0 / n);
    Some(Choice { id: model.id.clone(), why })
}

fn print(report: &Report, runtime: &Runtime) {
    let tier = runtime.describe();
    output::line(&format!("{:?} tier, {}, {} threads", tier.tier, tier.simd, tier.n_threads));
    for Measured { id, n_bytes, memory_bytes, load_ms, speed, .. } in &report.measured {
        let speed = match speed {
            Speed::Generator { prompt_tokens_per_s, tokens_per_s, answer_s } => format!(
                "reads {prompt_tokens_per_s:.0} and writes {tokens_per_s:.1} tokens/s, an answer takes {answer_s:.1} s"
            ),
            Speed::Embedder { passages_per_s } => format!("embeds {passages_per_s:.1} passages/s"),
        };
        let (size, memory) = (n_bytes.div_ceil(1_000_000), memory_bytes.div_ceil(1_000_000));
        output::line(&format!("{id}: {size} MB, {memory} MB of memory, loads in {load_ms:.0} ms, {speed}"));
    }
    for Failed { id, reason } in &report.failed {
        output::line(&format!("{id}: {reason}"));
    }
    for (what, choice) in [("generator", &report.generator), ("embedder", &report.embedder)] {
        match choice {
            Some(Choice { id, why }) => output::line(&format!("use --{what} {id} ({why})")),
            None => {
                output::line(&format!("no {what} is here; `footnote models fetch` brings the usual ones"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator(id: &str, n_bytes: u64, answer_s: f64) -> Measured {
        let speed = Speed::Generator { prompt_tokens_per_s: 100.0, tokens_per_s: 10.0, answer_s };
        Measured { id: id.into(), kind: ModelKind::Generator, n_bytes, memory_bytes: 1, load_ms: 1.0, speed }
    }

    fn embedder(id: &str, n_bytes: u64, passages_per_s: f64) -> Measured {
        let speed = Speed::Embedder { passages_per_s };
        Measured { id: id.into(), kind: ModelKind::Embedder, n_bytes, memory_bytes: 1, load_ms: 1.0, speed }
    }

    #[test]
    fn the_largest_that_is_quick_enough_is_chosen() {
        let models = [
            generator("small", 100, 3.0),
            generator("middle", 300, 14.0),
            generator("large", 900, 60.0),
            embedder("fast", 90, 40.0),
            embedder("good", 400, 8.0),
            embedder("slow", 1300, 1.0),
        ];
        assert_eq!(best_generator(&models).unwrap().id, "middle");
        assert_eq!(best_embedder(&models).unwrap().id, "good");
        assert_eq!(best_generator(&models[2..3]).unwrap().id, "large", "slow is better than none");
        assert_eq!(best_embedder(&models[5..]).unwrap().id, "slow");
        assert_eq!(best_generator(&models[3..]), None);
    }
}
