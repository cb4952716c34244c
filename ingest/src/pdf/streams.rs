//! Stream data with bounds: a compressed megabyte can hold a gigabyte.

use flate2::read::{DeflateDecoder, ZlibDecoder};
use pdf_extract::{Dictionary, Document, Object, Stream};
use std::io::Read;

/// LZW makes at most some 1,400 bytes of one; this much of it stays below a gigabyte.
const MAX_LZW_BYTES: usize = 512 << 10;

/// The decoded data of a stream, cut at `max_bytes`; `None` for images and unknown filters.
pub(super) fn decode(doc: &Document, stream: &Stream, max_bytes: usize) -> Option<Vec<u8>> {
    let filters = list(doc, stream.dict.get(b"Filter").or_else(|_| stream.dict.get(b"F")).ok());
    let params = list(doc, stream.dict.get(b"DecodeParms").or_else(|_| stream.dict.get(b"DP")).ok());
    let mut data = std::borrow::Cow::Borrowed(stream.content.as_slice());
    for (i, filter) in filters.iter().enumerate().take(8) {
        let params = params.get(i).and_then(|p| p.as_dict().ok());
        let decoded = match filter.as_name().ok()? {
            b"FlateDecode" | b"Fl" => flate(&data, params, max_bytes),
            b"LZWDecode" | b"LZW" => {
                let n = data.len().min(MAX_LZW_BYTES).min(max_bytes / 16);
                by_library("LZWDecode", &data[..n], params)?
            }
            b"ASCII85Decode" | b"A85" => {
                // Five characters make four bytes, but a `z` makes four alone.
                let n = data.len().min(max_bytes.saturating_mul(2));
                by_library("ASCII85Decode", data[..n].trim_ascii_end(), None)?
            }
            b"ASCIIHexDecode" | b"AHx" => ascii_hex(&data),
            b"RunLengthDecode" | b"RL" => run_length(&data, max_bytes),
            b"Crypt" => continue,
            _ => return None,
        };
        data = std::borrow::Cow::Owned(decoded);
    }
    let n = data.len().min(max_bytes);
    Some(data[..n].to_vec())
}

/// Whether zlib data expands to more than `max_bytes`.
fn inflates_beyond(data: &[u8], max_bytes: u64) -> bool {
    let mut limited = ZlibDecoder::new(data).take(max_bytes + 1);
    let mut buffer = [0; 16 << 10];
    let mut n_total = 0;
    while let Ok(n) = limited.read(&mut buffer) {
        if n == 0 {
            break;
        }
        n_total += n as u64;
    }
    n_total > max_bytes
}

/// A value that may be one object or an array of them, references followed.
fn list<'a>(doc: &'a Document, object: Option<&'a Object>) -> Vec<&'a Object> {
    match object.map(|o| resolve(doc, o)) {
        Some(Object::Array(all)) => all.iter().map(|o| resolve(doc, o)).collect(),
        Some(Object::Null) | None => Vec::new(),
        Some(one) => vec![one],
    }
}

/// The object a reference leads to; `Null` if it leads nowhere.
pub(super) fn resolve<'a>(doc: &'a Document, object: &'a Object) -> &'a Object {
    doc.dereference(object).map_or(&Object::Null, |(_, o)| o)
}

/// A dictionary's value with references followed.
pub(super) fn get<'a>(doc: &'a Document, dict: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
    dict.get(key).ok().map(|o| resolve(doc, o)).filter(|o| !matches!(o, Object::Null))
}

/// A dictionary's value as a dictionary; a stream gives its own.
pub(super) fn get_dict<'a>(doc: &'a Document, dict: &'a Dictionary, key: &[u8]) -> Option<&'a Dictionary> {
    match get(doc, dict, key)? {
        Object::Dictionary(dict) => Some(dict),
        Object::Stream(stream) => Some(&stream.dict),
        _ => None,
    }
}

/// An integer or real as a finite number.
pub(super) fn number(object: &Object) -> Option<f64> {
    match object {
        Object::Integer(i) => Some(*i as f64),
        Object::Real(r) if r.is_finite() => Some(f64::from(*r)),
        _ => None,
    }
}

/// Inflated data, cut at `max_bytes`.
pub(super) fn flate(data: &[u8], params: Option<&Dictionary>, max_bytes: usize) -> Vec<u8> {
    let param = |key: &[u8]| params.and_then(|p| p.get(key).ok()).and_then(number).unwrap_or(1.0).max(1.0);
    let row_bytes = param(b"Columns") * param(b"Colors") * param(b"BitsPerComponent");
    // The library makes room for a row however long it is said to be.
    if param(b"Predictor") > 1.0
        && row_bytes <= max_bytes as f64
        && !inflates_beyond(data, max_bytes as u64)
        && let Some(decoded) = by_library("FlateDecode", data, params)
    {
        return decoded;
    }
    let mut decoded = Vec::new();
    // What comes before an error is kept: a damaged page still has its first half.
    let _ = ZlibDecoder::new(data).take(max_bytes as u64).read_to_end(&mut decoded);
    if decoded.is_empty() && data.len() > 2 {
        let _ = DeflateDecoder::new(&data[2..]).take(max_bytes as u64).read_to_end(&mut decoded);
    }
    decoded
}

fn by_library(filter: &str, data: &[u8], params: Option<&Dictionary>) -> Option<Vec<u8>> {
    let mut dict = Dictionary::new();
    dict.set("Filter", Object::Name(filter.into()));
    if let Some(params) = params {
        dict.set("DecodeParms", Object::Dictionary(params.clone()));
    }
    Stream::new(dict, data.to_vec()).decompressed_content().ok()
}

fn ascii_hex(data: &[u8]) -> Vec<u8> {
    let digits: Vec<u32> =
        data.iter().take_while(|&&b| b != b'>').filter_map(|&b| (b as char).to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair.get(1).copied().unwrap_or(0)) as u8).collect()
}

fn run_length(data: &[u8], max_bytes: usize) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < data.len() && decoded.len() < max_bytes {
        let n = usize::from(data[at]);
        at += 1;
        match n {
            0..128 => {
                let end = (at + n + 1).min(data.len());
                decoded.extend_from_slice(&data[at..end]);
                at = end;
            }
            128 => break,
            _ => {
                let Some(&byte) = data.get(at) else { break };
                decoded.resize(decoded.len() + 257 - n, byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    }

    fn stream(filters: &[&str], content: Vec<u8>) -> Stream {
        let mut dict = Dictionary::new();
        dict.set("Filter", Object::Array(filters.iter().map(|&f| Object::Name(f.into())).collect()));
        Stream::new(dict, content)
    }

    #[test]
    fn filters() {
        let doc = Document::new();
        let hex: Vec<u8> = zlib(b"hello").iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect();
        for (filters, content, want) in [
            (vec![], b"hello".to_vec(), Some("hello")),
            (vec!["FlateDecode"], zlib(b"hello"), Some("hello")),
            (vec!["AHx", "Fl"], [hex, b">".to_vec()].concat(), Some("hello")),
            (vec!["ASCII85Decode"], b"BOu!rDZ~>\n".to_vec(), Some("hello")),
            (vec!["RunLengthDecode"], b"\x01he\xffl\x00o\x80zz".to_vec(), Some("hello")),
            (vec!["DCTDecode"], vec![], None),
        ] {
            let got = decode(&doc, &stream(&filters, content), 100);
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{filters:?}");
        }
    }

    #[test]
    fn bombs_are_bounded() {
        let bomb = zlib(&vec![0; 10 << 20]);
        assert!(inflates_beyond(&bomb, 1 << 20) && !inflates_beyond(&bomb, 10 << 20));
        let got = decode(&Document::new(), &stream(&["FlateDecode"], bomb.clone()), 1000);
        assert_eq!(got.map(|d| d.len()), Some(1000));
        let damaged = zlib(&[7; 5000])[..20].to_vec();
        assert!(decode(&Document::new(), &stream(&["FlateDecode"], damaged), 10_000).is_some());
    }
}
