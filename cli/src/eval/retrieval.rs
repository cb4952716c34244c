//! `footnote eval retrieval`: how often the right passage is found, and by which ranking.

use std::process::ExitCode;

use assistant::{Leg, SearchHit, SearchOptions};
use serde_json::json;

use super::metrics::Ranks;
use super::questions::{self, Question};
use crate::args::{RetrievalArgs, Shared};
use crate::error::Result;
use crate::output::{self, Reporter, round};

/// Passages looked at for each question.
const DEPTH: usize = 10;

pub async fn run(shared: &Shared, args: &RetrievalArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let mut questions = questions::answerable(&args.corpus.questions, args.corpus.limit)?;
    let assistant = super::open(shared, &args.corpus, false, &mut reporter).await?;
    super::settle(&mut questions, &args.corpus, &assistant)?;
    let (mut fused, mut dense, mut bm25) = (Ranks::default(), Ranks::default(), Ranks::default());
    let mut ms = 0.0;
    for question in &questions {
        let started = platform::now_ms();
        let hits = assistant.search_by(&question.question, &by(Leg::Fused)).await?;
        ms += platform::now_ms() - started;
        fused.count(rank(&hits, question));
        dense.count(rank(&assistant.search_by(&question.question, &by(Leg::Dense)).await?, question));
        bm25.count(rank(&assistant.search_by(&question.question, &by(Leg::Bm25)).await?, question));
    }
    let legs = json!({"dense": measures(&dense), "bm25": measures(&bm25)});
    let n_chunks = assistant.state()?.n_chunks;
    let ms_per_query = round(ms / questions.len().max(1) as f64);
    if args.corpus.json {
        output::json(&json!({
            "n": questions.len(),
            "hit1": round(fused.hit1()),
            "hit5": round(fused.hit5()),
            "mrr10": round(fused.mrr10()),
            "ms_per_query": ms_per_query,
            "legs": legs,
            "n_chunks": n_chunks,
        }))?;
    } else {
        output::line(&format!("{} questions, {n_chunks} passages, {ms_per_query} ms each", questions.len()));
        for (name, ranks) in [("fused", fused), ("dense", dense), ("bm25", bm25)] {
            let (hit1, hit5, mrr10) = (ranks.hit1(), ranks.hit5(), ranks.mrr10());
            output::line(&format!("{name:6} hit@1 {hit1:.3}  hit@5 {hit5:.3}  MRR@10 {mrr10:.3}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn measures(ranks: &Ranks) -> serde_json::Value {
    json!({"hit1": round(ranks.hit1()), "hit5": round(ranks.hit5()), "mrr10": round(ranks.mrr10())})
}

/// The rank of the first passage of the right document that covers at least half of a gold span.
fn rank(hits: &[SearchHit], question: &Question) -> Option<usize> {
    hits.iter().position(|hit| {
        let covers = |s: &questions::Span| 2 * s.overlap(hit.start, hit.end) >= s.len();
        hit.document == question.doc && question.spans.iter().any(covers)
    })
}

fn by(leg: Leg) -> SearchOptions {
    SearchOptions { k: DEPTH, leg, ..SearchOptions::default() }
}
