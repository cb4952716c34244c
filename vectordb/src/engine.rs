//! cozo over the page store, with the searches as rules of its language.
//!
//! `VecScan(query: $bytes, k: $k, documents: $ids)` and `TextScan(query: $terms, ..)` each give rows
//! `[chunk, score]`, so that a query can join hits with relations:
//! `found[id, score] <~ VecScan(..)  ?[id, text] := found[id, score], *chunk{id, text}`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use cozo::{DataValue, NamedRows, ScriptMutability, SimpleFixedRule, Storage, StoreTx};

use crate::analysis::Analyzer;
use crate::failure::Failure;
use crate::index::Index;
use crate::pages::Pages;
use crate::query::Query;
use crate::rows;
use crate::storage::PageStore;
use crate::values::{Columns, documents_of, floats, int};
use crate::{Error, Filter, Hit, Result};

/// What a statement is given, by name.
pub(crate) type Params = BTreeMap<String, DataValue>;
/// Takes the rows of a relation one by one.
pub(crate) type Sink<'a> = dyn FnMut(&[DataValue]) -> std::result::Result<(), Failure> + 'a;

/// The query engine.
pub(crate) struct Engine {
    cozo: cozo::Db<PageStore>,
    store: PageStore,
}

impl Engine {
    /// Opens the pages; searches of scripts look into `index`.
    pub(crate) fn open(pages: Pages, index: &Arc<RwLock<Index>>) -> Result<Self> {
        guarded(|| {
            let store = PageStore::open(pages)?;
            let cozo = cozo::Db::new(store.clone())?;
            cozo.initialize()?;
            cozo.register_fixed_rule("VecScan".into(), search_rule(index, vector_hits))?;
            cozo.register_fixed_rule("TextScan".into(), search_rule(index, text_hits))?;
            Ok(Self { cozo, store })
        })
    }

    /// Whether there are no relations yet.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        Ok(self.read("::relations", Params::new())?.is_empty())
    }

    /// Runs a statement that changes nothing.
    pub(crate) fn read(&self, script: &str, params: Params) -> Result<Vec<Vec<DataValue>>> {
        Ok(self.run(script, params, ScriptMutability::Immutable)?.rows)
    }

    /// Runs a statement or a chain of blocks as one durable transaction.
    pub(crate) fn write(&self, script: &str, params: Params) -> Result<()> {
        self.run(script, params, ScriptMutability::Mutable).map(drop)
    }

    /// Collects what is written from now on, to become durable in one step with
    /// [`Self::end_together`]. Reads see nothing of it before.
    pub(crate) fn begin_together(&self) -> Result<()> {
        guarded(|| Ok(self.store.begin_together()?))
    }

    /// Makes durable what was collected, or with `keep` false forgets it.
    pub(crate) fn end_together(&self, keep: bool) -> Result<()> {
        guarded(|| Ok(self.store.end_together(keep)?))
    }

    /// Makes the file as small as its rows allow; `false` when it was that already.
    pub(crate) fn compact(&self) -> Result<bool> {
        guarded(|| Ok(self.store.compact()?))
    }

    /// Gives each row of a relation, in the order of its keys, to `see`, without holding them all, and
    /// past cozo, which would copy each of them some times.
    pub(crate) fn each_row(&self, relation: &str, see: &mut Sink<'_>) -> Result<()> {
        let missing = || Failure::corrupt(format!("it has no relation `{relation}`"));
        let number = *self.relations()?.get(relation).ok_or_else(missing)?;
        guarded(|| {
            let each = self.store.each_row(number, &mut |key, value| {
                see(&rows::decode(key, value).ok_or_else(rows::unsafe_row)?)
            });
            Ok(each?)
        })
    }

    /// Number of rows of a relation, all of which are read; `keys` are its key columns.
    pub(crate) fn count(&self, relation: &str, keys: &str) -> Result<u64> {
        let first = keys.split(',').next().unwrap_or_default();
        let script = format!("?[count({first})] := *{relation}{{{keys}}}");
        let rows = self.read(&script, Params::new())?;
        Ok(rows.first().map(|row| Columns::of(row).number()).transpose()?.unwrap_or_default())
    }

    /// Whether every page matches its checksum.
    pub(crate) fn check_pages(&self) -> Result<bool> {
        guarded(|| Ok(self.store.check_pages()?))
    }

    /// The relations and their numbers.
    pub(crate) fn relations(&self) -> Result<BTreeMap<String, u64>> {
        guarded(|| {
            let (from, to) = (0_u64.to_be_bytes(), 1_u64.to_be_bytes());
            let tx = self.store.transact(false)?;
            let rows = tx.range_scan(&from, &to).collect::<miette::Result<Vec<_>>>()?;
            Ok(rows.iter().filter_map(|(key, value)| rows::listed_relation(key, value)).collect())
        })
    }

    /// Writes rows as they are, in one transaction.
    pub(crate) fn put_rows(&self, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
        guarded(|| Ok(self.store.batch_put(Box::new(rows.into_iter().map(Ok)))?))
    }

    fn run(&self, script: &str, params: Params, mutability: ScriptMutability) -> Result<NamedRows> {
        guarded(|| {
            let rows = self.cozo.run_script(script, params, mutability)?;
            self.store.take_unread()?;
            Ok(rows)
        })
    }
}

/// Makes a panic below an error. cozo and redb panic on rows and pages that contradict themselves;
/// checksums keep nearly all of these away, and none of the rest may take the program along.
fn guarded<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error::Corrupt { detail: words.unwrap_or("unknown contradiction").to_owned() })
    })
}

type Options = BTreeMap<String, DataValue>;

/// A rule that gives the hits of `search` as rows `[chunk, score]`.
fn search_rule(
    index: &Arc<RwLock<Index>>,
    search: fn(&Index, &Options, usize, &Filter) -> Option<Vec<Hit>>,
) -> SimpleFixedRule {
    let index = Arc::clone(index);
    SimpleFixedRule::new(2, move |_inputs, options| {
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        let k = options.get("k").and_then(DataValue::get_int).and_then(|k| usize::try_from(k).ok());
        let filter = documents_of(options.get("documents"));
        let hits = k.zip(filter).and_then(|(k, filter)| search(&index, &options, k, &filter));
        let hits = hits.ok_or_else(|| miette::miette!("a search takes its query, k, and documents"))?;
        let rows = hits.iter().map(|hit| vec![int(hit.chunk.0), DataValue::from(f64::from(hit.score))]);
        Ok(NamedRows::new(vec!["chunk".into(), "score".into()], rows.collect()))
    })
}

fn vector_hits(index: &Index, options: &Options, k: usize, filter: &Filter) -> Option<Vec<Hit>> {
    let query: Vec<f32> = floats(options.get("query")?.get_bytes()?)?.collect();
    (query.len() == index.vectors.n_dims()).then(|| index.nearest(&query, k, filter))
}

fn text_hits(index: &Index, options: &Options, k: usize, filter: &Filter) -> Option<Vec<Hit>> {
    let terms = options.get("query")?.get_slice()?.iter();
    let terms: Option<Vec<String>> = terms.map(|term| term.get_str().map(str::to_owned)).collect();
    Some(index.text.search(&Query::of_terms(terms?), &Analyzer::new(), k, filter))
}
