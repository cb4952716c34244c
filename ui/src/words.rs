//! Every text of the page, in one place. Messages about a file or a failure come from the crates
//! below, which know what happened; here stands what the page itself says.

use assistant::{Answer, Loss, Repaired};

use crate::{Step, Storage};

mod files;
mod models;

pub use files::{
    ACCEPTED, ADDING, CANCEL_ALL, CHOOSE, CHOOSE_FOLDER, CHOOSE_FOLDER_HINT, DISMISS_ALL, DROP_HERE,
    GIVE_FILE, NOTHING_USABLE, PAUSE, PAUSED, READING, RESUME, WAITING, added, already_there,
    already_waiting, arriving, compared, comparing, embedding, empty_folder, file_facts, gone_from,
    large_folder, more_names, more_waiting, near_copy, noted, paused_at, queue, queue_passages, time_left,
};

pub use models::{
    DOWNLOAD_MODEL, MODEL_WORK, MODELS, MODELS_HINT, SAVE_MODEL, USE_MODEL, confirm_delete_model, download,
    model, model_here, offer, tier,
};

/// Under the name.
pub const TAGLINE: &str = "Ask your own documents. They stay in this browser.";
/// Link for keyboards.
pub const SKIP: &str = "Skip to the question";
/// Heading of the list.
pub const DOCUMENTS: &str = "Documents";
/// Label of the switch between documents and conversations.
pub const SHELF: &str = "Shelf";
/// Heading of the kept conversations.
pub const CONVERSATIONS: &str = "Conversations";
/// Label of the list of collections.
pub const COLLECTIONS: &str = "Collections";
/// Label of a document's collection.
pub const COLLECTION: &str = "Collection";
/// A document that is in none.
pub const NO_COLLECTION: &str = "None";
/// The row of the list that stands for everything.
pub const ALL_DOCUMENTS: &str = "All documents";
/// Makes a collection.
pub const NEW_COLLECTION: &str = "New collection";
/// Label of the field for another name.
pub const COLLECTION_NAME: &str = "Name of the collection";
/// A collection without documents.
pub const EMPTY_COLLECTION: &str = "Nothing is in this collection yet. Add files while it is chosen, or move documents into it by their “…”.";
/// Deletes a collection and keeps what is in it.
pub const DELETE_COLLECTION: &str = "Delete the collection";
/// Label of a document's tags.
pub const TAGS: &str = "Tags, with commas between";
/// Takes what was typed.
pub const SAVE: &str = "Save";
/// Asks all documents again.
pub const ASK_ALL: &str = "Ask all documents";
/// Begins a conversation.
pub const NEW_CONVERSATION: &str = "New conversation";
/// Label of the field for another title.
pub const CONVERSATION_TITLE: &str = "Title of the conversation";
/// An empty list of conversations.
pub const NO_CONVERSATIONS: &str = "Questions and answers are kept here, in this browser.";
/// Offers a copy for download.
pub const EXPORT: &str = "Export";
/// Its tooltip.
pub const EXPORT_HINT: &str = "Save all documents, collections and conversations as one file";
/// Takes a copy in.
pub const IMPORT: &str = "Import";
/// Its tooltip.
pub const IMPORT_HINT: &str = "Add what an exported file holds";
/// While a copy is written.
pub const EXPORTING: &str = "Exporting…";
/// While a copy is read.
pub const IMPORTING: &str = "Importing…";
/// Announced afterwards.
pub const IMPORTED: &str = "The export was taken in.";
/// A copy that the browser does not hand out.
pub const NO_DOWNLOAD: &str = "The browser did not offer the export for download; try again.";
/// Label of the question field.
pub const QUESTION: &str = "Question";
/// In the empty field.
pub const ASK_PLACEHOLDER: &str = "Ask your documents";
/// In the empty field while there is nothing to ask.
pub const ASK_EMPTY: &str = "Add a document, then ask";
/// Sends the question.
pub const ASK: &str = "Ask";
/// Stops the answer.
pub const STOP: &str = "Stop";
/// Under the field.
pub const ASK_HINT: &str = "Enter asks, Shift+Enter starts a new line, Esc stops.";
/// Under the field while documents are being read.
pub const ASK_WAITS: &str = "Files are being read: an answer rests on those that are ready by then.";
/// Welcome without documents.
pub const WELCOME: &str = "Answers with footnotes, from your own files";
/// Its text.
pub const WELCOME_TEXT: &str = "Drop a few documents, ask a question, and follow each footnote to the very sentence it rests on. Reading, searching and answering happen in this tab; nothing is uploaded.";
/// Welcome with documents.
pub const WELCOME_BACK: &str = "What would you like to know?";
/// Its text.
pub const WELCOME_BACK_TEXT: &str =
    "Each answer quotes your documents, and each footnote opens the place it rests on.";
/// While passages are looked up.
pub const SEARCHING: &str = "Looking through your documents…";
/// Between the quotes and the first word.
pub const WRITING: &str = "Reading the passages…";
/// Heading of the quotes under an answer.
pub const FOOTNOTES: &str = "Footnotes";
/// Heading of the passages under a refusal.
pub const NEAREST: &str = "The nearest passages";
/// After a stop.
pub const STOPPED: &str = "Stopped.";
/// Beside marked sentences.
pub const UNSUPPORTED: &str =
    "Underlined sentences are not supported by the quoted passages. Check them before you rely on them.";
/// Tooltip of such a sentence.
pub const UNSUPPORTED_HINT: &str = "No quoted passage supports this sentence";
/// Closes the source.
pub const CLOSE: &str = "Close the source";
/// While a source loads.
pub const OPENING: &str = "Opening…";
/// Heading while the engine starts.
pub const STARTING: &str = "Getting ready";
/// While models are downloaded.
pub const DOWNLOADING: &str = "Downloading the models, once";
/// Its text.
pub const DOWNLOADING_TEXT: &str = "They are kept in this browser, and checked before use. If the connection breaks, the download goes on where it stopped.";
/// While models are loaded.
pub const LOADING: &str = "Loading the models";
/// While the knowledge base opens.
pub const OPENING_STORE: &str = "Opening your documents";
/// The engine could not start.
pub const OPEN_FAILED: &str = "Footnote could not get ready";
/// The knowledge base is damaged.
pub const DAMAGED: &str = "The knowledge base is damaged";
/// What can be done.
pub const DAMAGED_TEXT: &str = "Rebuilding copies all that is still readable to a new knowledge base, tells what is missing, and keeps the damaged one beside it. To be careful, save what is readable as a file first.";
/// Does it.
pub const REBUILD: &str = "Rebuild it";
/// Meanwhile.
pub const REBUILDING: &str = "Rebuilding…";
/// Heading afterwards.
pub const REBUILT: &str = "The knowledge base was rebuilt";
/// Deletes the file that could not be read whole.
pub const FORGET_DAMAGED: &str = "Delete the damaged file";
/// Keeps it.
pub const KEEP_DAMAGED: &str = "Keep it";
/// Offers what is readable for download.
pub const RESCUE: &str = "Save what is readable";
/// The browser gives this window no files.
pub const NOT_KEPT: &str = "Nothing is kept in this window";
/// What that means.
pub const NOT_KEPT_TEXT: &str = "The browser gives sites no storage here, as in some private windows. Documents, answers and models are in memory, and gone when this tab is closed. Open Footnote in an ordinary window to keep them.";
/// The state line's words for it.
pub const IN_MEMORY: &str = "in memory only, gone with this tab";
/// The engine died.
pub const FATAL: &str = "The engine stopped unexpectedly";
/// Why, where its script did not load.
pub const NOT_LOADED: &str = "its program did not load; reload the page when the connection is back";
/// What it means.
pub const FATAL_TEXT: &str =
    "Your documents are safe. What was being added or asked is tried again when you start it.";
/// A request that the engine has not survived.
pub const GIVEN_UP: &str = "The engine stopped each time while it worked on this; it was given up.";
/// Starts again.
pub const RETRY: &str = "Try again";
/// Starts a dead engine again.
pub const RESTART: &str = "Start again";
/// Deletes, after the question.
pub const DELETE: &str = "Delete";
/// Keeps.
pub const KEEP: &str = "Keep";
/// Removes a message about a file.
pub const DISMISS: &str = "Dismiss";
/// Gives up on a file that is being read.
pub const CANCEL: &str = "Cancel";
/// Label of the password field.
pub const PASSWORD: &str = "Password";
/// Sends it.
pub const UNLOCK: &str = "Unlock";
/// The store is protected by the browser.
pub const PERSISTED: &str = "kept until you delete it";
/// The store is not protected.
pub const NOT_PERSISTED: &str = "the browser may clear it when the disk is full";

/// `1 page`, `3 pages`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(n)) }
}

/// `12,345`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0 B`, `98.4 MB`, `1.2 GB`: decimal units, as disks and browsers count.
pub fn size(n_bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if n_bytes < 1_000 {
        return format!("{n_bytes} B");
    }
    let mut value = n_bytes as f64 / 1_000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// `0.4 s`, `12 s`.
pub fn seconds(ms: f64) -> String {
    if ms < 9_950.0 { format!("{:.1} s", ms / 1_000.0) } else { format!("{:.0} s", ms / 1_000.0) }
}

/// In the place of a source that cannot be shown.
pub fn no_source(why: &str) -> String {
    format!("This document cannot be shown: {why}.")
}

/// The heading while the engine gets ready: what it is at.
pub fn step(step: Option<&Step>) -> &'static str {
    match step {
        Some(Step::Fetching { .. }) => DOWNLOADING,
        Some(Step::Loading { .. }) => LOADING,
        Some(Step::Store) => OPENING_STORE,
        _ => STARTING,
    }
}

/// How much is stored, and whether it is safe.
pub fn storage(storage: &Storage, is_persisted: bool) -> String {
    let safety = if is_persisted { PERSISTED } else { NOT_PERSISTED };
    format!("{} of {} used; {safety}", size(storage.usage_bytes), size(storage.quota_bytes))
}

/// Under a finished answer.
pub fn took(answer: &Answer) -> String {
    let total = answer.timings_ms.get("total").copied().unwrap_or_default();
    let how = match (answer.refused, answer.generated) {
        (true, _) => "Searched",
        (_, true) => "Written",
        (_, false) => "Quoted",
    };
    format!("{how} in {}", if total < 100.0 { "under 0.1 s".into() } else { seconds(total) })
}

/// What a document's row says under its name.
pub fn document_meta(kind: &str, n_pages: u32, n_chunks: u64) -> String {
    let kind = match kind {
        "pdf" => "PDF",
        "markdown" => "Markdown",
        "html" => "HTML",
        "docx" | "odt" => "Document",
        "pptx" | "odp" => "Slides",
        "xlsx" | "ods" => "Spreadsheet",
        "epub" => "Book",
        "csv" => "Table",
        "json" | "jsonl" => "JSON",
        "code" => "Code",
        "subtitles" => "Subtitles",
        "email" => "Letter",
        "mailbox" => "Letters",
        _ => "Text",
    };
    let passages = count(n_chunks, "passage", "passages");
    match n_pages {
        0 => format!("{kind} · {passages}"),
        n => format!("{kind} · {} · {passages}", count(n.into(), "page", "pages")),
    }
}

/// The question before a document is deleted.
pub fn confirm_delete(name: &str) -> String {
    format!("Delete “{name}” from this browser? The file on your disk stays.")
}

/// Where a quote stands.
pub fn place(document: &str, page: Option<u32>) -> (String, String) {
    (document.to_owned(), page.map_or(String::new(), |page| format!(", page {page}")))
}

/// `12 MB of 98 MB`.
pub fn done_of(done_bytes: u64, total_bytes: u64) -> String {
    format!("{} of {}", size(done_bytes), size(total_bytes))
}

/// Announced when quotes arrive.
pub fn found(n_quotes: u64) -> String {
    format!("{} found. The answer follows.", count(n_quotes, "passage", "passages"))
}

/// Label of a footnote's number, which is a link.
pub fn open_footnote(n: u32) -> String {
    format!("Footnote {n}: open the source")
}

/// Label of the delete button.
pub fn delete_label(name: &str) -> String {
    format!("Delete {name}")
}

/// Label of the button that shows a document's collection and tags.
pub fn more_label(name: &str) -> String {
    format!("More about {name}")
}

/// Label of the button that gives something another name.
pub fn rename_label(name: &str) -> String {
    format!("Rename {name}")
}

/// The question before a collection is deleted.
pub fn confirm_delete_collection(name: &str, n_documents: u64) -> String {
    match n_documents {
        0 => format!("Delete the collection “{name}”? It is empty."),
        n => format!("Delete the collection “{name}”? It has {}.", count(n, "document", "documents")),
    }
}

/// Deletes a collection and what is in it.
pub fn with_documents(n_documents: u64) -> String {
    format!("And its {}", count(n_documents, "document", "documents"))
}

/// The question before a conversation is deleted.
pub fn confirm_delete_conversation(title: &str) -> String {
    format!("Delete the conversation “{title}”?")
}

/// Under a conversation's title: each question has an answer.
pub fn conversation_meta(n_messages: u32, day: &str) -> String {
    format!("{} · {day}", count((n_messages / 2).into(), "question", "questions"))
}

/// Under the field while one collection is asked.
pub fn asking_within(name: &str) -> String {
    format!("Asks the collection “{name}” only.")
}

/// What became of a damaged knowledge base.
pub fn rebuilt(repaired: &Repaired) -> Vec<String> {
    let documents = count(repaired.n_documents, "document", "documents");
    let passages = count(repaired.n_chunks, "passage", "passages");
    let missing = if repaired.losses.is_empty() { "Nothing is missing." } else { "Something is missing:" };
    let lost = repaired.losses.iter().map(|Loss { document, what }| match document {
        Some(document) => format!("{document}: {what}"),
        None => what.clone(),
    });
    let first = format!("It has {documents} with {passages}. {missing}");
    std::iter::once(first).chain(lost).collect()
}

/// How far a copy is.
pub fn copying(done_bytes: u64, total_bytes: Option<u64>) -> String {
    match total_bytes {
        Some(total_bytes) => done_of(done_bytes, total_bytes),
        None => size(done_bytes),
    }
}

/// The tags in a text with commas between them.
pub fn tags_of(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

/// Page divider in a source.
pub fn page(n: u32) -> String {
    format!("Page {n}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_read_well() {
        for (n_bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (98_362_432, "98 MB"),
            (999_600, "1.0 MB"),
            (10_737_418_240, "11 GB"),
        ] {
            assert_eq!(size(n_bytes), text);
        }
        assert_eq!(count(1, "page", "pages"), "1 page");
        assert_eq!(count(12_345, "page", "pages"), "12,345 pages");
        assert_eq!([grouped(0), grouped(999), grouped(1_000_000)], ["0", "999", "1,000,000"]);
        assert_eq!(tags_of(" a, b c ,, "), ["a", "b c"]);
        assert_eq!(conversation_meta(2, "1/2/2026"), "1 question · 1/2/2026");
        assert_eq!(document_meta("pdf", 1, 2), "PDF · 1 page · 2 passages");
        assert_eq!(document_meta("odp", 12, 9), "Slides · 12 pages · 9 passages");
        assert_eq!(document_meta("markdown", 0, 1), "Markdown · 1 passage");
    }
}
