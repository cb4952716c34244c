//! Where the objects of a file lie, read here so that the library never expands a stream itself:
//! it does so without bounds. It is given a plain table of what was found.

use super::lexer::{Lexer, Token};
use super::streams::flate;
use pdf_extract::{Dictionary, Object};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// PDF 1.7 limits object numbers to 8,388,607 (annex C).
pub(super) const MAX_OBJECT_NUMBER: u32 = 8_388_607;
/// Updates of a file, each with a table; real files have some tens.
const MAX_TABLES: usize = 1_000;
/// Tokens of all tables: three for each object of the biggest file.
const MAX_TOKENS: usize = 30_000_000;
/// A full table of the biggest file in a stream.
const MAX_STREAM_BYTES: usize = 64 << 20;

/// What the tables of a file say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// Offset and generation of the objects that stand by themselves.
    pub(super) at: BTreeMap<u32, (usize, u16)>,
    /// The object streams of those that stand within one.
    pub(super) inside: BTreeMap<u32, u32>,
    /// Keys and values for the trailer, in PDF syntax.
    pub(super) trailer: BTreeMap<&'static str, String>,
}

type Entries<'a> = HashMap<Vec<u8>, Vec<Token<'a>>>;

/// Follows the tables from the end of a file that begins with its header; `None` if one is broken.
pub(super) fn read(bytes: &[u8]) -> Option<Layout> {
    let mut layout = Layout::default();
    let mut n_tokens = MAX_TOKENS;
    let mut n_bytes = MAX_STREAM_BYTES;
    let mut due = vec![start(bytes)?];
    let mut seen = BTreeSet::new();
    while let Some(at) = due.pop() {
        if !seen.insert(at) {
            continue;
        }
        if seen.len() > MAX_TABLES {
            return None;
        }
        let mut table = Table { bytes, lexer: Lexer::new(bytes.get(at..)?), at, n_tokens };
        let entries = match table.next()? {
            Token::Word(b"xref") => table.plain(&mut layout)?,
            Token::Number(_) => table.stream(&mut layout, &mut n_bytes)?,
            _ => return None,
        };
        n_tokens = table.n_tokens;
        for key in ["Root", "Info", "Encrypt", "ID"] {
            if let Some(value) = entries.get(key.as_bytes()).and_then(|v| written(v)) {
                layout.trailer.entry(key).or_insert(value);
            }
        }
        // The table of a hybrid file's streams counts before older tables.
        for key in ["Prev", "XRefStm"] {
            if let Some(offset) = integer(&entries, key) {
                due.push(offset);
            }
        }
    }
    layout.trailer.contains_key("Root").then_some(layout)
}

/// Where the last table starts.
fn start(bytes: &[u8]) -> Option<usize> {
    let tail = bytes.len().saturating_sub(1024);
    let keyword = b"startxref";
    let at = bytes[tail..].windows(keyword.len()).rposition(|w| w == keyword)? + tail;
    match Lexer::new(&bytes[at + keyword.len()..]).next()? {
        Token::Number(n) if n >= 0.0 => Some(n as usize),
        _ => None,
    }
}

fn integer(entries: &Entries, key: &str) -> Option<usize> {
    match entries.get(key.as_bytes())?.as_slice() {
        [Token::Number(n)] if *n >= 0.0 => Some(*n as usize),
        _ => None,
    }
}

/// References and arrays of strings, as the trailer has them.
fn written(value: &[Token]) -> Option<String> {
    match value {
        [Token::Number(number), Token::Number(generation), Token::Word(b"R")] => {
            Some(format!("{} {} R", *number as u32, *generation as u16))
        }
        [Token::ArrayStart, Token::Text(first), Token::Text(second), Token::ArrayEnd] => {
            let hex = |id: &[u8]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
            Some(format!("[<{}><{}>]", hex(first), hex(second)))
        }
        _ => None,
    }
}

/// One table being read.
struct Table<'a> {
    bytes: &'a [u8],
    lexer: Lexer<'a>,
    at: usize,
    n_tokens: usize,
}

impl<'a> Table<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.n_tokens = self.n_tokens.checked_sub(1)?;
        self.lexer.next()
    }

    /// The entries after `xref`, and the trailer.
    fn plain(&mut self, layout: &mut Layout) -> Option<Entries<'a>> {
        let mut numbers: Vec<f64> = Vec::new();
        let mut number = 0;
        loop {
            match self.next()? {
                Token::Number(n) if numbers.len() < 64 => numbers.push(n),
                Token::Word(word @ (b"n" | b"f")) => {
                    let [section @ .., offset, generation] = numbers.as_slice() else { return None };
                    // Empty sections may stand before that of this entry.
                    if let [.., first, _] = section {
                        number = *first as u32;
                    }
                    if word == b"n" {
                        self.put(layout, number, *offset as usize, *generation as u16);
                    }
                    number = number.saturating_add(1);
                    numbers.clear();
                }
                Token::Word(b"trailer") => break,
                _ => return None,
            }
        }
        match self.next()? {
            Token::DictStart => self.entries(),
            _ => None,
        }
    }

    /// Newer tables come first.
    fn put(&self, layout: &mut Layout, number: u32, offset: usize, generation: u16) {
        if number <= MAX_OBJECT_NUMBER && offset < self.bytes.len() && !layout.inside.contains_key(&number) {
            layout.at.entry(number).or_insert((offset, generation));
        }
    }

    /// What follows the start of a dictionary, up to its end.
    fn entries(&mut self) -> Option<Entries<'a>> {
        let mut entries = Entries::new();
        let mut key: Option<Vec<u8>> = None;
        let mut value = Vec::new();
        let mut depth = 0;
        loop {
            let token = self.next()?;
            let is_top = depth == 0;
            match token {
                Token::Name(name) if is_top && (key.is_none() || !value.is_empty()) => {
                    let before = key.replace(name);
                    entries.extend(before.map(|key| (key, std::mem::take(&mut value))));
                    continue;
                }
                Token::DictEnd if is_top => break,
                Token::DictStart | Token::ArrayStart => depth += 1,
                Token::DictEnd | Token::ArrayEnd => depth -= i32::from(!is_top),
                _ => {}
            }
            value.push(token);
        }
        entries.extend(key.map(|key| (key, value)));
        Some(entries)
    }

    /// The entries of a cross-reference stream (ISO 32000-1, 7.5.8), from after its number.
    fn stream(&mut self, layout: &mut Layout, n_bytes: &mut usize) -> Option<Entries<'a>> {
        let (Token::Number(_), Token::Word(b"obj")) = (self.next()?, self.next()?) else { return None };
        let Token::DictStart = self.next()? else { return None };
        let entries = self.entries()?;
        let Token::Word(b"stream") = self.next()? else { return None };
        let from = self.at + self.lexer.position();
        let data = &self.bytes[from..];
        let data = data.strip_prefix(b"\r").unwrap_or(data);
        let data = data.strip_prefix(b"\n").unwrap_or(data);
        let data = plain_data(&entries, data, *n_bytes)?;
        *n_bytes = n_bytes.checked_sub(data.len()).filter(|&n| n > 0)?;
        let [a, b, c] = numbers(entries.get(&b"W"[..])?)[..] else { return None };
        let width = a + b + c;
        if width == 0 || [a, b, c].iter().any(|&w| w > 8) {
            return None;
        }
        let index = match entries.get(&b"Index"[..]) {
            Some(index) => numbers(index),
            None => vec![0, usize::MAX],
        };
        let mut rows = data.chunks_exact(width);
        let field = |bytes: &[u8]| bytes.iter().fold(0u64, |n, &b| n << 8 | u64::from(b));
        for section in index.chunks_exact(2) {
            for (i, row) in rows.by_ref().take(section[1]).enumerate() {
                let Ok(number) = u32::try_from(section[0].saturating_add(i)) else { break };
                let kind = if a == 0 { 1 } else { field(&row[..a]) };
                let (second, third) = (field(&row[a..a + b]), field(&row[a + b..]));
                match kind {
                    1 => self.put(layout, number, second as usize, third as u16),
                    2 if number <= MAX_OBJECT_NUMBER && !layout.at.contains_key(&number) => {
                        layout.inside.entry(number).or_insert(second as u32);
                    }
                    _ => {}
                }
            }
        }
        Some(entries)
    }
}

/// The non-negative numbers of an array.
fn numbers(value: &[Token]) -> Vec<usize> {
    value.iter().filter_map(|t| if let Token::Number(n) = t { Some(*n as usize) } else { None }).collect()
}

/// Stream data that is plain or deflated; writers use nothing else for tables.
fn plain_data(entries: &Entries, data: &[u8], max_bytes: usize) -> Option<Vec<u8>> {
    let filters: Vec<&[u8]> = entries
        .get(&b"Filter"[..])
        .into_iter()
        .flatten()
        .filter_map(|t| if let Token::Name(name) = t { Some(name.as_slice()) } else { None })
        .collect();
    match filters[..] {
        [] => {
            let n = integer(entries, "Length")?.min(max_bytes);
            data.get(..n).map(<[u8]>::to_vec)
        }
        [b"FlateDecode" | b"Fl"] => {
            let mut params = Dictionary::new();
            let listed = entries.get(&b"DecodeParms"[..]).map_or(&[][..], Vec::as_slice);
            for pair in listed.windows(2) {
                if let [Token::Name(name), Token::Number(n)] = pair {
                    params.set(name.as_slice(), Object::Integer(*n as i64));
                }
            }
            Some(flate(data, Some(&params), max_bytes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_tables_and_their_updates() {
        let old = "%PDF-1.4\nxref\n0 0\n0 2\n0000000000 65535 f \n0000000009 00000 n \n3 1\n0000000003 00002 n \ntrailer << /Size 4 /Root 1 0 R /ID [<0a>(b)] >>\n";
        let update = "xref\n1 1\n0000000005 00000 n\ntrailer <</Prev 9 /Root 2 0 R/Type/X>> startxref ";
        let at = old.len();
        let layout = read(format!("{old}{update}{at}\n%%EOF").as_bytes()).expect("it is whole");
        assert_eq!(layout.at, [(1, (5, 0)), (3, (3, 2))].into());
        let trailer = [("ID", "[<0a><62>]".to_owned()), ("Root", "2 0 R".to_owned())];
        assert_eq!(layout.trailer, trailer.into());
    }

    #[test]
    fn tables_in_streams() {
        let head =
            "%PDF-1.5\n7 0 obj <</Type/XRef /W [1 2 1] /Index [3 2 9 1] /Length 12 /Root 3 0 R>> stream\r\n";
        let rows = [1, 0, 9, 0, 2, 0, 8, 5, 0, 0, 0, 0];
        let file = [head.as_bytes(), &rows, b"\nendstream endobj startxref 9 %%EOF"].concat();
        let layout = read(&file).expect("it is whole");
        assert_eq!((layout.at, layout.inside), ([(3, (9, 0))].into(), [(4, 8)].into()));
    }

    #[test]
    fn broken_tables_are_none() {
        for source in ["", "startxref", "startxref 99", "xref trailer startxref 0", "xref 1 n startxref 0"] {
            assert_eq!(read(source.as_bytes()), None, "{source}");
        }
        assert_eq!(read(b"xref trailer <</Prev 0>> startxref 0"), None);
    }
}
