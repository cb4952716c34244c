//! `footnote search`: the passages of a knowledge base that fit a question.

use std::process::ExitCode;

use assistant::{SearchHit, SearchOptions};
use serde::Serialize;

use crate::args::{SearchArgs, Shared};
use crate::error::Result;
use crate::output::{self, Reporter};
use crate::setup;

#[derive(Serialize)]
struct Found {
    hits: Vec<SearchHit>,
    ms: f64,
}

pub async fn run(shared: &Shared, args: &SearchArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let place = setup::existing(&args.kb).await?;
    let assistant = setup::open_to_read(shared, place, false, &mut reporter).await?;
    let started = platform::now_ms();
    let scope = args.scope.scope()?;
    let options = SearchOptions { k: args.k, scope, ..SearchOptions::default() };
    let hits = assistant.search_by(&args.question, &options).await?;
    let ms = output::round(platform::now_ms() - started);
    if args.json {
        output::json(&Found { hits, ms })?;
        return Ok(ExitCode::SUCCESS);
    }
    if hits.is_empty() {
        reporter.note("nothing found");
    }
    for (i, hit) in hits.iter().enumerate() {
        let page = hit.page.map(|p| format!(", page {p}")).unwrap_or_default();
        output::line(&format!("{}. {}{page} ({}..{})", i + 1, hit.document, hit.start, hit.end));
        for text in hit.text.lines().filter(|l| !l.trim().is_empty()) {
            output::line(&format!("   {text}"));
        }
        if !hit.also_in.is_empty() {
            output::line(&format!("   (the same in {})", hit.also_in.join(", ")));
        }
        output::line("");
    }
    Ok(ExitCode::SUCCESS)
}
