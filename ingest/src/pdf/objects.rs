//! Objects within object streams (ISO 32000-1, 7.5.7), expanded with bounds.

use super::streams::decode;
use super::xref::Layout;
use pdf_extract::{Document, Object, ObjectId, ObjectStream, Stream};
use std::cell::Cell;
use std::collections::HashSet;

/// Object streams hold dictionaries that deflate to a tenth; this much is given to small files.
const MIN_EXPANDED_BYTES: usize = 8 << 20;
const MAX_EXPANDED_BYTES: usize = 256 << 20;
/// What object streams may expand to, in file sizes.
const MAX_EXPANSION: usize = 16;
/// The type that object streams have until they are expanded here.
const HELD: &[u8] = b"HeldObjStm";

thread_local! {
    /// Bytes of streams that may still be kept of the file being loaded.
    static N_BYTES_LEFT: Cell<usize> = const { Cell::new(0) };
}

/// To be called before a file of `n_bytes` is loaded with [`keep`].
pub(super) fn begin(n_bytes: usize) {
    // Streams are parts of the file; only crafted ones overlap.
    N_BYTES_LEFT.set(n_bytes.saturating_mul(2));
}

/// Takes as many bytes from what may still be kept; `false` if there are not as many.
pub(super) fn take(n_bytes: usize) -> bool {
    let n_left = N_BYTES_LEFT.get().checked_sub(n_bytes);
    N_BYTES_LEFT.set(n_left.unwrap_or(N_BYTES_LEFT.get()));
    n_left.is_some()
}

/// Filters what the library loads: image data, which has no text, goes before more of it takes
/// memory, and object streams are kept from being expanded without bounds.
pub(super) fn keep(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    let Object::Stream(stream) = object else { return Some((id, object.clone())) };
    let n_left = N_BYTES_LEFT.get().checked_sub(stream.content.len());
    let is_image = stream.dict.get(b"Subtype").and_then(Object::as_name).ok() == Some(b"Image");
    if is_image || n_left.is_none() {
        // One byte, because the library reads empty streams anew.
        stream.content = vec![0];
    } else {
        N_BYTES_LEFT.set(n_left.unwrap_or(0));
    }
    if stream.dict.has_type(b"ObjStm") {
        stream.dict.set("Type", Object::Name(HELD.to_vec()));
    }
    // The library takes the returned object only where it cannot be a stream, else the mended one.
    Some((id, Object::Null))
}

/// An object stream expands beyond all measure.
#[derive(Debug, PartialEq)]
pub(super) struct Bomb;

/// Puts the objects of object streams in place. Where the tables do not tell which of several
/// definitions counts (`is_guess`), it is the last in the file.
pub(super) fn expand(
    doc: &mut Document,
    layout: &Layout,
    is_guess: bool,
    n_bytes: usize,
) -> Result<(), Bomb> {
    let mut n_left = n_bytes.saturating_mul(MAX_EXPANSION).clamp(MIN_EXPANDED_BYTES, MAX_EXPANDED_BYTES);
    let offset = |number: u32| layout.at.get(&number).map_or(0, |&(offset, _)| offset);
    let mut containers: Vec<ObjectId> = doc
        .objects
        .iter()
        .filter(|(_, o)| o.as_stream().is_ok_and(|s| s.dict.has_type(HELD) || s.dict.has_type(b"ObjStm")))
        .map(|(&id, _)| id)
        .collect();
    containers.sort_by_key(|&(number, _)| offset(number));
    for id in containers {
        let Some(Object::Stream(mut stream)) = doc.objects.remove(&id) else { continue };
        let Some(data) = decode(doc, &stream, n_left + 1) else { continue };
        n_left = n_left.checked_sub(data.len()).ok_or(Bomb)?;
        stream.set_plain_content(data);
        let Some(mut stream) = without_doubles(stream) else { continue };
        let Ok(expanded) = ObjectStream::new(&mut stream) else { continue };
        for (member, object) in expanded.objects {
            let counts = if is_guess {
                offset(member.0) < offset(id.0)
            } else {
                layout.inside.get(&member.0) == Some(&id.0)
            };
            if counts {
                doc.objects.insert(member, object);
            }
        }
    }
    Ok(())
}

/// The stream with an index that leads to each place once: a long object under many numbers would
/// be read, and take memory, as many times.
fn without_doubles(mut stream: Stream) -> Option<Stream> {
    let first = usize::try_from(stream.dict.get(b"First").and_then(Object::as_i64).ok()?).ok()?;
    let (index, body) = stream.content.split_at_checked(first)?;
    let numbers: Vec<u32> =
        std::str::from_utf8(index).ok()?.split_whitespace().map_while(|n| n.parse().ok()).collect();
    let mut seen = HashSet::new();
    let pairs: Vec<&[u32]> = numbers
        .chunks_exact(2)
        .filter(|pair| (pair[1] as usize) < body.len() && seen.insert(pair[1]))
        .collect();
    let mut content: Vec<u8> =
        pairs.iter().flat_map(|pair| format!("{} {} ", pair[0], pair[1]).into_bytes()).collect();
    stream.dict.set("N", Object::Integer(pairs.len() as i64));
    stream.dict.set("First", Object::Integer(content.len() as i64));
    content.extend_from_slice(body);
    stream.set_plain_content(content);
    Some(stream)
}

/// Streams whose length stood in an object stream have been left empty; `bytes` is the file.
pub(super) fn fill_streams(doc: &mut Document, bytes: &[u8]) {
    let mut found: Vec<(ObjectId, Vec<u8>)> = Vec::new();
    for (&id, object) in &doc.objects {
        let Object::Stream(stream) = object else { continue };
        let (true, Some(from)) = (stream.content.is_empty(), stream.start_position) else { continue };
        let length = super::streams::get(doc, &stream.dict, b"Length").and_then(|n| n.as_i64().ok());
        let end = length.and_then(|n| from.checked_add(usize::try_from(n).ok()?));
        let Some(data) = end.and_then(|end| bytes.get(from..end)) else { continue };
        if !take(data.len()) {
            break;
        }
        found.push((id, data.to_vec()));
    }
    for (id, data) in found {
        if let Some(Object::Stream(stream)) = doc.objects.get_mut(&id) {
            stream.set_content(data);
        }
    }
}
