//! Documents that are nearly the same: our sketches, and cozo's own index (MinHash in bands) on the same
//! texts.

use std::collections::{BTreeMap, BTreeSet};

use cozo::{DataValue, DbInstance, NamedRows, ScriptMutability};
use platform::now_ms;
use vectordb::{DocumentId, MIN_OVERLAP, NewChunk, NewDocument};

use crate::corpus::{Corpus, percentile};
use crate::{Args, Outcome, Row, Rows};

const N_DOCUMENTS: usize = 1_000;
const CHUNKS_PER_DOCUMENT: usize = 10;
const WORDS_PER_CHUNK: usize = 150;
/// Every so many documents one is a version of the one before.
const VERSION_EVERY: usize = 10;
/// Words that differ in a version: one of so many. So .82 of the words of both are shared.
const CHANGED_EVERY: usize = 10;

pub(crate) fn rows(args: &Args) -> Outcome<Rows> {
    let documents = documents();
    let versions: BTreeSet<(usize, usize)> =
        (1..N_DOCUMENTS).filter(|i| i % VERSION_EVERY == 0).flat_map(|i| [(i - 1, i), (i, i - 1)]).collect();
    let mut rows = Rows::default();
    ours(&documents, &versions, args, &mut rows)?;
    cozos(&documents, &versions, args, &mut rows)?;
    Ok(rows)
}

fn documents() -> Vec<NewDocument> {
    let mut corpus = Corpus::new();
    let mut documents: Vec<NewDocument> = Vec::new();
    for i in 0..N_DOCUMENTS {
        let mut document = corpus.document(i);
        let older = documents.last().filter(|_| i % VERSION_EVERY == 0);
        let passages: Vec<String> = (0..CHUNKS_PER_DOCUMENT)
            .map(|idx| {
                let new = corpus.words(WORDS_PER_CHUNK);
                let Some(older) = older else { return new };
                let pairs = older.chunks[idx].text.split(' ').zip(new.split(' ')).enumerate();
                let mixed = pairs.map(|(at, (old, new))| if at % CHANGED_EVERY == 0 { new } else { old });
                mixed.collect::<Vec<_>>().join(" ")
            })
            .collect();
        document.text = passages.concat();
        let place = document.chunks.into_iter().zip(passages);
        document.chunks =
            place.map(|(chunk, text)| NewChunk { start: 0, end: text.len() as u32, text, ..chunk }).collect();
        documents.push(document);
    }
    documents
}

fn ours(
    documents: &[NewDocument],
    versions: &BTreeSet<(usize, usize)>,
    args: &Args,
    rows: &mut Rows,
) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let mut db = crate::store::open(&folder, "duplicates.footnote")?;
    let mut ids = Vec::new();
    for document in documents {
        ids.push(db.put_document(document)?);
    }
    let start_ms = now_ms();
    db.near_duplicates(ids[0]);
    let what = format!("near-duplicates of {N_DOCUMENTS} documents, sketches: making all");
    rows.rows.push(Row::new(what, "ms", vec![now_ms() - start_ms]));
    let place: BTreeMap<DocumentId, usize> = ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    measure("sketches", versions, args, rows, |i| {
        Ok(db.near_duplicates(ids[i]).iter().map(|near| place[&near.document]).collect())
    })
}

fn cozos(
    documents: &[NewDocument],
    versions: &BTreeSet<(usize, usize)>,
    args: &Args,
    rows: &mut Rows,
) -> Outcome<()> {
    let cozo = DbInstance::default();
    let run = |script: &str, params: BTreeMap<String, DataValue>| -> Outcome<NamedRows> {
        cozo.run_script(script, params, ScriptMutability::Mutable).map_err(|e| format!("cozo: {e}").into())
    };
    run("{:create doc {id: Int => text: String}}", BTreeMap::new())?;
    let create = format!(
        "::lsh create doc:idx {{extractor: text, tokenizer: Simple, n_gram: 1, n_perm: 128, \
         target_threshold: {MIN_OVERLAP}}}"
    );
    run(&create, BTreeMap::new())?;
    let start_ms = now_ms();
    for (i, document) in documents.iter().enumerate() {
        let row = DataValue::List(vec![DataValue::from(i as i64), DataValue::from(document.text.as_str())]);
        let params = BTreeMap::from([("rows".to_owned(), DataValue::List(vec![row]))]);
        run("?[id, text] <- $rows :put doc {id => text}", params)?;
    }
    let what = format!("near-duplicates of {N_DOCUMENTS} documents, cozo's index: making it");
    rows.rows.push(Row::new(what, "ms", vec![now_ms() - start_ms]));
    measure("cozo's index", versions, args, rows, |i| {
        let query = DataValue::from(documents[i].text.as_str());
        let params = BTreeMap::from([("q".to_owned(), query)]);
        let found = run("?[id] := ~doc:idx{id | query: $q, k: 1000}", params)?;
        let ids = found.rows.iter().filter_map(|row| row[0].get_int()).map(|id| id as usize);
        Ok(ids.filter(|id| *id != i).collect())
    })
}

/// How long a question for each document takes, and what is found of the versions, rightly and wrongly.
fn measure(
    how: &str,
    versions: &BTreeSet<(usize, usize)>,
    args: &Args,
    rows: &mut Rows,
    find: impl Fn(usize) -> Outcome<Vec<usize>>,
) -> Outcome<()> {
    let mut medians = Vec::new();
    let mut found = BTreeSet::new();
    for _ in 0..args.runs.max(1) {
        let mut figures = Vec::with_capacity(N_DOCUMENTS);
        for i in 0..N_DOCUMENTS {
            let start_ms = now_ms();
            let near = find(i)?;
            figures.push(now_ms() - start_ms);
            found.extend(near.into_iter().map(|other| (i, other)));
        }
        medians.push(percentile(&mut figures, 0.5));
    }
    let n_right = found.intersection(versions).count();
    let what = format!("near-duplicates of {N_DOCUMENTS} documents, {how}");
    rows.rows.push(Row::new(format!("{what}: of one, p50"), "ms", medians));
    let share = n_right as f64 / versions.len() as f64;
    rows.rows.push(Row::new(format!("{what}: of the versions found"), "share", vec![share]));
    let n_wrong = (found.len() - n_right) as f64;
    rows.rows.push(Row::new(format!("{what}: others found"), "pairs", vec![n_wrong]));
    Ok(())
}
