//! Files that are broken or made to break readers: an answer comes for each, and soon.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{docs_dir, documents, files_below, ingest_within, read_doc};
use ingest::Refusal;
use std::fmt::Write;
use std::io::Write as _;
use std::time::Duration;

/// Ten times what the slowest of these takes on a machine of 2 cores.
const MAX: Duration = Duration::from_secs(20);

/// Truncations of each fixture.
const N_TRIALS: usize = 40;

/// The same pseudo-random numbers on every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let docs = files_below(&docs_dir(), &["md", "html", "txt", "pdf"]).into_iter().map(|path| {
        let name = path.file_name().expect("files have names").to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("the fixture is readable"))
    });
    docs.chain(documents()).collect()
}

#[test]
fn truncations_of_every_fixture() {
    for (name, bytes) in fixtures() {
        for i in 0..N_TRIALS {
            let end = bytes.len() * i / N_TRIALS;
            let _ = ingest_within(MAX, &name, bytes[..end].to_vec(), Some("lighthouse"));
        }
    }
}

#[test]
fn a_pdf_without_its_end_still_gives_pages() {
    let bytes = read_doc("almanac.pdf");
    let (outcome, _) = ingest_within(MAX, "cut.pdf", bytes[..bytes.len() - 700].to_vec(), None);
    let (doc, warnings) = outcome.expect("the pages come before the end");
    assert!(doc.text.contains("The fair has been held since"));
    assert!(!warnings.is_empty());
}

#[test]
fn random_bytes_under_every_name() {
    let mut random = Random(2);
    let names = [
        "a.pdf", "a.md", "a.html", "a.txt", "a", "a.docx", "a.csv", "a.json", "a.jsonl", "a.srt", "a.rst",
        "a.rs",
    ];
    let prefixes = [
        &b""[..],
        b"%PDF-1.4\n",
        b"<html>",
        b"# ",
        b"\xff\xfe",
        b"%PDF-1.4\n1 0 obj\n<<",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"{\"a\": [",
        b"WEBVTT\n\n1\n00:00:01.000 --> ",
    ];
    for name in names {
        for prefix in prefixes {
            for n in [1, 3, 100, 5_000] {
                let noise: Vec<u8> = (0..n).map(|_| random.next() as u8).collect();
                let _ = ingest_within(MAX, name, [prefix, &noise].concat(), None);
            }
        }
    }
}

#[test]
fn text_that_is_odd() {
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("a.txt", b"words \0 and \0 null bytes in between them".to_vec()),
        ("a.txt", b"\0".repeat(1000)),
        ("a.txt", "\u{feff}".into()),
        ("a.txt", "\u{202e}\u{200b}\u{fffd}".repeat(1000).into_bytes()),
        ("a.txt", "e\u{301}\u{302}".repeat(50_000).into_bytes()),
        ("a.txt", b"\r\r\r\n\n\r".repeat(1000)),
        ("a.md", b"```".to_vec()),
        ("a.md", b"---\n".repeat(10_000)),
        ("a.md", b"|".repeat(100_000)),
    ];
    for line in ["a", "word ", "漢"] {
        cases.push(("line.txt", line.repeat((10 << 20) / line.len()).into_bytes()));
    }
    for line in [". ", "! ", "Dr. ", "1.", "😀", "#", "- ", "(", "<b>", "&amp;", "(\n", " \u{a0}»"] {
        for name in ["line.txt", "line.md", "line.html", "line.rst", "line.rs"] {
            cases.push((name, line.repeat((512 << 10) / line.len()).into_bytes()));
        }
    }
    for (name, bytes) in cases {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(12)]).into_owned();
        let (_, elapsed) = ingest_within(MAX * 3, name, bytes, None);
        if elapsed > Duration::from_secs(1) {
            eprintln!("{name} {start:?}: {elapsed:?}");
        }
    }
}

#[test]
fn data_that_is_odd() {
    let cue = "00:00:01,000 --> 00:00:02,000\nx\n\n";
    let cases: Vec<(&str, String)> = vec![
        ("a.csv", ",".repeat(1 << 20)),
        ("a.csv", "\"".repeat(1 << 18)),
        ("a.csv", "a\n".repeat(1 << 18)),
        ("a.csv", "sep=".to_owned()),
        ("a.json", "[".repeat(1 << 18)),
        ("a.json", "{\"a\":".repeat(1 << 16)),
        ("a.json", format!("[{}1]", "1,".repeat(1 << 19))),
        ("a.json", format!("[{}1]", "[],".repeat(1 << 18))),
        ("a.jsonl", "{\n".repeat(1 << 18)),
        ("a.srt", format!("1\n{}", cue.repeat(1 << 16))),
        (
            "a.srt",
            format!("1\n00:00:01,000 --> 999999:00:00,000\nx\n\n2\n999999:00:00,000 --> 0:0:1\ny\n\n{cue}"),
        ),
        ("a.vtt", format!("WEBVTT\n\n{}", "0:1 --> 0:2\n<<<<{{{{<v <v \n".repeat(1 << 16))),
        ("a.rst", "== ==\nx\n\n".repeat(1 << 16)),
        ("a.rst", "a::\n\n\n".repeat(1 << 16)),
        ("a.rst", "==\nx\n==\n".repeat(1 << 16)),
        ("a.rst", (0..3000).map(|i| " ".repeat(i) + "- x\n").collect()),
    ];
    for (name, source) in cases {
        let what: String = source.chars().take(12).filter(char::is_ascii_alphanumeric).collect();
        let (_, elapsed) = ingest_within(MAX, name, source.into_bytes(), None);
        eprintln!("{name} {what:?}: {elapsed:?}");
    }
}

#[test]
fn deep_nesting() {
    let n = 20_000;
    let cases = [
        ("a.md", "> ".repeat(n) + "x"),
        ("a.md", "- ".repeat(n) + "x"),
        ("a.md", "[".repeat(n)),
        ("a.md", "*a _b ".repeat(n)),
        ("a.md", (0..1000).map(|i| " ".repeat(i) + "- x\n").collect()),
        ("a.html", "<div>".repeat(n) + "x"),
        ("a.html", "<table><tr><td>".repeat(3_000) + "x"),
        ("a.html", "<ul><li>".repeat(n) + "x"),
        ("a.html", "<b><i>".repeat(3_000) + "x</p>"),
        ("a.html", "<html>".to_owned() + &"<!--".repeat(n)),
    ];
    for (name, source) in cases {
        let start: String = source.chars().take(12).filter(char::is_ascii_alphanumeric).collect();
        let what = format!("{start} {name}");
        let (_, elapsed) = ingest_within(MAX, &what, source.into_bytes(), None);
        eprintln!("{what:?}: {elapsed:?}");
    }
}

/// A PDF of one page with the given content, resources and further objects from number 5.
fn pdf(content: &[u8], is_compressed: bool, resources: &str, objects: &[&str]) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    let mut add = |file: &mut Vec<u8>, body: &[u8]| {
        offsets.push(file.len());
        let number = offsets.len();
        file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        file.extend_from_slice(body);
        file.extend_from_slice(b"\nendobj\n");
    };
    add(&mut file, b"<< /Type /Catalog /Pages 2 0 R >>");
    add(&mut file, b"<< /Type /Pages /Kids [3 0 R] /Count 1 /Parent 2 0 R >>");
    add(&mut file, format!("<< /Type /Page /Parent 2 0 R /Contents 4 0 R {resources} >>").as_bytes());
    let filter = if is_compressed { "/Filter /FlateDecode" } else { "" };
    let head = format!("<< /Length {} {filter} >>\nstream\n", content.len());
    add(&mut file, &[head.as_bytes(), content, b"\nendstream"].concat());
    for object in objects {
        add(&mut file, object.as_bytes());
    }
    let xref_at = file.len();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1);
    for offset in &offsets {
        let _ = writeln!(table, "{offset:010} 00000 n ");
    }
    let _ =
        write!(table, "trailer << /Size {} /Root 1 0 R >>\nstartxref\n{xref_at}\n%%EOF", offsets.len() + 1);
    file.extend_from_slice(table.as_bytes());
    file
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

const FONT: &str = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>";

#[test]
fn the_pdf_maker_of_these_tests_makes_pdfs() {
    let file = pdf(b"BT /F1 12 Tf 72 700 Td (Hello there) Tj ET", false, FONT, &[]);
    let (outcome, _) = ingest_within(MAX, "a.pdf", file, None);
    assert_eq!(outcome.expect("it is a PDF").0.text, "Hello there");
}

#[test]
fn documents_of_thousands_of_fonts_are_read_whole() {
    let (n_pages, n_fonts) = (10, 5_000);
    let fonts: String = (0..n_fonts).map(|i| format!("/F{i} << /Type /Font /Subtype /Type1 >> ")).collect();
    let kids: String = (0..n_pages).map(|i| format!("{} 0 R ", 5 + 2 * i)).collect();
    let content = |page: usize| {
        let on_page = (0..n_fonts).filter(|i| i % n_pages == page);
        on_page
            .enumerate()
            .map(|(row, font)| format!("/F{font} 9 Tf 1 0 0 1 72 {} Tm (n{font}) Tj ", 9_000 - row * 12))
            .collect::<String>()
    };
    let objects: Vec<String> = (0..n_pages)
        .flat_map(|i| {
            let content = format!("BT {} ET", content(i));
            [
                format!("<< /Type /Page /Parent 3 0 R /Contents {} 0 R >>", 6 + 2 * i),
                format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
            ]
        })
        .collect();
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    let node = format!("/Resources << /Font << {fonts} >> >> /Kids [{kids}]");
    let (outcome, elapsed) = ingest_within(MAX, "fonts.pdf", pdf(b"", false, &node, &objects), None);
    eprintln!("{n_fonts} fonts: {elapsed:?}");
    let (doc, warnings) = outcome.expect("it is a PDF");
    assert_eq!((warnings, doc.page_starts.len()), (vec![], n_pages));
    assert_eq!(doc.text.split_whitespace().count(), n_fonts);
}

#[test]
fn pdfs_that_multiply_work() {
    let shown = "BT /F1 12 Tf (x) Tj ET\n";
    let forms: Vec<String> = (5..16)
        .map(|i| {
            let content = format!("/X{} Do ", i + 1).repeat(10);
            format!(
                "<< /Type /XObject /Subtype /Form /Length {} /Resources << /XObject << /X{1} {1} 0 R >> >> >>\nstream\n{content}\nendstream",
                content.len(), i + 1,
            )
        })
        .collect();
    let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
    let own = "<< /Type /XObject /Subtype /Form /Length 6 /Resources << /XObject << /X5 5 0 R >> >> >>\nstream\n/X5 Do\nendstream";
    let cmap = "1 beginbfrange <00000000> <ffffffff> <0041> endbfrange ".repeat(100);
    let cmap = format!("<< /Length {} >>\nstream\n{cmap}\nendstream", cmap.len());
    let composite = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /ToUnicode 5 0 R /DescendantFonts [<< /W [0 4294967295 500 0 999999999 7] >>] >> >> >>";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a flate bomb", pdf(&zlib(&vec![b' '; 300 << 20]), true, FONT, &[])),
        ("an operator bomb", pdf(&zlib(shown.repeat(2 << 20).as_bytes()), true, FONT, &[])),
        ("a megabyte of saved states", pdf(&zlib(&b"q ".repeat(4 << 20)), true, FONT, &[])),
        ("forms within forms", pdf(b"/X5 Do", false, "/Resources << /XObject << /X5 5 0 R >> >>", &forms)),
        ("a form within itself", pdf(b"/X5 Do", false, "/Resources << /XObject << /X5 5 0 R >> >>", &[own])),
        ("a huge character map", pdf(b"BT /F1 12 Tf <0001> Tj ET", false, composite, &[&cmap])),
        (
            "one endless array",
            pdf(&zlib(&[b"BT /F1 1 Tf [".to_vec(), b"(a)".repeat(2 << 20)].concat()), true, FONT, &[]),
        ),
        ("a page that is its own parent", pdf(b"", false, "/Parent 3 0 R", &[])),
        (
            "numbers beyond measure",
            pdf(b"BT /F1 1e99 Tf 99999999999999999999 0 0 -9e999 0 0 Tm (a) Tj ET", false, FONT, &[]),
        ),
    ];
    for (what, file) in cases {
        let (_, elapsed) = ingest_within(MAX, what, file, None);
        eprintln!("{what}: {elapsed:?}");
    }
}

#[test]
fn pdfs_whose_structure_lies() {
    let deep = format!("<< /Deep {} >>", "[".repeat(100_000));
    let dicts = format!("<< /Deep {} >>", "<</A ".repeat(100_000));
    for (what, object) in [("deep arrays", &deep), ("deep dictionaries", &dicts)] {
        let file = pdf(b"BT /F1 12 Tf (x) Tj ET", false, FONT, &[object]);
        let _ = ingest_within(MAX, what, file, None);
    }
    let bomb = zlib(&vec![b'1'; 100 << 20]);
    let head =
        format!("<< /Type /ObjStm /N 1 /First 8 /Length {} /Filter /FlateDecode >>\nstream\n", bomb.len());
    let file = [b"%PDF-1.5\n1 0 obj\n".to_vec(), head.into_bytes(), bomb, b"\nendstream\nendobj\n".to_vec()]
        .concat();
    let (outcome, _) = ingest_within(MAX, "bomb.pdf", file, None);
    assert!(matches!(outcome, Err(Refusal::Unreadable { reason, .. }) if reason.contains("expands")));
}

#[test]
fn tables_that_claim_billions_of_objects_end() {
    let body = pdf(SHOW, false, FONT, &[]);
    let at = body.windows(5).rposition(|w| w == b"xref\n").expect("it has a table");
    let objects = &body[..at];
    let trailer = "trailer << /Size 4294967295 /Root 1 0 R >>";
    let rows = "0000000009 00000 n \n".repeat(200_000);
    let wide = stream(
        "/Type /XRef /Size 2147483647 /W [8 8 8] /Index [0 999999999 5 4294967295] /Root 1 0 R /Filter /FlateDecode",
        &zlib(&vec![1; 100 << 20]),
    );
    let chained: String =
        (0..5_000).map(|i| format!("xref\n0 0\ntrailer << /Prev {} /Root 1 0 R >>\n", at + i)).collect();
    let cases = [
        ("a count", format!("xref\n0 4294967295\n{trailer}").into_bytes()),
        ("many sections", format!("xref\n{}{trailer}", "0 999999999\n".repeat(100_000)).into_bytes()),
        ("many rows", format!("xref\n0 200000\n{rows}{trailer}").into_bytes()),
        ("a wide stream", [b"9 0 obj ".as_slice(), &wide, b"\nendobj"].concat()),
        ("many tables", chained.into_bytes()),
    ];
    for (what, table) in cases {
        let end = format!("\nstartxref\n{at}\n%%EOF");
        let file = [objects, &table, end.as_bytes()].concat();
        let (outcome, elapsed) = ingest_within(MAX, what, file, None);
        eprintln!("{what}: {elapsed:?}");
        // The objects are found by searching for them.
        assert_eq!(outcome.map(|(doc, _)| doc.text).ok().as_deref(), Some("Hello there"), "{what}");
    }
}

#[test]
fn outlines_and_annotations_that_go_round_end() {
    let catalog = "/Outlines 5 0 R /Names << /Dests 7 0 R >>";
    let body = pdf(
        SHOW,
        false,
        FONT,
        &[
            "<< /First 6 0 R /Last 6 0 R >>",
            "<< /Title (Hello there) /First 6 0 R /Next 6 0 R /Dest (a) >>",
            "<< /Kids [7 0 R 7 0 R 7 0 R] /Names [(a) [3 0 R]] >>",
        ],
    );
    let file = with_object(body, 1, format!("<< /Type /Catalog /Pages 2 0 R {catalog} >>").as_bytes());
    let drawn = "<< /Subtype /Widget /Rect [0 0 0 0] /AP << /N 5 0 R >> >> ".repeat(30_000);
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /Contents 4 0 R {FONT} /Annots [{drawn} << /Subtype /Text /Contents (Noted) >>] >>"
    );
    let (outcome, elapsed) = ingest_within(MAX, "round.pdf", with_object(file, 3, page.as_bytes()), None);
    eprintln!("outlines and annotations: {elapsed:?}");
    assert!(outcome.expect("the page has text").0.text.starts_with("Hello there"));
}

/// A stream object with its dictionary's other entries.
fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("<< {entries} /Length {} >>\nstream\n", content.len());
    [head.as_bytes(), content, b"\nendstream"].concat()
}

/// Adds an object after the end of a file made by [`pdf`], and a table that lists it.
fn with_object(mut file: Vec<u8>, number: u32, body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(&file[file.len() - 40..]).into_owned();
    let prev: usize = text
        .split_once("startxref\n")
        .and_then(|(_, rest)| rest.lines().next()?.parse().ok())
        .expect("the file says where its table is");
    let at = file.len() + 1;
    file.extend_from_slice(format!("\n{number} 0 obj\n").as_bytes());
    file.extend_from_slice(body);
    let xref_at = file.len() + 8;
    let table = format!(
        "\nendobj\nxref\n{number} 1\n{at:010} 00000 n \ntrailer << /Size {} /Root 1 0 R /Prev {prev} >>\nstartxref\n{xref_at}\n%%EOF",
        number + 1
    );
    file.extend_from_slice(table.as_bytes());
    file
}

const SHOW: &[u8] = b"BT /F1 12 Tf 72 700 Td (Hello there) Tj ET";
const MAPPED: &str =
    "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /A /ToUnicode 5 0 R >> >> >>";

#[test]
fn long_targets_of_character_maps_take_no_memory() {
    let target = "0041".repeat(250_000);
    for section in [
        format!("1 beginbfrange <00> <ffffff> <{target}> endbfrange"),
        format!("1 beginbfchar <48> <{target}> endbfchar"),
    ] {
        let shown = format!("BT /F1 12 Tf 72 700 Td ({}) Tj ET", "H".repeat(200_000));
        let file = pdf(&zlib(shown.as_bytes()), true, MAPPED, &[]);
        let map = stream("/Filter /FlateDecode", &zlib(section.as_bytes()));
        let (outcome, _) = ingest_within(MAX, "range.pdf", with_object(file, 5, &map), None);
        let n_chars = outcome.expect("it has text").0.text.chars().count();
        assert!((32..=200_100).contains(&n_chars), "{n_chars}");
    }
}

#[test]
fn many_codespaces_and_glyph_ranges_end() {
    let spaces: String = (0..30_000).map(|i| format!("<{i:08x}> <{i:08x}>\n")).collect();
    let cids: String = (0..30_000).map(|i| format!("<{i:08x}> <{i:08x}> {i}\n")).collect();
    let map = format!("1 begincodespacerange {spaces} endcodespacerange 1 begincidrange {cids} endcidrange");
    let resources = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type0 /BaseFont /A /Encoding 5 0 R /DescendantFonts [<< >>] >> >> >>";
    let shown = [b"BT /F1 12 Tf (".to_vec(), vec![b'x'; 8 << 20], b") Tj ET".to_vec()].concat();
    let file = pdf(&zlib(&shown), true, resources, &[]);
    let map = stream("/Filter /FlateDecode", &zlib(map.as_bytes()));
    let _ = ingest_within(MAX, "spaces.pdf", with_object(file, 5, &map), None);
}

#[test]
fn pages_that_share_a_heavy_stream_end() {
    let paths = zlib(&b"0 0 m 1 1 l S\n".repeat(1 << 20));
    let file = pdf(&paths, true, FONT, &[]);
    let text = String::from_utf8_lossy(&file).into_owned();
    assert!(text.contains("/Kids [3 0 R]"));
    let page = "<< /Type /Page /Contents 4 0 R >> ".repeat(3_000);
    let file = with_object(file, 2, format!("<< /Type /Pages /Kids [3 0 R {page}] >>").as_bytes());
    let shown = stream("", SHOW);
    let file = with_object(file, 5, &shown);
    let file = with_object(
        file,
        3,
        b"<< /Type /Page /Contents 5 0 R /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
    );
    let (outcome, elapsed) = ingest_within(MAX * 3, "paths.pdf", file, None);
    eprintln!("paths: {elapsed:?}");
    let (doc, warnings) = outcome.expect("the first page has text");
    assert!(doc.text.contains("Hello there"));
    assert!(warnings.iter().any(|w| w.message.contains("only the first")), "{warnings:?}");
}

#[test]
fn object_streams_do_not_expand_beyond_measure() {
    let zeros = vec![b' '; 300 << 20];
    let once = zlib(&[b"9 0 ".to_vec(), zeros].concat());
    let twice = zlib(&once);
    let long = format!("/Type /ObjStm /Long ({}) /N 1 /First 4 /Filter /FlateDecode", "x".repeat(1000));
    for (what, entries, content) in [
        ("chained", "/Type /ObjStm /N 1 /First 4 /Filter [/FlateDecode /FlateDecode]", &twice),
        ("escaped", "/Type /Obj#53tm /N 1 /First 4 /Filter /FlateDecode", &once),
        ("a long dictionary", long.as_str(), &once),
    ] {
        let file = with_object(pdf(SHOW, false, FONT, &[]), 6, &stream(entries, content));
        let (outcome, _) = ingest_within(MAX, what, file.clone(), None);
        // Nothing in the table is in it, so that it is not needed, or it is refused.
        match outcome {
            Ok((doc, _)) => assert_eq!(doc.text, "Hello there", "{what}"),
            Err(refusal) => assert!(refusal.to_string().contains("expands"), "{what}: {refusal}"),
        }
    }
}

#[test]
fn objects_in_object_streams_are_found() {
    // The second page tree is in an object stream, which the table is in a stream for.
    let mut file = pdf(SHOW, false, FONT, &[]);
    file.truncate(file.windows(5).rposition(|w| w == b"xref\n").expect("it has a table") - 5);
    let body = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>";
    let index = b"2 0 9 0 ";
    let start =
        |file: &[u8], needle: &[u8]| file.windows(needle.len()).position(|w| w == needle).unwrap_or(0);
    let mut rows: Vec<u8> = vec![0; 5];
    for number in [1u8, 2, 3, 4] {
        let at = start(&file, format!("\n{number} 0 obj").as_bytes()) + 1;
        let row = if number == 2 { [2, 0, 0, 6, 0] } else { [1, 0, (at >> 8) as u8, at as u8, 0] };
        rows.extend_from_slice(&row);
    }
    rows.extend_from_slice(&[0; 5]);
    file.extend_from_slice(b"\n");
    let at = file.len();
    rows.extend_from_slice(&[1, 0, (at >> 8) as u8, at as u8, 0]);
    let objects =
        stream("/Type /ObjStm /N 2 /First 8 /Filter /FlateDecode", &zlib(&[index.as_slice(), body].concat()));
    file.extend_from_slice(&[b"6 0 obj ".as_slice(), &objects, b"\nendobj\n"].concat());
    let xref_at = file.len();
    let table = stream("/Type /XRef /Size 7 /W [1 3 1] /Root 1 0 R /Filter /FlateDecode", &zlib(&rows));
    file.extend_from_slice(&[b"7 0 obj ".as_slice(), &table, b"\nendobj\n"].concat());
    file.extend_from_slice(format!("startxref\n{xref_at}\n%%EOF").as_bytes());
    let (outcome, _) = ingest_within(MAX, "objects.pdf", file, None);
    let (doc, warnings) = outcome.expect("it is whole");
    assert_eq!((doc.text.as_str(), warnings.len()), ("Hello there", 0), "{warnings:?}");
}
