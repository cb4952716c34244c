//! One file from one address into its `.part` file, by several ranges at a time, going on where an
//! earlier try stopped.

use crate::cancel::Cancel;
use crate::catalog::FileEntry;
use crate::error::{AtPath, Error, Result};
use crate::hash::sha256_of;
use crate::part::{self, Part};
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use platform::{Asked, Download, File, OpenMode};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;

/// Tries in a row that may bring nothing new, once something came: with pauses that double from
/// [`Pace::retry_pause_ms`], some 19 seconds without a network.
const MAX_FRUITLESS_TRIES: u32 = 7;
/// How often a server may ask to be left alone before the next source is asked.
const MAX_BUSY: u32 = 6;
/// The longest pause that a server is granted.
const MAX_BUSY_PAUSE_MS: u32 = 60_000;
/// How often a server that knows no ranges is listened to from the start.
const MAX_WHOLE_TRIES: u32 = 3;

/// How a file is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Files are fetched in ranges of this length.
    pub segment_bytes: u64,
    /// Ranges at a time. One connection is often held to a part of what the line carries; more than a
    /// handful help nobody.
    pub n_parallel: usize,
    /// The first pause after a connection that was cut; those that follow double.
    pub retry_pause_ms: u32,
    /// A connection that brings nothing for this long counts as cut.
    pub stall_ms: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { segment_bytes: 8 << 20, n_parallel: 4, retry_pause_ms: 300, stall_ms: platform::MAX_STALL_MS }
    }
}

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

    /// Bytes already there from earlier tries, while nobody has the `.part` file open.
    pub(crate) async fn done_bytes(&self) -> u64 {
        part::done_bytes(&self.part_path(), self.file).await
    }

    pub(crate) async fn open_part(&self) -> Result<File> {
        let path = self.part_path();
        File::open(&path, OpenMode::ReadWrite).await.at(&path)
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

    pub(crate) fn stop_if(&self, cancel: &Cancel, done_bytes: u64) -> Result<()> {
        if cancel.is_cancelled() { Err(self.cancelled(done_bytes)) } else { Ok(()) }
    }

    fn cancelled(&self, done_bytes: u64) -> Error {
        Error::Cancelled { file: self.file.name.clone(), done_bytes, total_bytes: self.file.n_bytes }
    }
}

/// A transfer from one address.
pub(crate) struct Transfer<'a> {
    pub target: &'a Target<'a>,
    pub part: &'a Part,
    pub url: &'a str,
    pub pace: Pace,
    pub cancel: &'a Cancel,
    /// Told how many bytes are here.
    pub tell: RefCell<&'a mut dyn FnMut(u64)>,
    /// Tries in a row that brought nothing.
    pub n_fruitless: Cell<u32>,
    pub n_busy: Cell<u32>,
}

impl Transfer<'_> {
    /// Fetches what is missing and checks the whole. A cut connection is taken up again as long as tries
    /// bring new bytes. A file with the wrong hash is fetched once more from its start if bytes of an
    /// earlier fetch were among it, which may be at fault.
    pub(crate) async fn run(&self) -> Result<Given> {
        loop {
            let had_earlier = self.part.has_earlier.get();
            if let Err(reason) = self.fill().await? {
                self.part.checkpoint()?;
                return Ok(Err(reason));
            }
            match self.part.check().await? {
                Err(_) if had_earlier => {}
                outcome => return Ok(outcome),
            }
        }
    }

    async fn fill(&self) -> Result<Given> {
        self.report();
        let mut waiting: VecDeque<usize> = self.part.open_segments().into();
        let mut n_whole = 0;
        // The first answer shows whether the server knows ranges.
        let (first_idx, first) = loop {
            let Some(&segment_idx) = waiting.front() else { return Ok(Ok(())) };
            match self.ask(segment_idx).await? {
                Answer::Range(download) => break (segment_idx, download),
                Answer::Whole(download) if n_whole < MAX_WHOLE_TRIES => {
                    n_whole += 1;
                    let ended = self.read(download, 0, self.target.file.n_bytes).await?;
                    let End::Cut(reason) = ended else { return Ok(ended.given()) };
                    if !self.may_go_on().await? {
                        return Ok(Err(reason));
                    }
                    waiting = self.part.open_segments().into();
                }
                Answer::Whole(_) => return Ok(Err("it was cut each time, and knows no ranges".into())),
                Answer::End(End::Cut(reason)) if !self.may_go_on().await? => return Ok(Err(reason)),
                Answer::End(End::Cut(_)) => {}
                Answer::End(ended) => return Ok(ended.given()),
            }
        };
        waiting.pop_front();
        self.fill_by_ranges(first_idx, first, waiting).await
    }

    async fn fill_by_ranges(
        &self,
        first_idx: usize,
        first: Download,
        mut waiting: VecDeque<usize>,
    ) -> Result<Given> {
        let mut running = FuturesUnordered::new();
        running.push(self.segment(first_idx, Some(first)));
        let mut n_parallel = self.pace.n_parallel.max(1);
        loop {
            while running.len() < n_parallel
                && let Some(segment_idx) = waiting.pop_front()
            {
                running.push(self.segment(segment_idx, None));
            }
            let Some((segment_idx, ended)) = running.next().await else { return Ok(Ok(())) };
            match ended? {
                End::Whole => self.part.hash_on().await?,
                End::Cut(reason) => {
                    if !self.may_go_on().await? {
                        return Ok(Err(reason));
                    }
                    // Some servers cut whoever comes with several connections.
                    n_parallel = (n_parallel / 2).max(1);
                    waiting.push_front(segment_idx);
                }
                refused => return Ok(refused.given()),
            }
        }
    }

    /// Fetches the gap of a segment, of which the first answer may be there already.
    async fn segment(&self, segment_idx: usize, answer: Option<Download>) -> (usize, Result<End>) {
        (segment_idx, self.try_segment(segment_idx, answer).await)
    }

    async fn try_segment(&self, segment_idx: usize, answer: Option<Download>) -> Result<End> {
        let answer = match answer {
            Some(download) => Answer::Range(download),
            None => self.ask(segment_idx).await?,
        };
        match answer {
            Answer::Range(download) => {
                let gap = self.part.gap(segment_idx);
                self.read(download, gap.start, gap.end).await
            }
            Answer::Whole(_) => Ok(End::Cut("it ignored the range".into())),
            Answer::End(ended) => Ok(ended),
        }
    }

    /// Asks for the gap of a segment.
    async fn ask(&self, segment_idx: usize) -> Result<Answer> {
        let (gap, expected) = (self.part.gap(segment_idx), self.target.file.n_bytes);
        let whole = Asked { stall_ms: self.pace.stall_ms, ..Asked::new(self.url) };
        let asked = match gap == (0..expected) {
            true => whole,
            false => Asked { start: gap.start, end: Some(gap.end), ..whole },
        };
        let mut answer = self.unless_cancelled(asked.fetch()).await?;
        if matches!(answer, Err(platform::Error::Network { .. }))
            && self.part.done_bytes() == 0
            && asked != whole
        {
            // Some browsers ask other hosts first whether they may ask for a range, and few hosts know.
            answer = self.unless_cancelled(whole.fetch()).await?;
        }
        Ok(match answer {
            Ok(download) => match download.total_bytes.filter(|&total| total != expected) {
                Some(total) => {
                    Answer::End(End::Refused(format!("it has {total} bytes, expected {expected}")))
                }
                None if download.resumed => Answer::Range(download),
                None => Answer::Whole(download),
            },
            Err(platform::Error::Http { status: 416, .. }) => {
                Answer::End(End::Refused(format!("it has no byte {}, expected {expected} bytes", gap.start)))
            }
            Err(platform::Error::Busy { wait_s, status, .. }) => {
                Answer::End(self.wait_for_busy(status, wait_s).await?)
            }
            // Out of reach from the start, or only now?
            Err(e @ platform::Error::Network { .. }) if self.part.done_bytes() > 0 => {
                Answer::End(End::Cut(e.to_string()))
            }
            Err(e) => Answer::End(End::Refused(e.to_string())),
        })
    }

    /// Reads the file's bytes from `at` to `end`.
    async fn read(&self, mut download: Download, mut at: u64, end: u64) -> Result<End> {
        loop {
            let piece = match self.unless_cancelled(download.chunk()).await? {
                Ok(Some(piece)) => piece,
                Ok(None) if at == end => return Ok(End::Whole),
                Ok(None) => return Ok(End::Cut(format!("ended after {at} of {end} bytes"))),
                Err(e) => return Ok(End::Cut(e.to_string())),
            };
            if at + piece.len() as u64 > end {
                return Ok(End::Refused(format!("it has more than the expected {end} bytes")));
            }
            self.part.write(&piece, at)?;
            at += piece.len() as u64;
            self.n_fruitless.set(0);
            self.n_busy.set(0);
            self.report();
            platform::yield_now().await;
        }
    }

    /// After a cut connection: waits a moment; `false` when there were too many.
    async fn may_go_on(&self) -> Result<bool> {
        self.part.checkpoint()?;
        let n_fruitless = self.n_fruitless.get() + 1;
        self.n_fruitless.set(n_fruitless);
        if n_fruitless >= MAX_FRUITLESS_TRIES {
            return Ok(false);
        }
        let pause_ms = self.pace.retry_pause_ms << (n_fruitless - 1);
        self.unless_cancelled(platform::sleep_ms(pause_ms)).await?;
        Ok(true)
    }

    /// Leaves the server alone for as long as it asks for.
    async fn wait_for_busy(&self, status: u16, wait_s: Option<u32>) -> Result<End> {
        let n_busy = self.n_busy.get() + 1;
        self.n_busy.set(n_busy);
        if n_busy > MAX_BUSY {
            return Ok(End::Refused(format!("it stays busy (HTTP status {status})")));
        }
        let guess_ms = self.pace.retry_pause_ms << (n_busy + 1);
        let pause_ms = wait_s.map_or(guess_ms, |s| s.saturating_mul(1000)).min(MAX_BUSY_PAUSE_MS);
        self.unless_cancelled(platform::sleep_ms(pause_ms)).await?;
        // Its own word for a pause is no failure.
        self.n_fruitless.set(self.n_fruitless.get().saturating_sub(1));
        Ok(End::Cut(format!("it is busy (HTTP status {status})")))
    }

    fn report(&self) {
        (self.tell.borrow_mut())(self.part.done_bytes());
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.target.stop_if(self.cancel, self.part.done_bytes())?;
        match select(pin!(work), pin!(self.cancel.cancelled())).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right(((), _)) => {
                self.part.checkpoint()?;
                Err(self.target.cancelled(self.part.done_bytes()))
            }
        }
    }
}

enum Answer {
    /// The bytes that were asked for follow.
    Range(Download),
    /// All bytes from the first one on follow.
    Whole(Download),
    /// There are none.
    End(End),
}

/// How reading ended.
enum End {
    /// With the last byte that was asked for.
    Whole,
    /// Early; what came is kept.
    Cut(String),
    /// The source cannot be reached, says no, or has something else under this address; asking again
    /// would not help.
    Refused(String),
}

impl End {
    fn given(self) -> Given {
        match self {
            Self::Whole => Ok(()),
            Self::Cut(reason) | Self::Refused(reason) => Err(reason),
        }
    }
}
