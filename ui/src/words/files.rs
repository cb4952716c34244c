//! What the page says about files on their way in, and about folders.

use assistant::{NearCopy, QueueState, SyncPlan};

use super::{count, done_of, grouped, size};

/// The button that opens the file dialog.
pub const CHOOSE: &str = "Choose files";
/// The button that opens the dialog for folders.
pub const CHOOSE_FOLDER: &str = "A folder";
/// Its tooltip.
pub const CHOOSE_FOLDER_HINT: &str =
    "Add all files of a folder. Choose it again later to read what is new or has changed";
/// What the file chooser offers. Other files can be dropped: their content decides.
pub const ACCEPTED: &str = ".pdf,.docx,.pptx,.xlsx,.odt,.ods,.odp,.epub,.html,.htm,.md,.markdown,.rst,.txt,.log,\
    .csv,.tsv,.json,.jsonl,.xml,.yaml,.toml,.eml,.mbox,.srt,.vtt,text/*,application/json";
/// Beside them.
pub const DROP_HERE: &str =
    "or drop files or folders here. PDF, Office, books, web pages, tables, letters, text.";
/// Said when something was dropped that is no file.
pub const NOTHING_USABLE: &str = "Nothing that can be read was dropped. Drop files or folders, not links.";
/// Heading of the queue.
pub const ADDING: &str = "Adding";
/// A file's row before its turn comes.
pub const WAITING: &str = "Waiting…";
/// What a file's row says while it is parsed.
pub const READING: &str = "Reading…";
/// Stops all files that wait or are being read, until they go on.
pub const PAUSE: &str = "Pause";
/// Goes on with them.
pub const RESUME: &str = "Go on";
/// Heading of a queue that is stopped, and what a stopped file's row says.
pub const PAUSED: &str = "Paused";
/// Gives up on all files that wait or are being read.
pub const CANCEL_ALL: &str = "Cancel all";
/// Removes the messages about all files that gave no document.
pub const DISMISS_ALL: &str = "Dismiss all";
/// Asks for a file again that could not be kept.
pub const GIVE_FILE: &str = "Choose the file again";

/// What is noticed about a file, in a list of several.
pub fn noted(name: &str, note: &str) -> String {
    format!("{name}: {note}")
}

/// A file whose content is stored.
pub fn already_there(name: &str, document: &str) -> String {
    match name == document {
        true => format!("{name} is stored already, with the same content."),
        false => format!("{name} is the same file as {document}, which is stored already. It is kept once."),
    }
}

/// A file whose content is in the queue.
pub fn already_waiting(name: &str) -> String {
    format!("{name} is in the queue already, with the same content. It is read once.")
}

/// Files that the engine has not taken yet.
pub fn arriving(n_files: u64) -> String {
    format!("Taking in {}. Keep this tab open until they are in the queue.", count(n_files, "file", "files"))
}

/// While a folder is compared with what is stored of it.
pub fn comparing(folder: &str, at: Option<(usize, usize)>) -> String {
    match at {
        None => format!("Comparing the folder “{folder}”"),
        Some((n_done, n_total)) => {
            let total = count(n_total as u64, "file", "files");
            format!("Comparing the folder “{folder}”: {} of {total}", grouped(n_done as u64))
        }
    }
}

/// What the comparison of a folder has shown.
pub fn compared(folder: &str, plan: &SyncPlan) -> Vec<String> {
    let SyncPlan { added, changed, moved, duplicates, gone, n_unchanged } = plan;
    let parts = [
        (added.len(), "new"),
        (changed.len(), "changed"),
        (moved.len(), "renamed"),
        (duplicates.len(), "the same as others"),
        (gone.len(), "gone"),
        (*n_unchanged, "unchanged"),
    ];
    let parts =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", grouped(*n as u64)));
    let parts = parts.collect::<Vec<_>>().join(", ");
    let first = format!("The folder “{folder}”: {parts}.");
    let twice =
        duplicates.iter().map(|name| format!("{name} is the same as another document. It is kept once."));
    std::iter::once(first).chain(twice).collect()
}

/// The question about documents whose files have gone.
pub fn gone_from(folder: &str, n_documents: u64) -> String {
    match n_documents {
        1 => format!("A file has gone from the folder “{folder}”. Delete its document here, too?"),
        n => format!(
            "{} files have gone from the folder “{folder}”. Delete their documents here, too?",
            grouped(n)
        ),
    }
}

/// After the first of many names.
pub fn more_names(n: u64) -> String {
    format!("and {} more", grouped(n))
}

/// A folder without files to read.
pub fn empty_folder(folder: &str) -> String {
    format!(
        "The folder “{folder}” has no files that can be read. Pictures, hidden files and programs are passed over."
    )
}

/// A folder with too many.
pub fn large_folder(folder: &str, max_files: u64) -> String {
    format!("The folder “{folder}” has more than {} files. Add its folders one by one.", grouped(max_files))
}

/// A document that says nearly the same as the one that is looked at.
pub fn near_copy(copy: &NearCopy) -> String {
    format!("Shares {} % of its words with {}.", copy.percent, copy.name)
}

/// What a file's row says while its passages are embedded.
pub fn embedding(n_done: u64, n_total: u64) -> String {
    format!("Understanding passage {} of {}", grouped(n_done), grouped(n_total))
}

/// What a file's row says that was paused in the middle.
pub fn paused_at(n_done: u64, n_total: u64) -> String {
    format!("{PAUSED} at passage {} of {}", grouped(n_done), grouped(n_total))
}

/// The line above the queue.
pub fn queue(queue: &QueueState) -> String {
    let n_files = (queue.n_done + queue.n_open + queue.n_paused) as u64;
    let files = format!("{} of {}", grouped(queue.n_done as u64), count(n_files, "file", "files"));
    format!("{files} · {}", done_of(queue.done_bytes, queue.total_bytes))
}

/// Under it: what the files are made of, as far as they were read.
pub fn queue_passages(queue: &QueueState) -> String {
    if queue.n_known_chunks == 0 {
        return String::new();
    }
    let done = grouped(queue.n_done_chunks);
    let passages = format!("{done} of {} so far", count(queue.n_known_chunks, "passage", "passages"));
    match queue.n_pages {
        0 => passages,
        n => format!("{} · {passages}", count(n, "page", "pages")),
    }
}

/// How long the rest of the queue takes.
pub fn time_left(left_ms: f64) -> String {
    let s = left_ms / 1_000.0;
    match s {
        _ if s < 10.0 => "a few seconds left".to_owned(),
        _ if s < 55.0 => format!("about {:.0} s left", (s / 5.0).ceil() * 5.0),
        _ if s < 3_600.0 => format!("about {:.0} min left", (s / 60.0).ceil()),
        _ => format!("about {:.1} h left", s / 3_600.0),
    }
}

/// Size and pages of a file in the queue.
pub fn file_facts(n_bytes: u64, n_pages: u32) -> String {
    match n_pages {
        0 => size(n_bytes),
        n => format!("{} · {}", size(n_bytes), count(n.into(), "page", "pages")),
    }
}

/// Under the files of the queue that are shown.
pub fn more_waiting(n_files: u64) -> String {
    format!("and {} waiting", count(n_files, "more file", "more files"))
}

/// Announced when a file is in.
pub fn added(name: &str, warnings: &[String]) -> String {
    format!("{name} is ready. {}", warnings.join(" ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_queue_and_a_folder_reads_well() {
        for (left_ms, text) in [
            (3_000.0, "a few seconds left"),
            (31_000.0, "about 35 s left"),
            (61_000.0, "about 2 min left"),
            (5_400_000.0, "about 1.5 h left"),
        ] {
            assert_eq!(time_left(left_ms), text);
        }
        let mut at = QueueState { n_done: 1, n_open: 2, n_paused: 1, ..QueueState::default() };
        (at.done_bytes, at.total_bytes) = (1_000, 4_000);
        assert_eq!([queue(&at), queue_passages(&at)], ["1 of 4 files · 1.0 kB of 4.0 kB", ""]);
        (at.n_pages, at.n_done_chunks, at.n_known_chunks) = (3, 1_200, 3_400);
        assert_eq!(queue_passages(&at), "3 pages · 1,200 of 3,400 passages so far");
        let plan = SyncPlan { added: vec!["a/b".into()], n_unchanged: 1_200, ..SyncPlan::default() };
        assert_eq!(compared("a", &plan), ["The folder “a”: 1 new, 1,200 unchanged."]);
        assert_eq!(file_facts(2_000, 0), "2.0 kB");
        assert_eq!(file_facts(2_000, 1), "2.0 kB · 1 page");
    }
}
