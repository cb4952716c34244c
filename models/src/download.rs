//! One file from one address into its `.part` file, going on where an earlier try stopped.

use crate::cancel::Cancel;
use crate::catalog::FileEntry;
use crate::error::{AtPath, Error, Result};
use crate::hash::sha256_of;
use platform::{File, OpenMode};

/// Tries in a row that may bring nothing new before the next source is asked.
const MAX_FRUITLESS_TRIES: u32 = 2;
/// Pause before a try that follows a fruitless one.
const RETRY_PAUSE_MS: u32 = 300;

/// A file on its way: the entry and where it is put.
pub(crate) struct Target<'a> {
    pub file: &'a FileEntry,
    /// The final path; the file gets it only when it is whole.
    pub path: String,
}

/// Whether a source gave the file; `Err` says why not, and another source may be asked.
pub(crate) type Given = std::result::Result<(), String>;

impl Target<'_> {
    pub(crate) fn part_path(&self) -> String {
        format!("{}.part", self.path)
    }

    /// Bytes already there from earlier tries.
    pub(crate) async fn done_bytes(&self) -> u64 {
        let Ok(file) = File::open(&self.part_path(), OpenMode::Read).await else { return 0 };
        let len = file.len().unwrap_or(0);
        file.close();
        len
    }

    pub(crate) async fn open_part(&self) -> Result<File> {
        let path = self.part_path();
        File::open(&path, OpenMode::ReadWrite).await.at(&path)
    }

    /// Checks the `.part` file and gives it its final name, or removes it.
    pub(crate) async fn accept(&self) -> Result<Given> {
        let part_path = self.part_path();
        let part = self.open_part().await?;
        let checked = self.check(&part).await;
        let synced = part.sync().at(&part_path);
        part.close();
        match checked? {
            Ok(()) => {
                synced?;
                if platform::exists(&self.path).await.at(&self.path)? {
                    platform::remove(&self.path).await.at(&self.path)?;
                }
                platform::rename(&part_path, &self.path).await.at(&self.path)?;
                Ok(Ok(()))
            }
            Err(reason) => {
                platform::remove(&part_path).await.at(&part_path)?;
                Ok(Err(reason))
            }
        }
    }

    /// Compares size and SHA-256 of an open file with the catalog.
    pub(crate) async fn check(&self, file: &File) -> Result<Given> {
        let n_bytes = file.len().at(file.path())?;
        if n_bytes != self.file.n_bytes {
            return Ok(Err(format!("it has {n_bytes} bytes, expected {}", self.file.n_bytes)));
        }
        let sha256 = sha256_of(file).await?;
        if sha256 != self.file.sha256 {
            return Ok(Err(format!("its SHA-256 is {sha256}, expected {}", self.file.sha256)));
        }
        Ok(Ok(()))
    }

    fn cancelled(&self, done_bytes: u64) -> Error {
        Error::Cancelled { file: self.file.name.clone(), done_bytes, total_bytes: self.file.n_bytes }
    }

    pub(crate) fn stop_if(&self, cancel: &Cancel, done_bytes: u64) -> Result<()> {
        if cancel.is_cancelled() { Err(self.cancelled(done_bytes)) } else { Ok(()) }
    }
}

/// Fetches the file from `url`. A cut connection is taken up again as long as tries bring new bytes.
/// A resumed file with the wrong hash is fetched once more from its start, since the bytes of an
/// earlier try may be at fault.
pub(crate) async fn from_url(
    target: &Target<'_>,
    url: &str,
    progress: &mut dyn FnMut(u64),
    cancel: &Cancel,
) -> Result<Given> {
    let had_earlier_bytes = target.done_bytes().await > 0;
    if let Err(reason) = fill(target, url, progress, cancel).await? {
        return Ok(Err(reason));
    }
    let accepted = target.accept().await?;
    if accepted.is_ok() || !had_earlier_bytes {
        return Ok(accepted);
    }
    match fill(target, url, progress, cancel).await? {
        Ok(()) => target.accept().await,
        failed => Ok(failed),
    }
}

async fn fill(
    target: &Target<'_>,
    url: &str,
    progress: &mut dyn FnMut(u64),
    cancel: &Cancel,
) -> Result<Given> {
    let mut n_fruitless = 0;
    loop {
        let before = target.done_bytes().await;
        target.stop_if(cancel, before)?;
        if before == target.file.n_bytes {
            return Ok(Ok(()));
        }
        match stream(target, url, progress, cancel).await? {
            Streamed::Whole => return Ok(Ok(())),
            Streamed::OtherFile(reason) => {
                platform::remove(&target.part_path()).await.at(&target.part_path())?;
                return Ok(Err(reason));
            }
            Streamed::Cut(reason) => {
                n_fruitless = if target.done_bytes().await > before { 0 } else { n_fruitless + 1 };
                if n_fruitless >= MAX_FRUITLESS_TRIES {
                    return Ok(Err(reason));
                }
                platform::sleep_ms(RETRY_PAUSE_MS).await;
            }
            Streamed::Refused(reason) => return Ok(Err(reason)),
        }
    }
}

enum Streamed {
    /// The `.part` file has its full length.
    Whole,
    /// The connection ended early; what came is kept.
    Cut(String),
    /// The source has something else under this address.
    OtherFile(String),
    /// The source cannot be reached, says no, or announces another file; asking again would not
    /// help.
    Refused(String),
}

async fn stream(
    target: &Target<'_>,
    url: &str,
    progress: &mut dyn FnMut(u64),
    cancel: &Cancel,
) -> Result<Streamed> {
    let part_path = target.part_path();
    let part = target.open_part().await?;
    let streamed = stream_into(target, url, &part, progress, cancel).await;
    let synced = part.sync().at(&part_path);
    part.close();
    let streamed = streamed?;
    synced?;
    Ok(streamed)
}

async fn stream_into(
    target: &Target<'_>,
    url: &str,
    part: &File,
    progress: &mut dyn FnMut(u64),
    cancel: &Cancel,
) -> Result<Streamed> {
    let path = part.path();
    let expected = target.file.n_bytes;
    let mut done = part.len().at(path)?;
    if done > expected {
        part.set_len(0).at(path)?;
        done = 0;
    }
    let mut download = match platform::fetch(url, done).await {
        Ok(download) => download,
        // The bytes we have may be more than what this source has: start over there.
        Err(platform::Error::Http { status: 416, .. }) => {
            return Ok(Streamed::OtherFile("it has fewer bytes than were already fetched".into()));
        }
        Err(e) => return Ok(Streamed::Refused(e.to_string())),
    };
    if let Some(total) = download.total_bytes.filter(|&total| total != expected) {
        return Ok(Streamed::Refused(format!("it has {total} bytes, expected {expected}")));
    }
    if done > 0 && !download.resumed {
        part.set_len(0).at(path)?;
        done = 0;
    }
    progress(done);
    loop {
        target.stop_if(cancel, done)?;
        let piece = match download.chunk().await {
            Ok(Some(piece)) => piece,
            Ok(None) if done == expected => return Ok(Streamed::Whole),
            Ok(None) => return Ok(Streamed::Cut(format!("ended after {done} of {expected} bytes"))),
            Err(e) => return Ok(Streamed::Cut(e.to_string())),
        };
        if done + piece.len() as u64 > expected {
            return Ok(Streamed::OtherFile(format!("it has more than the expected {expected} bytes")));
        }
        part.write_at(&piece, done).at(path)?;
        done += piece.len() as u64;
        progress(done);
    }
}
