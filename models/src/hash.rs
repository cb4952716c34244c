//! SHA-256 over a file, piece by piece.

use crate::error::{AtPath, Result};
use platform::File;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Bytes hashed between two chances for others to run: about 5 ms of work in wasm.
const PIECE_BYTES: usize = 1 << 20;

/// SHA-256 of the whole file in lower-case hexadecimal digits.
pub(crate) async fn sha256_of(file: &File) -> Result<String> {
    let len = file.len().at(file.path())?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES.min(len as usize)];
    let mut offset = 0;
    while offset < len {
        let n = ((len - offset) as usize).min(PIECE_BYTES);
        file.read_at(&mut piece[..n], offset).at(file.path())?;
        hasher.update(&piece[..n]);
        offset += n as u64;
        platform::yield_now().await;
    }
    Ok(hex(&hasher.finalize()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        write!(s, "{b:02x}").expect("writing to a String cannot fail");
        s
    })
}
