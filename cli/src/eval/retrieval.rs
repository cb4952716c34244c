//! `footnote eval retrieval`: how often the right passage is found, and by which ranking.

use std::collections::BTreeMap;
use std::process::ExitCode;

use assistant::{Assistant, Leg, SearchHit, SearchOptions};
use serde_json::{Value, json};

use super::metrics::Ranks;
use super::questions::{self, Question};
use super::report::{Failure, Page, Shown};
use super::sets::{self, Set};
use crate::args::{RetrievalArgs, Shared};
use crate::error::Result;
use crate::output::{self, Reporter, round};

/// Passages looked at for each question.
const DEPTH: usize = 10;
/// Passages of each ranking that the report shows.
const N_SHOWN: usize = 5;

const LEGS: [(Leg, &str); 3] = [(Leg::Fused, "fused"), (Leg::Dense, "dense"), (Leg::Bm25, "bm25")];

/// Measures of the three rankings, in the order of [`LEGS`].
#[derive(Clone, Copy, Default)]
struct Legs([Ranks; 3]);

/// What is known of a set.
struct Outcome {
    name: String,
    all: Legs,
    /// By document, where questions name a corpus of several.
    corpora: BTreeMap<String, Legs>,
    /// The same with each of them in a base of its own.
    alone: BTreeMap<String, Legs>,
    n_chunks: u64,
    ms_per_query: f64,
}

pub async fn run(shared: &Shared, args: &RetrievalArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let mut page = Page::new("How often the right passage is found");
    let mut outcomes = Vec::new();
    for set in sets::of(&args.corpus)? {
        outcomes.push(measure_set(shared, args, &set, &mut page, &mut reporter).await?);
    }
    for outcome in &outcomes {
        for (name, legs) in outcome.rows() {
            let cells = legs.0.iter().map(|ranks| format!("{:.3}", ranks.mrr10()));
            page.total(name, legs.0[0].n(), cells.collect());
        }
    }
    if let Some(path) = &args.corpus.report {
        page.write(path, &["MRR@10 fused", "meaning", "words"])?;
    }
    if args.corpus.json {
        output::json(&as_json(&outcomes))?;
    } else {
        outcomes.iter().for_each(print);
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure_set(
    shared: &Shared,
    args: &RetrievalArgs,
    set: &Set,
    page: &mut Page,
    reporter: &mut Reporter,
) -> Result<Outcome> {
    let mut questions = questions::answerable(&set.questions, args.corpus.limit)?;
    let assistant = super::open(shared, set, &[], false, reporter).await?;
    super::settle(&mut questions, set, &assistant)?;
    let (mut all, mut corpora, mut alone) = (Legs::default(), BTreeMap::new(), BTreeMap::new());
    let mut ms = 0.0;
    for question in &questions {
        let started = platform::now_ms();
        let fused = assistant.search_by(&question.question, &by(Leg::Fused)).await?;
        ms += platform::now_ms() - started;
        let ranks = look(&assistant, question, fused, page).await?;
        all.count(ranks);
        if question.is_of_corpus {
            corpora.entry(question.doc.clone()).or_insert_with(Legs::default).count(ranks);
        }
    }
    let named: Vec<String> = corpora.keys().cloned().collect();
    for name in named.iter().filter(|_| args.alone) {
        let set = Set { kb: set.kb.as_ref().map(|kb| format!("{kb}-{name}")), ..set.clone() };
        let assistant = super::open(shared, &set, std::slice::from_ref(name), false, reporter).await?;
        let mut legs = Legs::default();
        for question in questions.iter().filter(|question| question.doc == *name) {
            let fused = assistant.search_by(&question.question, &by(Leg::Fused)).await?;
            legs.count(look(&assistant, question, fused, &mut Page::default()).await?);
        }
        alone.insert(name.clone(), legs);
    }
    let n_chunks = assistant.state()?.n_chunks;
    let ms_per_query = round(ms / questions.len().max(1) as f64);
    Ok(Outcome { name: set.name.clone(), all, corpora, alone, n_chunks, ms_per_query })
}

/// The ranks of the first good passage by each ranking; what is not first goes to the page.
async fn look(
    assistant: &Assistant,
    question: &Question,
    fused: Vec<SearchHit>,
    page: &mut Page,
) -> Result<[Option<usize>; 3]> {
    let mut ranks = [None; 3];
    let mut shown = Vec::new();
    for (i, (leg, name)) in LEGS.into_iter().enumerate() {
        let hits = match leg {
            Leg::Fused => fused.clone(),
            _ => assistant.search_by(&question.question, &by(leg)).await?,
        };
        ranks[i] = hits.iter().position(|hit| is_hit(hit, question));
        shown.extend(hits.iter().take(N_SHOWN).enumerate().map(|(rank, hit)| Shown {
            list: name,
            rank: rank + 1,
            document: hit.document.clone(),
            start: hit.start,
            text: hit.text.clone(),
            score: hit.score,
            is_good: is_hit(hit, question),
        }));
    }
    if ranks[0] != Some(0) {
        let told =
            |rank: Option<usize>| rank.map_or_else(|| format!("not in {DEPTH}"), |r| (r + 1).to_string());
        let why = format!("fused {}, meaning {}, words {}", told(ranks[0]), told(ranks[1]), told(ranks[2]));
        page.fail(Failure::of(question, why, shown, assistant)?);
    }
    Ok(ranks)
}

/// Whether a passage is of the right document and covers at least half of a gold span.
fn is_hit(hit: &SearchHit, question: &Question) -> bool {
    let covers = |s: &questions::Span| 2 * s.overlap(hit.start, hit.end) >= s.len();
    hit.document == question.doc && question.spans.iter().any(covers)
}

impl Legs {
    fn count(&mut self, ranks: [Option<usize>; 3]) {
        self.0.iter_mut().zip(ranks).for_each(|(leg, rank)| leg.count(rank));
    }

    fn json(&self) -> Value {
        let [fused, dense, bm25] = self.0.map(|ranks| measures(&ranks));
        let mut row = fused;
        row["n"] = json!(self.0[0].n());
        row["legs"] = json!({"dense": dense, "bm25": bm25});
        row
    }
}

impl Outcome {
    /// All that is reported of the set, each with its name.
    fn rows(&self) -> Vec<(String, Legs)> {
        let name = if self.name.is_empty() { "all" } else { &self.name };
        let mut rows = vec![(name.to_owned(), self.all)];
        rows.extend(self.corpora.iter().map(|(name, legs)| (name.clone(), *legs)));
        rows.extend(self.alone.iter().map(|(name, legs)| (format!("{name} alone"), *legs)));
        rows
    }

    fn json(&self) -> Value {
        let mut row = self.all.json();
        row["n_chunks"] = json!(self.n_chunks);
        row["ms_per_query"] = json!(self.ms_per_query);
        for (key, part) in [("corpora", &self.corpora), ("alone", &self.alone)] {
            if !part.is_empty() {
                row[key] = part.iter().map(|(name, legs)| (name.clone(), legs.json())).collect();
            }
        }
        row
    }
}

/// One set as it is; several by name, with the mean of their measures.
fn as_json(outcomes: &[Outcome]) -> Value {
    if let [only] = outcomes {
        return only.json();
    }
    let mean = |leg: usize| {
        let mrr = outcomes.iter().map(|outcome| outcome.all.0[leg].mrr10());
        round(mrr.sum::<f64>() / outcomes.len().max(1) as f64)
    };
    let sets: serde_json::Map<String, Value> =
        outcomes.iter().map(|outcome| (outcome.name.clone(), outcome.json())).collect();
    let n: usize = outcomes.iter().map(|outcome| outcome.all.0[0].n()).sum();
    json!({
        "n": n,
        "mean_mrr10": {"fused": mean(0), "dense": mean(1), "bm25": mean(2)},
        "sets": sets,
    })
}

fn measures(ranks: &Ranks) -> Value {
    json!({"hit1": round(ranks.hit1()), "hit5": round(ranks.hit5()), "mrr10": round(ranks.mrr10())})
}

fn print(outcome: &Outcome) {
    output::line(&format!("{} passages, {} ms per question", outcome.n_chunks, outcome.ms_per_query));
    for (name, legs) in outcome.rows() {
        output::line(&format!("{name}: {} questions", legs.0[0].n()));
        for ((_, leg), ranks) in LEGS.iter().zip(legs.0) {
            let (hit1, hit5, mrr10) = (ranks.hit1(), ranks.hit5(), ranks.mrr10());
            output::line(&format!("  {leg:6} hit@1 {hit1:.3}  hit@5 {hit5:.3}  MRR@10 {mrr10:.3}"));
        }
    }
}

fn by(leg: Leg) -> SearchOptions {
    SearchOptions { k: DEPTH, leg, ..SearchOptions::default() }
}
