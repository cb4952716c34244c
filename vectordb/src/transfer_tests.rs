//! Export, import, compaction.

use std::io::{self, Read};

use platform::{File, OpenMode};
use serde_json::json;

use crate::testing::{N_DIMS, Rng, document, tag};
use crate::{Db, Error, Filter, Imported, Message, NewDocument, Placement, Role};

/// Some of everything.
fn filled() -> Db {
    let mut db = Db::in_memory(&tag()).unwrap();
    let mut rng = Rng(21);
    let collection = db.create_collection("Tea & co", 5).unwrap();
    db.create_collection("empty", 6).unwrap();
    for n in 0..5 {
        // One has more passages than a record holds.
        let new = document(&mut rng, &format!("{n}.md"), if n == 3 { 300 } else { 4 * n });
        let place = Placement { collection: (n % 2 == 0).then_some(collection), ..Placement::default() };
        db.put_document_at(&new, &place).unwrap();
    }
    let first = db.documents().unwrap()[0].id;
    db.set_tags(first, &["x".into(), "y".into()]).unwrap();
    let talk = db.create_conversation("Talk", 1).unwrap();
    let messages: Vec<Message> = (0..150)
        .map(|n| Message {
            role: if n % 2 == 0 { Role::Question } else { Role::Answer },
            text: format!("message {n}"),
            details: json!({"n": n, "quotes": ["\u{1F41D}"]}),
            created_unix_ms: n,
        })
        .collect();
    db.append_messages(talk, &messages).unwrap();
    db.create_conversation("Empty talk", 2).unwrap();
    db.set_setting("theme", &json!({"dark": true})).unwrap();
    db
}

fn exported(db: &Db) -> Vec<u8> {
    let mut bytes = Vec::new();
    let told = db.export(&mut bytes, 77).unwrap();
    assert_eq!(told.n_bytes, bytes.len() as u64);
    bytes
}

fn import(db: &mut Db, bytes: &[u8]) -> crate::Result<Imported> {
    db.import(&mut &bytes[..])
}

#[test]
fn what_was_exported_is_there_after_an_import() {
    let db = filled();
    let bytes = exported(&db);
    let mut copy = Db::in_memory(&tag()).unwrap();
    let imported = import(&mut copy, &bytes).unwrap();
    let expected = Imported { n_added: 5, n_collections: 2, n_conversations: 2, ..Imported::default() };
    assert_eq!(imported, expected);
    assert!(exported(&copy) == bytes, "the same is exported again");
    let query = Rng(5).unit_vector(N_DIMS);
    for text in ["crane running 語言", "amber"] {
        let hits = |db: &Db| db.search(&query, text, 20, &Filter::default()).unwrap();
        assert_eq!(hits(&copy), hits(&db));
    }
    assert_eq!(copy.setting("theme").unwrap(), Some(json!({"dark": true})));
    assert_eq!(copy.messages(copy.conversations().unwrap()[0].id).unwrap().len(), 150);
    // Once more: nothing is new.
    assert_eq!(import(&mut copy, &bytes).unwrap(), Imported { n_unchanged: 5, ..Imported::default() });
    assert!(exported(&copy) == bytes);
}

#[test]
fn an_import_merges_with_what_is_here() {
    let mut rng = Rng(3);
    let at =
        |rng: &mut Rng, name: &str, added_unix_ms| NewDocument { added_unix_ms, ..document(rng, name, 3) };
    let (older, newer) = (at(&mut rng, "a.md", 10), at(&mut rng, "a.md", 20));
    let (mine, theirs) = (at(&mut rng, "b.md", 20), at(&mut rng, "b.md", 10));
    let same = at(&mut rng, "same.md", 5);
    let renamed = NewDocument { name: "other name.md".into(), ..same.clone() };

    let mut there = Db::in_memory(&tag()).unwrap();
    let collection = there.create_collection("Shared", 1).unwrap();
    for new in [&newer, &theirs, &renamed, &at(&mut rng, "new.md", 7)] {
        let place = Placement { collection: Some(collection), tags: vec!["t".into()], job: None };
        there.put_document_at(new, &place).unwrap();
    }
    let mut here = Db::in_memory(&tag()).unwrap();
    for new in [&older, &mine, &same] {
        here.put_document(new).unwrap();
    }
    here.create_collection("Shared", 9).unwrap();
    let imported = import(&mut here, &exported(&there)).unwrap();
    let expected = Imported { n_added: 1, n_replaced: 1, n_unchanged: 1, n_older: 1, ..Imported::default() };
    assert_eq!(imported, expected);
    let hash = |name: &str| here.info(here.document_id(name).unwrap()).unwrap().clone();
    assert_eq!(hash("a.md").sha256, newer.sha256);
    assert_eq!(hash("b.md").sha256, mine.sha256);
    assert_eq!(here.document_id("other name.md"), None);
    let same = hash("same.md");
    assert_eq!(
        (same.tags.as_slice(), same.collection),
        (&["t".to_owned()][..], here.collection_named("Shared"))
    );
    assert_eq!(here.collections().len(), 1);
    assert_eq!(here.stats().unwrap().n_chunks, 12);
}

#[test]
fn a_damaged_or_cut_export_changes_nothing() {
    let bytes = exported(&filled());
    let mut db = Db::in_memory(&tag()).unwrap();
    let id = db.put_document(&document(&mut Rng(8), "0.md", 6)).unwrap();
    let before = exported(&db);
    let mut rng = Rng(4);
    let step = bytes.len() / 40;
    let cuts = (0..bytes.len()).step_by(step).map(|n| bytes[..n].to_vec());
    let flips = (0..80).map(|n| {
        let mut damaged = bytes.clone();
        let at = if n < 40 { n } else { rng.below(bytes.len()) };
        damaged[at] ^= 1 << rng.below(8);
        damaged
    });
    let mut more = bytes.clone();
    more.push(0);
    for damaged in cuts.chain(flips.collect::<Vec<_>>()).chain([more]) {
        let error = import(&mut db, &damaged).unwrap_err();
        assert!(matches!(error, Error::BadExport { .. }), "{error:?}");
        assert_eq!(db.documents().unwrap().len(), 1);
        assert_eq!(db.stats().unwrap().n_chunks, 6);
    }
    assert!(exported(&db) == before && db.info(id).is_some());
    assert!(db.collections().is_empty() && db.conversations().unwrap().is_empty());
    // The store goes on, and takes the whole one.
    assert_eq!(import(&mut db, &bytes).unwrap().n_added, 4);
}

#[test]
fn an_export_of_another_embedder_is_refused() {
    let other = crate::EmbedderTag { id: "other".into(), ..tag() };
    let bytes = exported(&Db::in_memory(&other).unwrap());
    let error = import(&mut Db::in_memory(&tag()).unwrap(), &bytes).unwrap_err();
    assert!(matches!(error, Error::EmbedderMismatch { .. }), "{error}");
}

#[test]
fn a_reader_that_fails_changes_nothing() {
    struct Fails<'a>(&'a [u8]);
    impl Read for Fails<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(io::Error::other("gone")),
                n => Ok(n),
            }
        }
    }
    let bytes = exported(&filled());
    let mut db = Db::in_memory(&tag()).unwrap();
    let error = db.import(&mut Fails(&bytes[..bytes.len() / 2])).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(db.stats().unwrap().n_documents, 0);
}

#[test]
fn an_import_that_is_given_up_changes_nothing() {
    let bytes = exported(&filled());
    let mut db = Db::in_memory(&tag()).unwrap();
    let mut input = &bytes[..];
    let mut import = db.begin_import(&mut input).unwrap();
    for _ in 0..4 {
        assert!(import.step().unwrap().is_none(), "this is in the middle");
    }
    drop(import);
    let stats = db.stats().unwrap();
    assert_eq!((stats.n_documents, db.collections().len()), (0, 0));
    assert_eq!(db.verify().unwrap(), [] as [String; 0]);
    assert_eq!(db.import(&mut &bytes[..]).unwrap().n_added, 5);
    assert!(exported(&db) == bytes, "the whole is there then");
}

#[test]
fn compaction_makes_the_file_small_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kb.footnote").display().to_string();
    let open =
        || Db::open(platform::block_on(File::open(&path, OpenMode::ReadWrite)).unwrap(), &tag()).unwrap();
    let mut db = open();
    let mut rng = Rng(6);
    let ids: Vec<_> =
        (0..12).map(|n| db.put_document(&document(&mut rng, &format!("{n}"), 500)).unwrap()).collect();
    db.remove_documents(&ids[..10]).unwrap();
    let before = (db.stats().unwrap().file_bytes, exported(&db));
    let n_bytes = db.compact().unwrap();
    let after = db.stats().unwrap().file_bytes;
    assert_eq!(before.0 - after, n_bytes);
    assert!(after < before.0 / 3, "{} bytes became {after}", before.0);
    assert!(exported(&db) == before.1);
    db.put_document(&document(&mut rng, "later", 3)).unwrap();
    drop(db);
    assert_eq!(open().stats().unwrap().n_documents, 3);
}
