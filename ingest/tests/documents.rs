//! Real documents of every kind, read as a user would have them read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Outcome, assert_sound, count_tokens, read_doc};
use ingest::{
    BlockKind, ChunkPolicy, Document, Hint, Kind, Limits, Refusal, WarningCode, chunk, ingest, sentences,
    slice,
};

fn read_as(file: &str, name: &str, password: Option<&str>) -> Outcome {
    let hint = Hint { name, mime: None, password };
    let outcome = ingest(&read_doc(file), &hint, &Limits::default());
    if let Ok((doc, _)) = &outcome {
        assert_sound(doc);
    }
    outcome
}

fn read(file: &str) -> Document {
    let (doc, warnings) = read_as(file, file, None).expect("the fixture is readable");
    assert_eq!(warnings, [], "{file}");
    doc
}

fn kinds(doc: &Document) -> String {
    doc.blocks
        .iter()
        .map(|b| match b.kind {
            BlockKind::Heading { level } => char::from(b'0' + level),
            BlockKind::Paragraph => 'p',
            BlockKind::ListItem => 'l',
            BlockKind::Table => 't',
            BlockKind::Code => 'c',
            BlockKind::Comment => 'n',
            BlockKind::PageFurniture => 'f',
        })
        .collect()
}

#[test]
fn markdown_is_verbatim() {
    let doc = read("harbour.md");
    assert_eq!(doc.kind, Kind::Markdown);
    assert_eq!(doc.title.as_deref(), Some("The harbour of Lindmar"));
    assert_eq!(doc.text.as_bytes(), read_doc("harbour.md"));
    assert_eq!(kinds(&doc), "p1p2pp3lllll2pt2pcpp");
    let chunks = chunk(&doc, &ChunkPolicy::default(), &count_tokens);
    let fees = chunks.iter().find(|c| c.text.contains("over 14 m")).expect("the table is there");
    assert_eq!(fees.heading_path, ["The harbour of Lindmar", "Fees"]);
    assert!(fees.text.contains("| length    | summer | winter |"));
}

#[test]
fn html_gives_its_readable_part() {
    let doc = read("tide-guide.html");
    assert_eq!((doc.kind, doc.title.as_deref()), (Kind::Html, Some("Tide guide – Lindmar")));
    assert_eq!(
        doc.text,
        "Tide guide\n\nHigh water at Lindmar comes fifty minutes later each day.\nThe range is 2.3 m at springs & 0.9 m at neaps.\n\nBefore you enter\n\n- Call the harbour on channel 12.\n- Keep the red buoy to port when coming in.\n- At night it flashes twice in six seconds.\n\nCurrents\n\nSpeed in knots\nplace | flood | ebb\nnorth entrance | 1.5 | 2.0\nGull rock | 3.1 | 3.8\n\nLW 04:12   0.4 m\nHW 10:31   2.6 m"
    );
    assert_eq!(kinds(&doc), "1p2lll2tc");
}

#[test]
fn plain_text_keeps_its_sentences() {
    let doc = read("ferry-notes.txt");
    assert_eq!((doc.kind, doc.title.as_deref()), (Kind::PlainText, None));
    let found: Vec<&str> = sentences(&doc.text).iter().map(|&s| slice(&doc.text, s)).collect();
    assert_eq!(
        found,
        [
            "Notes on the ferry, kept by Mr. H. Ostrow, purser",
            "The ferry Kestrel sails to the mainland three times a day.",
            "In winter she\nsails once, at 9 a.m., weather permitting.",
            "A crossing takes 1.5 hours.",
            "Bicycles travel free of charge!",
            "Do dogs?",
            "They pay half.",
            "Horses were carried\nuntil 1938.",
            "お知らせ：冬の間、フェリーは一日一便です。",
            "切符は船内で買えます。",
            "Der Fahrplan hängt am Kai.",
            "Größere Gruppen melden sich bis zum 3. März an.",
        ]
    );
}

#[test]
fn an_undeclared_encoding_is_guessed_with_a_warning() {
    let (doc, warnings) = read_as("cafe-windows1252.txt", "cafe.txt", None).expect("it is text");
    assert!(doc.text.contains("Ein „großer“ Kaffee kostet 3,20 € – Bärenhunger hilft."));
    assert_eq!(warnings.iter().map(|w| w.code).collect::<Vec<_>>(), [WarningCode::Encoding]);
}

#[test]
fn pdf_pages_columns_tables_and_headings() {
    let doc = read("almanac.pdf");
    assert_eq!((doc.kind, doc.title.as_deref()), (Kind::Pdf, Some("Almanac of Lindmar")));
    assert_eq!(doc.page_starts.len(), 3);
    assert_eq!(kinds(&doc), "12ppp2pp2tpp");
    for (text, page) in [
        ("The fair has been held since\n1731.", 1),
        ("packed in\nbarrels of beech and sold at the Monday\nmarket.\n\nEels are caught at night", 2),
        ("month\tnew\tfull\nJanuary\t11th\t25th", 3),
        ("Placed by kerning alone.", 3),
        ("Shown by a quote.\nAnd the next line.", 3),
    ] {
        let at = doc.text.find(text).unwrap_or_else(|| panic!("{text:?} is missing in\n{}", doc.text));
        let at = doc.text[..at].chars().count() as u32;
        assert_eq!(doc.page_at(at), Some(page), "{text}");
    }
    let chunks = chunk(&doc, &ChunkPolicy::default(), &count_tokens);
    let eels = chunks.iter().find(|c| c.text.contains("Eels")).expect("eels are caught");
    assert_eq!((eels.page, eels.heading_path.join("/")), (Some(2), "Almanac of Lindmar/Fishing".to_owned()));
}

#[test]
fn pdf_outline_notes_comments_fields_and_running_titles() {
    let doc = read("handbook.pdf");
    assert_eq!(doc.title.as_deref(), Some("Handbook of the guild"));
    assert_eq!((doc.authors.as_slice(), doc.created.is_some()), (&["Ada Ostrow".to_owned()][..], true));
    assert_eq!(kinds(&doc), "f1ppnffff2pff1ppff2pff2pfp", "{}", doc.text);
    let whole = "the tar was rationed until\nthe spring of 1874. Since then";
    let at = |text: &str| {
        let at = doc.text.find(text).unwrap_or_else(|| panic!("{text:?} is missing in\n{}", doc.text));
        doc.text[..at].chars().count() as u32
    };
    for (text, page) in [
        (whole, 1),
        ("the spring of 1874", 2),
        ("Torn meshes", 3),
        ("Berth 12", 4),
        ("Tides are in the table on this page.\nIt lies on its side.", 7),
    ] {
        assert_eq!(doc.page_at(at(text)), Some(page), "{text}");
    }
    let chunks = chunk(&doc, &ChunkPolicy::default(), &count_tokens);
    let of = |text: &str| chunks.iter().find(|c| c.text.contains(text)).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(of("needle of bone").heading_path, ["1 Nets", "1.1 Mending"]);
    assert_eq!(of("dipped in cutch").heading_path, ["2 Boats", "2.1 Sails"]);
    assert!(of("Hemp came from Riga").text.contains("Ask Mette whether this was 1874."));
    assert!(of("Knots are taught in win-\nter").embedding_text("").contains("taught in winter by"));
    for title in ["Handbook of the guild", "The guild of Lindmar"] {
        assert!(chunks.iter().all(|c| !c.text.contains(title)), "{title}");
    }
}

#[test]
fn fonts_that_are_not_embedded() {
    let doc = read("japanese.pdf");
    assert_eq!(doc.title.as_deref(), Some("港の案内"));
    assert_eq!(doc.text, "港の案内\n\n灯台は一八六二年に建てられました。\n高さは四十一メートルです。");
}

#[test]
fn encrypted_files_ask_for_their_password() {
    let plain = read("almanac.pdf");
    assert_eq!(read("print-only.pdf").text, plain.text);
    let name = || "locked.pdf".to_owned();
    assert_eq!(read_as("locked.pdf", "locked.pdf", None), Err(Refusal::PasswordNeeded { name: name() }));
    let wrong = read_as("locked.pdf", "locked.pdf", Some("darkness"));
    assert_eq!(wrong, Err(Refusal::WrongPassword { name: name() }));
    let (doc, _) = read_as("locked.pdf", "locked.pdf", Some("lighthouse")).expect("that is the password");
    assert_eq!(doc.text, plain.text);
}

/// Objects in encrypted object streams are not encrypted once more.
#[test]
fn encrypted_object_streams_are_read() {
    let plain = read("almanac.pdf");
    assert_eq!(read("packed-rc4.pdf").text, plain.text);
    let (doc, warnings) =
        read_as("packed-aes.pdf", "packed-aes.pdf", Some("lighthouse")).expect("that is the password");
    assert_eq!((doc.text, warnings.len()), (plain.text, 0));
    let refusal = read_as("packed-aes.pdf", "packed-aes.pdf", None).expect_err("it is encrypted");
    assert!(matches!(refusal, Refusal::PasswordNeeded { .. }), "{refusal}");
}

#[test]
fn a_file_that_was_cut_off_is_damaged_and_not_scanned() {
    let whole = read_doc("almanac.pdf");
    for percent in (5..100).step_by(5) {
        let cut = &whole[..whole.len() * percent / 100];
        let hint = Hint { name: "cut.pdf", ..Hint::default() };
        match ingest(cut, &hint, &Limits::default()) {
            Ok((_, warnings)) => assert_ne!(warnings, [], "{percent} %"),
            Err(refusal) => assert!(matches!(refusal, Refusal::Unreadable { .. }), "{percent} %: {refusal}"),
        }
    }
}

#[test]
fn refusals_name_the_file_and_what_to_do() {
    let refuse = |bytes: &[u8], name: &str| {
        let hint = Hint { name, ..Hint::default() };
        ingest(bytes, &hint, &Limits::default()).expect_err("it is refused").to_string()
    };
    for (bytes, name, want) in [
        (&b""[..], "empty.pdf", "empty.pdf is empty; choose a file that contains text"),
        (b" \n\t\r\n", "blank.md", "blank.md is empty; choose a file that contains text"),
        (
            &read_doc("scanned.pdf"),
            "scan.pdf",
            "scan.pdf contains no text, probably because it was scanned; run text recognition (OCR) on it first",
        ),
        (b"%PDF-1.7 and nothing else", "x.pdf", "x.pdf cannot be read: "),
        (
            b"PK\x03\x04\x14\0word/document.xml",
            "letter.docx",
            "letter.docx cannot be read: it is damaged; open it",
        ),
    ] {
        let message = refuse(bytes, name);
        assert!(message.starts_with(want), "{message}");
    }
    let limits = Limits { max_bytes: 10, ..Limits::default() };
    let refusal = ingest(b"more than ten bytes", &Hint { name: "big.txt", ..Hint::default() }, &limits);
    assert_eq!(
        refusal.expect_err("it is too large").to_string(),
        "big.txt has 19 bytes, more than the limit of 10; split it and add the parts"
    );
}

#[test]
fn a_wrong_extension_does_no_harm() {
    for (file, wrong) in
        [("almanac.pdf", "almanac.txt"), ("tide-guide.html", "guide.md"), ("harbour.md", "harbour.pdf")]
    {
        let right = read(file);
        let (doc, _) = read_as(file, wrong, None).expect("content decides");
        assert_eq!(slice(&doc.text, ingest::Span::new(0, 40)), slice(&right.text, ingest::Span::new(0, 40)));
    }
}

#[test]
fn limits_cut_with_a_warning() {
    let limits = |max_pages, max_text_chars, max_page_chars| Limits {
        max_pages,
        max_text_chars,
        max_page_chars,
        ..Limits::default()
    };
    for (file, limits, n_pages) in [
        ("almanac.pdf", limits(2, 10_000, 10_000), 2),
        ("almanac.pdf", limits(9, 100, 10_000), 1),
        ("almanac.pdf", limits(9, 10_000, 50), 3),
        ("harbour.md", limits(9, 100, 50), 0),
    ] {
        let hint = Hint { name: file, ..Hint::default() };
        let (doc, warnings) = ingest(&read_doc(file), &hint, &limits).expect("a part is read");
        assert_eq!(doc.page_starts.len(), n_pages, "{file}");
        assert!(warnings.iter().any(|w| w.code == WarningCode::Truncated), "{file}: {warnings:?}");
        assert_sound(&doc);
    }
}

#[test]
fn everything_crosses_a_worker_border() {
    let (doc, warnings) = read_as("cafe-windows1252.txt", "cafe.txt", None).expect("it is text");
    let chunks = chunk(&doc, &ChunkPolicy::default(), &count_tokens);
    let refusal = Refusal::Empty { name: "x".to_owned() };
    let all = (&doc, &warnings, &chunks, &refusal, Limits::default(), ChunkPolicy::default());
    let json = serde_json::to_string(&all).expect("plain data");
    let back: (Document, Vec<ingest::Warning>, Vec<ingest::Chunk>, Refusal, Limits, ChunkPolicy) =
        serde_json::from_str(&json).expect("plain data");
    assert_eq!((&back.0, &back.1, &back.2, &back.3, back.4, back.5), all);
}
