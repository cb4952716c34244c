//! Documents made by real programs against what is expected of them, block by block.
//!
//! `fixtures/documents/NAME` is read and compared with `fixtures/documents/expected/NAME.txt`. With
//! `FOOTNOTE_BLESS=1` the expected files are written instead, to be read before they are committed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{assert_sound, documents, documents_dir};
use ingest::{Block, BlockKind, Document, Hint, Limits, Warning, ingest_all, slice};
use std::fmt::Write;

#[test]
fn documents_give_what_is_expected() {
    let is_blessing = std::env::var_os("FOOTNOTE_BLESS").is_some();
    let mut wrong = Vec::new();
    for (name, bytes) in documents() {
        let hint = Hint { name: &name, ..Hint::default() };
        let entries = ingest_all(&bytes, &hint, &Limits::default());
        let told: Vec<String> = entries
            .iter()
            .map(|entry| {
                let told = match &entry.outcome {
                    Ok((doc, warnings)) => {
                        assert_sound(doc);
                        told(doc, warnings)
                    }
                    Err(refusal) => format!("refused: {refusal}\n"),
                };
                if entries.len() == 1 { told } else { format!("=== {}\n{told}", entry.name) }
            })
            .collect();
        let told = told.join("\n");
        let path = documents_dir().join("expected").join(format!("{name}.txt"));
        if is_blessing {
            std::fs::write(&path, &told).expect("the folder is writable");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if told != expected {
            eprintln!("--- {name}, expected\n{expected}--- {name}, found\n{told}");
            wrong.push(name);
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Everything a document says, in lines.
fn told(doc: &Document, warnings: &[Warning]) -> String {
    let mut told = format!("kind: {}\n", doc.kind.as_str());
    let title = doc.title.as_deref().unwrap_or("-");
    let created = doc.created.as_deref().unwrap_or("-");
    let _ = writeln!(told, "title: {title}\nauthors: {}\ncreated: {created}", doc.authors.join("; "));
    for warning in warnings {
        let _ = writeln!(told, "warning: {:?}: {}", warning.code, warning.message);
    }
    for block in &doc.blocks {
        let _ = writeln!(told, "\n[{}]\n{}", role(block), slice(&doc.text, block.span));
    }
    told
}

fn role(block: &Block) -> String {
    let kind = match block.kind {
        BlockKind::Heading { level } => format!("heading {level}"),
        BlockKind::Paragraph => "paragraph".to_owned(),
        BlockKind::ListItem => "item".to_owned(),
        BlockKind::Table => "table".to_owned(),
        BlockKind::Code => "code".to_owned(),
        BlockKind::Comment => "comment".to_owned(),
        BlockKind::PageFurniture => "furniture".to_owned(),
    };
    block.page.map_or(kind.clone(), |page| format!("{kind}, page {page}"))
}
