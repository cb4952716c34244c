//! Sources of bytes.

use crate::{Error, Result};

/// A source of bytes that is read by range.
pub trait ReadAt {
    /// Number of bytes.
    ///
    /// # Errors
    /// [`Error::Read`].
    fn len(&self) -> Result<u64>;

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::CorruptWeights`], also when the source ends before.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;

    /// Whether there are no bytes.
    ///
    /// # Errors
    /// As [`ReadAt::len`].
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}

impl ReadAt for platform::File {
    fn len(&self) -> Result<u64> {
        Ok(self.len()?)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        Ok(self.read_at(buf, offset)?)
    }
}

impl ReadAt for &[u8] {
    fn len(&self) -> Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset.saturating_add(buf.len() as u64);
        let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(start, end)| self.get(start..end));
        buf.copy_from_slice(bytes.ok_or_else(|| Error::corrupt("it ends too early"))?);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        ReadAt::read_at(&self.as_slice(), buf, offset)
    }
}
