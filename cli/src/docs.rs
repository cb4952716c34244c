//! `footnote docs` and `footnote tags`: what is in a knowledge base.

use std::process::ExitCode;

use assistant::{Access, DocumentInfo, Library};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::library_args::{DocsArgs, DocsCommand, KbArgs, ScopeArgs};
use crate::{output, setup, when};

/// A document as it is listed.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    kind: &'a str,
    collection: Option<&'a str>,
    tags: &'a [String],
    n_bytes: u64,
    n_pages: u32,
    n_chunks: u32,
    added_unix_ms: i64,
    title: Option<&'a str>,
    authors: &'a [String],
    /// When it was written, as it says itself.
    created: Option<&'a str>,
}

#[derive(Serialize)]
struct Removed {
    n_removed: usize,
}

pub async fn run(args: &DocsArgs) -> Result<ExitCode> {
    match &args.command {
        DocsCommand::List { kb, scope } => list(kb, scope).await?,
        DocsCommand::Remove { kb, names } => {
            let mut library = setup::library(&kb.kb, Access::ReadWrite).await?;
            let ids = ids(&library, names)?;
            let n_removed = library.remove(&ids)?;
            output::told(kb.json, &Removed { n_removed }, &format!("removed {n_removed}"))?;
        }
        DocsCommand::Tag { kb, names, add, remove } => {
            let mut library = setup::library(&kb.kb, Access::ReadWrite).await?;
            let ids = ids(&library, names)?;
            change_tags(&mut library, &ids, add, remove)?;
            output::told(kb.json, &library.tags(), &format!("changed the tags of {}", ids.len()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `footnote tags`.
pub async fn tags(args: &KbArgs) -> Result<ExitCode> {
    let tags = setup::library(&args.kb, Access::ReadOnly).await?.tags();
    if args.json {
        output::json(&tags)?;
    }
    for tag in tags.iter().filter(|_| !args.json) {
        output::line(&format!("{:6}  {}", tag.n_documents, tag.name));
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(kb: &KbArgs, scope: &ScopeArgs) -> Result<()> {
    let library = setup::library(&kb.kb, Access::ReadOnly).await?;
    let documents = match library.in_scope(&scope.scope()?) {
        Err(assistant::Error::NothingInScope) => Vec::new(),
        documents => documents?,
    };
    let collections = library.collections();
    let rows: Vec<Row<'_>> = documents
        .iter()
        .map(|info: &DocumentInfo| Row {
            name: &info.name,
            kind: &info.kind,
            collection: collections
                .iter()
                .find(|listed| Some(listed.id) == info.collection)
                .map(|listed| listed.name.as_str()),
            tags: &info.tags,
            n_bytes: info.n_bytes,
            n_pages: info.n_pages,
            n_chunks: info.n_chunks,
            added_unix_ms: info.added_unix_ms,
            title: info.title.as_deref(),
            authors: &info.about.authors,
            created: info.about.created.as_deref(),
        })
        .collect();
    if kb.json {
        return output::json(&rows);
    }
    for row in &rows {
        let collection = row.collection.map(|name| format!(" [{name}]")).unwrap_or_default();
        let tags: String = row.tags.iter().map(|tag| format!(" #{tag}")).collect();
        let added = when::told(row.added_unix_ms);
        let about = about(row);
        output::line(&format!("{added}  {:6} passages  {}{collection}{tags}{about}", row.n_chunks, row.name));
    }
    Ok(())
}

/// Who wrote a document and when, as far as it says so.
fn about(row: &Row<'_>) -> String {
    let day = |date: &str| date.chars().take_while(|&c| c != 'T').collect::<String>();
    let authors = Some(row.authors.join(", ")).filter(|authors| !authors.is_empty());
    let parts: Vec<String> = authors.into_iter().chain(row.created.map(day)).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// The ids of documents, or an error that names the first that is not there.
pub fn ids(library: &Library, names: &[String]) -> Result<Vec<u64>> {
    let id =
        |name: &String| library.document_named(name).ok_or_else(|| Error::NoDocument { name: name.clone() });
    names.iter().map(id).collect()
}

/// Adds tags to documents and takes others away.
pub fn change_tags(library: &mut Library, ids: &[u64], add: &[String], remove: &[String]) -> Result<()> {
    let documents = library.documents()?;
    for info in documents.iter().filter(|info| ids.contains(&info.id.0)) {
        let mut tags: Vec<String> = info.tags.iter().filter(|tag| !remove.contains(tag)).cloned().collect();
        tags.extend(add.iter().cloned());
        library.set_tags(info.id.0, &tags)?;
    }
    Ok(())
}
