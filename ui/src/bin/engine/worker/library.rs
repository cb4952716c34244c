//! Requests about the knowledge base as a whole.

use std::io::{self, BufReader, BufWriter, Read, Write};

use assistant::Assistant;
use js_sys::{ArrayBuffer, Uint8Array};
use platform::OpenMode;
use ui::{Asker, Event, LibraryEvent, LibraryRequest, Shelf};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, File};

use super::requests::{KNOWLEDGE_BASE, rows, told};
use super::wire;

#[wasm_bindgen]
extern "C" {
    /// Reads files without waiting, as only workers may.
    type FileReaderSync;
    #[wasm_bindgen(constructor, catch)]
    fn new() -> Result<FileReaderSync, JsValue>;
    #[wasm_bindgen(method, catch, js_name = readAsArrayBuffer)]
    fn read_as_array_buffer(this: &FileReaderSync, blob: &Blob) -> Result<ArrayBuffer, JsValue>;
}

/// Where an export is written, for the page to offer it. It is in nobody's way until the next start.
const EXPORT: &str = "exports/knowledge base.footnote-export";
const EXPORTS: &str = "exports";
/// Bytes that are read, written and told at once.
const BUFFER_BYTES: usize = 1 << 20;

pub async fn serve(
    assistant: &mut Assistant,
    asker: &Asker,
    request: LibraryRequest,
    file: Option<&File>,
) -> Result<Event, String> {
    let library = assistant.library_mut();
    match request {
        LibraryRequest::Shelf => return shelf(assistant),
        LibraryRequest::RemoveDocuments { documents } => {
            library.remove(&documents).map_err(told)?;
        }
        // Served once more after the engine has moved, it is there already.
        LibraryRequest::CreateCollection { name } => {
            library.collection_named(&name).map_err(told)?;
        }
        LibraryRequest::RenameCollection { collection, name } => {
            library.rename_collection(collection, &name).map_err(told)?;
        }
        LibraryRequest::DeleteCollection { collection, contents } => {
            if library.collections().iter().any(|listed| listed.id.0 == collection) {
                library.delete_collection(collection, contents).map_err(told)?;
            }
        }
        LibraryRequest::MoveDocuments { documents, to } => {
            library.move_documents(&documents, to).map_err(told)?;
        }
        LibraryRequest::SetTags { document, tags } => library.set_tags(document, &tags).map_err(told)?,
        LibraryRequest::Copies { document } => {
            let near = library.near_copies(document);
            return Ok(Event::Library(LibraryEvent::Copies { document, near }));
        }
        LibraryRequest::Conversations => return conversations(assistant),
        LibraryRequest::RenameConversation { conversation, title } => {
            library.rename_conversation(conversation, &title).map_err(told)?;
            wire::post_all(conversations(assistant)?);
            return conversations(assistant);
        }
        LibraryRequest::DeleteConversation { conversation } => {
            library.delete_conversation(conversation).map_err(told)?;
            wire::post_all(conversations(assistant)?);
            return conversations(assistant);
        }
        LibraryRequest::Messages { conversation } => {
            let messages = library.messages(conversation).map_err(told)?;
            return Ok(Event::Library(LibraryEvent::Messages { conversation, messages }));
        }
        LibraryRequest::Export => return export(assistant, asker).await,
        LibraryRequest::Import => return import(assistant, asker, file).await,
        LibraryRequest::Compact => {
            let n_bytes = library.compact().map_err(told)?;
            return Ok(Event::Library(LibraryEvent::Compacted { n_bytes }));
        }
        LibraryRequest::ForgetDamaged => {
            assistant::forget_damaged(KNOWLEDGE_BASE).await.map_err(told)?;
        }
        // Served before this is reached, with the knowledge base closed.
        LibraryRequest::Rescue | LibraryRequest::Rebuild => return Ok(Event::Stopped),
    }
    tell_shelf(assistant)?;
    shelf(assistant)
}

/// Removes what was offered for download in an earlier visit.
pub async fn tidy() {
    if platform::exists(EXPORTS).await.is_ok_and(|is_there| is_there) {
        // A file that is still being saved goes the next time.
        let _ = platform::remove(EXPORTS).await;
    }
}

/// Tells every tab what is stored now.
pub fn tell_shelf(assistant: &Assistant) -> Result<(), String> {
    wire::post_all(Event::Documents(rows(assistant)?));
    wire::post_all(shelf(assistant)?);
    Ok(())
}

fn shelf(assistant: &Assistant) -> Result<Event, String> {
    let library = assistant.library();
    let (documents, collections, tags) = (rows(assistant)?, library.collections(), library.tags());
    Ok(Event::Library(LibraryEvent::Shelf(Shelf { documents, collections, tags })))
}

fn conversations(assistant: &Assistant) -> Result<Event, String> {
    let conversations = assistant.library().conversations().map_err(told)?;
    Ok(Event::Library(LibraryEvent::Conversations(conversations)))
}

async fn export(assistant: &Assistant, asker: &Asker) -> Result<Event, String> {
    let mut out = output(asker).await?;
    let exported = assistant.library().export(&mut out).await.map_err(told)?;
    Ok(Event::Library(LibraryEvent::Exported { path: EXPORT.to_owned(), exported }))
}

/// Exports what is readable of a damaged knowledge base that is not open.
pub async fn rescue(asker: &Asker) -> Result<Event, String> {
    let mut out = output(asker).await?;
    let exported = assistant::rescue(KNOWLEDGE_BASE, &mut out).await.map_err(|error| error.to_string())?;
    Ok(Event::Library(LibraryEvent::Exported { path: EXPORT.to_owned(), exported }))
}

/// Replaces a damaged knowledge base that is not open by what is readable of it.
pub async fn rebuild() -> Result<Event, String> {
    let repaired = assistant::repair_in_place(KNOWLEDGE_BASE).await.map_err(|error| error.to_string())?;
    wire::post_all(Event::Library(LibraryEvent::Rebuilt(repaired.clone())));
    Ok(Event::Library(LibraryEvent::Rebuilt(repaired)))
}

/// Where an export is written, which tells who asked how far it is.
async fn output(asker: &Asker) -> Result<BufWriter<Counted<StoredFile>>, String> {
    let file = platform::File::open(EXPORT, OpenMode::Create).await.map_err(|error| error.to_string())?;
    let inner = StoredFile { file, at: 0 };
    let out = Counted { inner, asker: asker.clone(), done_bytes: 0, total_bytes: None };
    Ok(BufWriter::with_capacity(BUFFER_BYTES, out))
}

async fn import(assistant: &mut Assistant, asker: &Asker, file: Option<&File>) -> Result<Event, String> {
    let file = file.ok_or("the export came without its file; choose it again")?;
    let reader = FileReaderSync::new().map_err(|error| format!("files cannot be read here ({error:?})"))?;
    let total_bytes = Some(file.size() as u64);
    let inner = GivenFile { file: file.clone(), reader, at: 0.0 };
    let input = Counted { inner, asker: asker.clone(), done_bytes: 0, total_bytes };
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let imported = assistant.library_mut().import(&mut input).await.map_err(told)?;
    tell_shelf(assistant)?;
    Ok(Event::Library(LibraryEvent::Imported(imported)))
}

/// Tells how far it is.
struct Counted<T> {
    inner: T,
    asker: Asker,
    done_bytes: u64,
    total_bytes: Option<u64>,
}

impl<T> Counted<T> {
    fn count(&mut self, n_bytes: usize) {
        self.done_bytes += n_bytes as u64;
        let (done_bytes, total_bytes) = (self.done_bytes, self.total_bytes);
        wire::post(&self.asker, Event::Library(LibraryEvent::Copying { done_bytes, total_bytes }));
    }
}

impl<T: Write> Write for Counted<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.inner.write(bytes)?;
        self.count(n_written);
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Counted<T> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(out)?;
        self.count(n_read);
        Ok(n_read)
    }
}

/// Writes a file of the origin from its beginning on.
struct StoredFile {
    file: platform::File,
    at: u64,
}

impl Write for StoredFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.at).map_err(into_io)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync().map_err(into_io)
    }
}

fn into_io(error: platform::Error) -> io::Error {
    let kind = match error {
        platform::Error::QuotaExceeded { .. } => io::ErrorKind::StorageFull,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Reads a file that the user chose, a piece at a time.
struct GivenFile {
    file: File,
    reader: FileReaderSync,
    at: f64,
}

impl Read for GivenFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let gone = |error| io::Error::other(format!("the browser cannot read it any more ({error:?})"));
        let end = (self.at + out.len() as f64).min(self.file.size());
        let piece = self.file.slice_with_f64_and_f64(self.at, end).map_err(gone)?;
        let bytes = self.reader.read_as_array_buffer(&piece).map_err(gone)?;
        let bytes = Uint8Array::new(&bytes);
        let n_read = bytes.length() as usize;
        bytes.copy_to(&mut out[..n_read]);
        self.at = end;
        Ok(n_read)
    }
}
