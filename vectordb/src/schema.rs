//! The relations, and the statements over them. `docs/FORMAT.md` describes both for other readers.

use cozo::DataValue;

use crate::engine::Params;
use crate::values::{int, optional, strings, words};
use crate::{ChunkId, DocumentId, DocumentInfo, NewDocument};

/// The format that this version writes; it reads this one only, as there is no older one.
pub(crate) const FORMAT: u64 = 1;

/// Chunks whose terms share a row: keeps rows of long documents well under a megabyte.
pub(crate) const MAX_PART_CHUNKS: usize = 256;

/// All relations at once: a store has every one of them or is empty.
pub(crate) const CREATE: &str = "
{:create meta {key: String => value: String}}
{:create document {id: Int => name: String, kind: String, title: String?, sha256: Bytes, n_bytes: Int,
    added_unix_ms: Int, n_chars: Int, n_pages: Int, n_chunks: Int, first_chunk: Int, warnings: String}}
{:create document_text {document: Int => text: String, page_starts: Bytes}}
{:create chunk {id: Int => document: Int, start: Int, end: Int, page: Int?, heading_path: String, text: String}}
{:create vector {chunk: Int => document: Int, values: Bytes}}
{:create terms {document: Int, part: Int => postings: Bytes}}
{:create setting {key: String => value: String}}
{?[key, value] <- $meta :put meta {key => value}}
";

pub(crate) const META: &str = "?[key, value] := *meta{key, value}";

pub(crate) const DOCUMENTS: &str = "
?[id, name, kind, title, sha256, n_bytes, added_unix_ms, n_chars, n_pages, n_chunks, warnings, first_chunk] :=
    *document{id, name, kind, title, sha256, n_bytes, added_unix_ms, n_chars, n_pages, n_chunks, warnings, first_chunk}
";

pub(crate) const DOCUMENT_TEXT: &str = "
?[text, page_starts] := *document_text{document: $document, text, page_starts}
";

pub(crate) const CHUNKS: &str = "
asked[id] <- $ids
?[id, document, start, end, page, heading_path, text] :=
    asked[id], *chunk{id, document, start, end, page, heading_path, text}
";

pub(crate) const NEAREST: &str = "
found[id, score] <~ VecScan(query: $query, k: $k, documents: $documents)
?[score, id, document, start, end, page, heading_path, text] :=
    found[id, score], *chunk{id, document, start, end, page, heading_path, text}
:order -score, id
";

pub(crate) const SETTING: &str = "?[value] := *setting{key: $key, value}";

pub(crate) const SET_SETTING: &str = "?[key, value] <- $rows :put setting {key => value}";

const REMOVE: &str = "
{?[id] <- $gone_document :rm document {id}}
{?[document] <- $gone_document :rm document_text {document}}
";

const REMOVE_CHUNKS: &str = "
{?[id] <- $gone_chunks :rm chunk {id}}
{?[chunk] <- $gone_chunks :rm vector {chunk}}
{?[document, part] <- $gone_parts :rm terms {document, part}}
";

const PUT: &str = "
{?[key, value] <- $meta :put meta {key => value}}
{?[id, name, kind, title, sha256, n_bytes, added_unix_ms, n_chars, n_pages, n_chunks, first_chunk, warnings] <- $document
    :put document {id => name, kind, title, sha256, n_bytes, added_unix_ms, n_chars, n_pages, n_chunks, first_chunk, warnings}}
{?[document, text, page_starts] <- $document_text :put document_text {document => text, page_starts}}
";

const PUT_CHUNKS: &str = "
{?[id, document, start, end, page, heading_path, text] <- $chunks
    :put chunk {id => document, start, end, page, heading_path, text}}
{?[chunk, document, values] <- $vectors :put vector {chunk => document, values}}
{?[document, part, postings] <- $terms :put terms {document, part => postings}}
";

/// One transaction, built up block by block.
#[derive(Default)]
pub(crate) struct Transaction {
    pub(crate) script: String,
    pub(crate) params: Params,
}

impl Transaction {
    /// Takes a document out, whose chunks are numbered from `first_chunk`.
    pub(crate) fn remove(&mut self, info: &DocumentInfo, first_chunk: u64) {
        self.script.push_str(REMOVE);
        self.set("gone_document", [vec![int(info.id.0)]]);
        let n_chunks = info.n_chunks as usize;
        if n_chunks > 0 {
            self.script.push_str(REMOVE_CHUNKS);
            self.set("gone_chunks", (first_chunk..).take(n_chunks).map(|id| vec![int(id)]));
            let parts = 0..n_chunks.div_ceil(MAX_PART_CHUNKS) as u64;
            self.set("gone_parts", parts.map(|part| vec![int(info.id.0), int(part)]));
        }
    }

    /// Puts a document in and moves the counters of ids behind it.
    pub(crate) fn put(
        &mut self,
        new: &NewDocument,
        info: &DocumentInfo,
        first_chunk: u64,
        parts: Vec<Vec<u8>>,
    ) {
        let id = info.id;
        self.script.push_str(PUT);
        self.set("meta", counters(id.0 + 1, first_chunk + u64::from(info.n_chunks)));
        self.set("document", [document_row(info, first_chunk)]);
        let page_starts = words(new.page_starts.iter().map(|start| start.to_le_bytes()));
        self.set("document_text", [vec![int(id.0), DataValue::from(new.text.as_str()), page_starts]]);
        if new.chunks.is_empty() {
            return;
        }
        self.script.push_str(PUT_CHUNKS);
        let chunks = (first_chunk..).map(ChunkId).zip(&new.chunks);
        self.set(
            "chunks",
            chunks.clone().map(|(chunk, row)| {
                vec![
                    int(chunk.0),
                    int(id.0),
                    int(row.start.into()),
                    int(row.end.into()),
                    row.page.map_or(DataValue::Null, |page| int(page.into())),
                    strings(&row.heading_path),
                    DataValue::from(row.text.as_str()),
                ]
            }),
        );
        self.set(
            "vectors",
            chunks.map(|(chunk, row)| {
                vec![int(chunk.0), int(id.0), words(row.vector.iter().map(|value| value.to_le_bytes()))]
            }),
        );
        let parts = (0..).zip(parts);
        self.set("terms", parts.map(|(part, terms)| vec![int(id.0), int(part), DataValue::Bytes(terms)]));
    }

    fn set(&mut self, name: &str, rows: impl IntoIterator<Item = Vec<DataValue>>) {
        self.params.insert(name.to_owned(), list(rows));
    }
}

/// Rows for a `<-`.
pub(crate) fn list(rows: impl IntoIterator<Item = Vec<DataValue>>) -> DataValue {
    DataValue::List(rows.into_iter().map(DataValue::List).collect())
}

/// The rows of `meta` that count ids: the next ones to give out.
pub(crate) fn counters(next_document: u64, next_chunk: u64) -> [Vec<DataValue>; 2] {
    let row = |key, number: u64| vec![DataValue::from(key), DataValue::from(number.to_string())];
    [row("next_document", next_document), row("next_chunk", next_chunk)]
}

fn document_row(info: &DocumentInfo, first_chunk: u64) -> Vec<DataValue> {
    let DocumentInfo {
        id,
        name,
        kind,
        title,
        sha256,
        n_bytes,
        added_unix_ms,
        n_chars,
        n_pages,
        n_chunks,
        warnings,
    } = info;
    vec![
        int(id.0),
        DataValue::from(name.as_str()),
        DataValue::from(kind.as_str()),
        optional(title.as_deref()),
        DataValue::Bytes(sha256.to_vec()),
        int(*n_bytes),
        DataValue::from(*added_unix_ms),
        int(*n_chars),
        int((*n_pages).into()),
        int((*n_chunks).into()),
        int(first_chunk),
        strings(warnings),
    ]
}

/// One row each, for conditions on ids.
pub(crate) fn ids(ids: &[ChunkId]) -> DataValue {
    list(ids.iter().map(|id| vec![int(id.0)]))
}

/// A filter as the search rules take it.
pub(crate) fn documents(documents: Option<&[DocumentId]>) -> DataValue {
    documents.map_or(DataValue::Null, |ids| DataValue::List(ids.iter().map(|id| int(id.0)).collect()))
}
