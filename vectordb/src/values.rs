//! Between Rust values and the values of relations.

use cozo::DataValue;

use crate::failure::Failure;
use crate::{DocumentId, Filter};

/// An integer column. Ids and sizes stay below 2^63, which `put_document` sees to.
pub(crate) fn int(number: u64) -> DataValue {
    DataValue::from(number as i64)
}

/// A string column that may be null.
pub(crate) fn optional(text: Option<&str>) -> DataValue {
    text.map_or(DataValue::Null, DataValue::from)
}

/// An integer column that may be null.
pub(crate) fn optional_int(number: Option<u64>) -> DataValue {
    number.map_or(DataValue::Null, int)
}

/// A list of strings in a string column, as JSON.
pub(crate) fn strings(list: &[String]) -> DataValue {
    DataValue::from(serde_json::Value::from(list).to_string())
}

/// Vectors and page starts in a bytes column: little-endian, four bytes each.
pub(crate) fn words<const N: usize>(numbers: impl Iterator<Item = [u8; N]>) -> DataValue {
    DataValue::Bytes(numbers.flatten().collect())
}

/// The `f32`s in a bytes column.
pub(crate) fn floats(bytes: &[u8]) -> Option<impl ExactSizeIterator<Item = f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|&number| f32::from_le_bytes(number)))
}

/// The ids that a rule's option names: null for all documents.
pub(crate) fn documents_of(option: Option<&DataValue>) -> Option<Filter> {
    let documents = match option? {
        DataValue::Null => None,
        DataValue::List(ids) => {
            let id = |value: &DataValue| Some(DocumentId(u64::try_from(value.get_int()?).ok()?));
            Some(ids.iter().map(id).collect::<Option<Vec<_>>>()?)
        }
        _ => return None,
    };
    Some(Filter { documents, ..Filter::default() })
}

/// Reads the columns of a row from the left; a column of another type than asked for means that the
/// file is not what it says.
pub(crate) struct Columns<'a>(std::slice::Iter<'a, DataValue>);

type Read<T> = Result<T, Failure>;

impl<'a> Columns<'a> {
    pub(crate) fn of(row: &'a [DataValue]) -> Self {
        Self(row.iter())
    }

    fn next<T>(&mut self, read: impl FnOnce(&'a DataValue) -> Option<T>) -> Read<T> {
        self.0.next().and_then(read).ok_or_else(|| Failure::corrupt("a row has a column of a wrong type"))
    }

    pub(crate) fn number<N: TryFrom<i64>>(&mut self) -> Read<N> {
        self.next(|value| N::try_from(value.get_int()?).ok())
    }

    pub(crate) fn optional_number<N: TryFrom<i64>>(&mut self) -> Read<Option<N>> {
        self.next(|value| match value {
            DataValue::Null => Some(None),
            value => N::try_from(value.get_int()?).ok().map(Some),
        })
    }

    pub(crate) fn text(&mut self) -> Read<&'a str> {
        self.next(DataValue::get_str)
    }

    pub(crate) fn optional_text(&mut self) -> Read<Option<String>> {
        self.next(|value| match value {
            DataValue::Null => Some(None),
            value => value.get_str().map(|text| Some(text.to_owned())),
        })
    }

    pub(crate) fn truth(&mut self) -> Read<bool> {
        self.next(DataValue::get_bool)
    }

    pub(crate) fn bytes(&mut self) -> Read<&'a [u8]> {
        self.next(DataValue::get_bytes)
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Read<T> {
        let text = self.text()?;
        serde_json::from_str(text).map_err(|_| Failure::corrupt("a row has a column that is no JSON"))
    }
}
