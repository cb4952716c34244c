//! cozo's storage engine over redb: one table of rows, one redb transaction per cozo transaction.
//!
//! A write transaction collects its changes in memory, over a snapshot of the committed rows, and
//! hands them to redb in key order when it commits. So scans need no cursor into a table that
//! changes under them, an aborted script never touches the file, and what a script may write is
//! bounded by what one document may hold.
//!
//! Each stored value ends with a CRC-32 of key and value: cozo takes the bytes that it decodes on
//! trust, so damage has to be seen before.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cozo::{DataValue, Storage, StoreTx, ValidityTs};
use redb::{
    Builder, Database, ReadOnlyTable, ReadableDatabase, StorageBackend, TableDefinition, TableError,
    WriteTransaction,
};

use crate::check::Checked;
use crate::failure::Failure;
use crate::pages::Pages;
use crate::rows;

/// Pages that redb keeps in memory. The indexes hold what searches need, so this serves commits and
/// the reading of single rows: 16 MiB hold the changes of a document of about 5,000 chunks.
const MAX_CACHE_BYTES: usize = 16 << 20;
/// All of cozo's rows; the key's first eight bytes are cozo's number of the relation.
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
/// Length of the checksum behind each value.
const CRC_BYTES: usize = 4;

type Row = (Vec<u8>, Vec<u8>);
/// New values by key; `None` deletes.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;
/// Is shown key and value of a row.
pub(crate) type SeeRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Failure> + 'a;
type Snapshot = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A transactional, ordered, durable map of bytes. A clone is the same map.
#[derive(Clone)]
pub(crate) struct PageStore(Arc<Shared>);

struct Shared {
    pages: Pages,
    /// `None` after an I/O error: redb refuses to go on then, and the next transaction opens anew.
    database: RwLock<Option<Database>>,
    /// One writer at a time; readers go on with their snapshots.
    writer: Mutex<()>,
    /// The one redb transaction that all of cozo's commits go into, while many are to become one.
    together: Mutex<Option<WriteTransaction>>,
    /// A single row could not be read. cozo (0.7) takes that for a row that is not there.
    unread: Mutex<Option<Failure>>,
    /// A read failed, after which redb may refuse all others: the next transaction opens anew.
    has_failed: AtomicBool,
}

impl PageStore {
    /// Opens the pages, or makes an empty store where there are none. After a crash redb goes back to
    /// the last commit that is whole.
    pub(crate) fn open(pages: Pages) -> Result<Self, Failure> {
        pages.prepare()?;
        let database = open_database(&pages)?;
        Ok(Self(Arc::new(Shared {
            pages,
            database: RwLock::new(Some(database)),
            writer: Mutex::new(()),
            together: Mutex::new(None),
            unread: Mutex::new(None),
            has_failed: AtomicBool::new(false),
        })))
    }

    /// From now on commits are collected in one transaction of the file, without holding them in
    /// memory, until [`Self::end_together`]. Readers see nothing of them before.
    pub(crate) fn begin_together(&self) -> Result<(), Failure> {
        *self.0.together() = Some(self.0.with_database(begin)?);
        Ok(())
    }

    /// Makes all that was collected durable in one step, or with `keep` false forgets it.
    pub(crate) fn end_together(&self, keep: bool) -> Result<(), Failure> {
        let Some(write) = self.0.together().take() else {
            return if keep { Err(Failure::io("an earlier step failed")) } else { Ok(()) };
        };
        let done =
            if keep { write.commit().map_err(Failure::from) } else { write.abort().map_err(Failure::from) };
        if done.as_ref().is_err_and(Failure::needs_reopening) {
            *self.0.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        done
    }

    /// Moves the pages of the file together and cuts off what is free; `false` when there was
    /// nothing to gain. A crash in the middle costs no row.
    pub(crate) fn compact(&self) -> Result<bool, Failure> {
        let _writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Opens the database again, should an I/O error have closed it.
        self.0.with_database(|_| Ok(()))?;
        let mut slot = self.0.database.write().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = slot.as_mut() else { return Ok(false) };
        let done = database.compact().map_err(Failure::from);
        if done.as_ref().is_err_and(Failure::needs_reopening) {
            *slot = None;
        }
        done
    }
}

impl PageStore {
    /// The failure to read a single row that came since this was asked last.
    pub(crate) fn take_unread(&self) -> Result<(), Failure> {
        self.0.take_unread()
    }

    /// Whether every page matches its checksum. Nobody else can use the store meanwhile.
    pub(crate) fn check_pages(&self) -> Result<bool, Failure> {
        self.0.with_database(|_| Ok(()))?;
        let mut slot = self.0.database.write().unwrap_or_else(PoisonError::into_inner);
        let checked = slot.as_mut().map_or(Ok(true), |database| Ok(database.check_integrity()?));
        if checked.is_err() {
            *slot = None;
        }
        checked
    }

    /// Gives each committed row of a relation to `see`, key and value, in the order of the keys.
    pub(crate) fn each_row(&self, relation: u64, see: &mut SeeRow<'_>) -> Result<(), Failure> {
        let (from, to) = (relation.to_be_bytes(), (relation + 1).to_be_bytes());
        let failed = |error: redb::StorageError| self.0.failed(error.into());
        for entry in self.0.snapshot()?.range::<&[u8]>(&from[..]..&to[..]).map_err(failed)? {
            let (key, sealed) = entry.map_err(failed)?;
            see(key.value(), checked(key.value(), sealed.value())?)?;
        }
        Ok(())
    }
}

/// Whether pages are checked before redb sees them: where a panic cannot be caught, and in tests.
const CHECKS_PAGES: bool = cfg!(any(panic = "abort", test));

fn open_database(pages: &Pages) -> Result<Database, Failure> {
    let mut builder = Builder::new();
    builder.set_cache_size(MAX_CACHE_BYTES);
    let is_new = pages.len().map_err(redb::StorageError::from)? == 0;
    let database = if CHECKS_PAGES && !is_new {
        builder.create_with_backend(Checked::over(pages)?)?
    } else {
        builder.create_with_backend(pages.clone())?
    };
    match database.begin_read()?.open_table(ROWS) {
        Err(TableError::TableDoesNotExist(_)) => {
            let write = begin(&database)?;
            write.open_table(ROWS)?;
            write.commit()?;
        }
        table => drop(table?),
    }
    Ok(database)
}

/// A transaction whose commit notes what is free in the file, and names its pages only when they are on
/// the disk: so that after a crash the file opens without being read whole, as a tab always ends with one.
fn begin(database: &Database) -> Result<WriteTransaction, Failure> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    Ok(write)
}

impl Shared {
    fn with_database<T>(&self, f: impl Fn(&Database) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut is_second_try = false;
        loop {
            let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(database) = guard.as_ref() {
                let result = f(database);
                drop(guard);
                if result.as_ref().is_err_and(Failure::needs_reopening) {
                    *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
                    // redb had given up before, because of a read that somebody else was told of.
                    if result.as_ref().is_err_and(Failure::is_of_earlier) && !is_second_try {
                        is_second_try = true;
                        continue;
                    }
                }
                return result;
            }
            drop(guard);
            let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
            if slot.is_none() {
                *slot = Some(open_database(&self.pages)?);
            }
        }
    }

    /// Notes a failure to read.
    fn failed(&self, failure: Failure) -> Failure {
        self.has_failed.store(true, Ordering::Release);
        failure
    }

    fn snapshot(&self) -> Result<Snapshot, Failure> {
        if self.has_failed.swap(false, Ordering::AcqRel) {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.with_database(|database| Ok(database.begin_read()?.open_table(ROWS)?))
    }

    fn take_unread(&self) -> Result<(), Failure> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    /// All of `changes` durably, or an error. After an I/O error the file is as before or as after,
    /// never between.
    fn apply(&self, changes: &Changes) -> Result<(), Failure> {
        self.with_database(|database| {
            let mut together = self.together();
            if let Some(write) = together.as_ref() {
                let done = change(write, changes);
                if done.is_err() {
                    *together = None;
                }
                return done;
            }
            let write = begin(database)?;
            change(&write, changes)?;
            Ok(write.commit()?)
        })
    }

    fn together(&self) -> MutexGuard<'_, Option<WriteTransaction>> {
        self.together.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn change(write: &WriteTransaction, changes: &Changes) -> Result<(), Failure> {
    let mut table = write.open_table(ROWS)?;
    for (key, value) in changes {
        match value {
            Some(value) => {
                let mut place = table.insert_reserve(key.as_slice(), value.len() + CRC_BYTES)?;
                seal(key, value, place.as_mut());
            }
            None => {
                table.remove(key.as_slice())?;
            }
        }
    }
    Ok(())
}

/// Writes value and checksum into `place`, which has room for exactly both.
fn seal(key: &[u8], value: &[u8], place: &mut [u8]) {
    let (head, tail) = place.split_at_mut(value.len());
    head.copy_from_slice(value);
    tail.copy_from_slice(&checksum(key, value).to_le_bytes());
}

/// The value in a stored value, if its checksum agrees, and the row is one that cozo may be given.
pub(crate) fn unseal<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Failure> {
    let value = checked(key, sealed)?;
    if rows::is_safe(key, value) { Ok(value) } else { Err(rows::unsafe_row()) }
}

/// The value in a stored value, if its checksum agrees.
fn checked<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Failure> {
    let (value, crc) =
        sealed.split_last_chunk::<CRC_BYTES>().ok_or_else(|| Failure::corrupt("a row is too short"))?;
    if checksum(key, value) != u32::from_le_bytes(*crc) {
        return Err(Failure::corrupt("a row does not match its checksum"));
    }
    Ok(value)
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

impl<'s> Storage<'s> for PageStore {
    type Tx = Tx<'s>;

    fn storage_kind(&self) -> &'static str {
        "redb"
    }

    fn transact(&'s self, write: bool) -> miette::Result<Tx<'s>> {
        let writer = write.then(|| self.0.writer.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Tx { shared: &self.0, snapshot: Some(self.0.snapshot()?), changes: BTreeMap::new(), writer })
    }

    fn range_compact(&'s self, _lower: &[u8], _upper: &[u8]) -> miette::Result<()> {
        Ok(())
    }

    fn batch_put<'a>(
        &'a self,
        rows: Box<dyn Iterator<Item = miette::Result<Row>> + 'a>,
    ) -> miette::Result<()> {
        let changes =
            rows.map(|row| row.map(|(key, value)| (key, Some(value)))).collect::<miette::Result<_>>()?;
        Ok(self.0.apply(&changes)?)
    }
}

/// A cozo transaction: a snapshot, and the changes over it.
pub(crate) struct Tx<'s> {
    shared: &'s Shared,
    /// Given back before a commit, so that redb may reuse the pages it held.
    snapshot: Option<Snapshot>,
    changes: Changes,
    writer: Option<MutexGuard<'s, ()>>,
}

impl Tx<'_> {
    fn committed(&self) -> &Snapshot {
        self.snapshot.as_ref().expect("cozo uses no transaction after its commit")
    }

    fn committed_value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let found = self.committed().get(key).map_err(|error| self.shared.failed(error.into()))?;
        found.map(|sealed| unseal(key, sealed.value()).map(<[u8]>::to_vec)).transpose()
    }

    fn change(&mut self, key: &[u8], value: Option<Vec<u8>>) -> miette::Result<()> {
        miette::ensure!(self.writer.is_some(), "a read transaction cannot write");
        self.changes.insert(key.to_vec(), value);
        Ok(())
    }

    fn rows(&self, lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> Result<Rows<'_>, Failure> {
        let empty = matches!((lower, upper), (Bound::Included(l), Bound::Excluded(u)) if l >= u);
        let bounds =
            if empty { (Bound::Included(&[][..]), Bound::Excluded(&[][..])) } else { (lower, upper) };
        let shared = self.shared;
        let failed = |error: redb::StorageError| shared.failed(error.into());
        let committed = self.committed().range::<&[u8]>(bounds).map_err(failed)?;
        let unsealed: Box<dyn Iterator<Item = Result<Row, Failure>>> =
            Box::new(committed.map(move |entry| {
                let (key, value) = entry.map_err(failed)?;
                let value = unseal(key.value(), value.value())?.to_vec();
                Ok((key.value().to_vec(), value))
            }));
        let changed = (!empty).then(|| self.changes.range::<[u8], _>((lower, upper)));
        Ok(Rows { committed: unsealed.peekable(), changed: changed.unwrap_or_default().peekable() })
    }

    fn scan(
        &self,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
    ) -> Box<dyn Iterator<Item = miette::Result<Row>> + '_> {
        match self.rows(lower, upper) {
            Ok(rows) => Box::new(rows.map(|row| row.map_err(Into::into))),
            Err(failure) => Box::new(std::iter::once(Err(failure.into()))),
        }
    }
}

/// Committed rows and a transaction's own changes as one ascending sequence.
struct Rows<'a> {
    committed: Peekable<Box<dyn Iterator<Item = Result<Row, Failure>> + 'a>>,
    changed: Peekable<btree_map::Range<'a, Vec<u8>, Option<Vec<u8>>>>,
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let own_first = match (self.committed.peek(), self.changed.peek()) {
                (Some(Ok((committed, _))), Some((own, _))) => *own <= committed,
                (None, Some(_)) => true,
                (_, _) => false,
            };
            if !own_first {
                return self.committed.next();
            }
            let (key, value) = self.changed.next()?;
            // The change hides the committed row of the same key.
            self.committed.next_if(|row| row.as_ref().is_ok_and(|(committed, _)| committed == key));
            if let Some(value) = value {
                return Some(Ok((key.clone(), value.clone())));
            }
        }
    }
}

impl<'s> StoreTx<'s> for Tx<'s> {
    fn get(&self, key: &[u8], _for_update: bool) -> miette::Result<Option<Vec<u8>>> {
        if let Some(own) = self.changes.get(key) {
            return Ok(own.clone());
        }
        self.committed_value(key).map_err(|failure| {
            *self.shared.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
            failure.into()
        })
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> miette::Result<()> {
        self.change(key, Some(value.to_vec()))
    }

    fn supports_par_put(&self) -> bool {
        false
    }

    fn del(&mut self, key: &[u8]) -> miette::Result<()> {
        self.change(key, None)
    }

    /// cozo asks for this when it drops a relation. As a change like any other it is undone with
    /// the transaction, and rows that this transaction put stay.
    fn del_range_from_persisted(&mut self, lower: &[u8], upper: &[u8]) -> miette::Result<()> {
        miette::ensure!(self.writer.is_some(), "a read transaction cannot write");
        if lower >= upper {
            return Ok(());
        }
        let failed = |error: redb::StorageError| self.shared.failed(error.into());
        let range = self.committed().range::<&[u8]>(lower..upper).map_err(failed)?;
        let keys: Result<Vec<Vec<u8>>, Failure> =
            range.map(|entry| Ok(entry.map_err(failed)?.0.value().to_vec())).collect();
        for key in keys? {
            self.changes.entry(key).or_insert(None);
        }
        Ok(())
    }

    fn exists(&self, key: &[u8], _for_update: bool) -> miette::Result<bool> {
        match self.changes.get(key) {
            Some(own) => Ok(own.is_some()),
            None => {
                let found = self.committed().get(key).map_err(|error| self.shared.failed(error.into()))?;
                Ok(found.is_some())
            }
        }
    }

    fn commit(&mut self) -> miette::Result<()> {
        self.snapshot = None;
        let changes = std::mem::take(&mut self.changes);
        self.shared.take_unread()?;
        if changes.is_empty() {
            return Ok(());
        }
        Ok(self.shared.apply(&changes)?)
    }

    fn range_skip_scan_tuple<'a>(
        &'a self,
        _lower: &[u8],
        _upper: &[u8],
        _valid_at: ValidityTs,
    ) -> Box<dyn Iterator<Item = miette::Result<Vec<DataValue>>> + 'a> {
        Box::new(std::iter::once(Err(miette::miette!("this store keeps no history of rows"))))
    }

    fn range_scan<'a>(
        &'a self,
        lower: &[u8],
        upper: &[u8],
    ) -> Box<dyn Iterator<Item = miette::Result<Row>> + 'a>
    where
        's: 'a,
    {
        self.scan(Bound::Included(lower), Bound::Excluded(upper))
    }

    fn range_count<'a>(&'a self, lower: &[u8], upper: &[u8]) -> miette::Result<usize>
    where
        's: 'a,
    {
        let mut n_rows = 0;
        for row in self.rows(Bound::Included(lower), Bound::Excluded(upper))? {
            row?;
            n_rows += 1;
        }
        Ok(n_rows)
    }

    fn total_scan<'a>(&'a self) -> Box<dyn Iterator<Item = miette::Result<Row>> + 'a>
    where
        's: 'a,
    {
        self.scan(Bound::Unbounded, Bound::Unbounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In cozo's own list, where any bytes may be.
    fn key(name: &str) -> Vec<u8> {
        [&[0; rows::RELATION_BYTES], name.as_bytes()].concat()
    }

    fn row(name: &str, value: &str) -> Row {
        (key(name), value.as_bytes().to_vec())
    }

    fn scanned(tx: &Tx<'_>, lower: &str, upper: &str) -> Vec<Row> {
        tx.range_scan(&key(lower), &key(upper)).collect::<miette::Result<_>>().unwrap()
    }

    fn filled() -> PageStore {
        let store = PageStore::open(Pages::in_memory()).unwrap();
        store.batch_put(Box::new(["b", "d", "f"].map(|name| Ok(row(name, "old"))).into_iter())).unwrap();
        store
    }

    #[test]
    fn a_transaction_sees_its_own_changes_in_order() {
        let store = filled();
        let mut tx = store.transact(true).unwrap();
        for name in ["a", "d", "g"] {
            tx.put(&key(name), b"new").unwrap();
        }
        tx.del(&key("b")).unwrap();
        tx.del(&key("absent")).unwrap();
        let expected = [row("a", "new"), row("d", "new"), row("f", "old"), row("g", "new")];
        assert_eq!(scanned(&tx, "", "z"), expected);
        assert_eq!(tx.total_scan().collect::<miette::Result<Vec<_>>>().unwrap(), expected);
        assert_eq!(scanned(&tx, "b", "f"), [row("d", "new")]);
        assert_eq!(tx.range_count(&key("b"), &key("g")).unwrap(), 2);
        for (lower, upper) in [("f", "f"), ("z", "a"), ("", "")] {
            assert_eq!(scanned(&tx, lower, upper), []);
        }
        assert_eq!(
            (tx.get(&key("d"), false).unwrap(), tx.get(&key("b"), true).unwrap()),
            (Some(b"new".to_vec()), None)
        );
        assert_eq!(
            (tx.exists(&key("a"), false).unwrap(), tx.exists(&key("b"), false).unwrap()),
            (true, false)
        );
        assert_eq!(
            scanned(&store.transact(false).unwrap(), "", "z").len(),
            3,
            "others see nothing of it yet"
        );
        tx.commit().unwrap();
        drop(tx);
        assert_eq!(scanned(&store.transact(false).unwrap(), "", "z"), expected);
    }

    #[test]
    fn what_is_not_committed_is_gone() {
        let store = filled();
        let mut tx = store.transact(true).unwrap();
        tx.put(&key("a"), b"new").unwrap();
        tx.del_range_from_persisted(&key(""), &key("e")).unwrap();
        assert_eq!(scanned(&tx, "", "z"), [row("a", "new"), row("f", "old")]);
        drop(tx);
        assert_eq!(scanned(&store.transact(false).unwrap(), "", "z").len(), 3);
    }

    #[test]
    fn a_reader_keeps_its_snapshot_and_cannot_write() {
        let store = filled();
        let mut reader = store.transact(false).unwrap();
        let mut writer = store.transact(true).unwrap();
        writer.del(&key("b")).unwrap();
        writer.commit().unwrap();
        assert_eq!(scanned(&reader, "", "z").len(), 3);
        assert!(
            reader.put(&key("x"), b"y").is_err()
                && reader.del_range_from_persisted(&key(""), &key("z")).is_err()
        );
    }

    #[test]
    fn a_row_that_does_not_match_its_checksum_is_an_error() {
        let store = filled();
        store
            .0
            .with_database(|database| {
                let write = database.begin_write()?;
                write.open_table(ROWS)?.insert(key("d").as_slice(), b"damaged value".as_slice())?;
                write.open_table(ROWS)?.insert(key("f").as_slice(), b"x".as_slice())?;
                Ok(write.commit()?)
            })
            .unwrap();
        let tx = store.transact(false).unwrap();
        for result in [tx.get(&key("d"), false), tx.get(&key("f"), false)] {
            assert!(matches!(crate::Error::from(result.unwrap_err()), crate::Error::Corrupt { .. }));
        }
        let rows: Vec<bool> = tx.range_scan(&key(""), &key("z")).map(|row| row.is_ok()).collect();
        assert_eq!(rows, [true, false, false]);
    }
}
