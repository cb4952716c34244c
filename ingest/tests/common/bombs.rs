//! Files made to crash, hang or fill whoever reads them, one of each kind, beside sound ones.
#![allow(dead_code, reason = "each program uses a part")]

use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

/// A sound file, and what is asked about it.
pub const SOUND: (&str, &[u8]) = ("a-sound.md", b"# Tea\n\nGreen tea steeps at 80 degrees.\n");

/// What the name of a file ends with, its bytes, and what becomes of it: the name of a document that is read
/// of it all the same, or what its refusal says.
pub struct Bomb {
    /// The file's name.
    pub name: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// A document that it gives.
    pub gives: Option<&'static str>,
    /// A part of the reason why it, or a member of it, gives none.
    pub says: Option<&'static str>,
}

/// One bomb of each kind.
pub fn bombs() -> Vec<Bomb> {
    let blanks = vec![b' '; 300 << 20];
    let document = "<w:document><w:p><w:r><w:t>Hello";
    let entities = "<!DOCTYPE w [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>";
    let table = "xref\n0 4294967295\ntrailer << /Size 4294967295 /Root 1 0 R >>";
    let expands = Some("expands");
    let bomb = |name, bytes, gives, says| Bomb { name, bytes, gives, says };
    let archive = understated(zip(&[("bomb.txt", &blanks), ("fine.txt", b"Black tea wants four minutes.")]));
    let package = docx(&[document.as_bytes(), &blanks].concat());
    let laughs = docx(format!("{entities}{document}&b;</w:t></w:r></w:p></w:document>").as_bytes());
    let deep = docx(format!("{document}</w:t></w:r></w:p>{}", "<w:p>".repeat(200_000)).as_bytes());
    vec![
        bomb("b-archive.zip", archive, Some("b-archive.zip/fine.txt"), expands),
        bomb("c-package.docx", package, None, expands),
        bomb("d-stream.pdf", pdf(&[SHOWN, &blanks].concat(), 1, None), Some("d-stream.pdf"), None),
        bomb("e-entities.docx", laughs, Some("e-entities.docx"), None),
        bomb("f-nesting.docx", deep, Some("f-nesting.docx"), None),
        bomb("g-table.pdf", pdf(SHOWN, 1, Some(table)), Some("g-table.pdf"), None),
        bomb("h-nesting.json", "[".repeat(1 << 18).into_bytes(), Some("h-nesting.json"), None),
    ]
}

/// An archive of documents each of which keeps its reader busy for seconds, and of others after them.
pub fn slow(n_documents: usize, others: &[(&str, &[u8])]) -> Vec<u8> {
    let drawn = pdf(&b"BT /F1 12 Tf (x) Tj ET\n".repeat(80_000), 120, None);
    let names: Vec<String> = (0..n_documents).map(|i| format!("{i}.pdf")).collect();
    let slow = names.iter().map(|name| (name.as_str(), drawn.as_slice()));
    zip(&slow.chain(others.iter().copied()).collect::<Vec<_>>())
}

/// A page of so many elements that their tree takes more memory than a browser's reader may have.
pub fn wide() -> Vec<u8> {
    b"<p>x".repeat(7 << 20)
}

const SHOWN: &[u8] = b"BT /F1 12 Tf 72 700 Td (Hello there) Tj ET";

/// A PDF whose pages share a content that is compressed, with its own cross-reference table or another one.
fn pdf(content: &[u8], n_pages: usize, table: Option<&str>) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(content).expect("memory takes all");
    let packed = packed.finish().expect("memory takes all");
    let head = format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", packed.len());
    let font = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>";
    let page = format!("<< /Type /Page /Parent 2 0 R /Contents 3 0 R {font} >>");
    let kids: String = (4..4 + n_pages).map(|number| format!("{number} 0 R ")).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {n_pages} >>").into_bytes(),
        [head.as_bytes(), &packed, b"\nendstream"].concat(),
    ];
    objects.resize(3 + n_pages, page.into_bytes());
    let n_objects = objects.len() + 1;
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut rows = format!("xref\n0 {n_objects}\n0000000000 65535 f \n");
    for (i, object) in objects.into_iter().enumerate() {
        writeln!(rows, "{:010} 00000 n ", file.len()).expect("memory takes all");
        file.extend([format!("{} 0 obj\n", i + 1).as_bytes(), &object, b"\nendobj\n"].concat());
    }
    let at = file.len();
    let own = format!("{rows}trailer << /Size {n_objects} /Root 1 0 R >>");
    file.extend(format!("{}\nstartxref\n{at}\n%%EOF", table.unwrap_or(&own)).into_bytes());
    file
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        file.start_file(*name, zip::write::SimpleFileOptions::default()).expect("memory takes all");
        file.write_all(bytes).expect("memory takes all");
    }
    file.finish().expect("memory takes all").into_inner()
}

/// The archive with a directory that gives each member a size of one byte.
pub fn understated(mut archive: Vec<u8>) -> Vec<u8> {
    let entries = archive.windows(4).enumerate().filter(|(_, bytes)| bytes == b"PK\x01\x02");
    for at in entries.map(|(at, _)| at).collect::<Vec<_>>() {
        archive[at + 24..at + 28].copy_from_slice(&1u32.to_le_bytes());
    }
    archive
}

fn docx(document: &[u8]) -> Vec<u8> {
    let types = "<Types><Override PartName='/word/document.xml' ContentType='application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml'/></Types>";
    zip(&[("[Content_Types].xml", types.as_bytes()), ("word/document.xml", document)])
}
