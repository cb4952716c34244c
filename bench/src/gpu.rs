//! What the GPU tier makes of a graphics card: tokens per second, and how near they are to what the
//! card's memory allows.

use embedder::Embedder;
use generator::{Generator, Sampling};
use models::ModelFiles;
use platform::{block_on, now_ms};
use runtime::{GpuCounters, Options, Runtime, TierChoice, Weights};

use crate::embed::passage_of;
use crate::{Args, Outcome, Row, Rows, random_model};

const PROMPT_TOKENS: u32 = 256;
const PASSAGE_TOKENS: u32 = 128;
/// Passages of a batch.
const BATCHES: [usize; 3] = [1, 16, 64];

/// How much is done: a software adapter is some hundred times slower, and is only here to show that all of
/// this runs.
struct Extent {
    answer_tokens: usize,
    prompt_tokens: u32,
    batches: &'static [usize],
    /// Elements of the vectors that measure the memory: on a card three of them are 384 MB, far more than
    /// its caches hold.
    vector_len: usize,
}

const ON_A_CARD: Extent =
    Extent { answer_tokens: 128, prompt_tokens: PROMPT_TOKENS, batches: &BATCHES, vector_len: 32 << 20 };
const IN_SOFTWARE: Extent =
    Extent { answer_tokens: 12, prompt_tokens: 32, batches: &[1], vector_len: 4 << 20 };

pub(crate) fn rows(args: &Args) -> Outcome<Rows> {
    let mut rows = Rows::default();
    let options = Options { tier: TierChoice::Gpu, ..Options::default() };
    let rt = match block_on(Runtime::open(&options)) {
        Ok(rt) => rt,
        Err(error) => {
            rows.skip("everything", error.to_string());
            return Ok(rows);
        }
    };
    let report = rt.describe();
    let adapter = report.adapter.unwrap_or_default();
    if report.is_software && !args.software {
        rows.skip(
            "everything",
            format!("{adapter} is a software adapter; --software tries the benchmark on it all the same"),
        );
        return Ok(rows);
    }
    let (on, extent) = if report.is_software {
        (format!("SOFTWARE adapter {adapter}"), IN_SOFTWARE)
    } else {
        (adapter, ON_A_CARD)
    };
    let bench = Bench { rt: &rt, on, extent, n_runs: args.runs.max(1) };
    let gb_per_s = bench.bandwidth(&mut rows)?;
    if args.wants("smollm2") {
        let store = args.models()?;
        let files = block_on(store.open_model(&store.catalog().default_generator().id))?;
        bench.generator(&files, "", gb_per_s, &mut rows)?;
    }
    if args.wants("llama-1b") {
        bench.random_llama(args, gb_per_s, &mut rows)?;
    }
    if args.wants("embed") {
        bench.embedder(args, &mut rows)?;
    }
    Ok(rows)
}

struct Bench<'a> {
    rt: &'a Runtime,
    /// The adapter, in words.
    on: String,
    extent: Extent,
    n_runs: usize,
}

impl Bench<'_> {
    /// Bytes per second of adding two vectors, in GB: the median, which speeds are compared with.
    fn bandwidth(&self, rows: &mut Rows) -> Outcome<f64> {
        const FEW: usize = 4;
        const MOST: usize = 6144;
        let mut figures = Vec::new();
        // What both numbers of sums have in common, above all bringing the vectors to the card, cancels out;
        // so many are needed that it is the lesser part.
        self.add_vectors(FEW)?;
        let mut many = 24;
        while many < MOST && self.add_vectors(many)? < 3.0 * self.add_vectors(FEW)? {
            many *= 4;
        }
        for _ in 0..self.n_runs {
            let ms = self.add_vectors(many)? - self.add_vectors(FEW)?;
            let n_bytes = 3 * 4 * self.extent.vector_len * (many - FEW);
            figures.push(n_bytes as f64 / ms.max(1e-3) / 1e6);
        }
        let row = Row::new(format!("memory, adding vectors, {}", self.on), "GB/s", figures);
        let median = row.ours.median;
        rows.rows.push(row);
        Ok(median)
    }

    /// Milliseconds of `n` sums of two vectors, each of another pair than the last.
    fn add_vectors(&self, n: usize) -> Outcome<f64> {
        const WIDTH: usize = 4096;
        let vector = || vec![0.0; self.extent.vector_len];
        let mut rec = self.rt.recorder();
        let n_rows = self.extent.vector_len / WIDTH;
        let mut a = rec.input(n_rows, WIDTH, vector())?;
        let mut b = rec.input(n_rows, WIDTH, vector())?;
        for _ in 0..n {
            (a, b) = (b, rec.add(a, b)?);
        }
        let last = rec.last_row(b)?;
        let start_ms = now_ms();
        block_on(rec.read(&last))?;
        Ok(now_ms() - start_ms)
    }

    fn random_llama(&self, args: &Args, gb_per_s: f64, rows: &mut Rows) -> Outcome<()> {
        let n_layers = args.layers.unwrap_or(random_model::N_LAYERS).clamp(1, random_model::N_LAYERS);
        let store = args.models()?;
        let target = browser::workspace().join("target");
        std::fs::create_dir_all(&target)?;
        let folder = tempfile::tempdir_in(target)?;
        block_on(async {
            let other = store.open_model(&store.catalog().default_generator().id).await?;
            let tokenizer_of = Weights::open(Box::new(other.file("model.gguf").await?))?;
            random_model::write(&folder.path().join("model.gguf"), &tokenizer_of, n_layers)
        })?;
        let path = folder.path().display().to_string();
        let files = block_on(ModelFiles::from_folder("llama-1b, random Q4_0", &path))?;
        let shrunk = match n_layers {
            random_model::N_LAYERS => String::new(),
            n => format!(" ({n} of its {} layers)", random_model::N_LAYERS),
        };
        self.generator(&files, &shrunk, gb_per_s, rows)
    }

    /// Prompt and answer, and where the time of a token goes.
    fn generator(&self, files: &ModelFiles, note: &str, gb_per_s: f64, rows: &mut Rows) -> Outcome<()> {
        let generator = block_on(Generator::load(self.rt, files))?;
        let memory = self.rt.memory();
        let weights = memory.models.iter().find(|model| model.model == files.id());
        let weight_bytes = weights.ok_or("the model's weights are not counted")?.weight_bytes;
        let prompt = passage_of(self.extent.prompt_tokens, |text| generator.count_tokens(text))?;
        let mut runs = Vec::new();
        // The first run warms up; each prompt begins differently, because what was read is kept.
        for run in 0..=self.n_runs {
            runs.push(self.text(&generator, &format!("{run}. {prompt}"))?);
        }
        let runs = &runs[1..];
        let mut row = |what: String, unit, figure: &dyn Fn(&Run) -> f64| {
            let what = format!("{}{note}: {what}, {}", files.id(), self.on);
            rows.rows.push(Row::new(what, unit, runs.iter().map(figure).collect()));
        };
        row(format!("prompt of about {} tokens", self.extent.prompt_tokens), "tokens/s", &|run| run.prompt);
        row(format!("answer of up to {} tokens", self.extent.answer_tokens), "tokens/s", &|run| run.answer);
        let mb = weight_bytes as f64 / 1e6;
        row(format!("answer, of what reading {mb:.0} MB of weights per token allows"), "%", &|run| {
            100.0 * run.answer * weight_bytes as f64 / (gb_per_s * 1e9)
        });
        row("dispatches per token".into(), "", &|run| run.per_step(run.counters.n_dispatches as f64));
        row("submitting, per token".into(), "ms", &|run| run.per_step(run.counters.submit_ms));
        row("waiting for read-back, per token".into(), "ms", &|run| run.per_step(run.counters.read_ms));
        Ok(())
    }

    fn text(&self, generator: &Generator, prompt: &str) -> Outcome<Run> {
        let before = self.rt.gpu_counters().unwrap_or_default();
        let start_ms = now_ms();
        let sampling = Sampling::greedy(self.extent.answer_tokens);
        let mut session = block_on(generator.start(prompt, &sampling))?;
        block_on(session.next())?;
        let first_ms = now_ms();
        while block_on(session.next())?.is_some() {}
        let end_ms = now_ms();
        let after = self.rt.gpu_counters().unwrap_or_default();
        let n_decoded = session.n_generated().saturating_sub(1);
        if n_decoded == 0 {
            return Err("the model ended its answer after one token: nothing to time".into());
        }
        Ok(Run {
            prompt: session.n_prompt() as f64 / (first_ms - start_ms) * 1e3,
            answer: n_decoded as f64 / (end_ms - first_ms) * 1e3,
            counters: GpuCounters {
                n_steps: after.n_steps - before.n_steps,
                n_dispatches: after.n_dispatches - before.n_dispatches,
                submit_ms: after.submit_ms - before.submit_ms,
                read_ms: after.read_ms - before.read_ms,
                ..after
            },
        })
    }

    fn embedder(&self, args: &Args, rows: &mut Rows) -> Outcome<()> {
        let store = args.models()?;
        let id = &store.catalog().default_embedder().id;
        let embedder = block_on(async {
            let files = store.open_model(id).await?;
            Outcome::Ok(Embedder::load(self.rt, &files).await?)
        })?;
        let passage = passage_of(PASSAGE_TOKENS, |text| embedder.count_tokens(text))?;
        for &n_passages in self.extent.batches {
            let batch = vec![passage.as_str(); n_passages];
            let mut figures = Vec::new();
            for _ in 0..=self.n_runs {
                let start_ms = now_ms();
                block_on(embedder.embed_passages(&batch))?;
                let n_tokens = n_passages * PASSAGE_TOKENS as usize;
                figures.push(n_tokens as f64 / (now_ms() - start_ms) * 1e3);
            }
            let what = format!("{id}: {n_passages} passages of {PASSAGE_TOKENS} tokens, {}", self.on);
            // The first run warms up.
            rows.rows.push(Row::new(what, "tokens/s", figures.split_off(1)));
        }
        Ok(())
    }
}

/// One text: tokens per second, and what the GPU tier did meanwhile.
struct Run {
    prompt: f64,
    answer: f64,
    counters: GpuCounters,
}

impl Run {
    fn per_step(&self, total: f64) -> f64 {
        total / self.counters.n_steps.max(1) as f64
    }
}
