//! What the targets of `fuzz/` call: any bytes in, never a panic out. The tests replay each over
//! mutations of sound bytes.

use std::sync::OnceLock;

use redb::StorageBackend;

use crate::pages::Pages;
use crate::{
    About, ChunkId, Db, EmbedderTag, Filter, NewChunk, NewDocument, Salvage, SentenceVectors, postings, rows,
};

/// Index terms of a document, as they are stored.
pub fn postings(bytes: &[u8]) {
    if let Some(terms) = postings::Terms::parse(bytes) {
        let n_chunks = terms.n_terms().len();
        terms.each(|_, list| assert!(list.iter().all(|one| (one.chunk_idx as usize) < n_chunks)));
    }
}

/// Key and value of a row: a byte that tells the length of the key, and both.
pub fn row(bytes: &[u8]) {
    if let Some((key, value)) = split(bytes) {
        rows::listed_relation(key, value);
        if rows::decode(key, value).is_some() {
            assert!(rows::is_safe(key, value));
            // What is given on must be what the query engine can read.
            cozo::decode_tuple_from_kv(key, value, None);
        }
    }
}

/// Rows with the right checksums, put into a sound store: each begins with the length of its key and
/// a `u16` length of its value.
pub fn stored_rows(mut bytes: &[u8]) {
    let pages = holding(sound_store());
    let mut replaced = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<3>() {
        let n_value = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let Some((key, rest)) = rest.split_at_checked(head[0].into()) else { break };
        let Some((value, rest)) = rest.split_at_checked(n_value) else { break };
        replaced.push((key.to_vec(), value.to_vec()));
        bytes = rest;
    }
    let Ok(db) = Db::over(pages.clone(), &tag()) else { return };
    // Rows that the store refuses are refused.
    let _ = db.engine.put_rows(replaced);
    drop(db);
    read_all(&pages);
}

/// A whole file.
pub fn store(bytes: &[u8]) {
    let pages = holding(bytes);
    if let Ok(salvage) = Salvage::of_pages(&pages) {
        for info in salvage.documents() {
            salvage.read(info.id);
        }
        if salvage.documents().len() > 0 {
            // What is left may be little; writing it must not fail for reasons of its bytes.
            let _ = salvage.rebuild_in(Pages::in_memory(), Some(&tag()));
        }
    }
    read_all(&pages);
}

fn read_all(pages: &Pages) {
    let Ok(mut db) = Db::over(pages.clone(), &tag()) else { return };
    let Ok(documents) = db.documents() else { return };
    // Each may fail, and none may panic.
    for info in &documents {
        let _ = db.document(info.id);
    }
    let _ = db.search(&[1.0, 0.0], "fuzzing finds what nobody thought of", 5, &Filter::default());
    let _ = db.nearest(&[0.0, 1.0], 5, &Filter::default());
    let _ = db.sentence_vectors(&[ChunkId(1), ChunkId(2)]);
    let _ = db.setting("theme");
    let _ = db.verify();
    if let Some(info) = documents.first() {
        let _ = db.remove_document(info.id);
    }
    let _ = db.put_document(&document("another.md"));
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&n_key, rest) = bytes.split_first()?;
    rest.split_at_checked(n_key.into())
}

/// Pages in memory that hold these bytes.
fn holding(bytes: &[u8]) -> Pages {
    let pages = Pages::in_memory();
    pages.set_len(bytes.len() as u64).expect("memory does not fail");
    pages.write(0, bytes).expect("memory does not fail");
    pages
}

/// The bytes of a small store.
pub fn sound_store() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let pages = Pages::in_memory();
        let mut db = Db::over(pages.clone(), &tag()).expect("memory does not fail");
        for name in ["one.md", "two.md"] {
            db.put_document(&document(name)).expect("memory does not fail");
        }
        db.set_setting("theme", &serde_json::json!("dark")).expect("memory does not fail");
        drop(db);
        let mut bytes = vec![0; pages.len().expect("memory does not fail") as usize];
        pages.read(0, &mut bytes).expect("memory does not fail");
        bytes
    })
}

fn tag() -> EmbedderTag {
    EmbedderTag {
        id: "fuzz".into(),
        revision: String::new(),
        dimensions: 2,
        pooling: "mean".into(),
        prefix: String::new(),
    }
}

fn document(name: &str) -> NewDocument {
    let passages = ["Redwoods grow tall.", "Nobody knows why they do."];
    let text = passages.join("\n");
    let chunk = |(idx, passage): (usize, &&str)| NewChunk {
        start: 20 * idx as u32,
        end: (20 * idx + passage.len()) as u32,
        page: Some(1),
        heading_path: vec!["Trees".into()],
        text: (*passage).to_owned(),
        vector: vec![1.0, idx as f32],
        sentences: {
            let mut sentences = SentenceVectors::default();
            sentences.push(0, passage.len() as u32, &[1.0, 0.5]);
            sentences
        },
    };
    NewDocument {
        name: name.to_owned(),
        kind: "markdown".into(),
        title: Some("Trees".into()),
        sha256: [7; 32],
        n_bytes: text.len() as u64,
        added_unix_ms: 0,
        page_starts: vec![0],
        warnings: Vec::new(),
        about: About { authors: vec!["Nobody".into()], created: None },
        chunks: passages.iter().enumerate().map(chunk).collect(),
        text,
    }
}

#[cfg(test)]
mod tests {
    use cozo::{Storage, StoreTx};

    use super::*;
    use crate::postings::Terms;
    use crate::storage::PageStore;
    use crate::testing::Rng;

    /// Flips, sets, cuts out and doubles a few bytes.
    fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, at: std::ops::Range<usize>) {
        for _ in 0..1 + rng.below(4) {
            let at = at.start + rng.below((at.end - at.start).max(1));
            if at >= bytes.len() {
                continue;
            }
            match rng.below(6) {
                0 | 1 => bytes[at] ^= 1 << rng.below(8),
                2 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][rng.below(5)],
                3 => bytes[at] = rng.next() as u8,
                4 => drop(bytes.drain(at..bytes.len().min(at + 1 + rng.below(8)))),
                _ => {
                    let copy = bytes[at..bytes.len().min(at + 1 + rng.below(8))].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
    }

    /// Keys and values of a sound store.
    fn sound_rows() -> Vec<(Vec<u8>, Vec<u8>)> {
        let store = PageStore::open(holding(sound_store())).unwrap();
        let tx = store.transact(false).unwrap();
        tx.total_scan().collect::<miette::Result<_>>().unwrap()
    }

    /// Rows as [`stored_rows`] takes them.
    fn packed(key: &[u8], value: &[u8]) -> Vec<u8> {
        [&[key.len() as u8], (value.len() as u16).to_le_bytes().as_slice(), key, value].concat()
    }

    /// Sound bytes, which are also what the targets begin with: `fuzz/README.md`.
    #[test]
    fn what_is_sound_is_taken() {
        let rows = sound_rows();
        let mut seeds = vec![("store", sound_store().to_vec())];
        for (key, value) in rows.iter().filter(|(key, _)| key.len() < 256) {
            seeds.push(("row", [&[key.len() as u8], key.as_slice(), value].concat()));
            seeds.push(("stored_rows", packed(key, value)));
            let terms = (0..value.len()).map(|at| &value[at..]).find(|bytes| Terms::parse(bytes).is_some());
            seeds.extend(terms.map(|bytes| ("postings", bytes.to_vec())));
        }
        let folder = std::env::var_os("FOOTNOTE_FUZZ_CORPUS").map(std::path::PathBuf::from);
        for (i, (name, bytes)) in seeds.iter().enumerate() {
            match *name {
                "store" => store(bytes),
                "row" => row(bytes),
                "stored_rows" => stored_rows(bytes),
                _ => postings(bytes),
            }
            if let Some(folder) = folder.as_ref().map(|folder| folder.join(name)) {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(folder.join(i.to_string()), bytes).unwrap();
            }
        }
        let n_seeds = |target: &str| seeds.iter().filter(|(name, _)| *name == target).count();
        assert!(["row", "stored_rows", "postings"].iter().all(|target| n_seeds(target) > 0));
    }

    #[test]
    fn postings_and_rows_of_any_bytes() {
        let mut rng = Rng(11);
        let rows = sound_rows();
        for _ in 0..20_000 {
            let (key, value) = &rows[rng.below(rows.len())];
            let mut value = value.clone();
            let all = 0..value.len();
            mutate(&mut rng, &mut value, all);
            postings(&value[value.len().min(40)..]);
            row(&[&[key.len() as u8], key.as_slice(), &value].concat());
        }
    }

    #[test]
    fn stores_with_rows_of_any_bytes() {
        let mut rng = Rng(12);
        let rows = sound_rows();
        for _ in 0..150 {
            let mut bytes = Vec::new();
            for _ in 0..1 + rng.below(3) {
                let (key, value) = &rows[rng.below(rows.len())];
                let (mut key, mut value) = (key.clone(), value.clone());
                let (of_key, of_value) = (8..key.len(), 0..value.len());
                if rng.below(4) == 0 {
                    mutate(&mut rng, &mut key, of_key);
                }
                mutate(&mut rng, &mut value, of_value);
                bytes.extend(packed(&key, &value));
            }
            stored_rows(&bytes);
        }
    }

    #[test]
    fn stores_of_any_bytes() {
        let mut rng = Rng(13);
        let n_used = sound_store().len() - sound_store().iter().rev().take_while(|&&byte| byte == 0).count();
        for _ in 0..150 {
            let mut bytes = sound_store().to_vec();
            // Shifted by a byte nothing is where it was: mostly the length stays.
            let n_bytes = bytes.len();
            mutate(&mut rng, &mut bytes, 0..n_used);
            if rng.below(4) > 0 {
                bytes.resize(n_bytes, 0);
            }
            store(&bytes);
        }
    }
}
