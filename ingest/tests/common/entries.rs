//! Every way into the parsers, fed with bytes that nobody made: the targets of `fuzz/` and the
//! mutations of `tests/mutations.rs` both go through here.
#![allow(dead_code, reason = "each program uses a part")]

use ingest::{ChunkPolicy, Document, Hint, Limits, chunk, ingest_all, sentences, slice};
use std::io::{Read, Write};

/// A parser and how bytes come to it.
pub struct Entry {
    /// The name of the target.
    pub name: &'static str,
    /// The file name under which the bytes are read.
    file: &'static str,
    /// Sound input: files of `fixtures`.
    pub seeds: &'static [&'static [u8]],
    /// The bytes take the place of this member of the seed, which is a ZIP archive.
    member: Option<&'static str>,
}

macro_rules! fixture {
    ($($path:literal),*) => {
        &[$(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/", $path)).as_slice()),*]
    };
}

const fn plain(name: &'static str, file: &'static str, seeds: &'static [&'static [u8]]) -> Entry {
    Entry { name, file, seeds, member: None }
}

const fn inside(
    name: &'static str,
    file: &'static str,
    seeds: &'static [&'static [u8]],
    member: &'static str,
) -> Entry {
    Entry { name, file, seeds, member: Some(member) }
}

/// All entries.
pub const ENTRIES: &[Entry] = &[
    plain(
        "pdf",
        "a.pdf",
        fixture!("docs/almanac.pdf", "docs/handbook.pdf", "docs/japanese.pdf", "docs/packed-rc4.pdf"),
    ),
    inside(
        "docx",
        "a.docx",
        fixture!("documents/libreoffice.docx", "documents/pandoc.docx"),
        "word/document.xml",
    ),
    inside(
        "pptx",
        "a.pptx",
        fixture!("documents/libreoffice.pptx", "documents/python.pptx"),
        "ppt/slides/slide1.xml",
    ),
    inside("chart", "a.pptx", fixture!("documents/python-chart.pptx"), "ppt/charts/chart1.xml"),
    inside(
        "xlsx",
        "a.xlsx",
        fixture!("documents/libreoffice.xlsx", "documents/inline.xlsx"),
        "xl/worksheets/sheet1.xml",
    ),
    inside(
        "odf",
        "a.odt",
        fixture!("documents/libreoffice.odt", "documents/libreoffice.ods", "documents/libreoffice.odp"),
        "content.xml",
    ),
    inside("epub", "a.epub", fixture!("documents/pandoc.epub"), "EPUB/content.opf"),
    plain(
        "zip",
        "a.zip",
        fixture!("documents/python.zip", "documents/libreoffice.docx", "documents/ebooklib.epub"),
    ),
    plain("html", "a.html", fixture!("docs/tide-guide.html")),
    plain("markdown", "a.md", fixture!("docs/harbour.md")),
    plain("rst", "a.rst", fixture!("documents/pandoc.rst")),
    plain(
        "csv",
        "a.csv",
        fixture!("documents/python.csv", "documents/libreoffice-semicolon.csv", "documents/python.tsv"),
    ),
    plain("json", "a.json", fixture!("documents/python.json", "documents/python.jsonl")),
    plain("mail", "a.eml", fixture!("documents/python.eml", "documents/html.eml", "documents/python.mbox")),
    plain("subtitles", "a.srt", fixture!("documents/pysubs2.srt", "documents/pysubs2.vtt")),
    plain(
        "text",
        "a.txt",
        fixture!(
            "docs/ferry-notes.txt",
            "documents/utf-16.txt",
            "documents/shift-jis.txt",
            "documents/koi8.txt"
        ),
    ),
    plain("code", "a.rs", fixture!("make/docs.py")),
    plain(
        "sniff",
        "a",
        fixture!("documents/python.eml", "documents/python.csv", "docs/harbour.md", "documents/utf-16.txt"),
    ),
];

/// The entry of that name.
pub fn entry(name: &str) -> &'static Entry {
    ENTRIES.iter().find(|entry| entry.name == name).expect("the name is in the list")
}

impl Entry {
    /// What is changed of a seed: all of it, or one member.
    pub fn subject(&self, seed: &[u8]) -> Vec<u8> {
        let Some(member) = self.member else { return seed.to_vec() };
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(seed)).expect("seeds are sound");
        let mut bytes = Vec::new();
        archive.by_name(member).expect("the seed has it").read_to_end(&mut bytes).expect("seeds are sound");
        bytes
    }

    /// Reads the bytes, in place of a member of the first seed where there is one, and checks what
    /// every document promises.
    pub fn run(&self, bytes: &[u8]) {
        self.run_in(self.seeds[0], bytes);
    }

    /// The same, in place of a member of `seed`.
    pub fn run_in(&self, seed: &[u8], bytes: &[u8]) {
        let packed;
        let bytes = match self.member {
            None => bytes,
            Some(member) => {
                packed = with_member(seed, member, bytes);
                &packed
            }
        };
        // Small, so that limits are met as well.
        let limits = Limits { max_text_chars: 1 << 20, max_unpacked_bytes: 64 << 20, ..Limits::default() };
        let hint = Hint { name: self.file, ..Hint::default() };
        for entry in ingest_all(bytes, &hint, &limits) {
            if let Ok((document, _)) = &entry.outcome {
                check(document);
            }
        }
    }
}

fn with_member(seed: &[u8], member: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(seed)).expect("seeds are sound");
    let mut written = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for i in 0..archive.len() {
        let file = archive.by_index_raw(i).expect("seeds are sound");
        if file.name().is_ok_and(|name| name == member) {
            written.start_file(member, stored).expect("memory takes all");
            written.write_all(bytes).expect("memory takes all");
        } else {
            written.raw_copy_file(file).expect("memory takes all");
        }
    }
    written.finish().expect("memory takes all").into_inner()
}

/// Blocks lie in order within the text, chunks are slices of it within their limit.
fn check(document: &Document) {
    let mut at = 0;
    for block in &document.blocks {
        assert!(block.span.start >= at && !block.span.is_empty(), "{block:?}");
        at = block.span.end;
    }
    assert!(document.text.chars().count() as u32 >= at);
    assert!(document.page_starts.is_sorted());
    let count = |text: &str| text.split_whitespace().count() as u32;
    let policy = ChunkPolicy::default();
    for chunk in chunk(document, &policy, &count) {
        assert!(count(&chunk.text) <= policy.max_tokens);
        assert_eq!(slice(&document.text, chunk.span), chunk.text);
    }
    sentences(&document.text);
}
