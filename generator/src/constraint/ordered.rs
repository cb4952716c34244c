//! JSON whose fields keep their order, which in a schema says what is written first.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON value whose objects keep the order of their fields.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderedJson {
    /// A text, a number, `true`, `false` or `null`.
    Leaf(Value),
    /// An array.
    List(Vec<OrderedJson>),
    /// An object.
    Fields(Vec<(String, OrderedJson)>),
}

impl OrderedJson {
    /// The fields of an object.
    pub(super) fn fields(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Fields(fields) => Some(fields),
            _ => None,
        }
    }

    /// The field of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.fields()?.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn leaf(&self) -> Option<&Value> {
        match self {
            Self::Leaf(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.leaf()?.as_str()
    }

    /// The part that a JSON pointer means.
    pub(super) fn at(&self, pointer: &str) -> Option<&Self> {
        let mut here = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            here = match here {
                Self::List(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => here.get(&step)?,
            };
        }
        (pointer.is_empty() || pointer.starts_with('/')).then_some(here)
    }

    /// On one line, without blanks.
    pub(super) fn compact(&self) -> String {
        serde_json::to_string(self).expect("JSON can be written")
    }
}

impl From<Value> for OrderedJson {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Self::Fields(fields.into_iter().map(|(name, value)| (name, Self::from(value))).collect())
            }
            leaf => Self::Leaf(leaf),
        }
    }
}

impl Serialize for OrderedJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leaf(value) => value.serialize(serializer),
            Self::List(items) => items.serialize(serializer),
            Self::Fields(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for OrderedJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = OrderedJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<OrderedJson, E> {
        Ok(OrderedJson::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<OrderedJson, E> {
        Ok(OrderedJson::Leaf(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<OrderedJson, E> {
        Ok(OrderedJson::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<OrderedJson, E> {
        Ok(OrderedJson::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<OrderedJson, E> {
        Ok(OrderedJson::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<OrderedJson, E> {
        Ok(OrderedJson::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<OrderedJson, E> {
        Ok(OrderedJson::Leaf(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OrderedJson, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(OrderedJson::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<OrderedJson, A::Error> {
        let mut fields = Vec::<(String, OrderedJson)>::new();
        while let Some((name, value)) = entries.next_entry::<String, _>()? {
            // As JSON is read everywhere: the last of equal names counts.
            fields.retain(|(before, _)| *before != name);
            fields.push((name, value));
        }
        Ok(OrderedJson::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order() {
        let text = r#"{"b":[1,-2.5,{"z":null,"a":true}],"a":"x"}"#;
        let json: OrderedJson = serde_json::from_str(text).unwrap();
        assert_eq!(json.compact(), text);
        assert_eq!(json.at("/b/2/z"), Some(&OrderedJson::Leaf(Value::Null)));
        assert_eq!((json.at(""), json.at("/c"), json.at("b")), (Some(&json), None, None));
        assert_eq!(OrderedJson::from(serde_json::json!({"a": [1]})).compact(), r#"{"a":[1]}"#);
    }
}
