//! Archives that are damaged, or made to break readers: an answer comes for each, and soon.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/bombs.rs"]
mod bombs;
mod common;

use bombs::understated;
use common::{documents, documents_dir, ingest_within};
use ingest::{Hint, Limits, Refusal, WarningCode, ingest_all};
use std::io::{Read, Write};
use std::time::Duration;

/// Ten times what the slowest of these takes on a machine of 2 cores.
const MAX: Duration = Duration::from_secs(20);

/// A ZIP archive of members that are deflated.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        for n in [crc.sum(), packed.len() as u32, content.len() as u32] {
            common.extend_from_slice(&n.to_le_bytes());
        }
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        let at = file.len() as u32;
        file.extend_from_slice(&[b"PK\x03\x04".as_slice(), &common, name.as_bytes(), &packed].concat());
        directory.extend_from_slice(&[b"PK\x01\x02\x14\0".as_slice(), &common, &[0; 10]].concat());
        directory.extend_from_slice(&at.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let (at, n_bytes, n) = (file.len() as u32, directory.len() as u32, members.len() as u16);
    file.extend_from_slice(&directory);
    file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    file.extend_from_slice(&[n.to_le_bytes(), n.to_le_bytes()].concat());
    file.extend_from_slice(&[n_bytes.to_le_bytes(), at.to_le_bytes()].concat());
    file.extend_from_slice(&[0, 0]);
    file
}

fn docx(document: &[u8]) -> Vec<u8> {
    zip(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", document)])
}

fn xlsx(strings: &str, sheet: &str) -> Vec<u8> {
    let relations = r#"<Relationships>
        <Relationship Id="rId1" Type="x/worksheet" Target="worksheets/sheet1.xml"/>
        <Relationship Id="rId2" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>"#;
    let book = r#"<workbook><sheets><sheet name="S" r:id="rId1"/></sheets></workbook>"#;
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/sharedStrings.xml", strings.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

const HELLO: &[u8] = b"<w:document><w:p><w:r><w:t>Hello there</w:t></w:r></w:p></w:document>";

#[test]
fn the_archive_maker_of_these_tests_makes_archives() {
    let (outcome, _) = ingest_within(MAX, "a.docx", docx(HELLO), None);
    let (doc, warnings) = outcome.expect("it is a document");
    assert_eq!((doc.text.as_str(), warnings.len()), ("Hello there", 0));
}

#[test]
fn archives_without_their_directory_are_read_with_a_warning() {
    for name in ["python.docx", "python.pptx", "python.xlsx", "libreoffice.docx"] {
        let whole = std::fs::read(documents_dir().join(name)).unwrap();
        let (outcome, _) = ingest_within(MAX, name, whole.clone(), None);
        let text = outcome.expect("the fixture is readable").0.text;
        let directory_at = whole.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        let (outcome, _) = ingest_within(MAX, name, whole[..directory_at].to_vec(), None);
        let (doc, warnings) = outcome.expect("everything but the directory is there");
        assert_eq!(doc.text, text, "{name}");
        assert!(warnings.iter().any(|w| w.code == WarningCode::Damaged), "{name}: {warnings:?}");
    }
}

#[test]
fn changed_parts_are_harmless() {
    // A change in an archive is caught by its checksum; so the parts are changed, then packed.
    let mut state = 3u64;
    let mut random = move |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    for (name, bytes) in documents() {
        let Ok(mut archive) = ::zip::ZipArchive::new(std::io::Cursor::new(bytes)) else { continue };
        let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
        for i in 0..archive.len() {
            let mut part = archive.by_index(i).unwrap();
            let mut content = Vec::new();
            part.read_to_end(&mut content).unwrap();
            let name = part.name().expect("names are UTF-8").into_owned();
            parts.push((name, content));
        }
        for _ in 0..30 {
            let mut changed = parts.clone();
            for (_, content) in changed.iter_mut().filter(|(_, content)| !content.is_empty()) {
                for _ in 0..random(4) {
                    let at = random(content.len().max(1));
                    if content.is_empty() {
                        break;
                    }
                    match random(3) {
                        0 => content[at] = random(256) as u8,
                        1 => content.truncate(at + 1),
                        _ => drop(content.splice(at..(at + random(40)).min(content.len()), [])),
                    }
                }
            }
            let members: Vec<(&str, &[u8])> =
                changed.iter().map(|(n, c)| (n.as_str(), c.as_slice())).collect();
            let _ = ingest_within(MAX, &name, zip(&members), None);
        }
    }
}

#[test]
fn bombs_are_refused_or_cut() {
    let bomb = [HELLO, &vec![b' '; 600 << 20]].concat();
    for file in [docx(&bomb), understated(docx(&bomb))] {
        let (outcome, _) = ingest_within(MAX, "bomb.docx", file, None);
        let refusal = outcome.expect_err("it expands to more than the limit");
        let is_told = matches!(&refusal, Refusal::Unreadable { reason, .. } if reason.contains("expands"));
        assert!(is_told, "{refusal}");
    }

    let laughs = "<!DOCTYPE w [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><w:document><w:p><w:r><w:t>Hello&b;</w:t></w:r></w:p></w:document>";
    let (outcome, _) = ingest_within(MAX, "laughs.docx", docx(laughs.as_bytes()), None);
    assert_eq!(outcome.expect("entities are left out").0.text, "Hello");

    for open in ["<w:p>", "<w:tbl><w:tr><w:tc>", "<w:txbxContent><w:p>", "<w:del>"] {
        let deep = format!("<w:document><w:p><w:r><w:t>Hello</w:t></w:r></w:p>{}", open.repeat(200_000));
        let (outcome, _) = ingest_within(MAX, "deep.docx", docx(deep.as_bytes()), None);
        let (doc, warnings) = outcome.expect("the start is read");
        assert_eq!(doc.text, "Hello");
        assert!(warnings.iter().any(|w| w.code == WarningCode::Damaged), "{warnings:?}");
    }
}

#[test]
fn sheets_that_multiply_text_or_cells_end() {
    let long = format!("<sst><si><t>{}</t></si></sst>", "words ".repeat(5_000));
    let cells = "<row><c t='s'><v>0</v></c><c t='s'><v>0</v></c></row>".repeat(100_000);
    let (outcome, elapsed) = ingest_within(MAX, "long.xlsx", xlsx(&long, &cells), None);
    let (doc, warnings) = outcome.expect("a part is read");
    eprintln!("long strings: {elapsed:?}, {} bytes", doc.text.len());
    assert!(warnings.iter().any(|w| w.code == WarningCode::Truncated), "{warnings:?}");

    let many = "<row><c><v>1</v></c><c><v>2</v></c></row>".repeat(1 << 20);
    let (outcome, elapsed) = ingest_within(MAX, "many.xlsx", xlsx("", &many), None);
    let (_, warnings) = outcome.expect("a part is read");
    eprintln!("many cells: {elapsed:?}");
    assert!(warnings.iter().any(|w| w.code == WarningCode::Truncated), "{warnings:?}");

    let far = "<row r='4294967295'><c r='ZZZZ1'><v>1</v></c><c r='A1'><v>2</v></c></row>";
    let (outcome, _) = ingest_within(MAX, "far.xlsx", xlsx("", far), None);
    assert_eq!(outcome.expect("places may be anything").0.text, "S\n\n| 1 | 2");
}

#[test]
fn a_row_that_was_not_begun_is_read() {
    let content = "<office:document-content><office:body><office:spreadsheet><table:table table:name='Tides'>\
        <table:table-cell><text:p>High water</text:p></table:table-cell></table:table-row></table:table>\
        </office:spreadsheet></office:body></office:document-content>";
    let mimetype = b"application/vnd.oasis.opendocument.spreadsheet";
    let file = zip(&[("mimetype", mimetype), ("content.xml", content.as_bytes())]);
    let (outcome, _) = ingest_within(MAX, "row.ods", file, None);
    assert!(outcome.expect("it has text").0.text.contains("High water"));
}

#[test]
fn directories_that_lie_are_harmless() {
    let whole = docx(HELLO);
    // Every field of the end record and of the first entry, at its largest.
    let directory_at = whole.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    for start in [0, directory_at, whole.len() - 22] {
        for at in start + 4..(start + 46).min(whole.len()) {
            let mut file = whole.clone();
            file[at] = 0xff;
            let _ = ingest_within(MAX, "lies.docx", file.clone(), None);
            file[at..(at + 8).min(whole.len())].fill(0xff);
            let _ = ingest_within(MAX, "lies.docx", file, None);
        }
    }
}

fn outcomes(bytes: &[u8], limits: &Limits) -> Vec<(String, String)> {
    let hint = Hint { name: "a.zip", ..Hint::default() };
    let entries = ingest_all(bytes, &hint, limits).into_iter();
    entries
        .map(|entry| {
            let told = entry.outcome.map_or_else(|refusal| refusal.to_string(), |(doc, _)| doc.text);
            (entry.name, told)
        })
        .collect()
}

#[test]
fn archives_of_documents_give_all_of_them() {
    let inner = zip(&[("deep.txt", b"Deep down"), ("b.docx", &docx(HELLO))]);
    let outer = zip(&[
        ("x/", b""),
        ("x/a.md", b"# One"),
        ("x/inner.zip", &inner),
        ("x/.hidden", b"h"),
        ("empty.txt", b""),
    ]);
    let told = outcomes(&outer, &Limits::default());
    let told: Vec<(&str, &str)> = told.iter().map(|(name, told)| (name.as_str(), told.as_str())).collect();
    assert_eq!(
        told,
        [
            ("a.zip/x/a.md", "# One"),
            ("a.zip/x/inner.zip/deep.txt", "Deep down"),
            ("a.zip/x/inner.zip/b.docx", "Hello there"),
            ("a.zip/empty.txt", "a.zip/empty.txt is empty; choose a file that contains text"),
        ]
    );
}

#[test]
fn members_that_are_known_to_be_too_large_cost_the_others_nothing() {
    let film = [0; 20_000];
    let mut members: Vec<(String, &[u8])> = (0..9).map(|i| (format!("{i}.mp4"), film.as_slice())).collect();
    let note = b"Hello there. ".repeat(300);
    members.push(("z.txt".into(), &note));
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let limits = Limits { max_bytes: 5_000, max_unpacked_bytes: 5_000, ..Limits::default() };
    let told = outcomes(&zip(&members), &limits);
    assert!(told[..9].iter().all(|(_, told)| told.contains("expands")), "{told:?}");
    assert!(told[9].1.starts_with("Hello there."), "{told:?}");
    // What is not known beforehand is unpacked up to the limit.
    let told = outcomes(&understated(zip(&members)), &limits);
    assert!(told.iter().all(|(_, told)| told.contains("expands")), "{told:?}");
}

#[test]
fn archives_of_archives_of_bombs_end() {
    let bomb = understated(zip(&[("bomb.txt", &vec![b'x'; 300 << 20])]));
    let bombs: Vec<(String, &[u8])> = (0..50).map(|i| (format!("{i}.zip"), bomb.as_slice())).collect();
    let members: Vec<(&str, &[u8])> = bombs.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let limits = Limits { max_unpacked_bytes: 64 << 20, ..Limits::default() };
    let start = std::time::Instant::now();
    let told = outcomes(&zip(&members), &limits);
    assert!(told.iter().all(|(_, told)| told.contains("expands")), "{told:?}");
    eprintln!("fifty bombs: {:?}", start.elapsed());
    assert!(start.elapsed() < MAX);

    let mut nested = zip(&[("a.txt", b"Hello there")]);
    for _ in 0..10 {
        nested = zip(&[("inner.zip", &nested)]);
    }
    let told = outcomes(&nested, &Limits::default());
    assert!(told.len() == 1 && told[0].1.contains("a ZIP archive"), "{told:?}");

    let many: Vec<(String, &[u8])> = (0..100).map(|i| (format!("{i}.txt"), b"x".as_slice())).collect();
    let members: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let told = outcomes(&zip(&members), &Limits { max_members: 10, ..Limits::default() });
    assert_eq!(told.len(), 11);
    assert!(told[10].1.contains("too many files"), "{told:?}");
}
