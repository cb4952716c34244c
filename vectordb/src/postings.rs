//! The index terms of chunks as bytes, as they are stored; `docs/FORMAT.md` has the table.

use rustc_hash::FxHashMap;

/// How often a chunk has a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occurrence {
    /// Which of the chunks, counted from 0.
    pub(crate) chunk_idx: u32,
    pub(crate) count: u32,
}

/// Calls its second argument with each term of a chunk, in order, repeated ones too.
pub(crate) type TermsOf<'a, T> = dyn FnMut(&T, &mut dyn FnMut(&str)) + 'a;

/// Encodes the terms of consecutive chunks of one document; `terms_of` emits those of a chunk.
pub(crate) fn encode<'a, T: 'a>(
    chunks: impl IntoIterator<Item = &'a T>,
    terms_of: &mut TermsOf<'_, T>,
) -> Vec<u8> {
    let mut terms: FxHashMap<Box<str>, Vec<Occurrence>> = FxHashMap::default();
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
                Some(last) if last.chunk_idx == chunk_idx => last.count += 1,
                _ => list.push(Occurrence { chunk_idx, count: 1 }),
            }
        });
        n_terms.push(n_chunk_terms);
    }
    // In byte order, so that the same chunks always give the same bytes.
    let mut terms: Vec<(Box<str>, Vec<Occurrence>)> = terms.into_iter().collect();
    terms.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut bytes = Vec::new();
    put(&mut bytes, n_terms.len() as u32);
    n_terms.iter().for_each(|&n| put(&mut bytes, n));
    put(&mut bytes, terms.len() as u32);
    for (term, list) in &terms {
        put(&mut bytes, term.len() as u32);
        bytes.extend_from_slice(term.as_bytes());
        put(&mut bytes, list.len() as u32);
        let mut previous = 0;
        for occurrence in list {
            put(&mut bytes, occurrence.chunk_idx - previous);
            put(&mut bytes, occurrence.count);
            previous = occurrence.chunk_idx;
        }
    }
    bytes
}

/// Encoded terms that were checked through once.
#[derive(Debug)]
pub(crate) struct Terms<'a> {
    /// Number of terms in each chunk, repeated ones counted.
    n_terms: Vec<u32>,
    n_unique: usize,
    lists: Reader<'a>,
}

impl<'a> Terms<'a> {
    /// Reads what [`encode`] wrote; `None` where the bytes cannot be its work.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut at = Reader(bytes);
        let n_chunks = at.count()?;
        let n_terms = (0..n_chunks).map(|_| at.number()).collect::<Option<Vec<u32>>>()?;
        let n_unique = at.count()?;
        let terms = Self { n_terms, n_unique, lists: at };
        let mut rest = at;
        let mut list = Vec::new();
        for _ in 0..n_unique {
            rest.term(n_chunks, &mut list)?;
        }
        rest.0.is_empty().then_some(terms)
    }

    pub(crate) fn n_terms(&self) -> &[u32] {
        &self.n_terms
    }

    /// Each distinct term with the chunks that have it, ascending.
    pub(crate) fn each(&self, mut f: impl FnMut(&str, &[Occurrence])) {
        let mut at = self.lists;
        let mut list = Vec::new();
        for _ in 0..self.n_unique {
            let term = at.term(self.n_terms.len(), &mut list).expect("`parse` has read it before");
            f(term, &list);
        }
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

#[derive(Debug, Clone, Copy)]
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

    /// A term; its occurrences come into `list`.
    fn term(&mut self, n_chunks: usize, list: &mut Vec<Occurrence>) -> Option<&'a str> {
        let n_bytes = self.count()?;
        let term = std::str::from_utf8(self.take(n_bytes)?).ok()?;
        list.clear();
        let mut chunk_idx = 0u32;
        for _ in 0..self.count()? {
            let step = self.number()?;
            if step == 0 && !list.is_empty() {
                return None;
            }
            chunk_idx = chunk_idx.checked_add(step).filter(|&idx| (idx as usize) < n_chunks)?;
            let count = self.number().filter(|&count| count > 0)?;
            list.push(Occurrence { chunk_idx, count });
        }
        Some(term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(texts: &[&str]) -> Vec<u8> {
        encode(texts, &mut |text, emit| text.split(' ').for_each(emit))
    }

    #[test]
    fn what_was_encoded_is_read() {
        let bytes = encoded(&["b a b", "a", "ä c b", ""]);
        let terms = Terms::parse(&bytes).unwrap();
        assert_eq!(terms.n_terms(), [3, 1, 3, 1]);
        let mut lists = Vec::new();
        terms.each(|term, list| {
            lists.push((term.to_owned(), list.iter().map(|o| (o.chunk_idx, o.count)).collect::<Vec<_>>()));
        });
        let expected = [
            ("", vec![(3, 1)]),
            ("a", vec![(0, 1), (1, 1)]),
            ("b", vec![(0, 2), (2, 1)]),
            ("c", vec![(2, 1)]),
            ("ä", vec![(2, 1)]),
        ];
        assert_eq!(lists, expected.map(|(term, list)| (term.to_owned(), list)));
        assert!(Terms::parse(&encoded(&[])).unwrap().n_terms().is_empty());
    }

    #[test]
    fn damaged_bytes_are_refused_or_still_well_formed() {
        let bytes = encoded(&["alpha beta gamma", "beta beta", "gamma delta epsilon"]);
        for cut in 0..bytes.len() {
            assert!(Terms::parse(&bytes[..cut]).is_none(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let Some(terms) = Terms::parse(&damaged) {
                    terms.each(|_, list| {
                        assert!(list.iter().all(|o| (o.chunk_idx as usize) < terms.n_terms().len()))
                    });
                }
            }
        }
    }
}
