//! The index terms of a document as bytes, as they are stored; `docs/FORMAT.md` has the table.

use std::collections::BTreeMap;

/// The terms of consecutive chunks of one document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Postings {
    /// Number of terms in each chunk, repeated ones counted.
    pub(crate) n_terms: Vec<u32>,
    /// For each term, in byte order, the chunks that have it: (index of the chunk, how often), ascending.
    pub(crate) terms: Vec<(Box<str>, Vec<(u32, u32)>)>,
}

impl Postings {
    /// Collects the terms of chunks, given in order as functions that emit them.
    pub(crate) fn collect<'a, T>(chunks: impl Iterator<Item = T>, terms_of: &dyn Fn(T, &mut dyn FnMut(&str))) -> Self
    where
        T: 'a,
    {
        let mut terms: BTreeMap<Box<str>, Vec<(u32, u32)>> = BTreeMap::new();
        let mut n_terms = Vec::new();
        for (chunk_idx, chunk) in (0..).zip(chunks) {
            let mut n_chunk_terms = 0;
            terms_of(chunk, &mut |term| {
                n_chunk_terms += 1;
                let list = match terms.get_mut(term) {
                    Some(list) => list,
                    None => terms.entry(term.into()).or_default(),
                };
                match list.last_mut() {
                    Some((last, count)) if *last == chunk_idx => *count += 1,
                    _ => list.push((chunk_idx, 1)),
                }
            });
            n_terms.push(n_chunk_terms);
        }
        Self { n_terms, terms: terms.into_iter().collect() }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.n_terms.len() as u32);
        self.n_terms.iter().for_each(|&n| put(&mut bytes, n));
        put(&mut bytes, self.terms.len() as u32);
        for (term, list) in &self.terms {
            put(&mut bytes, term.len() as u32);
            bytes.extend_from_slice(term.as_bytes());
            put(&mut bytes, list.len() as u32);
            let mut previous = 0;
            for &(chunk_idx, count) in list {
                put(&mut bytes, chunk_idx - previous);
                put(&mut bytes, count);
                previous = chunk_idx;
            }
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote; `None` where the bytes cannot be its work.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut at = Reader(bytes);
        let n_chunks = at.count()?;
        let n_terms = (0..n_chunks).map(|_| at.number()).collect::<Option<Vec<u32>>>()?;
        let n_unique = at.count()?;
        let mut terms = Vec::with_capacity(n_unique);
        for _ in 0..n_unique {
            let n_bytes = at.count()?;
            let term = std::str::from_utf8(at.take(n_bytes)?).ok()?;
            let n_postings = at.count()?;
            let mut list = Vec::with_capacity(n_postings);
            let mut chunk_idx = 0u32;
            for _ in 0..n_postings {
                let step = at.number()?;
                if step == 0 && !list.is_empty() {
                    return None;
                }
                chunk_idx = chunk_idx.checked_add(step).filter(|&idx| (idx as usize) < n_chunks)?;
                list.push((chunk_idx, at.number().filter(|&count| count > 0)?));
            }
            terms.push((term.into(), list));
        }
        at.0.is_empty().then_some(Self { n_terms, terms })
    }
}

/// LEB128: seven bits per byte, the lowest first, the top bit set on all but the last.
fn put(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n_bytes: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n_bytes)?;
        self.0 = tail;
        Some(head)
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return u32::try_from(number).ok();
            }
        }
        None
    }

    /// A number of things that follow, at least a byte each: more than there are bytes is nonsense,
    /// and seen before memory is asked for.
    fn count(&mut self) -> Option<usize> {
        self.number().map(|n| n as usize).filter(|&n| n <= self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, emit: &mut dyn FnMut(&str)) {
        text.split(' ').for_each(emit);
    }

    #[test]
    fn encoding_is_reversible() {
        let texts = ["b a b", "a", "ä c b", ""];
        let postings = Postings::collect(texts.iter(), &|text, emit| words(text, emit));
        assert_eq!(postings.n_terms, [3, 1, 3, 1]);
        assert_eq!(postings.terms[1], ("a".into(), vec![(0, 1), (1, 1)]));
        assert_eq!(postings.terms[2], ("b".into(), vec![(0, 2), (2, 1)]));
        assert_eq!(Postings::decode(&postings.encode()), Some(postings));
        assert_eq!(Postings::decode(&Postings::default().encode()), Some(Postings::default()));
    }

    #[test]
    fn damaged_bytes_are_refused_or_still_well_formed() {
        let texts = ["alpha beta gamma", "beta beta", "gamma delta epsilon"];
        let bytes = Postings::collect(texts.iter(), &|text, emit| words(text, emit)).encode();
        for cut in 0..bytes.len() {
            assert_eq!(Postings::decode(&bytes[..cut]), None, "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let Some(decoded) = Postings::decode(&damaged) {
                    let n_chunks = decoded.n_terms.len() as u32;
                    assert!(decoded.terms.iter().flat_map(|t| &t.1).all(|p| p.0 < n_chunks));
                }
            }
        }
    }
}
