//! From nothing, or from an older format, to the one that this version writes.

use cozo::DataValue;

use crate::engine::{Engine, Params};
use crate::load::Header;
use crate::schema::{self, FORMAT};
use crate::{EmbedderTag, Error, Result};

/// Makes a new store for vectors of `tag`.
pub(crate) fn create(engine: &Engine, tag: &EmbedderTag) -> Result<()> {
    let embedder = serde_json::to_string(tag).map_err(|error| Error::Engine { detail: error.to_string() })?;
    let mut meta = vec![format()];
    meta.extend(added_by_format_2());
    meta.push(entry("embedder", &embedder));
    meta.extend(["next_document", "next_chunk"].map(|key| entry(key, "1")));
    write(engine, &[schema::CREATE, schema::CREATE_2, schema::CREATE_3], meta)
}

/// Brings a store of an older format to [`FORMAT`], in one transaction: after a failure it is as it
/// was. What it held stays as it is.
///
/// # Errors
/// `UnknownFormat` for a newer one than this version knows.
pub(crate) fn migrate(engine: &Engine, header: &Header) -> Result<()> {
    match header.number("format")? {
        FORMAT => Ok(()),
        1 => {
            let meta = [vec![format()], added_by_format_2()].concat();
            write(engine, &[schema::CREATE_2, schema::CREATE_3, schema::FILL_3], meta)
        }
        2 => write(engine, &[schema::CREATE_3, schema::FILL_3], vec![format()]),
        found => Err(Error::UnknownFormat { found, supported: FORMAT }),
    }
}

fn added_by_format_2() -> Vec<Vec<DataValue>> {
    ["next_collection", "next_conversation", "next_job"].map(|key| entry(key, "1")).into()
}

fn format() -> Vec<DataValue> {
    entry("format", &FORMAT.to_string())
}

fn entry(key: &str, value: &str) -> Vec<DataValue> {
    vec![DataValue::from(key), DataValue::from(value)]
}

fn write(engine: &Engine, create: &[&str], meta: Vec<Vec<DataValue>>) -> Result<()> {
    let script = format!("{}{}", create.concat(), schema::PUT_META);
    engine.write(&script, Params::from([("meta".to_owned(), schema::list(meta))]))
}
