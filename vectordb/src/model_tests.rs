//! A random workload against the simplest store that could be right: a list of documents, scanned.

use std::collections::BTreeMap;

use platform::{File, OpenMode};

use crate::testing::{N_DIMS, Rng, document, tag};
use crate::{ChunkId, Db, DocumentId, Filter, Hit, NewDocument, terms};

/// Documents by id, with the ids of their first chunks.
#[derive(Default)]
struct Model(BTreeMap<DocumentId, (NewDocument, u64)>);

impl Model {
    fn id_of(&self, name: &str) -> Option<DocumentId> {
        self.0.iter().find(|(_, (document, _))| document.name == name).map(|(id, _)| *id)
    }

    fn chunks(&self, filter: &Filter) -> Vec<(ChunkId, &crate::NewChunk)> {
        let allowed = |id: &DocumentId| filter.documents.as_ref().is_none_or(|ids| ids.contains(id));
        let documents = self.0.iter().filter(|(id, _)| allowed(id));
        documents.flat_map(|(_, (document, first))| (*first..).map(ChunkId).zip(&document.chunks)).collect()
    }

    fn nearest(&self, query: &[f32], k: usize, filter: &Filter) -> Vec<(ChunkId, f64)> {
        let score = |v: &[f32]| v.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        best(self.chunks(filter).into_iter().map(|(id, chunk)| (id, score(&chunk.vector))), k)
    }

    /// BM25 from the texts, counting everything anew.
    fn matching(&self, question: &str, k: usize, filter: &Filter) -> Vec<(ChunkId, f64)> {
        let texts: Vec<(ChunkId, Vec<String>)> = self
            .chunks(&Filter::default())
            .iter()
            .map(|(id, chunk)| (*id, terms(&format!("{} . {}", chunk.heading_path.join(" . "), chunk.text))))
            .collect();
        let n = texts.len() as f64;
        let mean = texts.iter().map(|(_, t)| t.len()).sum::<usize>() as f64 / n;
        let score = |text: &[String]| {
            let scores = terms(question).into_iter().map(|term| {
                let df = texts.iter().filter(|(_, t)| t.contains(&term)).count() as f64;
                let count = text.iter().filter(|t| **t == term).count() as f64;
                let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
                idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * text.len() as f64 / mean))
            });
            scores.sum::<f64>()
        };
        let allowed: Vec<ChunkId> = self.chunks(filter).iter().map(|(id, _)| *id).collect();
        let scored = texts.iter().filter(|(id, _)| allowed.contains(id)).map(|(id, text)| (*id, score(text)));
        best(scored.filter(|(_, score)| *score > 0.0), k)
    }
}

fn best(scored: impl Iterator<Item = (ChunkId, f64)>, k: usize) -> Vec<(ChunkId, f64)> {
    let mut scored: Vec<_> = scored.collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scored.truncate(k);
    scored
}

/// Scores agree to what f32 allows; ids agree but where scores are that close.
fn assert_same(got: &[Hit], expected: &[(ChunkId, f64)]) {
    assert_eq!(got.len(), expected.len(), "{got:?} {expected:?}");
    for (hit, (id, score)) in got.iter().zip(expected) {
        assert!((f64::from(hit.score) - score).abs() < 1e-4, "{got:?} {expected:?}");
        let tied = expected.iter().filter(|(_, other)| (other - score).abs() < 1e-4).count() > 1
            || expected.last().is_some_and(|(_, last)| (last - score).abs() < 1e-4);
        assert!(tied || hit.chunk == *id, "{got:?} {expected:?}");
    }
}

fn compare(db: &Db, model: &Model, rng: &mut Rng) {
    let listed = db.documents().unwrap();
    assert_eq!(
        listed.iter().map(|info| info.id).collect::<Vec<_>>(),
        model.0.keys().copied().collect::<Vec<_>>()
    );
    for (info, (new, first)) in listed.iter().zip(model.0.values()) {
        let stored = db.document(info.id).unwrap().unwrap();
        assert_eq!((&stored.info, &stored.text, &stored.page_starts), (info, &new.text, &new.page_starts));
        assert_eq!(
            (&info.name, &info.title, &info.warnings, info.sha256),
            (&new.name, &new.title, &new.warnings, new.sha256)
        );
        assert_eq!(info.n_chars, new.text.chars().count() as u64);
        let ids: Vec<ChunkId> = (*first..).take(new.chunks.len()).map(ChunkId).collect();
        let rows = db.chunks(&ids).unwrap();
        assert_eq!(rows.len(), new.chunks.len());
        for (row, chunk) in rows.iter().zip(&new.chunks) {
            assert_eq!(
                (row.document, row.start, row.end, row.page),
                (info.id, chunk.start, chunk.end, chunk.page)
            );
            assert_eq!((&row.heading_path, &row.text), (&chunk.heading_path, &chunk.text));
        }
    }
    let stats = db.stats().unwrap();
    assert_eq!(stats.n_chunks as usize, model.chunks(&Filter::default()).len());
    let some = model.0.keys().copied().filter(|id| id.0 % 2 == 0).collect();
    for filter in [Filter::default(), Filter { documents: Some(some), ..Filter::default() }] {
        let query = rng.unit_vector(N_DIMS);
        let hits = db.search_vector(&query, 7, &filter).unwrap();
        assert_same(&hits, &model.nearest(&query, 7, &filter));
        let joined: Vec<Hit> = db
            .nearest(&query, 7, &filter)
            .unwrap()
            .iter()
            .map(|(row, score)| Hit { chunk: row.id, score: *score })
            .collect();
        assert_eq!(joined, hits);
        for question in ["crane", "Élan running run", "part 言語 harbour iris", "語言", "nothing of it"]
        {
            assert_same(
                &db.search_text(question, 5, &filter).unwrap(),
                &model.matching(question, 5, &filter),
            );
        }
    }
}

#[test]
fn a_random_workload_leaves_what_a_simple_store_would_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kb.footnote").display().to_string();
    let open =
        || Db::open(platform::block_on(File::open(&path, OpenMode::ReadWrite)).unwrap(), &tag()).unwrap();
    let mut rng = Rng(7);
    let mut model = Model::default();
    let mut db = open();
    let mut next_chunk = 1;
    for step in 0..120 {
        match rng.below(10) {
            0..6 => {
                let name = format!("file {}.md", rng.below(8));
                let n_chunks = if step == 60 { 600 } else { rng.below(12) };
                let new = document(&mut rng, &name, n_chunks);
                let id = db.put_document(&new).unwrap();
                assert_eq!(db.put_document(&new).unwrap(), id, "the same again is nothing new");
                if let Some(older) = model.id_of(&name) {
                    model.0.remove(&older);
                }
                let first = next_chunk;
                next_chunk += new.chunks.len() as u64;
                model.0.insert(id, (new, first));
            }
            6..8 => {
                let id = DocumentId(rng.below(step + 1) as u64);
                assert_eq!(db.remove_document(id).unwrap(), model.0.remove(&id).is_some());
            }
            8 => {
                drop(db);
                db = open();
            }
            _ => compare(&db, &model, &mut rng),
        }
    }
    compare(&db, &model, &mut rng);
    drop(db);
    compare(&open(), &model, &mut rng);
}

/// A document of these passages, all with one vector.
fn written(name: &str, sha256: u8, passages: &[&str]) -> NewDocument {
    let mut new = document(&mut Rng(1), name, passages.len());
    new.sha256 = [sha256; 32];
    new.text = passages.join("\n");
    for (chunk, text) in new.chunks.iter_mut().zip(passages) {
        chunk.text = (*text).to_owned();
        chunk.vector = (0..N_DIMS).map(|dim| if dim == 0 { 1.0 } else { 0.0 }).collect();
    }
    new
}

#[test]
fn a_quotation_is_required_in_order() {
    let mut db = Db::in_memory(&tag()).unwrap();
    let passages = ["The heat pumps hum.", "A pump moves heat.", "Heat of any pump", "Élan vital, heat pump"];
    db.put_document(&written("a.md", 1, &passages)).unwrap();
    db.put_document(&written("b.md", 2, &["The heat pump again"])).unwrap();
    db.put_document(&written("parted.md", 3, &["Of the light-\nhouses nothing is left."])).unwrap();
    let all = Filter::default();
    let found = |question: &str, filter: &Filter| {
        let mut ids: Vec<u64> =
            db.search_text(question, 10, filter).unwrap().iter().map(|hit| hit.chunk.0).collect();
        ids.sort_unstable();
        ids
    };
    for question in ["\"the lighthouses nothing\"", "\"of the light-houses\"", "\"the light houses\""] {
        assert_eq!(found(question, &all), [6], "{question}");
    }
    assert_eq!(found("heat pump", &all), [1, 2, 3, 4, 5]);
    assert_eq!(found("\"heat pump\"", &all), [1, 4, 5]);
    assert_eq!(found("“Heat Pump” élan", &all), [1, 4, 5]);
    assert_eq!(found("\"heat pump\" \"elan vital\"", &all), [4]);
    assert_eq!(found("\"pump heat\"", &all), [0; 0]);
    assert_eq!(
        found("\"heat pump\"", &Filter { documents: Some(vec![DocumentId(2)]), ..Filter::default() }),
        [5]
    );
    // The leg by meaning would give all passages.
    let query: Vec<f32> = (0..N_DIMS).map(|_| 0.3).collect();
    assert_eq!(db.search(&query, "heat pump", 10, &all).unwrap().len(), 6);
    assert_eq!(db.search(&query, "\"heat pump\"", 10, &all).unwrap().len(), 3);
    assert!(db.search(&query, "\"pump heat\"", 10, &all).unwrap().is_empty());
}

#[test]
fn the_same_file_under_another_name_is_stored_once() {
    let mut db = Db::in_memory(&tag()).unwrap();
    let id = db.put_document(&written("a.md", 1, &["One text."])).unwrap();
    assert_eq!(db.put_document(&written("b.md", 1, &["One text."])).unwrap(), id);
    assert_eq!(db.same_document(&[1; 32], "One text.").unwrap().unwrap().name, "a.md");
    // Another document of the same archive.
    let other = db.put_document(&written("c.md", 1, &["One test."])).unwrap();
    assert!(other != id && db.same_document(&[2; 32], "One text.").unwrap().is_none());
    // The file `d.md` becomes what `a.md` is.
    db.put_document(&written("d.md", 3, &["Something else."])).unwrap();
    assert_eq!(db.stats().unwrap().n_documents, 3);
    assert_eq!(db.put_document(&written("d.md", 1, &["One text."])).unwrap(), id);
    let names: Vec<String> = db.documents().unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["a.md", "c.md"]);
}

#[test]
fn nearly_the_same_documents_are_told_also_after_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kb").display().to_string();
    let open =
        || Db::open(platform::block_on(File::open(&path, OpenMode::ReadWrite)).unwrap(), &tag()).unwrap();
    let mut db = open();
    let words = |n: usize| (0..120).map(|i| format!("word{} ", (i * n) % 97)).collect::<String>();
    let [first, other] = [words(1), words(5).replace("word", "term")];
    let a = db.put_document(&written("a.md", 1, &[&first, &other])).unwrap();
    let b = db.put_document(&written("b.md", 2, &[&first.replace("word7 ", "new7 "), &other])).unwrap();
    let c = db.put_document(&written("c.md", 3, &[&other, "and more of it"])).unwrap();
    let told = |db: &Db, id| db.near_duplicates(id).iter().map(|near| near.document).collect::<Vec<_>>();
    assert_eq!((told(&db, a), told(&db, b), told(&db, c)), (vec![b], vec![a], vec![]));
    let before = db.near_duplicates(a);
    drop(db);
    let mut db = open();
    assert_eq!(db.near_duplicates(a), before);
    db.remove_document(b).unwrap();
    assert!(told(&db, a).is_empty());
}

#[test]
fn settings_are_kept() {
    let mut db = Db::in_memory(&tag()).unwrap();
    assert_eq!(db.setting("theme").unwrap(), None);
    db.set_setting("theme", &serde_json::json!({"dark": true, "size": [1, 2]})).unwrap();
    db.set_setting("theme", &serde_json::json!({"dark": false})).unwrap();
    assert_eq!(db.setting("theme").unwrap(), Some(serde_json::json!({"dark": false})));
}

#[test]
fn another_embedder_is_refused_and_the_file_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kb").display().to_string();
    let file = || platform::block_on(File::open(&path, OpenMode::ReadWrite)).unwrap();
    let mut db = Db::open(file(), &tag()).unwrap();
    db.put_document(&document(&mut Rng(1), "a", 3)).unwrap();
    drop(db);
    let mut other = tag();
    other.id = "other".into();
    let error = Db::open(file(), &other).unwrap_err();
    assert!(
        matches!(&error, crate::Error::EmbedderMismatch { stored, asked } if **stored == tag() && **asked == other)
    );
    assert!(error.to_string().contains("`test`") && error.to_string().contains("`other`"), "{error}");
    assert_eq!(Db::open(file(), &tag()).unwrap().stats().unwrap().n_chunks, 3);
}

#[test]
fn documents_that_cannot_be_stored_are_named() {
    let mut db = Db::in_memory(&tag()).unwrap();
    let good = document(&mut Rng(1), "good.md", 2);
    let bad = |change: &dyn Fn(&mut NewDocument)| {
        let mut new = good.clone();
        change(&mut new);
        new
    };
    let cases = [
        (bad(&|new| new.name.clear()), "no name"),
        (bad(&|new| new.chunks[1].vector.truncate(3)), "3 numbers"),
        (bad(&|new| new.chunks[1].vector[0] = f32::NAN), "not finite"),
        (bad(&|new| new.chunks[0].start = new.chunks[0].end + 1), "ends before"),
        (bad(&|new| new.n_bytes = u64::MAX), "no file"),
    ];
    for (new, word) in cases {
        let error = db.put_document(&new).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains(&new.name), "{error}");
    }
    assert_eq!(db.stats().unwrap().n_documents, 0);
    let error = db.search_vector(&[0.0; N_DIMS - 1], 3, &Filter::default()).unwrap_err().to_string();
    assert!(error.contains("12") && error.contains("11"), "{error}");
}
