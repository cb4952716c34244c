//! Files of older formats, and opening for reading only.

use std::fs;
use std::path::{Path, PathBuf};

use platform::{File, OpenMode};
use serde_json::{Value, json};

use crate::testing::{N_DIMS, Rng, document, tag};
use crate::{ChunkId, Contents, Db, Error, Filter};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/stores").join(name)
}

fn file(path: &Path, mode: OpenMode) -> File {
    platform::block_on(File::open(&path.display().to_string(), mode)).unwrap()
}

/// All that a store of formats 1 and 2 can hold, as the program that wrote the fixture saw it.
fn held(db: &Db, known: &Value) -> Value {
    let all = Filter::default();
    let plain = |mut document: Value| {
        let info = document["info"].as_object_mut().unwrap();
        assert_eq!(info.remove("collection"), Some(Value::Null));
        assert_eq!(info.remove("tags"), Some(json!([])));
        assert_eq!(info.remove("about"), Some(json!({"authors": [], "created": null})));
        document
    };
    let documents: Vec<Value> = db
        .documents()
        .unwrap()
        .iter()
        .map(|info| plain(serde_json::to_value(db.document(info.id).unwrap().unwrap()).unwrap()))
        .collect();
    let ids: Vec<_> = (1..12).map(ChunkId).collect();
    let n_dims = db.tag().dimensions as usize;
    let axes: Vec<_> = (0..n_dims)
        .map(|axis| {
            let query: Vec<f32> = (0..n_dims).map(|n| if n == axis { 1.0 } else { 0.0 }).collect();
            db.search_vector(&query, 100, &all).unwrap()
        })
        .collect();
    let words: Vec<Value> = known["words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|asked| {
            let question = asked["question"].as_str().unwrap();
            let hits = db.search_text(question, 100, &all).unwrap();
            json!({"question": question, "hits": hits.iter().map(|hit| hit.chunk).collect::<Vec<_>>()})
        })
        .collect();
    json!({
        "tag": db.tag(),
        "documents": documents,
        "chunks": db.chunks(&ids).unwrap(),
        "axes": axes,
        "words": words,
        "setting": db.setting("theme").unwrap(),
    })
}

#[test]
fn a_file_of_format_1_opens_and_holds_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kb.footnote");
    fs::copy(fixture("format-1.footnote"), &path).unwrap();
    let known: Value = serde_json::from_slice(&fs::read(fixture("format-1.json")).unwrap()).unwrap();
    let before = fs::read(&path).unwrap();

    let db = Db::open_read_only(file(&path, OpenMode::Read)).unwrap();
    assert_eq!(held(&db, &known), known);
    drop(db);
    assert!(fs::read(&path).unwrap() == before, "reading has changed the file");

    for opened in 0..2 {
        let mut db = Db::open_existing(file(&path, OpenMode::ReadWrite)).unwrap();
        assert_eq!(held(&db, &known), known, "opened {opened} times before");
        if opened == 1 {
            // What format 2 added works in a migrated file, and ids go on where they were.
            let largest = db.documents().unwrap().last().unwrap().id;
            let collection = db.create_collection("a", 0).unwrap();
            db.move_documents(&[largest], Some(collection)).unwrap();
            db.create_conversation("b", 0).unwrap();
            assert_eq!(db.delete_collection(collection, Contents::Delete).unwrap(), [largest]);
            holds_what_format_3_added(&mut db);
        }
    }
}

/// In a migrated file, too.
fn holds_what_format_3_added(db: &mut Db) {
    let mut new = document(&mut Rng(6), "new.md", 4);
    let n_dims = db.tag().dimensions as usize;
    for chunk in &mut new.chunks {
        chunk.vector.truncate(n_dims);
        chunk.sentences = crate::SentenceVectors::default();
        chunk.sentences.push(0, 1, &chunk.vector);
    }
    let id = db.put_document(&new).unwrap();
    assert_eq!(db.info(id).unwrap().about, new.about);
    let chunks: Vec<_> = db.stored(&[id])[0].chunks().collect();
    let kept = db.sentence_vectors(&chunks).unwrap();
    assert!(kept.values().eq(new.chunks.iter().map(|chunk| &chunk.sentences)));
    assert_eq!(db.sentence_vectors(&[ChunkId(1)]).unwrap().len(), 0);
    assert_eq!(db.verify().unwrap(), [] as [String; 0]);
}

/// Made of the other fixture by the last program that wrote format 2, which gave it a collection.
#[test]
fn a_file_of_format_2_opens_and_holds_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kb.footnote");
    fs::copy(fixture("format-2.footnote"), &path).unwrap();
    let known: Value = serde_json::from_slice(&fs::read(fixture("format-1.json")).unwrap()).unwrap();
    for _ in 0..2 {
        let db = Db::open_existing(file(&path, OpenMode::ReadWrite)).unwrap();
        assert_eq!(held(&db, &known), known);
        assert_eq!(db.collections().iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["Kept"]);
    }
    let mut db = Db::open_existing(file(&path, OpenMode::ReadWrite)).unwrap();
    holds_what_format_3_added(&mut db);
}

#[test]
fn a_newer_format_is_refused_and_the_file_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kb.footnote");
    let db = Db::open(file(&path, OpenMode::ReadWrite), &tag()).unwrap();
    db.engine
        .write("{?[key, value] <- [['format', '4']] :put meta {key => value}}", Default::default())
        .unwrap();
    drop(db);
    let refused = |result: crate::Result<Db>| {
        assert!(matches!(result, Err(Error::UnknownFormat { found: 4, supported: 3 })));
    };
    refused(Db::open(file(&path, OpenMode::ReadWrite), &tag()));
    refused(Db::open_read_only(file(&path, OpenMode::Read)));
}

#[test]
fn reading_only_changes_nothing_and_refuses_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kb.footnote");
    let mut db = Db::open(file(&path, OpenMode::ReadWrite), &tag()).unwrap();
    let new = document(&mut Rng(1), "a.md", 30);
    let id = db.put_document(&new).unwrap();
    let collection = db.create_collection("a", 0).unwrap();
    let conversation = db.create_conversation("b", 0).unwrap();
    let hits = db.search_vector(&[0.5; N_DIMS], 9, &Filter::default()).unwrap();
    drop(db);
    let before = fs::read(&path).unwrap();

    let mut db = Db::open_read_only(file(&path, OpenMode::Read)).unwrap();
    let other = Db::open_read_only(file(&path, OpenMode::Read)).unwrap();
    assert!(db.is_read_only() && other.documents().unwrap().len() == 1);
    assert_eq!(db.search_vector(&[0.5; N_DIMS], 9, &Filter::default()).unwrap(), hits);
    assert_eq!(db.document(id).unwrap().unwrap().text, new.text);
    let exported = crate::NewJob {
        name: "x".into(),
        mime: String::new(),
        sha256: [0; 32],
        n_bytes: 1,
        collection: None,
    };
    let refused = [
        db.put_document(&document(&mut Rng(2), "b.md", 3)).err(),
        db.remove_document(id).err(),
        db.create_collection("c", 0).err(),
        db.rename_collection(collection, "c").err(),
        db.delete_collection(collection, Contents::Keep).err(),
        db.move_documents(&[id], Some(collection)).err(),
        db.set_tags(id, &["t".into()]).err(),
        db.create_conversation("c", 0).err(),
        db.rename_conversation(conversation, "c").err(),
        db.delete_conversation(conversation).err(),
        db.enqueue(&[exported], 0).err(),
        db.set_setting("k", &json!(1)).err(),
        db.rename_document(id, "c.md").err(),
        db.compact().err(),
        db.import(&mut &[][..]).err(),
    ];
    for (n, error) in refused.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("change {n} was taken"));
        assert!(matches!(error, Error::ReadOnly), "change {n}: {error}");
    }
    assert_eq!(db.documents().unwrap().len(), 1);
    drop((db, other));
    assert!(fs::read(&path).unwrap() == before, "reading has changed the file");
}
