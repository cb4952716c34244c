//! Vectors of the sentences of a passage, eight bits for each number: a row that is read with the passage, and
//! never held in memory.

use crate::failure::Failure;

/// `start`, `end` and the scale, before the numbers of a vector.
const HEAD_BYTES: usize = 12;

/// Vectors of parts of a passage, with where these stand in it. A vector's numbers are whole multiples of its
/// largest one's 127th part: cosines are off by less than a hundredth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentenceVectors {
    /// Of a vector; 0 while there is none.
    n_dims: usize,
    /// For each: `start` and `end` (`u32`), scale (`f32`), then a signed byte for each number.
    bytes: Vec<u8>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SentenceVector<'a> {
    /// First code point in the passage's text.
    pub start: u32,
    /// One past the last code point.
    pub end: u32,
    scale: f32,
    /// Signed.
    values: &'a [u8],
}

impl SentenceVectors {
    /// Adds the vector of a sentence, whose numbers are finite.
    ///
    /// # Panics
    /// When it has another length than those before.
    pub fn push(&mut self, start: u32, end: u32, vector: &[f32]) {
        assert!(self.is_empty() || self.n_dims == vector.len(), "vectors of one model have one length");
        self.n_dims = vector.len();
        let largest = vector.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let scale = largest.max(f32::MIN_POSITIVE) / 127.0;
        self.bytes.extend(start.to_le_bytes());
        self.bytes.extend(end.to_le_bytes());
        self.bytes.extend(scale.to_le_bytes());
        self.bytes.extend(vector.iter().map(|value| (value / scale).round() as i8 as u8));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = SentenceVector<'_>> {
        self.bytes.chunks_exact(HEAD_BYTES + self.n_dims).filter_map(SentenceVector::parse)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether they may be stored with vectors of that length.
    pub(crate) fn fits(&self, n_dims: usize) -> bool {
        self.is_empty() || self.n_dims == n_dims
    }

    /// What [`Self::as_bytes`] gave.
    pub(crate) fn parse(bytes: &[u8], n_dims: usize) -> Result<Self, Failure> {
        let vectors = Self { n_dims: if bytes.is_empty() { 0 } else { n_dims }, bytes: bytes.to_vec() };
        let is_sound = |one: SentenceVector<'_>| one.start <= one.end && one.scale.is_finite();
        if !bytes.len().is_multiple_of(HEAD_BYTES + n_dims) || !vectors.iter().all(is_sound) {
            return Err(Failure::corrupt("vectors of sentences cannot be read"));
        }
        Ok(vectors)
    }
}

impl<'a> SentenceVector<'a> {
    fn parse(record: &'a [u8]) -> Option<Self> {
        let (head, values) = record.split_at_checked(HEAD_BYTES)?;
        let (fields, _) = head.as_chunks::<4>();
        let [start, end, scale] = fields else { return None };
        let (start, end) = (u32::from_le_bytes(*start), u32::from_le_bytes(*end));
        Some(Self { start, end, scale: f32::from_le_bytes(*scale), values })
    }

    /// The dot product with a vector of the same length.
    pub fn dot(&self, query: &[f32]) -> f32 {
        let sum: f32 = self.values.iter().zip(query).map(|(&value, q)| f32::from(value as i8) * q).sum();
        sum * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    #[test]
    fn what_was_added_is_read_and_products_are_near() {
        let mut rng = Rng(3);
        let rows: Vec<Vec<f32>> = (0..5).map(|_| rng.unit_vector(384)).collect();
        let mut vectors = SentenceVectors::default();
        for (start, row) in (0..).zip(&rows) {
            vectors.push(start, start + 7, row);
        }
        let read = SentenceVectors::parse(vectors.as_bytes(), 384).unwrap();
        assert!(read == vectors && read.fits(384) && !read.fits(2));
        let query = rng.unit_vector(384);
        for ((start, row), one) in (0..).zip(&rows).zip(read.iter()) {
            let exact: f32 = row.iter().zip(&query).map(|(a, b)| a * b).sum();
            assert_eq!((one.start, one.end), (start, start + 7));
            assert!((one.dot(&query) - exact).abs() < 0.002, "{} {exact}", one.dot(&query));
        }
        assert_eq!(read.iter().count(), 5);
    }

    #[test]
    fn nothing_and_nonsense() {
        let empty = SentenceVectors::parse(&[], 4).unwrap();
        assert!(empty == SentenceVectors::default() && empty.iter().next().is_none() && empty.fits(3));
        let mut zeros = SentenceVectors::default();
        zeros.push(0, 1, &[0.0; 4]);
        assert_eq!(zeros.iter().next().unwrap().dot(&[1.0; 4]), 0.0);
        assert!(SentenceVectors::parse(&[0; 15], 4).is_err());
        let mut backwards = zeros.as_bytes().to_vec();
        backwards[0] = 9;
        assert!(SentenceVectors::parse(&backwards, 4).is_err());
    }
}
