//! Rows as cozo writes them, read without trust. cozo takes the bytes that it decodes on trust: some
//! of them make it panic, and some make it read or write memory that is not its own. So every row of
//! a file is read here first; `docs/FORMAT.md` describes the bytes.

use std::str;

use cozo::DataValue;

use crate::failure::Failure;

/// Bytes of the relation's number, in front of key and value.
pub(crate) const RELATION_BYTES: usize = 8;
/// Lists in lists that a value may be made of; this crate writes none deeper than one.
const MAX_DEPTH: usize = 4;

/// The number of the relation that a row belongs to; 0 is cozo's list of relations.
pub(crate) fn relation_of(key: &[u8]) -> Option<u64> {
    key.first_chunk::<RELATION_BYTES>().map(|number| u64::from_be_bytes(*number))
}

/// The columns of a row, those of the key first; `None` where the bytes are not what cozo writes, or
/// hold kinds of values that this crate never stores.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<Vec<DataValue>> {
    columns(key, value)
}

/// What a value is made to: itself, or nothing where only its form counts.
trait Made: Sized {
    fn from_value(value: impl Into<DataValue>) -> Self;
    fn from_bytes(bytes: &[u8]) -> Self;
    fn from_list(values: Vec<Self>) -> Self;
    fn null() -> Self;
}

impl Made for DataValue {
    fn from_value(value: impl Into<DataValue>) -> Self {
        value.into()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }

    fn from_list(values: Vec<Self>) -> Self {
        Self::List(values)
    }

    fn null() -> Self {
        Self::Null
    }
}

impl Made for () {
    fn from_value(_value: impl Into<DataValue>) -> Self {}

    fn from_bytes(_bytes: &[u8]) -> Self {}

    fn from_list(_values: Vec<Self>) -> Self {}

    fn null() -> Self {}
}

fn columns<T: Made>(key: &[u8], value: &[u8]) -> Option<Vec<T>> {
    let mut columns = Vec::new();
    let mut at = Key(key.get(RELATION_BYTES..)?);
    while !at.0.is_empty() {
        columns.push(at.value()?);
    }
    let (relation, packed) = value.split_at_checked(RELATION_BYTES)?;
    if relation != &key[..RELATION_BYTES] {
        return None;
    }
    let mut at = Packed(packed);
    for _ in 0..at.array()? {
        columns.push(at.value(MAX_DEPTH)?);
    }
    at.0.is_empty().then_some(columns)
}

/// The key of a row whose key columns are numbers, such as ids.
pub(crate) fn key_of(relation: u64, numbers: &[u64]) -> Vec<u8> {
    let mut key = relation.to_be_bytes().to_vec();
    for &number in numbers {
        key.push(0x05);
        key.extend(((number as f64).to_bits() | 1 << 63).to_be_bytes());
        key.push(0x00);
    }
    key
}

/// Whether cozo may be given this row. Those of its own list of relations have another form, which
/// it decodes safely.
pub(crate) fn is_safe(key: &[u8], value: &[u8]) -> bool {
    relation_of(key).is_some_and(|relation| relation == 0 || columns::<()>(key, value).is_some())
}

/// What is said of a row that cozo may not be given.
pub(crate) fn unsafe_row() -> Failure {
    Failure::corrupt("a row is not what it should be")
}

/// The name and number of a relation, from a row of cozo's list.
pub(crate) fn listed_relation(key: &[u8], value: &[u8]) -> Option<(String, u64)> {
    let mut at = Key(key.strip_prefix(&[0; RELATION_BYTES])?);
    let DataValue::Str(name) = at.value()? else { return None };
    let mut at = Packed(value);
    for _ in 0..at.map()? {
        let field = at.text()?;
        if field == "id" {
            let number = u64::try_from(at.number()?).ok()?;
            return Some((name.to_string(), number));
        }
        at.skip(8 * MAX_DEPTH)?;
    }
    None
}

/// Values in cozo's order-preserving encoding.
struct Key<'a>(&'a [u8]);

impl Key<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn value<T: Made>(&mut self) -> Option<T> {
        let [tag] = self.take()?;
        Some(match tag {
            0x01 => T::null(),
            0x02 => T::from_value(false),
            0x03 => T::from_value(true),
            0x05 => self.number()?,
            0x06 => T::from_value(str::from_utf8(&self.groups()?).ok()?),
            0x07 => T::from_bytes(&self.groups()?),
            _ => return None,
        })
    }

    fn number<T: Made>(&mut self) -> Option<T> {
        let sign = 1 << 63;
        let bits = u64::from_be_bytes(self.take()?);
        let float = f64::from_bits(if bits & sign > 0 { bits & !sign } else { !bits });
        let [kind] = self.take()?;
        match kind {
            0x00 => Some(T::from_value(float as i64)),
            0x04 => Some(T::from_value((u64::from_be_bytes(self.take()?) ^ sign) as i64)),
            0x10 => Some(T::from_value(float)),
            _ => None,
        }
    }

    /// Eight bytes and a mark, which tells how many of them are filling; the last group has some.
    fn groups(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let group: [u8; 9] = self.take()?;
            let n_filling = usize::from(0xFF - group[8]);
            let (kept, filling) = group[..8].split_at(8_usize.checked_sub(n_filling)?);
            bytes.extend_from_slice(kept);
            if n_filling > 0 {
                return filling.iter().all(|&byte| byte == 0).then_some(bytes);
            }
        }
    }
}

/// Values as MessagePack, in the one way in which cozo writes each.
struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    fn take(&mut self, n_bytes: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n_bytes)?;
        self.0 = tail;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    /// A big-endian number of `n_bytes`.
    fn length(&mut self, n_bytes: usize) -> Option<usize> {
        let bytes = self.take(n_bytes)?;
        Some(bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    /// How many elements an array has: each takes a byte at least.
    fn array(&mut self) -> Option<usize> {
        let n = match self.byte()? {
            byte @ 0x90..=0x9F => usize::from(byte & 0x0F),
            0xDC => self.length(2)?,
            0xDD => self.length(4)?,
            _ => return None,
        };
        (n <= self.0.len()).then_some(n)
    }

    fn map(&mut self) -> Option<usize> {
        match self.byte()? {
            byte @ 0x80..=0x8F => Some(usize::from(byte & 0x0F)),
            0xDE => self.length(2),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let n_bytes = match self.byte()? {
            byte @ 0xA0..=0xBF => usize::from(byte & 0x1F),
            0xD9 => self.length(1)?,
            0xDA => self.length(2)?,
            0xDB => self.length(4)?,
            _ => return None,
        };
        str::from_utf8(self.take(n_bytes)?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let n_bytes = match self.byte()? {
            0xC4 => self.length(1)?,
            0xC5 => self.length(2)?,
            0xC6 => self.length(4)?,
            _ => return None,
        };
        self.take(n_bytes)
    }

    fn number(&mut self) -> Option<i64> {
        Some(match self.byte()? {
            byte @ 0x00..=0x7F => byte.into(),
            byte @ 0xE0..=0xFF => (byte as i8).into(),
            0xCC => self.length(1)? as i64,
            0xCD => self.length(2)? as i64,
            0xCE => u32::from_be_bytes(self.take(4)?.try_into().ok()?).into(),
            0xCF => i64::try_from(u64::from_be_bytes(self.take(8)?.try_into().ok()?)).ok()?,
            0xD0 => (self.byte()? as i8).into(),
            0xD1 => i16::from_be_bytes(self.take(2)?.try_into().ok()?).into(),
            0xD2 => i32::from_be_bytes(self.take(4)?.try_into().ok()?).into(),
            0xD3 => i64::from_be_bytes(self.take(8)?.try_into().ok()?),
            _ => return None,
        })
    }

    fn float(&mut self) -> Option<f64> {
        match self.byte()? {
            0xCB => Some(f64::from_be_bytes(self.take(8)?.try_into().ok()?)),
            _ => None,
        }
    }

    /// A value by the name of its kind: a kind by its number, which cozo would take as well, is not
    /// what it writes.
    fn value<T: Made>(&mut self, depth: usize) -> Option<T> {
        if self.0.first()? != &0x81 {
            return (self.text()? == "Null").then(T::null);
        }
        self.byte()?;
        Some(match self.text()? {
            "Bool" => T::from_value(match self.byte()? {
                0xC2 => false,
                0xC3 => true,
                _ => return None,
            }),
            "Num" => {
                let (0x81, kind) = (self.byte()?, self.text()?) else { return None };
                match kind {
                    "Int" => T::from_value(self.number()?),
                    "Float" => T::from_value(self.float()?),
                    _ => return None,
                }
            }
            "Str" => T::from_value(self.text()?),
            "Bytes" => T::from_bytes(self.bytes()?),
            "List" => {
                let depth = depth.checked_sub(1)?;
                let n = self.array()?;
                T::from_list((0..n).map(|_| self.value(depth)).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    /// Passes over anything.
    fn skip(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match *self.0.first()? {
            0x80..=0x8F | 0xDE => {
                for _ in 0..2 * self.map()? {
                    self.skip(depth)?;
                }
            }
            0x90..=0x9F | 0xDC | 0xDD => {
                for _ in 0..self.array()? {
                    self.skip(depth)?;
                }
            }
            0xA0..=0xBF | 0xD9..=0xDB => drop(self.text()?),
            0xC0 | 0xC2 | 0xC3 => drop(self.byte()?),
            0xC4..=0xC6 => drop(self.bytes()?),
            0xCB => drop(self.float()?),
            _ => drop(self.number()?),
        }
        Some(())
    }
}
