//! JSON and JSON lines: a line for each value with its path, a paragraph for each record.
//!
//! `{"port": {"name": "Lindmar", "berths": [1, 4]}}` gives `port.name: Lindmar` and
//! `port.berths: 1, 4`. Members of the outermost arrays, and of arrays in the outermost object, are
//! records.

use crate::compose::Composer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What could not be read.
pub(crate) struct Trouble {
    /// 1-based line of the first error.
    pub(crate) line: usize,
}

/// Reads a JSON text; what stands before an error is kept.
pub(crate) fn parse(text: &str, composer: &mut Composer<'_>) -> Result<(), Trouble> {
    let mut writer = Writer { composer, path: Vec::new(), is_in_record: false, record: String::new() };
    let mut source = serde_json::Deserializer::from_str(text);
    let value = Value { writer: &mut writer, is_record: false }.deserialize(&mut source);
    let outcome = value.and_then(|plain| {
        writer.line(&plain.unwrap_or_default());
        source.end()
    });
    writer.path.clear();
    writer.flush();
    match outcome {
        Err(error) if !composer.is_full() => Err(Trouble { line: error.line() }),
        _ => Ok(()),
    }
}

/// Reads a JSON value from each line. Lines that hold none are kept as they are.
pub(crate) fn parse_lines(text: &str, composer: &mut Composer<'_>) -> Result<(), Trouble> {
    let mut first_bad = None;
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if composer.is_full() {
            break;
        }
        if !is_json(line) {
            composer.paragraph(line);
            first_bad.get_or_insert(i + 1);
        } else if parse(line, composer).is_err() {
            first_bad.get_or_insert(i + 1);
        }
    }
    first_bad.map_or(Ok(()), |line| Err(Trouble { line }))
}

/// Whether the first two lines hold a JSON object or array each.
pub(crate) fn looks_like_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_record = |line: &str| line.trim_start().starts_with(['{', '[']) && is_json(line);
    match (lines.next(), lines.next()) {
        (Some(first), Some(second)) => is_record(first) && is_record(second),
        _ => false,
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

struct Writer<'a, 'c> {
    composer: &'a mut Composer<'c>,
    /// Keys that lead to the value; array members have none.
    path: Vec<String>,
    /// Within a member of an array that has records.
    is_in_record: bool,
    /// Lines of the open record.
    record: String,
}

/// Records longer than this are written in parts. Bytes.
const MAX_RECORD_BYTES: usize = 1 << 20;

impl Writer<'_, '_> {
    fn line(&mut self, value: &str) {
        if value.trim().is_empty() {
            return;
        }
        if !self.record.is_empty() {
            self.record.push('\n');
        }
        for (i, key) in self.path.iter().enumerate() {
            self.record.push_str(if i > 0 { "." } else { "" });
            self.record.push_str(key);
        }
        self.record.push_str(if self.path.is_empty() { "" } else { ": " });
        self.record.push_str(value.trim());
        if self.record.len() > MAX_RECORD_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.composer.paragraph(&std::mem::take(&mut self.record));
    }

    /// Begins or ends a record.
    fn border(&mut self, is_start: bool) {
        self.flush();
        self.is_in_record = is_start;
    }

    /// An error when no more text is taken.
    fn check<E: Error>(&self) -> Result<(), E> {
        if self.composer.is_full() { Err(E::custom("enough")) } else { Ok(()) }
    }
}

/// The value that comes next: containers are written, a plain value comes back as text.
struct Value<'w, 'a, 'c> {
    writer: &'w mut Writer<'a, 'c>,
    /// A container is a record of its own.
    is_record: bool,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_, '_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_, '_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let writer = self.writer;
        if self.is_record {
            writer.border(true);
        }
        let is_record = !writer.is_in_record && writer.path.len() <= 1;
        // Plain values share a line.
        let mut plain = String::new();
        while let Some(member) = members.next_element_seed(Value { writer, is_record })? {
            if let Some(member) = member {
                plain.push_str(if plain.is_empty() { "" } else { ", " });
                plain.push_str(&member);
            }
            if plain.len() > MAX_RECORD_BYTES {
                writer.line(&std::mem::take(&mut plain));
            }
            writer.check()?;
        }
        writer.line(&plain);
        if self.is_record {
            writer.border(false);
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let writer = self.writer;
        if self.is_record {
            writer.border(true);
        }
        while let Some(key) = members.next_key::<String>()? {
            writer.path.push(key);
            if let Some(value) = members.next_value_seed(Value { writer, is_record: false })? {
                writer.line(&value);
            }
            writer.path.pop();
            writer.check()?;
        }
        if self.is_record {
            writer.border(false);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hint, Kind, Limits};

    fn check(source: &str, want: &[&str], bad_line: Option<usize>) {
        let (hint, limits) = (Hint::default(), Limits::default());
        let mut composer = Composer::new(&hint, &limits);
        let trouble = parse(source, &mut composer).err().map(|t| t.line);
        let text = composer.finish(Kind::Json).map_or(String::new(), |(doc, _)| doc.text);
        assert_eq!((text, trouble), (want.join("\n\n"), bad_line), "{source}");
    }

    #[test]
    fn paths_lines_and_records() {
        check(
            r#"{"port": {"name": "Lindmar", "berths": [1, 4], "closed": null}, "open": true}"#,
            &["port.name: Lindmar\nport.berths: 1, 4\nopen: true"],
            None,
        );
        check(
            r#"[{"a": 1.5}, {"a": -2, "b": [{"c": "x"}, {"c": "y"}]}, "z"]"#,
            &["a: 1.5", "a: -2\nb.c: x\nb.c: y", "z"],
            None,
        );
        check(
            r#"{"n": 2, "boats": [{"name": "Petrel"}, {"name": "Kestrel"}]}"#,
            &["n: 2", "boats.name: Petrel", "boats.name: Kestrel"],
            None,
        );
        check(r#""only text""#, &["only text"], None);
        check("{\"a\": 1,\n\"b\": ]", &["a: 1"], Some(2));
        check(&"[".repeat(100_000), &[], Some(1));
    }

    #[test]
    fn lines_are_recognised() {
        assert!(looks_like_lines("{\"a\": 1}\n\n{\"a\": 2}\n{cut"));
        assert!(
            !looks_like_lines("{\"a\": 1}") && !looks_like_lines("{\n\"a\": 1}") && !looks_like_lines("1\n2")
        );
    }
}
