//! JSON Schema as nodes.
//!
//! The text is JSON that the schema accepts, though not every such JSON can come: properties come in the order
//! that the schema gives them in, and only those that it names. Keywords that would have to be looked at
//! across the parts of a value are refused by name; words about a value, such as titles, say nothing here.

use std::collections::HashMap;

use serde_json::Value;

use super::grammar::{Grammar, NodeId, RuleId};
use super::json::Parts;
use super::ordered::OrderedJson;
use super::refused;
use super::regex::{Emit, parse, without_ends};
use crate::error::Result;

/// How deep a schema may nest without references.
const MAX_NEST: usize = 64;
/// The most items or characters that a bound may ask for: each is a node or more.
const MAX_BOUND: u64 = 10_000;

/// What says nothing about the form of a value.
const SILENT: [&str; 17] = [
    "title",
    "description",
    "default",
    "examples",
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$anchor",
    "contentMediaType",
    "contentEncoding",
    "name",
    "strict",
];

/// Patterns of formats.
const FORMATS: [(&str, &str); 5] = [
    ("date", r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"),
    ("time", r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"),
    (
        "date-time",
        r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$",
    ),
    ("uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
    ("email", r"^[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,4}$"),
];

/// A text that a schema accepts.
pub(super) fn grammar(schema: &OrderedJson) -> Result<Grammar> {
    let mut grammar = Grammar::new();
    let mut compiler =
        Compiler { root: schema, parts: Parts::default(), rules: HashMap::new(), open: Vec::new(), depth: 0 };
    let start = compiler.value(&mut grammar, schema, Grammar::RETURN)?;
    grammar.set_rule(0, start);
    while let Some((pointer, rule)) = compiler.open.pop() {
        let part = compiler.at(&pointer)?;
        let start = compiler.value(&mut grammar, part, Grammar::RETURN)?;
        grammar.set_rule(rule, start);
    }
    Ok(grammar)
}

struct Compiler<'s> {
    root: &'s OrderedJson,
    parts: Parts,
    /// Of parts that are referred to, by their pointer.
    rules: HashMap<String, RuleId>,
    /// Those that have no nodes yet.
    open: Vec<(String, RuleId)>,
    depth: usize,
}

impl<'s> Compiler<'s> {
    fn value(&mut self, g: &mut Grammar, schema: &'s OrderedJson, next: NodeId) -> Result<NodeId> {
        match schema {
            OrderedJson::Leaf(Value::Bool(true)) => return self.parts.value(g, next),
            OrderedJson::Fields(_) => {}
            _ => return Err(wrong("a schema", "it is neither an object nor `true`")),
        }
        self.depth += 1;
        if self.depth > MAX_NEST {
            return Err(wrong("the schema", "it nests too deep"));
        }
        let start = self.object_schema(g, schema, next)?;
        self.depth -= 1;
        Ok(start)
    }

    fn object_schema(&mut self, g: &mut Grammar, schema: &'s OrderedJson, next: NodeId) -> Result<NodeId> {
        if let Some(reference) = schema.get("$ref") {
            only(schema, &["$ref"])?;
            return self.reference(g, reference, next);
        }
        if let Some(value) = schema.get("const") {
            only(schema, &["const", "type"])?;
            return g.literal(value.compact().as_bytes(), next);
        }
        if let Some(values) = schema.get("enum") {
            only(schema, &["enum", "type"])?;
            let values = list(values, "enum")?.iter();
            let ways: Result<Vec<_>> = values.map(|v| g.literal(v.compact().as_bytes(), next)).collect();
            return g.any_of(ways?);
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(schemas) = schema.get(key) {
                only(schema, &[key, "type"])?;
                let schemas = list(schemas, key)?;
                if key == "allOf" && schemas.len() != 1 {
                    return Err(wrong("allOf", "several schemas at once are not supported"));
                }
                let ways: Result<Vec<_>> = schemas.iter().map(|schema| self.value(g, schema, next)).collect();
                return g.any_of(ways?);
            }
        }
        let ways: Result<Vec<_>> =
            types(schema)?.into_iter().map(|name| self.of_type(g, name, schema, next)).collect();
        g.any_of(ways?)
    }

    fn of_type(
        &mut self,
        g: &mut Grammar,
        name: &str,
        schema: &'s OrderedJson,
        next: NodeId,
    ) -> Result<NodeId> {
        match name {
            "object" => self.object(g, schema, next),
            "array" => self.array(g, schema, next),
            "string" => self.string(g, schema, next),
            "number" | "integer" => {
                only(schema, &["type"])?;
                Parts::number(g, name == "integer", next)
            }
            "boolean" => {
                let ways = [g.literal(b"true", next)?, g.literal(b"false", next)?];
                g.any_of(ways.to_vec())
            }
            "null" => g.literal(b"null", next),
            "any" => {
                only(schema, &[])?;
                self.parts.value(g, next)
            }
            _ => Err(wrong("type", &format!("there is no type `{name}`"))),
        }
    }

    fn object(&mut self, g: &mut Grammar, schema: &'s OrderedJson, next: NodeId) -> Result<NodeId> {
        only(schema, &["type", "properties", "required", "additionalProperties"])?;
        let required: Vec<&str> = match schema.get("required") {
            Some(names) => names.list().unwrap_or_default().iter().filter_map(OrderedJson::text).collect(),
            None => Vec::new(),
        };
        let properties = match schema.get("properties").map(OrderedJson::fields) {
            Some(None) => return Err(wrong("properties", "it is no object")),
            Some(properties) => properties,
            None => None,
        };
        let has = |wanted: &str| properties.unwrap_or_default().iter().any(|(name, _)| name == wanted);
        if let Some(missing) = required.iter().find(|name| !has(name)) {
            return Err(wrong("required", &format!("`{missing}` is not among the properties")));
        }
        let Some(properties) = properties else {
            return match schema.get("additionalProperties") {
                Some(OrderedJson::Leaf(Value::Bool(false))) => g.literal(b"{}", next),
                Some(schema @ OrderedJson::Fields(_)) => {
                    let mut parts = std::mem::take(&mut self.parts);
                    let map = parts.map(g, &mut |parts, g, next| self.with(parts, g, schema, next), next);
                    self.parts = parts;
                    map
                }
                _ => self.parts.map(g, &mut |parts, g, next| parts.value(g, next), next),
            };
        };
        self.properties(g, properties, &required, next)
    }

    /// The properties in their order; those that are not required may be left out.
    fn properties(
        &mut self,
        g: &mut Grammar,
        properties: &'s [(String, OrderedJson)],
        required: &[&str],
        next: NodeId,
    ) -> Result<NodeId> {
        let close = g.byte(b'}', b'}', next)?;
        let end = self.parts.blank(g, close)?;
        // Where to go on with some property before, and without.
        let (mut after_some, mut after_none) = (end, end);
        for (name, schema) in properties.iter().rev() {
            let value = self.value(g, schema, after_some)?;
            let value = self.parts.blank(g, value)?;
            let colon = g.byte(b':', b':', value)?;
            let key = g.literal(Value::from(name.as_str()).to_string().as_bytes(), colon)?;
            let first = self.parts.blank(g, key)?;
            let further = g.byte(b',', b',', first)?;
            if required.contains(&name.as_str()) {
                (after_some, after_none) = (further, first);
            } else {
                after_some = g.any_of(vec![further, after_some])?;
                after_none = g.any_of(vec![first, after_none])?;
            }
        }
        g.byte(b'{', b'{', after_none)
    }

    fn array(&mut self, g: &mut Grammar, schema: &'s OrderedJson, next: NodeId) -> Result<NodeId> {
        only(schema, &["type", "items", "minItems", "maxItems"])?;
        let bounds = bounds(schema, "minItems", "maxItems")?;
        let Some(items) = schema.get("items") else {
            return self.parts.list(g, bounds, &mut |parts, g, next| parts.value(g, next), next);
        };
        let mut parts = std::mem::take(&mut self.parts);
        let list = parts.list(g, bounds, &mut |parts, g, next| self.with(parts, g, items, next), next);
        self.parts = parts;
        list
    }

    /// As [`Self::value`], with parts that are out on loan.
    fn with(
        &mut self,
        parts: &mut Parts,
        g: &mut Grammar,
        schema: &'s OrderedJson,
        next: NodeId,
    ) -> Result<NodeId> {
        std::mem::swap(&mut self.parts, parts);
        let start = self.value(g, schema, next);
        std::mem::swap(&mut self.parts, parts);
        start
    }

    fn string(&mut self, g: &mut Grammar, schema: &'s OrderedJson, next: NodeId) -> Result<NodeId> {
        only(schema, &["type", "minLength", "maxLength", "pattern", "format"])?;
        let format = schema.get("format").and_then(OrderedJson::text);
        let known = format.and_then(|format| FORMATS.iter().find(|(name, _)| *name == format));
        if let (Some(format), None) = (format, known) {
            return Err(wrong("format", &format!("`{format}` is not supported")));
        }
        let pattern =
            schema.get("pattern").and_then(OrderedJson::text).or(known.map(|(_, pattern)| *pattern));
        let Some(pattern) = pattern else {
            return self.parts.string(g, bounds(schema, "minLength", "maxLength")?, next);
        };
        only(schema, &["type", "pattern", "format"])?;
        let (hir, begins, ends) = without_ends(&parse(pattern)?);
        let any = |g: &mut Grammar, next| {
            g.repeat((0, None), next, &mut |g, next| Parts::char_of(g, &[('\0', char::MAX)], next))
        };
        let mut after = g.byte(b'"', b'"', next)?;
        if !ends {
            after = any(g, after)?;
        }
        let mut start = Emit { grammar: g, pattern, char: &mut Parts::char_of }.hir(&hir, after)?;
        if !begins {
            start = any(g, start)?;
        }
        g.byte(b'"', b'"', start)
    }

    fn reference(&mut self, g: &mut Grammar, reference: &OrderedJson, next: NodeId) -> Result<NodeId> {
        let pointer = reference.text().and_then(|text| text.strip_prefix('#'));
        let pointer =
            pointer.ok_or_else(|| wrong("$ref", "only parts of the same schema are referred to"))?;
        self.at(pointer)?;
        let rule = match self.rules.get(pointer) {
            Some(rule) => *rule,
            None => {
                let rule = g.add_rule();
                self.rules.insert(pointer.to_owned(), rule);
                self.open.push((pointer.to_owned(), rule));
                rule
            }
        };
        g.call(rule, next)
    }

    fn at(&self, pointer: &str) -> Result<&'s OrderedJson> {
        self.root.at(pointer).ok_or_else(|| wrong("$ref", &format!("there is no `#{pointer}`")))
    }
}

/// The types a value may have, by what the schema says or by what it speaks of.
fn types(schema: &OrderedJson) -> Result<Vec<&str>> {
    match schema.get("type") {
        Some(OrderedJson::Leaf(Value::String(name))) => Ok(vec![name]),
        Some(OrderedJson::List(names)) => {
            let all: Vec<&str> = names.iter().filter_map(OrderedJson::text).collect();
            let n_with_parts = all.iter().filter(|name| !matches!(**name, "null" | "boolean")).count();
            // Bounds are those of the one type that has parts.
            if all.len() == names.len() && (n_with_parts <= 1 || only(schema, &["type"]).is_ok()) {
                Ok(all)
            } else {
                Err(wrong("type", "several types with bounds are not supported; use `anyOf`"))
            }
        }
        Some(_) => Err(wrong("type", "it is no text")),
        None => {
            let has = |keys: &[&str]| keys.iter().any(|key| schema.get(key).is_some());
            Ok(vec![if has(&["properties", "required", "additionalProperties"]) {
                "object"
            } else if has(&["items", "minItems", "maxItems"]) {
                "array"
            } else if has(&["pattern", "minLength", "maxLength", "format"]) {
                "string"
            } else {
                "any"
            }])
        }
    }
}

/// Refuses keywords that are not among `known`.
fn only(schema: &OrderedJson, known: &[&str]) -> Result<()> {
    let is_known = |key: &str| known.contains(&key) || SILENT.contains(&key);
    let fields = schema.fields().unwrap_or_default();
    match fields.iter().map(|(key, _)| key.as_str()).find(|key| !is_known(key)) {
        Some(key) => Err(wrong(key, "it is not supported here")),
        None => Ok(()),
    }
}

fn bounds(schema: &OrderedJson, min: &str, max: &str) -> Result<(usize, Option<usize>)> {
    let bound = |key: &str| match schema.get(key) {
        None => Ok(None),
        Some(value) => match value.leaf().and_then(Value::as_u64).filter(|n| *n <= MAX_BOUND) {
            Some(n) => Ok(Some(n as usize)),
            None => Err(wrong(key, &format!("it is no number from 0 to {MAX_BOUND}"))),
        },
    };
    let (min, max) = (bound(min)?.unwrap_or(0), bound(max)?);
    if max.is_some_and(|max| max < min) {
        Err(wrong("the bounds", "nothing lies between them"))
    } else {
        Ok((min, max))
    }
}

fn list<'v>(value: &'v OrderedJson, key: &str) -> Result<&'v [OrderedJson]> {
    match value.list() {
        Some(values) if !values.is_empty() => Ok(values),
        _ => Err(wrong(key, "it is no list with something in it")),
    }
}

fn wrong(key: &str, reason: &str) -> crate::Error {
    refused(format!("the schema's `{key}`"), reason)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use crate::Constraint;
    use serde_json::{Value, json};

    #[track_caller]
    fn check_schema(schema: Value, good: &[&str], bad: &[&str]) {
        check(&Constraint::JsonSchema(schema.into()), good, bad);
    }

    #[test]
    fn objects_have_their_properties() {
        let schema = json!({
            "type": "object",
            "properties": {
                "age": {"type": "integer"},
                "name": {"type": "string"},
                "tags": {"type": "array", "items": {"enum": ["x", "y"]}, "maxItems": 2},
            },
            "required": ["name"],
            "additionalProperties": false,
        });
        check_schema(
            schema,
            &[
                r#"{"name": "A"}"#,
                r#"{"age": 3, "name": "A", "tags": ["x","y"]}"#,
                r#"{"name":"","tags":[]}"#,
                "{\n  \"name\": \"A\"\n}",
            ],
            &[
                "{}",
                r#"{"age": 3}"#,
                r#"{"name": 3}"#,
                r#"{"name": "A", "age": 3}"#,
                r#"{"name": "A", "other": 1}"#,
                r#"{"name": "A", "tags": ["z"]}"#,
                r#"{"name": "A", "tags": ["x","x","x"]}"#,
                r#"{"age": 3.5, "name": "A"}"#,
                r#"{, "name": "A"}"#,
            ],
        );
    }

    #[test]
    fn types_and_bounds_are_kept() {
        check_schema(
            json!({"type": ["string", "null"], "maxLength": 2}),
            &["null", "\"é\"", "\"世🦀\""],
            &["\"abc\"", "1"],
        );
        check_schema(json!({"type": ["number", "boolean"]}), &["1.5", "true"], &["null"]);
        check_schema(
            json!({"anyOf": [{"const": {"a": 1}}, {"type": "integer"}]}),
            &["{\"a\":1}", "-7"],
            &["{}"],
        );
        check_schema(
            json!({"type": "array", "items": {"type": "boolean"}, "minItems": 2}),
            &["[true,false]"],
            &["[true]", "[]"],
        );
        check_schema(json!({"type": "string", "minLength": 1}), &["\"\\n\""], &["\"\""]);
        check_schema(json!({"type": "string", "pattern": "b+"}), &["\"abc\"", "\"b\""], &["\"ac\""]);
        check_schema(
            json!({"type": "string", "pattern": "^[^x]$"}),
            &["\"\\\"\"", "\"\\\\\"", "\"y\""],
            &["\"x\"", "\"\"\""],
        );
        check_schema(json!({"type": "string", "format": "date"}), &["\"2026-11-26\""], &["\"2026-13-26\""]);
        check_schema(
            json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            &["{}", "{\"a\": 1, \"b\": 2}"],
            &["{\"a\": true}"],
        );
        check_schema(json!({}), &["1", "[{}]", "\"x\""], &["x"]);
        check_schema(json!(true), &["null"], &[""]);
    }

    #[test]
    fn properties_come_in_the_order_of_the_schema() {
        let text =
            r#"{"properties": {"z": {"type": "null"}, "a": {"type": "null"}}, "required": ["z", "a"]}"#;
        let constraint = Constraint::JsonSchema(serde_json::from_str(text).unwrap());
        check(&constraint, &[r#"{"z": null, "a": null}"#], &[r#"{"a": null, "z": null}"#]);
    }

    #[test]
    fn schemas_may_refer_to_themselves() {
        let tree = json!({
            "$ref": "#/$defs/node",
            "$defs": {"node": {
                "type": "object",
                "properties": {"v": {"type": "integer"}, "w": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
                "required": ["v"],
            }},
        });
        check_schema(tree, &[r#"{"v": 1, "w": [{"v": 2}, {"v": 3, "w": []}]}"#], &[r#"{"v": 1, "w": [{}]}"#]);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (schema, name) in [
            (json!({"type": "integer", "minimum": 3}), "minimum"),
            (json!({"not": {}}), "not"),
            (json!({"type": "object", "patternProperties": {}}), "patternProperties"),
            (json!({"type": "array", "uniqueItems": true}), "uniqueItems"),
            (json!({"type": "string", "format": "ipv6"}), "ipv6"),
            (json!({"type": "object", "required": ["a"]}), "`a`"),
            (json!({"$ref": "#/nowhere"}), "nowhere"),
            (json!({"$ref": "https://example.org/schema"}), "same schema"),
            (json!({"type": "thing"}), "thing"),
            (json!({"enum": []}), "enum"),
            (json!(false), "a schema"),
            (json!({"type": "string", "maxLength": 1_000_000}), "maxLength"),
        ] {
            let error = Constraint::JsonSchema(schema.into()).check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
