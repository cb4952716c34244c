//! The plain data that goes in and comes out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CollectionId, Job, SentenceVectors};

/// Names a stored document for as long as it is stored; never given out twice in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentId(pub u64);

/// Names a stored chunk; never given out twice in one file. Later chunks have larger ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkId(pub u64);

/// Which embedder made the vectors of a store. Vectors of different tags are not comparable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedderTag {
    /// Catalog id of the model.
    pub id: String,
    /// Revision of the model's files.
    pub revision: String,
    /// Numbers per vector.
    pub dimensions: u32,
    /// How token vectors become one vector ("mean", "cls").
    pub pooling: String,
    /// Text that is put before each passage.
    pub prefix: String,
}

impl fmt::Display for EmbedderTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, revision, dimensions, pooling, prefix } = self;
        write!(f, "`{id}` ({dimensions} dimensions, {pooling} pooling")?;
        if !revision.is_empty() {
            write!(f, ", revision {revision}")?;
        }
        if !prefix.is_empty() {
            write!(f, ", prefix {prefix:?}")?;
        }
        f.write_str(")")
    }
}

/// A document to store, with its chunks and their vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDocument {
    /// File name; a stored document of the same name is replaced.
    pub name: String,
    /// What kind of file it was ("pdf", "markdown", ..).
    pub kind: String,
    /// The document's own title, if it has one.
    pub title: Option<String>,
    /// SHA-256 of the file's bytes.
    pub sha256: [u8; 32],
    /// Size of the file.
    pub n_bytes: u64,
    /// When it was added, in milliseconds since 1970 (UTC).
    pub added_unix_ms: i64,
    /// The extracted text that all spans count in.
    pub text: String,
    /// Code point where page i+1 starts; empty when there are no pages.
    pub page_starts: Vec<u32>,
    /// What the reader of the file warned about.
    pub warnings: Vec<String>,
    /// What it says of itself.
    pub about: About,
    /// The passages, in the order of the text.
    pub chunks: Vec<NewChunk>,
}

/// What a document says of itself besides its title.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// Who wrote it; a letter's sender.
    pub authors: Vec<String>,
    /// When it was written, in its own words; mostly ISO 8601.
    pub created: Option<String>,
}

/// A passage to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewChunk {
    /// First code point in the document's text.
    pub start: u32,
    /// One past the last code point.
    pub end: u32,
    /// 1-based page of the first code point.
    pub page: Option<u32>,
    /// Headings above the passage, outermost first.
    pub heading_path: Vec<String>,
    /// The passage.
    pub text: String,
    /// Its vector, of the embedder's dimensions; unit length, so that a dot product is a cosine.
    pub vector: Vec<f32>,
    /// Those of its sentences, as far as they are known.
    pub sentences: SentenceVectors,
}

/// What an embedder makes of a passage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChunkVectors {
    /// The vector of the passage.
    pub passage: Vec<f32>,
    /// Those of its sentences.
    pub sentences: SentenceVectors,
}

/// What the list of documents shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentInfo {
    /// The document.
    pub id: DocumentId,
    /// File name.
    pub name: String,
    /// What kind of file it was.
    pub kind: String,
    /// The document's own title.
    pub title: Option<String>,
    /// SHA-256 of the file's bytes.
    pub sha256: [u8; 32],
    /// Size of the file.
    pub n_bytes: u64,
    /// When it was added, in milliseconds since 1970 (UTC).
    pub added_unix_ms: i64,
    /// Length of the extracted text in code points.
    pub n_chars: u64,
    /// Number of pages; 0 when there are none.
    pub n_pages: u32,
    /// Number of passages.
    pub n_chunks: u32,
    /// What the reader of the file warned about.
    pub warnings: Vec<String>,
    /// The collection it is in.
    pub collection: Option<CollectionId>,
    /// Its tags, in order.
    pub tags: Vec<String>,
    /// What it says of itself.
    #[serde(default)]
    pub about: About,
}

/// Where a document is put besides the store as such.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Its collection; with `None` it has that of the version it replaces, or none.
    pub collection: Option<CollectionId>,
    /// Tags besides those of the version that it replaces.
    pub tags: Vec<String>,
    /// What a job of the queue becomes in the same transaction; the vectors that it kept go.
    pub job: Option<Job>,
}

/// A document with its extracted text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentText {
    /// The facts about it.
    pub info: DocumentInfo,
    /// The extracted text.
    pub text: String,
    /// Code point where page i+1 starts; empty when there are no pages.
    pub page_starts: Vec<u32>,
}

/// A stored passage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRow {
    /// The passage.
    pub id: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// First code point in the document's text.
    pub start: u32,
    /// One past the last code point.
    pub end: u32,
    /// 1-based page of the first code point.
    pub page: Option<u32>,
    /// Headings above the passage, outermost first.
    pub heading_path: Vec<String>,
    /// The passage.
    pub text: String,
}

/// A question by its meaning.
#[derive(Debug, Clone, Copy)]
pub struct Meaning<'a> {
    /// As the stored vectors: same model, same length.
    pub vector: &'a [f32],
    /// How far the embedder is to be trusted with the question, 0 to 1: not at all with a language that it
    /// was not made for.
    pub trust: f32,
}

/// Trusted fully.
impl<'a, V: AsRef<[f32]> + ?Sized> From<&'a V> for Meaning<'a> {
    fn from(vector: &'a V) -> Self {
        Self { vector: vector.as_ref(), trust: 1.0 }
    }
}

/// A found chunk; larger scores are better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The chunk.
    pub chunk: ChunkId,
    /// Cosine, BM25, or a fused score: comparable only within one search.
    pub score: f32,
}

/// A document that says nearly the same as another one: an older or newer version of it, or a copy in
/// another format.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicate {
    /// The other document.
    pub document: DocumentId,
    /// Words that both have, as a share of those that either has, a repeated word counting each time;
    /// estimated (MinHash) with a standard deviation of at most .044.
    pub overlap: f32,
}

/// How much is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Documents.
    pub n_documents: u64,
    /// Passages, each with a vector.
    pub n_chunks: u64,
    /// Collections.
    pub n_collections: u64,
    /// Conversations.
    pub n_conversations: u64,
    /// Distinct index terms.
    pub n_terms: u64,
    /// Size of the file; 0 for a store in memory.
    pub file_bytes: u64,
    /// Memory that the vectors and the text index hold.
    pub index_bytes: u64,
}
