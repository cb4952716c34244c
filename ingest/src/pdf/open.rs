//! Bytes to an object graph: encryption, damaged cross-reference tables, bombs.

use super::xref::{self, Layout, MAX_OBJECT_NUMBER};
use super::{lost, objects};
use crate::{Hint, Refusal, Warning, WarningCode};
use pdf_extract::{Document, Error, LoadOptions};
use std::collections::HashSet;

/// Reads the objects of a PDF, decrypted. A broken cross-reference table is made anew.
pub(super) fn open(bytes: &[u8], hint: &Hint, warnings: &mut Vec<Warning>) -> Result<Document, Refusal> {
    let bytes = from_header(bytes);
    if let Some(layout) = xref::read(&bytes) {
        match load(&bytes, &layout, false, hint) {
            Ok(doc) if has_pages(&doc) => return Ok(doc),
            // A password that fits no file shows that the encryption was understood.
            Err(refusal @ (Refusal::PasswordNeeded { .. } | Refusal::WrongPassword { .. })) => {
                return Err(refusal);
            }
            _ => {}
        }
    }
    let doc = load(&bytes, &search(&bytes), true, hint)?;
    if !has_pages(&doc) {
        let reason = "it has no pages, perhaps because its end is missing".to_owned();
        return Err(Refusal::Unreadable { name: hint.name.to_owned(), reason });
    }
    warnings.push(Warning {
        code: WarningCode::Damaged,
        message: format!("{} is damaged; what could be found in it was read", hint.name),
    });
    Ok(doc)
}

/// The file from its header on, which offsets count from; with one if it has none.
fn from_header(bytes: &[u8]) -> Vec<u8> {
    match positions(bytes, b"%PDF-").next() {
        Some(start) => bytes[start..].to_vec(),
        None => [b"%PDF-1.4\n", bytes].concat(),
    }
}

fn load(bytes: &[u8], layout: &Layout, is_guess: bool, hint: &Hint) -> Result<Document, Refusal> {
    let name = || hint.name.to_owned();
    let options = LoadOptions {
        password: hint.password.map(str::to_owned),
        filter: Some(objects::keep),
        strict: false,
    };
    let loaded = super::guarded(|| {
        objects::begin(bytes.len());
        let mut doc = Document::load_mem_with_options(&with_table(bytes, layout), options)?;
        lost::find(&mut doc, layout, bytes);
        let expanded = objects::expand(&mut doc, layout, is_guess, bytes.len());
        objects::fill_streams(&mut doc, bytes);
        Ok((doc, expanded))
    });
    match loaded {
        Ok(Ok((doc, _))) if doc.is_encrypted() => Err(match hint.password {
            Some(_) => Refusal::WrongPassword { name: name() },
            None => Refusal::PasswordNeeded { name: name() },
        }),
        Ok(Ok((_, Err(objects::Bomb)))) => {
            let reason = "a compressed part expands beyond all measure".to_owned();
            Err(Refusal::Unreadable { name: name(), reason })
        }
        Ok(Ok((doc, Ok(())))) => Ok(doc),
        Ok(Err(Error::InvalidPassword)) => Err(match hint.password {
            Some(_) => Refusal::WrongPassword { name: name() },
            None => Refusal::PasswordNeeded { name: name() },
        }),
        Ok(Err(error)) => Err(Refusal::Unreadable { name: name(), reason: error.to_string() }),
        Err(reason) => Err(Refusal::Unreadable { name: name(), reason }),
    }
}

fn has_pages(doc: &Document) -> bool {
    super::guarded(|| !super::pages::list(doc, 1).is_empty()).unwrap_or(false)
}

/// The file with a plain table of the objects that stand by themselves, each place once.
fn with_table(bytes: &[u8], layout: &Layout) -> Vec<u8> {
    let mut fixed = bytes.to_vec();
    fixed.push(b'\n');
    let xref_at = fixed.len();
    let mut table = String::from("xref\n0 1\n0000000000 65535 f \n");
    let mut seen = HashSet::new();
    for (number, (at, generation)) in &layout.at {
        if seen.insert(at) {
            table += &format!("{number} 1\n{at:010} {generation:05} n \n");
        }
    }
    let size = layout.at.keys().last().map_or(1, |n| n + 1);
    table += &format!("trailer\n<< /Size {size}");
    for (key, value) in &layout.trailer {
        table += &format!(" /{key} {value}");
    }
    table += &format!(" >>\nstartxref\n{xref_at}\n%%EOF\n");
    fixed.extend_from_slice(table.as_bytes());
    fixed
}

/// Every `n g obj` found in the file.
fn search(bytes: &[u8]) -> Layout {
    let mut layout = Layout::default();
    // The last definition of a number counts, as in a file with updates.
    layout.at.extend(positions(bytes, b"obj").filter_map(|at| object_number(bytes, at)));
    let root = last_reference(bytes, b"/Root").or_else(|| {
        layout.at.iter().find_map(|(&number, &(at, _))| {
            let head = &bytes[at..(at + 400).min(bytes.len())];
            let end = positions(head, b"endobj").next().unwrap_or(head.len());
            positions(&head[..end], b"/Catalog").next().map(|_| format!("{number} 0 R"))
        })
    });
    for (key, value) in [
        ("Root", root),
        ("Info", last_reference(bytes, b"/Info")),
        ("Encrypt", last_reference(bytes, b"/Encrypt")),
        ("ID", last_array(bytes, b"/ID")),
    ] {
        layout.trailer.extend(value.map(|value| (key, value)));
    }
    layout
}

/// The number, offset and generation of the object whose keyword `obj` stands at `at`.
fn object_number(bytes: &[u8], at: usize) -> Option<(u32, (usize, u16))> {
    let head = &bytes[at.saturating_sub(24)..at];
    let mut end = head.len();
    let mut back = |accept: fn(u8) -> bool| {
        let to = end;
        while end > 0 && accept(head[end - 1]) {
            end -= 1;
        }
        (end, to)
    };
    let is_digit = |b: u8| b.is_ascii_digit();
    back(super::lexer::is_blank);
    let (generation_start, generation_end) = back(is_digit);
    let (blank_start, blank_end) = back(super::lexer::is_blank);
    let (start, number_end) = back(is_digit);
    if generation_start == generation_end || blank_start == blank_end || start == number_end {
        return None;
    }
    let number = std::str::from_utf8(&head[start..number_end]).ok()?.parse().ok()?;
    let generation = std::str::from_utf8(&head[generation_start..generation_end]).ok()?.parse().ok()?;
    (number <= MAX_OBJECT_NUMBER).then_some((number, (at.saturating_sub(24) + start, generation)))
}

/// The value of the last `key n g R` in the file.
fn last_reference(bytes: &[u8], key: &[u8]) -> Option<String> {
    positions(bytes, key)
        .filter_map(|at| {
            let rest = &bytes[at + key.len()..(at + key.len() + 32).min(bytes.len())];
            let text = String::from_utf8_lossy(rest);
            let mut words = text.split_ascii_whitespace();
            let (number, generation) =
                (words.next()?.parse::<u32>().ok()?, words.next()?.parse::<u16>().ok()?);
            words.next()?.starts_with('R').then(|| format!("{number} {generation} R"))
        })
        .last()
}

/// The value of the last `key [ .. ]`, for file identifiers, as hexadecimal text.
fn last_array(bytes: &[u8], key: &[u8]) -> Option<String> {
    use super::lexer::{Lexer, Token};
    positions(bytes, key)
        .filter_map(|at| {
            let mut tokens = Lexer::new(&bytes[at + key.len()..(at + key.len() + 400).min(bytes.len())]);
            if tokens.next() != Some(Token::ArrayStart) {
                return None;
            }
            let mut array = String::from("[");
            for token in tokens.take(2) {
                let Token::Text(id) = token else { return None };
                array += &format!("<{}>", id.iter().map(|b| format!("{b:02x}")).collect::<String>());
            }
            Some(array + "]")
        })
        .last()
}

/// Where `needle` stands in `haystack`, ascending.
fn positions<'a>(haystack: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = needle[0];
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(i) = haystack[at..].iter().position(|&b| b == first) {
            let found = at + i;
            at = found + 1;
            if haystack[found..].starts_with(needle) {
                return Some(found);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_made_from_what_is_there() {
        let source = b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj <</Kids[3 0 R]/Type/Pages>> endobj 3 0 obj <</Type/Page>> endobj\n1 0 obj\n<</Type/Catalog/Pages 2 0 R/New 1>>\nendobj\ntrailer <</Root 1 0 R /ID [<0a> (b)]>>";
        let found =
            |source: &[u8]| load(source, &search(source), true, &Hint::default()).expect("it is whole again");
        let doc = found(source);
        assert!(has_pages(&doc));
        assert!(doc.catalog().expect("has pages").has(b"New"));
        assert_eq!(last_array(source, b"/ID").as_deref(), Some("[<0a><62>]"));
        // Without a trailer the catalog is looked for.
        let cut = &source[..source.len() - 36];
        assert!(has_pages(&found(cut)));
    }
}
