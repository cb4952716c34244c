//! Bytes to an object graph: encryption, damaged cross-reference tables, bombs.

use super::streams::inflates_beyond;
use crate::{Hint, Refusal, Warning, WarningCode};
use pdf_extract::{Document, Error, LoadOptions, Object, ObjectId};
use std::collections::BTreeMap;

/// 64 MiB: object streams hold dictionaries, a few hundred bytes each.
const MAX_OBJECT_STREAM_BYTES: u64 = 64 << 20;

/// Reads the objects of a PDF, decrypted. A broken cross-reference table is made anew.
pub(super) fn open(bytes: &[u8], hint: &Hint, warnings: &mut Vec<Warning>) -> Result<Document, Refusal> {
    let name = || hint.name.to_owned();
    if has_bomb(bytes) {
        let reason = "a compressed part expands beyond all measure".to_owned();
        return Err(Refusal::Unreadable { name: name(), reason });
    }
    match load(bytes, hint) {
        Ok(doc) if has_pages(&doc) => return Ok(doc),
        // A password that fits no file shows that the encryption was understood.
        Err(refusal @ (Refusal::PasswordNeeded { .. } | Refusal::WrongPassword { .. })) => {
            return Err(refusal);
        }
        _ => {}
    }
    let doc = load(&with_new_xref(bytes), hint)?;
    if !has_pages(&doc) {
        let reason = "it has no pages, perhaps because its end is missing".to_owned();
        return Err(Refusal::Unreadable { name: name(), reason });
    }
    warnings.push(Warning {
        code: WarningCode::Damaged,
        message: format!("{} is damaged; what could be found in it was read", hint.name),
    });
    Ok(doc)
}

fn load(bytes: &[u8], hint: &Hint) -> Result<Document, Refusal> {
    let name = || hint.name.to_owned();
    let options =
        LoadOptions { password: hint.password.map(str::to_owned), filter: Some(keep_object), strict: false };
    let loaded = super::guarded(|| Document::load_mem_with_options(bytes, options));
    match loaded {
        Ok(Ok(doc)) if doc.is_encrypted() => Err(match hint.password {
            Some(_) => Refusal::WrongPassword { name: name() },
            None => Refusal::PasswordNeeded { name: name() },
        }),
        Ok(Ok(doc)) => Ok(doc),
        Ok(Err(Error::InvalidPassword)) => Err(match hint.password {
            Some(_) => Refusal::WrongPassword { name: name() },
            None => Refusal::PasswordNeeded { name: name() },
        }),
        Ok(Err(error)) => Err(Refusal::Unreadable { name: name(), reason: error.to_string() }),
        Err(reason) => Err(Refusal::Unreadable { name: name(), reason }),
    }
}

/// Drops the data of images, which has no text, before more of it takes memory.
fn keep_object(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    let Object::Stream(stream) = object else { return Some((id, object.clone())) };
    if stream.dict.get(b"Subtype").and_then(Object::as_name).ok() == Some(b"Image") {
        // One byte, because the library reads empty streams anew.
        stream.content = vec![0];
    }
    // The library takes the returned object only where it cannot be a stream, else the mended one.
    Some((id, Object::Null))
}

fn has_pages(doc: &Document) -> bool {
    !super::pages::list(doc, 1).is_empty()
}

/// Whether an object stream or a cross-reference stream, which are expanded while loading, is a bomb.
fn has_bomb(bytes: &[u8]) -> bool {
    positions(bytes, b"stream").any(|at| {
        let head = &bytes[at.saturating_sub(400)..at];
        let dict = &head[positions(head, b"obj").last().unwrap_or(0)..];
        let has = |key: &[u8]| positions(dict, key).next().is_some();
        if !(has(b"/ObjStm") || has(b"/XRef")) || !has(b"/FlateDecode") {
            return false;
        }
        let data = &bytes[at + b"stream".len()..];
        let n_line_end = data.iter().take(2).take_while(|b| matches!(b, b'\r' | b'\n')).count();
        inflates_beyond(&data[n_line_end..], MAX_OBJECT_STREAM_BYTES)
    })
}

/// The file with a cross-reference table that lists every `n g obj` found in it.
fn with_new_xref(bytes: &[u8]) -> Vec<u8> {
    let start = positions(bytes, b"%PDF-").next().unwrap_or(0);
    let mut fixed = match positions(bytes, b"%PDF-").next() {
        Some(_) => bytes[start..].to_vec(),
        None => [b"%PDF-1.4\n", bytes].concat(),
    };
    // The last definition of a number counts, as in a file with updates.
    let offsets: BTreeMap<u32, usize> =
        positions(&fixed, b"obj").filter_map(|at| object_number(&fixed, at)).collect();
    let root = last_reference(&fixed, b"/Root").or_else(|| {
        offsets.iter().find_map(|(&number, &at)| {
            let head = &fixed[at..(at + 400).min(fixed.len())];
            let end = positions(head, b"endobj").next().unwrap_or(head.len());
            positions(&head[..end], b"/Catalog").next().map(|_| format!("{number} 0 R"))
        })
    });
    let mut trailer = format!("<< /Size {}", offsets.keys().last().map_or(1, |n| n + 1));
    for (key, value) in [
        ("/Root", root),
        ("/Info", last_reference(&fixed, b"/Info")),
        ("/Encrypt", last_reference(&fixed, b"/Encrypt")),
        ("/ID", last_array(&fixed, b"/ID")),
    ] {
        if let Some(value) = value {
            trailer += &format!(" {key} {value}");
        }
    }
    fixed.push(b'\n');
    let xref_at = fixed.len();
    let mut table = String::from("xref\n0 1\n0000000000 65535 f \n");
    for (number, at) in offsets {
        table += &format!("{number} 1\n{at:010} 00000 n \n");
    }
    table += &format!("trailer\n{trailer} >>\nstartxref\n{xref_at}\n%%EOF\n");
    fixed.extend_from_slice(table.as_bytes());
    fixed
}

/// The number and the offset of the object whose keyword `obj` stands at `at`.
fn object_number(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
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
    // PDF 1.7 limits object numbers to 8,388,607 (annex C).
    (number <= 8_388_607).then_some((number, at.saturating_sub(24) + start))
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
        let doc = load(&with_new_xref(source), &Hint::default()).expect("it is whole again");
        assert!(has_pages(&doc));
        assert!(doc.catalog().expect("has pages").has(b"New"));
        assert_eq!(last_array(source, b"/ID").as_deref(), Some("[<0a><62>]"));
        // Without a trailer the catalog is looked for.
        let cut = &source[..source.len() - 36];
        assert!(has_pages(&load(&with_new_xref(cut), &Hint::default()).expect("it is whole again")));
    }
}
