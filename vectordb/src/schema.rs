//! The relations, and the statements over them. `docs/FORMAT.md` describes both for other readers.

use cozo::DataValue;

use crate::engine::Params;
use crate::load::Stored;
use crate::values::{int, optional, optional_int, strings, words};
use crate::{About, ChunkId, CollectionId, DocumentId, DocumentInfo, NewChunk, NewDocument};

/// The format that this version writes. It reads this one, and older ones by way of `migrate`.
pub(crate) const FORMAT: u64 = 3;

/// Chunks whose terms share a row: keeps rows of long documents well under a megabyte.
pub(crate) const MAX_PART_CHUNKS: usize = 256;

/// The relations in the order in which they are made, which numbers them from 1.
pub(crate) const RELATIONS: [&str; 16] = [
    "meta",
    "document",
    "document_text",
    "chunk",
    "vector",
    "terms",
    "setting",
    "collection",
    "member",
    "tag",
    "conversation",
    "message",
    "job",
    "job_vectors",
    "about",
    "sentences",
];

/// The relations of format 1, all at once: a store has every one of them or is empty.
pub(crate) const CREATE: &str = "
{:create meta {key: String => value: String}}
{:create document {id: Int => name: String, kind: String, title: String?, sha256: Bytes, n_bytes: Int,
    added_unix_ms: Int, n_chars: Int, n_pages: Int, n_chunks: Int, first_chunk: Int, warnings: String}}
{:create document_text {document: Int => text: String, page_starts: Bytes}}
{:create chunk {id: Int => document: Int, start: Int, end: Int, page: Int?, heading_path: String, text: String}}
{:create vector {chunk: Int => document: Int, values: Bytes}}
{:create terms {document: Int, part: Int => postings: Bytes}}
{:create setting {key: String => value: String}}
";

/// What format 2 added.
pub(crate) const CREATE_2: &str = "
{:create collection {id: Int => name: String, created_unix_ms: Int}}
{:create member {document: Int => collection: Int}}
{:create tag {document: Int, tag: String}}
{:create conversation {id: Int => title: String, created_unix_ms: Int, changed_unix_ms: Int, n_messages: Int}}
{:create message {conversation: Int, idx: Int => role: String, text: String, details: String, created_unix_ms: Int}}
{:create job {id: Int => name: String, mime: String, sha256: Bytes, n_bytes: Int, collection: Int?, stage: String,
    n_pages: Int, n_done: Int, n_total: Int, cursor: String, error: String?, created_unix_ms: Int, changed_unix_ms: Int}}
{:create job_vectors {job: Int, part: Int => values: Bytes}}
";

/// What format 3 added.
pub(crate) const CREATE_3: &str = "
{:create about {document: Int => authors: String, created: String?, has_sentences: Bool}}
{:create sentences {chunk: Int => values: Bytes}}
";

/// The rows that format 3 wants of documents that were there before.
pub(crate) const FILL_3: &str = "
{?[document, authors, created, has_sentences] :=
    *document{id: document}, authors = '[]', created = null, has_sentences = false
    :put about {document => authors, created, has_sentences}}
";

pub(crate) const META: &str = "?[key, value] := *meta{key, value}";

pub(crate) const PUT_META: &str = "{?[key, value] <- $meta :put meta {key => value}}";

pub(crate) const DOCUMENTS: &str = "
?[id, name, kind, title, sha256, n_bytes, added_unix_ms, n_chars, n_pages, n_chunks, warnings, first_chunk] :=
    *document{id, name, kind, title, sha256, n_bytes, added_unix_ms, n_chars, n_pages, n_chunks, warnings, first_chunk}
";

pub(crate) const ABOUT: &str = "
?[document, authors, created, has_sentences] := *about{document, authors, created, has_sentences}
";

pub(crate) const DOCUMENT_TEXT: &str = "
?[text, page_starts] := *document_text{document: $document, text, page_starts}
";

pub(crate) const CHUNKS: &str = "
asked[id] <- $ids
?[id, document, start, end, page, heading_path, text] :=
    asked[id], *chunk{id, document, start, end, page, heading_path, text}
";

pub(crate) const VECTORS: &str = "
asked[id] <- $ids
?[id, values] := asked[id], *vector{chunk: id, values}
:order id
";

pub(crate) const SENTENCES: &str = "
asked[id] <- $ids
?[id, values] := asked[id], *sentences{chunk: id, values}
:order id
";

pub(crate) const POSTINGS: &str = "?[postings] := *terms{document: $document, part: $part, postings}";

pub(crate) const NEAREST: &str = "
found[id, score] <~ VecScan(query: $query, k: $k, documents: $documents)
?[score, id, document, start, end, page, heading_path, text] :=
    found[id, score], *chunk{id, document, start, end, page, heading_path, text}
:order -score, id
";

pub(crate) const SETTING: &str = "?[value] := *setting{key: $key, value}";

pub(crate) const SETTINGS: &str = "?[key, value] := *setting{key, value}";

pub(crate) const COLLECTIONS: &str = "
?[id, name, created_unix_ms] := *collection{id, name, created_unix_ms}
";

pub(crate) const MEMBERS: &str = "?[document, collection] := *member{document, collection}";

pub(crate) const TAGS: &str = "?[document, tag] := *tag{document, tag}";

pub(crate) const CONVERSATIONS: &str = "
?[id, title, created_unix_ms, changed_unix_ms, n_messages] :=
    *conversation{id, title, created_unix_ms, changed_unix_ms, n_messages}
";

pub(crate) const CONVERSATION: &str = "
?[id, title, created_unix_ms, changed_unix_ms, n_messages] :=
    id = $id, *conversation{id, title, created_unix_ms, changed_unix_ms, n_messages}
";

pub(crate) const MESSAGES: &str = "
?[idx, role, text, details, created_unix_ms] :=
    *message{conversation: $conversation, idx, role, text, details, created_unix_ms}
:order idx
";

pub(crate) const JOBS: &str = "
?[id, name, mime, sha256, n_bytes, collection, stage, n_pages, n_done, n_total, cursor, error, created_unix_ms, changed_unix_ms] :=
    *job{id, name, mime, sha256, n_bytes, collection, stage, n_pages, n_done, n_total, cursor, error, created_unix_ms, changed_unix_ms}
";

pub(crate) const JOB_VECTORS: &str = "
?[part, values] := *job_vectors{job: $job, part, values}
:order part
";

/// One transaction, built up block by block.
#[derive(Default)]
pub(crate) struct Transaction {
    pub(crate) script: String,
    pub(crate) params: Params,
}

impl Transaction {
    /// Puts rows into a relation, whose columns are named as in `id => name, kind`.
    pub(crate) fn put(
        &mut self,
        relation: &str,
        columns: &str,
        rows: impl IntoIterator<Item = Vec<DataValue>>,
    ) {
        self.block(&columns.replace(" =>", ","), &format!(":put {relation} {{{columns}}}"), rows);
    }

    /// Takes rows out of a relation by their keys.
    pub(crate) fn rm(&mut self, relation: &str, keys: &str, rows: impl IntoIterator<Item = Vec<DataValue>>) {
        self.block(keys, &format!(":rm {relation} {{{keys}}}"), rows);
    }

    fn block(&mut self, columns: &str, statement: &str, rows: impl IntoIterator<Item = Vec<DataValue>>) {
        let rows = list(rows);
        if rows.get_slice().is_some_and(<[DataValue]>::is_empty) {
            return;
        }
        let name = format!("rows_{}", self.params.len());
        self.script.push_str(&format!("{{?[{columns}] <- ${name} {statement}}}\n"));
        self.params.insert(name, rows);
    }

    /// Notes the next id of a kind to be given out.
    pub(crate) fn set_counter(&mut self, key: &str, next: u64) {
        self.put("meta", "key => value", [vec![DataValue::from(key), DataValue::from(next.to_string())]]);
    }

    /// Takes documents out with all that belongs to them.
    pub(crate) fn remove_documents(&mut self, gone: &[Stored]) {
        let ids = || gone.iter().map(|stored| vec![int(stored.info.id.0)]);
        self.rm("document", "id", ids());
        self.rm("document_text", "document", ids());
        let chunks = || gone.iter().flat_map(Stored::chunks).map(|id| vec![int(id.0)]);
        self.rm("chunk", "id", chunks());
        self.rm("vector", "chunk", chunks());
        self.rm("about", "document", ids());
        let read = gone.iter().filter(|stored| stored.has_sentences).flat_map(Stored::chunks);
        self.rm("sentences", "chunk", read.map(|id| vec![int(id.0)]));
        let parts = gone.iter().flat_map(|stored| {
            let n_parts = (stored.info.n_chunks as usize).div_ceil(MAX_PART_CHUNKS) as u64;
            (0..n_parts).map(|part| vec![int(stored.info.id.0), int(part)])
        });
        self.rm("terms", "document, part", parts);
        let members = gone.iter().filter(|stored| stored.info.collection.is_some());
        self.rm("member", "document", members.map(|stored| vec![int(stored.info.id.0)]));
        for stored in gone {
            self.set_tags(stored.info.id, &stored.info.tags, &[]);
        }
    }

    /// Puts a document in, with its place among the others.
    pub(crate) fn put_document(&mut self, new: &NewDocument, stored: &Stored, parts: Vec<Vec<u8>>) {
        let info = &stored.info;
        let id = info.id;
        self.put_document_row(stored);
        let page_starts = words(new.page_starts.iter().map(|start| start.to_le_bytes()));
        self.put(
            "document_text",
            "document => text, page_starts",
            [vec![int(id.0), DataValue::from(new.text.as_str()), page_starts]],
        );
        let chunks = || stored.chunks().zip(&new.chunks);
        self.put(
            "chunk",
            "id => document, start, end, page, heading_path, text",
            chunks().map(|(chunk, row)| {
                vec![
                    int(chunk.0),
                    int(id.0),
                    int(row.start.into()),
                    int(row.end.into()),
                    optional_int(row.page.map(u64::from)),
                    strings(&row.heading_path),
                    DataValue::from(row.text.as_str()),
                ]
            }),
        );
        self.put(
            "vector",
            "chunk => document, values",
            chunks().map(|(chunk, row)| {
                vec![int(chunk.0), int(id.0), words(row.vector.iter().map(|value| value.to_le_bytes()))]
            }),
        );
        self.put_about(stored);
        if stored.has_sentences {
            let values = |row: &NewChunk| DataValue::Bytes(row.sentences.as_bytes().to_vec());
            let rows = chunks().map(|(chunk, row)| vec![int(chunk.0), values(row)]);
            self.put("sentences", "chunk => values", rows);
        }
        let parts = (0..).zip(parts);
        self.put(
            "terms",
            "document, part => postings",
            parts.map(|(part, terms)| vec![int(id.0), int(part), DataValue::Bytes(terms)]),
        );
        if info.collection.is_some() {
            self.set_collection(&[id], info.collection);
        }
        self.set_tags(id, &[], &info.tags);
    }

    pub(crate) fn put_document_row(&mut self, stored: &Stored) {
        let columns = "id => name, kind, title, sha256, n_bytes, added_unix_ms, n_chars, n_pages, n_chunks, \
            first_chunk, warnings";
        self.put("document", columns, [document_row(&stored.info, stored.first_chunk)]);
    }

    fn put_about(&mut self, stored: &Stored) {
        let About { authors, created } = &stored.info.about;
        let row = vec![
            int(stored.info.id.0),
            strings(authors),
            optional(created.as_deref()),
            DataValue::from(stored.has_sentences),
        ];
        self.put("about", "document => authors, created, has_sentences", [row]);
    }

    /// Puts documents into a collection or into none.
    pub(crate) fn set_collection(&mut self, documents: &[DocumentId], to: Option<CollectionId>) {
        match to {
            Some(to) => {
                let rows = documents.iter().map(|id| vec![int(id.0), int(to.0)]);
                self.put("member", "document => collection", rows);
            }
            None => self.rm("member", "document", documents.iter().map(|id| vec![int(id.0)])),
        }
    }

    /// Replaces the tags of a document.
    pub(crate) fn set_tags(&mut self, document: DocumentId, older: &[String], tags: &[String]) {
        let row = |tag: &String| vec![int(document.0), DataValue::from(tag.as_str())];
        self.rm("tag", "document, tag", older.iter().filter(|tag| !tags.contains(tag)).map(row));
        self.put("tag", "document, tag", tags.iter().map(row));
    }
}

/// Rows for a `<-`.
pub(crate) fn list(rows: impl IntoIterator<Item = Vec<DataValue>>) -> DataValue {
    DataValue::List(rows.into_iter().map(DataValue::List).collect())
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
        collection: _,
        tags: _,
        about: _,
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
