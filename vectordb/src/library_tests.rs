//! Collections, tags, conversations, and the queue of jobs: what is kept, and that all of it is there
//! after the store was opened anew.

use platform::{File, OpenMode};
use serde_json::json;
use tempfile::TempDir;

use crate::testing::{N_DIMS, Rng, document, tag};
use crate::{
    ChunkVectors, CollectionId, Contents, Db, DocumentId, Error, Filter, Job, JobStage, Message, NewJob,
    Placement, Role, SentenceVectors,
};

struct Kept(TempDir);

impl Kept {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, mode: OpenMode) -> File {
        let path = self.0.path().join("kb.footnote").display().to_string();
        platform::block_on(File::open(&path, mode)).unwrap()
    }

    fn open(&self) -> Db {
        Db::open(self.file(OpenMode::ReadWrite), &tag()).unwrap()
    }
}

/// Six documents of five passages, added at times 0, 100, .. 500.
fn six(db: &mut Db) -> Vec<DocumentId> {
    let mut rng = Rng(11);
    let put = |n: i64| {
        let new = crate::NewDocument { added_unix_ms: n * 100, ..document(&mut rng, &format!("{n}.md"), 5) };
        db.put_document(&new).unwrap()
    };
    (0..6).map(put).collect()
}

fn found(db: &Db, filter: &Filter, k: usize) -> Vec<DocumentId> {
    let hits = db.search_vector(&[0.3; N_DIMS], k, filter).unwrap();
    let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    let mut documents: Vec<_> = db.chunks(&ids).unwrap().iter().map(|row| row.document).collect();
    documents.sort();
    documents
}

#[test]
fn collections_and_tags_are_kept_and_stay_with_newer_versions() {
    let kept = Kept::new();
    let mut db = kept.open();
    let ids = six(&mut db);
    let recipes = db.create_collection("  Recipes ", 1).unwrap();
    let work = db.create_collection("work", 2).unwrap();
    db.move_documents(&ids[..2], Some(recipes)).unwrap();
    db.move_documents(&ids[1..4], Some(work)).unwrap();
    db.set_tags(ids[0], &["tea".into(), " hot ".into(), "tea".into()]).unwrap();
    db.set_tags(ids[2], &["tea".into(), "été".into()]).unwrap();
    db.set_tags(ids[2], &["été".into()]).unwrap();
    db.rename_collection(work, "Work").unwrap();
    let newer = document(&mut Rng(77), "0.md", 3);
    let newest = db.put_document_at(&newer, &Placement { tags: vec!["new".into()], ..Placement::default() });
    let newest = newest.unwrap();
    assert_ne!(newest, ids[0]);
    drop(db);

    let db = kept.open();
    let named: Vec<_> =
        db.collections().into_iter().map(|c| (c.name, c.created_unix_ms, c.n_documents)).collect();
    assert_eq!(named, [("Recipes".to_owned(), 1, 1), ("Work".to_owned(), 2, 3)]);
    assert_eq!(db.collection_named("Work"), Some(work));
    let info = db.info(newest).unwrap();
    assert_eq!(info.collection, Some(recipes));
    assert_eq!(info.tags, ["hot", "new", "tea"]);
    let tags: Vec<_> = db.tags().into_iter().map(|tag| (tag.name, tag.n_documents)).collect();
    assert_eq!(tags, [("hot".into(), 1), ("new".into(), 1), ("tea".into(), 1), ("été".into(), 1)]);
    assert_eq!(db.document_id("0.md"), Some(newest));
}

#[test]
fn a_collection_is_deleted_with_its_documents_or_without() {
    let kept = Kept::new();
    let mut db = kept.open();
    let ids = six(&mut db);
    let collection = db.create_collection("a", 0).unwrap();
    let other = db.create_collection("b", 0).unwrap();
    db.move_documents(&ids[..3], Some(collection)).unwrap();
    db.move_documents(&ids[3..5], Some(other)).unwrap();
    db.set_tags(ids[3], &["x".into()]).unwrap();
    assert_eq!(db.delete_collection(collection, Contents::Keep).unwrap(), ids[..3]);
    assert_eq!(db.delete_collection(other, Contents::Delete).unwrap(), ids[3..5]);
    drop(db);
    let mut db = kept.open();
    assert_eq!((db.collections(), db.tags()), (vec![], vec![]));
    assert!(db.documents().unwrap().iter().all(|info| info.collection.is_none()));
    assert_eq!(db.stats().unwrap().n_chunks, 4 * 5);
    assert_eq!(found(&db, &Filter::default(), 100).len(), 20);
    assert!(db.create_collection("a", 0).unwrap() > other, "ids are never given out twice");
}

#[test]
fn names_and_ids_that_cannot_be_are_refused_and_change_nothing() {
    let mut db = Db::in_memory(&tag()).unwrap();
    let ids = six(&mut db);
    let collection = db.create_collection("a", 0).unwrap();
    let long = "x".repeat(201);
    for name in ["", "  ", "a", "two\nlines", &long] {
        assert!(matches!(db.create_collection(name, 0), Err(Error::BadName { .. })), "{name:?}");
    }
    assert!(matches!(db.rename_collection(CollectionId(9), "b"), Err(Error::UnknownCollection { .. })));
    db.rename_collection(collection, "a").unwrap();
    let unknown = [ids[0], DocumentId(99)];
    assert!(matches!(db.move_documents(&unknown, Some(collection)), Err(Error::UnknownDocument { .. })));
    assert!(matches!(db.move_documents(&ids, Some(CollectionId(9))), Err(Error::UnknownCollection { .. })));
    let many: Vec<String> = (0..65).map(|n| n.to_string()).collect();
    for tags in [vec![String::new()], vec!["t".repeat(65)], many] {
        assert!(matches!(db.set_tags(ids[0], &tags), Err(Error::BadName { .. })));
    }
    assert!(matches!(db.rename_document(ids[0], "1.md"), Err(Error::BadName { .. })));
    assert_eq!(db.collections()[0].n_documents, 0);
    assert!(db.tags().is_empty());
}

#[test]
fn a_filter_gives_k_hits_of_the_documents_it_lets_through() {
    let mut db = Db::in_memory(&tag()).unwrap();
    let ids = six(&mut db);
    let collection = db.create_collection("a", 0).unwrap();
    db.move_documents(&ids[2..], Some(collection)).unwrap();
    for id in &ids[..4] {
        db.set_tags(*id, &["even".into(), "all".into()]).unwrap();
    }
    db.set_tags(ids[4], &["all".into()]).unwrap();
    let all = Filter::default();
    let cases: [(Filter, &[usize]); 8] = [
        (Filter { collections: Some(vec![collection]), ..all.clone() }, &[2, 3, 4, 5]),
        (Filter { collections: Some(vec![]), ..all.clone() }, &[]),
        (Filter { tags: vec!["all".into()], ..all.clone() }, &[0, 1, 2, 3, 4]),
        (Filter { tags: vec!["all".into(), "even".into()], ..all.clone() }, &[0, 1, 2, 3]),
        (Filter { added_from_unix_ms: Some(100), added_before_unix_ms: Some(300), ..all.clone() }, &[1, 2]),
        (Filter { tags: vec!["nobody".into()], ..all.clone() }, &[]),
        (
            Filter {
                documents: Some(vec![ids[1], ids[3], ids[5]]),
                collections: Some(vec![collection]),
                tags: vec!["even".into()],
                added_from_unix_ms: Some(0),
                ..all.clone()
            },
            &[3],
        ),
        (all.clone(), &[0, 1, 2, 3, 4, 5]),
    ];
    for (filter, expected) in cases {
        let expected: Vec<DocumentId> = expected.iter().flat_map(|&n| [ids[n]; 5]).collect();
        assert_eq!(found(&db, &filter, 100), expected, "{filter:?}");
        assert_eq!(found(&db, &filter, 4).len(), 4.min(expected.len()), "{filter:?}");
        let (query, words) = ([0.3; N_DIMS], "amber birch crane dune running");
        for hits in [db.search_text(words, 100, &filter), db.search(&query, words, 100, &filter)] {
            for row in db.chunks(&hits.unwrap().iter().map(|hit| hit.chunk).collect::<Vec<_>>()).unwrap() {
                assert!(expected.contains(&row.document), "{filter:?}");
            }
        }
        let joined = db.nearest(&query, 4, &filter).unwrap();
        assert!(
            joined.len() == 4.min(expected.len())
                && joined.iter().all(|(row, _)| expected.contains(&row.document))
        );
    }
}

#[test]
fn documents_without_the_words_say_nothing_about_the_background() {
    let mut db = Db::in_memory(&tag()).unwrap();
    let mut rng = Rng(3);
    let mut put = |name: &str, text: &str, first: f32| {
        let mut new = document(&mut rng, name, 1);
        new.text = text.into();
        let chunk = &mut new.chunks[0];
        (chunk.text, chunk.heading_path, chunk.sentences) = (text.into(), Vec::new(), Default::default());
        (chunk.start, chunk.end) = (0, text.chars().count() as u32);
        chunk.vector.fill(0.0);
        (chunk.vector[0], chunk.vector[1]) = (first, (1.0 - first * first).sqrt());
        db.put_document(&new).unwrap()
    };
    let greek = put("el.txt", "η πόλη και ο ποταμός", 0.75);
    let english = put("en.txt", "the city and the river", 0.25);
    let mut query = [0.0; N_DIMS];
    query[0] = 1.0;
    let background = |text: &str, filter: &Filter| db.background(&query, text, filter).unwrap();
    let all = Filter::default();
    assert_eq!(background("Ποια πόλη;", &all), 0.75);
    assert_eq!(background("Which city?", &all), 0.25);
    assert_eq!(background("Quel fleuve ?", &all), 0.5, "nobody has a word of it");
    let only = |id| Filter { documents: Some(vec![id]), ..Filter::default() };
    assert_eq!(background("Which city?", &only(greek)), 0.75, "the filter holds");
    assert_eq!(background("Ποια πόλη;", &only(english)), 0.25);
}

fn message(role: Role, text: &str, details: serde_json::Value, at: i64) -> Message {
    Message { role, text: text.into(), details, created_unix_ms: at }
}

#[test]
fn conversations_are_kept_in_order() {
    let kept = Kept::new();
    let mut db = kept.open();
    let first = db.create_conversation("Tea?", 10).unwrap();
    let second = db.create_conversation("Bees", 20).unwrap();
    let answer = json!({"quotes": [{"n": 1, "text": "80 degrees"}], "citations": []});
    let exchange = [
        message(Role::Question, "How hot?", json!(null), 30),
        message(Role::Answer, "80 degrees [1].", answer, 31),
    ];
    db.append_messages(first, &exchange).unwrap();
    for n in 0..11 {
        db.append_messages(first, &[message(Role::Question, &n.to_string(), json!(n), 40 + n)]).unwrap();
    }
    db.rename_conversation(second, "Beehives").unwrap();
    let huge = message(Role::Answer, &"x".repeat(5 << 20), json!(null), 99);
    assert!(matches!(db.append_messages(first, &[huge]), Err(Error::BadMessage { .. })));
    drop(db);

    let mut db = kept.open();
    let listed = db.conversations().unwrap();
    let lines: Vec<_> = listed
        .iter()
        .map(|c| (c.id, c.title.as_str(), c.created_unix_ms, c.changed_unix_ms, c.n_messages))
        .collect();
    assert_eq!(lines, [(first, "Tea?", 10, 50, 13), (second, "Beehives", 20, 20, 0)]);
    let messages = db.messages(first).unwrap();
    assert_eq!(messages[..2], exchange);
    let rest: Vec<_> = messages[2..].iter().map(|m| m.text.as_str()).collect();
    assert_eq!(rest, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    assert_eq!(db.messages(second).unwrap(), []);
    assert!(db.delete_conversation(first).unwrap() && !db.delete_conversation(first).unwrap());
    assert!(matches!(db.messages(first), Err(Error::UnknownConversation { .. })));
    assert!(matches!(db.append_messages(first, &exchange), Err(Error::UnknownConversation { .. })));
    let third = db.create_conversation("again", 60).unwrap();
    assert!(third > second && db.messages(third).unwrap().is_empty());
    assert_eq!(db.stats().unwrap().n_conversations, 2);
}

fn job_file(name: &str, hash: u8) -> NewJob {
    NewJob { name: name.into(), mime: "text/plain".into(), sha256: [hash; 32], n_bytes: 5, collection: None }
}

#[test]
fn jobs_keep_their_place_and_their_vectors() {
    let kept = Kept::new();
    let mut db = kept.open();
    let ids = db.enqueue(&[job_file("a", 1), job_file("b", 2), job_file("c", 3)], 100).unwrap();
    let mut rng = Rng(2);
    let vectors: Vec<ChunkVectors> = (0..7)
        .map(|n| {
            let mut sentences = SentenceVectors::default();
            (0..n % 3).for_each(|at| sentences.push(at, at + 1, &rng.unit_vector(N_DIMS)));
            ChunkVectors { passage: rng.unit_vector(N_DIMS), sentences }
        })
        .collect();
    let at = |db: &Db, n_done| Job {
        stage: JobStage::Embedding,
        n_pages: 2,
        n_done,
        n_total: 9,
        cursor: "of a".into(),
        changed_unix_ms: 200,
        ..db.job(ids[0]).unwrap().clone()
    };
    db.advance_job(at(&db, 4), 0, &vectors[..4]).unwrap();
    db.advance_job(at(&db, 7), 4, &vectors[4..]).unwrap();
    let paused = Job { stage: JobStage::Failed, error: Some("no".into()), ..db.job(ids[1]).unwrap().clone() };
    db.update_jobs(vec![paused.clone()]).unwrap();
    drop(db);

    let mut db = kept.open();
    assert_eq!(db.jobs().map(|job| job.id).collect::<Vec<_>>(), ids);
    assert_eq!(db.job(ids[0]).unwrap(), &at(&db, 7));
    assert_eq!(db.job(ids[1]).unwrap(), &paused);
    assert_eq!(db.job_vectors(ids[0]).unwrap(), vectors);
    // Another document of the file begins: what was kept of the one before is replaced.
    db.advance_job(at(&db, 2), 0, &vectors[5..]).unwrap();
    assert_eq!(db.job_vectors(ids[0]).unwrap(), vectors[5..]);
    // The document and the end of its job are one transaction.
    let done = Job { stage: JobStage::Done, ..at(&db, 9) };
    let place = Placement { job: Some(done.clone()), ..Placement::default() };
    db.put_document_at(&document(&mut rng, "a", 9), &place).unwrap();
    assert_eq!((db.job(ids[0]).unwrap(), db.job_vectors(ids[0]).unwrap()), (&done, vec![]));
    db.remove_jobs(&ids[..2]).unwrap();
    drop(db);
    let mut db = kept.open();
    assert_eq!(db.jobs().map(|job| job.id).collect::<Vec<_>>(), ids[2..]);
    assert!(matches!(db.update_jobs(vec![done.clone()]), Err(Error::UnknownJob { .. })));
    assert!(db.put_document_at(&document(&mut rng, "b", 1), &place).is_err());
    assert_eq!(db.document_id("b"), None);
    assert!(db.enqueue(&[job_file("d", 4)], 300).unwrap()[0] > ids[2]);
    let too_many = vec![job_file("x", 0); crate::MAX_JOBS];
    assert!(matches!(db.enqueue(&too_many, 0), Err(Error::QueueFull { .. })));
}
