//! The store.

use std::collections::BTreeMap;

use crate::{ChunkId, ChunkRow, DocumentId, DocumentInfo, DocumentText, EmbedderTag, Error, Filter, Hit, NewDocument, Result, Stats};

/// A knowledge base.
pub struct Db {
    file: Option<platform::File>,
    tag: EmbedderTag,
    next: u64,
    next_chunk: u64,
    documents: BTreeMap<DocumentId, (DocumentInfo, NewDocument, u64)>,
    settings: BTreeMap<String, serde_json::Value>,
}

impl Db {
    /// Opens or creates.
    pub fn open(file: platform::File, tag: &EmbedderTag) -> Result<Self> {
        let mut db = Self::in_memory(tag)?;
        db.file = Some(file);
        Ok(db)
    }
    /// A store that forgets everything when it is dropped.
    pub fn in_memory(tag: &EmbedderTag) -> Result<Self> {
        Ok(Self { file: None, tag: tag.clone(), next: 1, next_chunk: 1, documents: BTreeMap::new(), settings: BTreeMap::new() })
    }
    /// The embedder of the vectors.
    pub fn tag(&self) -> &EmbedderTag {
        &self.tag
    }
    /// Stores.
    pub fn put_document(&mut self, new: &NewDocument) -> Result<DocumentId> {
        if let Some((id, d)) = self.documents.iter().find(|(_, d)| d.0.name == new.name) {
            if d.0.sha256 == new.sha256 {
                return Ok(*id);
            }
            let id = *id;
            self.documents.remove(&id);
        }
        let id = DocumentId(self.next);
        self.next += 1;
        let info = DocumentInfo {
            id,
            name: new.name.clone(),
            kind: new.kind.clone(),
            title: new.title.clone(),
            sha256: new.sha256,
            n_bytes: new.n_bytes,
            added_unix_ms: new.added_unix_ms,
            n_chars: new.text.chars().count() as u64,
            n_pages: new.page_starts.len() as u32,
            n_chunks: new.chunks.len() as u32,
            warnings: new.warnings.clone(),
        };
        self.documents.insert(id, (info, new.clone(), self.next_chunk));
        self.next_chunk += new.chunks.len() as u64;
        Ok(id)
    }
    /// Removes.
    pub fn remove_document(&mut self, id: DocumentId) -> Result<bool> {
        Ok(self.documents.remove(&id).is_some())
    }
    /// Lists.
    pub fn documents(&self) -> Result<Vec<DocumentInfo>> {
        Ok(self.documents.values().map(|d| d.0.clone()).collect())
    }
    /// One document.
    pub fn document(&self, id: DocumentId) -> Result<Option<DocumentText>> {
        Ok(self.documents.get(&id).map(|d| DocumentText { info: d.0.clone(), text: d.1.text.clone(), page_starts: d.1.page_starts.clone() }))
    }
    /// Chunks.
    pub fn chunks(&self, ids: &[ChunkId]) -> Result<Vec<ChunkRow>> {
        let all = self.rows();
        Ok(ids.iter().filter_map(|id| all.iter().find(|r| r.0.id == *id).map(|r| r.0.clone())).collect())
    }
    fn rows(&self) -> Vec<(ChunkRow, Vec<f32>)> {
        let mut out = Vec::new();
        for (id, (_, d, first)) in &self.documents {
            for (i, c) in d.chunks.iter().enumerate() {
                out.push((
                    ChunkRow { id: ChunkId(first + i as u64), document: *id, start: c.start, end: c.end, page: c.page, heading_path: c.heading_path.clone(), text: c.text.clone() },
                    c.vector.clone(),
                ));
            }
        }
        out
    }
    fn top(&self, k: usize, filter: &Filter, score: impl Fn(&ChunkRow, &[f32]) -> f32) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self
            .rows()
            .iter()
            .filter(|(r, _)| filter.documents.as_ref().is_none_or(|d| d.contains(&r.document)))
            .map(|(r, v)| Hit { chunk: r.id, score: score(r, v) })
            .filter(|h| h.score > 0.0)
            .collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits.truncate(k);
        hits
    }
    /// Vector search.
    pub fn search_vector(&self, query: &[f32], k: usize, filter: &Filter) -> Result<Vec<Hit>> {
        if query.len() != self.tag.dimensions as usize {
            return Err(Error::BadQuery { expected: self.tag.dimensions as usize, got: query.len() });
        }
        Ok(self.top(k, filter, |_, v| v.iter().zip(query).map(|(a, b)| a * b).sum()))
    }
    /// Text search.
    pub fn search_text(&self, text: &str, k: usize, filter: &Filter) -> Result<Vec<Hit>> {
        Ok(self.top(k, filter, |r, _| text.split_whitespace().filter(|w| r.text.contains(w)).count() as f32))
    }
    /// A setting.
    pub fn setting(&self, key: &str) -> Result<Option<serde_json::Value>> {
        Ok(self.settings.get(key).cloned())
    }
    /// Sets a setting.
    pub fn set_setting(&mut self, key: &str, value: &serde_json::Value) -> Result<()> {
        self.settings.insert(key.to_owned(), value.clone());
        Ok(())
    }
    /// How much is stored.
    pub fn stats(&self) -> Result<Stats> {
        let file_bytes = match &self.file {
            Some(f) => f.len()?,
            None => 0,
        };
        Ok(Stats { n_documents: self.documents.len() as u64, n_chunks: self.rows().len() as u64, file_bytes, ..Stats::default() })
    }
}
