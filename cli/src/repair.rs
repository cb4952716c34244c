//! `footnote verify` and `footnote repair`: whether a knowledge base is whole, and what is left of it.

use std::process::ExitCode;

use serde::Serialize;

use crate::args::{RepairArgs, VerifyArgs};
use crate::error::Result;
use crate::output;
use crate::setup;

#[derive(Serialize)]
struct Verified {
    ok: bool,
    problems: Vec<String>,
}

pub async fn verify(args: &VerifyArgs) -> Result<ExitCode> {
    setup::existing(&args.kb).await?;
    let problems = match assistant::verify(&args.kb).await {
        // What is damaged cannot always be opened; that is an answer, too.
        Err(assistant::Error::Store(error @ vectordb::Error::Corrupt { .. })) => vec![error.to_string()],
        other => other?,
    };
    let verified = Verified { ok: problems.is_empty(), problems };
    if args.json {
        output::json(&verified)?;
    } else if verified.ok {
        output::line("everything in it is whole");
    }
    if verified.ok {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.json {
        verified.problems.iter().for_each(|problem| output::line(problem));
        output::line(&format!("`footnote repair --kb {} --out NEW` rescues what is readable", args.kb));
    }
    Ok(ExitCode::FAILURE)
}

pub async fn repair(args: &RepairArgs) -> Result<ExitCode> {
    setup::existing(&args.kb).await?;
    let repaired = assistant::repair(&args.kb, &args.out).await?;
    if args.json {
        output::json(&repaired)?;
        return Ok(ExitCode::SUCCESS);
    }
    let assistant::Repaired { n_documents, n_chunks, losses, .. } = repaired;
    output::line(&format!("{n_documents} documents with {n_chunks} passages are in {}", args.out));
    for loss in losses {
        let document = loss.document.map(|name| format!("{name}: ")).unwrap_or_default();
        output::line(&format!("lost: {document}{}", loss.what));
    }
    Ok(ExitCode::SUCCESS)
}
