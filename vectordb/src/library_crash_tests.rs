//! Power cuts and failures at each write and sync of the changes beyond single documents: collections,
//! conversations, jobs, an import, compaction, and the migration of an older format.

use std::io;
use std::path::Path;

use serde_json::json;

use crate::disk::Disk;
use crate::testing::{N_DIMS, Rng, document, tag};
use crate::{
    ChunkVectors, Contents, Db, DocumentId, EmbedderTag, Error, Filter, Job, JobStage, Message, NewJob,
    Placement, Result, Role, SentenceVectors,
};

/// Different outcomes of a power cut that are looked at, for each place where it may come.
const N_OUTCOMES: u64 = 4;

/// All that is stored, but for ids: an export, and the queue with what it keeps. The indexes must agree.
fn held(db: &Db) -> (Vec<u8>, String) {
    let documents = db.documents().unwrap();
    let n_chunks: u32 = documents.iter().map(|info| info.n_chunks).sum();
    assert_eq!(db.stats().unwrap().n_chunks, u64::from(n_chunks));
    let query = vec![0.5; db.tag().dimensions as usize];
    let hits = db.search_vector(&query, 10_000, &Filter::default()).unwrap();
    let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    assert_eq!(db.chunks(&ids).unwrap().len(), n_chunks as usize);
    for hit in db.search_text("amber birch crane dune running tea", 10_000, &Filter::default()).unwrap() {
        assert!(ids.contains(&hit.chunk));
    }
    let mut bytes = Vec::new();
    db.export(&mut bytes, 0).unwrap();
    let jobs: Vec<_> = db.jobs().map(|job| (job.clone(), db.job_vectors(job.id).unwrap())).collect();
    (bytes, format!("{jobs:?}"))
}

/// Documents 1 to 3, the first two in collection 1, a conversation, and a job at work.
fn fill(db: &mut Db) -> Result<()> {
    let mut rng = Rng(99);
    let collection = db.create_collection("a", 0)?;
    for (name, n_chunks) in [("a.md", 12), ("b.md", 9), ("c.md", 3)] {
        let id = db.put_document(&document(&mut rng, name, n_chunks))?;
        db.set_tags(id, &["t".into(), name.into()])?;
    }
    db.move_documents(&[DocumentId(1), DocumentId(2)], Some(collection))?;
    let talk = db.create_conversation("talk", 0)?;
    db.append_messages(talk, &[message("first")])?;
    let file =
        NewJob { name: "d.md".into(), mime: String::new(), sha256: [4; 32], n_bytes: 9, collection: None };
    db.enqueue(&[file], 0)?;
    db.advance_job(at_work(db, 4), 0, &kept(0.5))
}

/// What an embedder made of four passages.
fn kept(value: f32) -> Vec<ChunkVectors> {
    let mut sentences = SentenceVectors::default();
    sentences.push(0, 5, &[value; N_DIMS]);
    vec![ChunkVectors { passage: vec![value; N_DIMS], sentences }; 4]
}

fn message(text: &str) -> Message {
    Message { role: Role::Question, text: text.into(), details: json!({"n": 1}), created_unix_ms: 5 }
}

fn at_work(db: &Db, n_done: u32) -> Job {
    let job = db.jobs().next().unwrap().clone();
    Job { stage: JobStage::Embedding, n_done, n_total: 20, cursor: "d".into(), ..job }
}

type Change = Box<dyn Fn(&mut Db) -> Result<()>>;

fn changes() -> Vec<(&'static str, Change)> {
    let mut other = Db::in_memory(&tag()).unwrap();
    let shared = other.create_collection("b", 0).unwrap();
    for n in 0..4 {
        let place = Placement { collection: Some(shared), tags: vec!["x".into()], job: None };
        other.put_document_at(&document(&mut Rng(n), &format!("{n}.md"), 10), &place).unwrap();
    }
    let mut export = Vec::new();
    other.export(&mut export, 0).unwrap();
    let collection = |db: &Db| db.collections()[0].id;
    let talk = |db: &Db| db.conversations().unwrap()[0].id;
    vec![
        (
            "delete a collection",
            Box::new(move |db| db.delete_collection(collection(db), Contents::Keep).map(drop)),
        ),
        (
            "delete a collection with its documents",
            Box::new(move |db| db.delete_collection(collection(db), Contents::Delete).map(drop)),
        ),
        ("move", Box::new(|db| db.move_documents(&[DocumentId(1), DocumentId(2)], None))),
        ("tag", Box::new(|db| db.set_tags(DocumentId(1), &["u".into()]))),
        ("append", Box::new(move |db| db.append_messages(talk(db), &[message("q"), message("a")]))),
        ("delete a conversation", Box::new(move |db| db.delete_conversation(talk(db)).map(drop))),
        ("advance a job", Box::new(|db| db.advance_job(at_work(db, 8), 4, &kept(0.25)))),
        (
            "end a job with its document",
            Box::new(|db| {
                let job = Job { stage: JobStage::Done, ..at_work(db, 20) };
                let place = Placement { job: Some(job), ..Placement::default() };
                db.put_document_at(&document(&mut Rng(5), "d.md", 20), &place).map(drop)
            }),
        ),
        ("import", Box::new(move |db| db.import(&mut export.as_slice()).map(drop))),
    ]
}

fn before() -> Vec<u8> {
    let disk = Disk::default();
    let mut db = disk.open().unwrap();
    fill(&mut db).unwrap();
    drop(db);
    disk.bytes()
}

/// Cuts the power at each write and sync of `change`, and gives what is held then to `check`, with
/// whether the change was acknowledged.
fn cut(
    bytes: &[u8],
    tag: &EmbedderTag,
    change: &dyn Fn(&Disk) -> Result<()>,
    check: &mut dyn FnMut((Vec<u8>, String), bool),
) {
    for n in 0.. {
        let disk = Disk::holding(bytes.to_vec());
        disk.fail_after(n, io::ErrorKind::Other);
        let is_done = change(&disk).is_ok();
        for seed in 0..N_OUTCOMES {
            let left = Disk::holding(disk.after_power_cut(seed + 100 * n as u64));
            let db = Db::over(left.pages(), tag).unwrap_or_else(|error| panic!("cut {n}, {seed}: {error}"));
            check(held(&db), is_done);
        }
        if is_done {
            return;
        }
    }
}

#[test]
fn a_power_cut_in_any_of_them_leaves_the_state_before_or_after() {
    let bytes = before();
    for (what, change) in changes() {
        let mut db = Disk::holding(bytes.clone()).open().unwrap();
        let old = held(&db);
        change(&mut db).unwrap();
        let new = held(&db);
        assert!(old != new, "{what}");
        let (mut n_old, mut n_new) = (0, 0);
        cut(&bytes, &tag(), &|disk| change(&mut disk.open()?), &mut |found, is_done| {
            if found == new {
                n_new += 1;
            } else {
                assert!(found == old, "{what}: something between was left");
                assert!(!is_done, "{what}: what was acknowledged is lost");
                n_old += 1;
            }
        });
        assert!(n_old > 10 && n_new > 0, "{what}: {n_old} before, {n_new} after");
    }
}

#[test]
fn a_power_cut_in_a_compaction_loses_nothing() {
    let disk = Disk::default();
    let mut db = disk.open().unwrap();
    fill(&mut db).unwrap();
    for n in 0..6 {
        db.put_document(&document(&mut Rng(n), &format!("gone {n}"), 60)).unwrap();
    }
    let gone: Vec<DocumentId> = db.documents().unwrap()[3..].iter().map(|info| info.id).collect();
    db.remove_documents(&gone).unwrap();
    let old = held(&db);
    drop(db);
    cut(&disk.bytes(), &tag(), &|disk| disk.open()?.compact().map(drop), &mut |found, _| {
        assert!(found == old, "a compaction changed what is held");
    });
}

#[test]
fn a_power_cut_in_a_migration_loses_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/stores/format-1.footnote");
    let bytes = std::fs::read(path).unwrap();
    let id = |text: &str| text.to_owned();
    let (pooling, prefix) = (id("mean"), id("passage: "));
    let tag = EmbedderTag { id: id("tiny"), revision: id("1"), dimensions: 4, pooling, prefix };
    let whole = held(&Db::over(Disk::holding(bytes.clone()).pages(), &tag).unwrap());
    let mut n_cut = 0;
    cut(&bytes, &tag, &|disk| Db::over(disk.pages(), &tag).map(drop), &mut |found, _| {
        assert!(found == whole, "a migration that was cut changed what is held");
        n_cut += 1;
    });
    assert!(n_cut > 20, "{n_cut}");
}

#[test]
fn a_full_disk_in_any_of_them_changes_nothing_and_the_store_goes_on() {
    let bytes = before();
    for (what, change) in changes() {
        for n in (0..).step_by(3) {
            let disk = Disk::holding(bytes.clone());
            let mut db = disk.open().unwrap();
            let old = held(&db);
            disk.fail_after(n, io::ErrorKind::StorageFull);
            let Err(error) = change(&mut db) else { break };
            assert!(matches!(error, Error::Full { .. }), "{what}: {error:?}");
            disk.state().fails = None;
            db.refresh().unwrap();
            let found = held(&db);
            // The last sync may have failed behind a commit that is whole.
            if found == old {
                change(&mut db).unwrap_or_else(|error| panic!("{what}, after failure {n}: {error}"));
            }
            let now = held(&db);
            assert!(now != old, "{what}");
            drop(db);
            assert!(held(&disk.open().unwrap()) == now, "{what}: opened anew, another state");
        }
    }
}
