//! What a chat request may ask for, and what that means for the generator.

use std::collections::BTreeMap;

use generator::{Constraint, MAX_TOP_PROBABILITIES, Message, OrderedJson, Sampling};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Failure;

/// Turns of a conversation: far more than any context holds.
const MAX_MESSAGES: usize = 4096;
const MAX_STOPS: usize = 16;
const MAX_BIASES: usize = 4096;

/// Remarks that change no answer.
const REMARKS: [&str; 7] =
    ["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "verbosity"];

/// The body of a request for a chat completion.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ChatRequest {
    /// The model's name.
    pub model: String,
    messages: Vec<Turn>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    /// Beyond OpenAI's: as llama.cpp's server and vLLM have them.
    top_k: Option<usize>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    logit_bias: Option<BTreeMap<String, f32>>,
    seed: Option<i64>,
    stop: Option<OneOrMany>,
    /// Whether the answer comes in pieces.
    pub stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    n: Option<usize>,
    response_format: Option<Format>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct Turn {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

/// A text or a list of texts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    Text,
    JsonObject,
    JsonSchema {
        json_schema: NamedSchema,
    },
    /// Beyond OpenAI's: a text that matches a regular expression.
    Regex {
        regex: String,
    },
    /// Beyond OpenAI's: whole words of one of these texts, as they stand there.
    Spans {
        texts: Vec<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct NamedSchema {
    schema: OrderedJson,
}

/// Reads a request's body.
///
/// # Errors
/// A [`Failure`] that says where it cannot be read.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|e| Failure::malformed(format!("The body cannot be read: {e}")))
}

impl ChatRequest {
    /// The conversation.
    ///
    /// # Errors
    /// A [`Failure`] for what is no text, such as a picture.
    pub fn messages(&self) -> Result<Vec<Message>, Failure> {
        let wrong = |message: &str| Failure::of("messages", message);
        if self.messages.is_empty() || self.messages.len() > MAX_MESSAGES {
            return Err(wrong("there must be at least one message"));
        }
        let text = |turn: &Turn| match &turn.content {
            None => Ok(String::new()),
            Some(Content::Text(text)) => Ok(text.clone()),
            Some(Content::Parts(parts)) => parts
                .iter()
                .map(|part| match (part.kind.as_str(), &part.text) {
                    ("text", Some(text)) => Ok(text.as_str()),
                    (kind, _) => {
                        Err(wrong(&format!("a part of type `{kind}` is not supported; only `text` is")))
                    }
                })
                .collect(),
        };
        let messages = self.messages.iter().map(|turn| {
            let role = match turn.role.as_str() {
                "developer" => "system",
                role @ ("system" | "user" | "assistant") => role,
                role => return Err(wrong(&format!("the role `{role}` is not supported"))),
            };
            Ok(Message::new(role, text(turn)?))
        });
        messages.collect()
    }

    /// How tokens are chosen; `random` is the seed where the request has none.
    ///
    /// # Errors
    /// A [`Failure`] that names the parameter.
    pub fn sampling(&self, random: u64) -> Result<Sampling, Failure> {
        self.check_others()?;
        if self.n.is_some_and(|n| n != 1) {
            return Err(Failure::of("n", "only one answer at a time is given; ask again for another one"));
        }
        let number = |param: &str, value: Option<f32>, usual: f32, (min, max): (f32, f32)| match value {
            None => Ok(usual),
            Some(value) if (min..=max).contains(&value) => Ok(value),
            Some(value) => Err(Failure::of(param, format!("{value} is not between {min} and {max}"))),
        };
        let stop = self.stop.clone().map_or(Vec::new(), OneOrMany::into_vec);
        if stop.len() > MAX_STOPS {
            return Err(Failure::of("stop", format!("at most {MAX_STOPS} texts")));
        }
        Ok(Sampling {
            temperature: number("temperature", self.temperature, 1.0, (0.0, 2.0))?,
            top_k: self.top_k.unwrap_or(0),
            top_p: number("top_p", self.top_p, 1.0, (0.0, 1.0))?,
            min_p: number("min_p", self.min_p, 0.0, (0.0, 1.0))?,
            repetition_penalty: number("repetition_penalty", self.repetition_penalty, 1.0, (0.01, 100.0))?,
            presence_penalty: number("presence_penalty", self.presence_penalty, 0.0, (-2.0, 2.0))?,
            frequency_penalty: number("frequency_penalty", self.frequency_penalty, 0.0, (-2.0, 2.0))?,
            logit_bias: self.logit_bias()?,
            top_probabilities: self.top_probabilities()?,
            constraint: self.constraint(),
            seed: self.seed.map_or(random, |seed| seed as u64),
            max_tokens: self.max_completion_tokens.or(self.max_tokens).unwrap_or(usize::MAX),
            stop,
        })
    }

    pub(crate) fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    pub(crate) fn tells_usage(&self) -> bool {
        self.stream_options.is_some_and(|options| options.include_usage)
    }

    fn check_others(&self) -> Result<(), Failure> {
        let says_something = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(values) => !values.is_empty(),
            _ => true,
        };
        let refused =
            self.others.iter().find(|(key, value)| !REMARKS.contains(&key.as_str()) && says_something(value));
        match refused {
            Some((key, _)) => Err(Failure::of(key, format!("`{key}` is not supported"))),
            None => Ok(()),
        }
    }

    fn logit_bias(&self) -> Result<BTreeMap<u32, f32>, Failure> {
        let biases = self.logit_bias.iter().flatten();
        let biases: Result<BTreeMap<u32, f32>, Failure> = biases
            .map(|(token, bias)| match token.parse() {
                Ok(id) if (-100.0..=100.0).contains(bias) => {
                    // At the ends of the scale a token is forbidden, or the only one.
                    Ok((id, if bias.abs() == 100.0 { bias * 1e4 } else { *bias }))
                }
                _ => Err(Failure::of("logit_bias", format!("`{token}`: {bias} is no bias of a token"))),
            })
            .collect();
        let biases = biases?;
        let too_many = || Failure::of("logit_bias", format!("at most {MAX_BIASES} tokens"));
        if biases.len() > MAX_BIASES { Err(too_many()) } else { Ok(biases) }
    }

    fn top_probabilities(&self) -> Result<Option<usize>, Failure> {
        match (self.logprobs.unwrap_or(false), self.top_logprobs) {
            (false, None) => Ok(None),
            (false, Some(_)) => Err(Failure::of("top_logprobs", "it needs `logprobs`")),
            (true, n) if n.unwrap_or(0) <= MAX_TOP_PROBABILITIES => Ok(Some(n.unwrap_or(0))),
            (true, _) => Err(Failure::of("top_logprobs", format!("at most {MAX_TOP_PROBABILITIES}"))),
        }
    }

    fn constraint(&self) -> Option<Constraint> {
        match self.response_format.clone()? {
            Format::Text => None,
            Format::JsonObject => Some(Constraint::Json),
            Format::JsonSchema { json_schema } => Some(Constraint::JsonSchema(json_schema.schema)),
            Format::Regex { regex } => Some(Constraint::Regex(regex)),
            Format::Spans { texts } => Some(Constraint::Spans(texts)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(more: Value) -> Result<ChatRequest, Failure> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(body.to_string().as_bytes())
    }

    fn sampling(more: Value) -> Result<Sampling, Failure> {
        request(more)?.sampling(7)
    }

    #[test]
    fn what_is_asked_for_becomes_sampling() {
        let usual = sampling(json!({})).unwrap();
        assert_eq!((usual.temperature, usual.top_p, usual.seed, usual.max_tokens), (1.0, 1.0, 7, usize::MAX));
        let all = sampling(json!({
            "temperature": 0, "top_p": 0.5, "seed": -1, "max_tokens": 3, "max_completion_tokens": 4, "stop": "x",
            "presence_penalty": 1, "frequency_penalty": -1, "logit_bias": {"5": -100, "6": 2}, "n": 1,
            "logprobs": true, "top_logprobs": 2, "response_format": {"type": "json_object"}, "user": "somebody",
            "tools": [], "stream": true, "stream_options": {"include_usage": true}, "parallel_tool_calls": null,
        }))
        .unwrap();
        assert_eq!((all.temperature, all.top_p, all.seed, all.max_tokens), (0.0, 0.5, u64::MAX, 4));
        assert_eq!((all.presence_penalty, all.frequency_penalty), (1.0, -1.0));
        assert_eq!(all.logit_bias, [(5, -1e6), (6, 2.0)].into());
        assert_eq!((all.top_probabilities, all.stop), (Some(2), vec!["x".to_owned()]));
        assert_eq!(all.constraint, Some(Constraint::Json));
        let schema = json!({"type": "json_schema", "json_schema": {"name": "a", "strict": true, "schema": {"type": "null"}}});
        let schema = sampling(json!({"response_format": schema})).unwrap().constraint;
        assert_eq!(schema, Some(Constraint::JsonSchema(json!({"type": "null"}).into())));
        let body = r#"{"messages": [], "response_format": {"type": "json_schema", "json_schema": {"schema": {"z": 1, "a": 2}}}}"#;
        let Some(Constraint::JsonSchema(schema)) = read::<ChatRequest>(body.as_bytes()).unwrap().constraint()
        else {
            panic!("a schema was asked for")
        };
        assert_eq!(serde_json::to_string(&schema).unwrap(), r#"{"z":1,"a":2}"#, "in its order");
        let regex = sampling(json!({"response_format": {"type": "regex", "regex": "a"}})).unwrap().constraint;
        assert_eq!(regex, Some(Constraint::Regex("a".into())));
    }

    #[test]
    fn what_is_not_done_is_refused_by_name() {
        for (more, param) in [
            (json!({"temperature": 3}), "temperature"),
            (json!({"top_p": -1}), "top_p"),
            (json!({"n": 2}), "n"),
            (json!({"tools": [{}]}), "tools"),
            (json!({"audio": {}}), "audio"),
            (json!({"top_logprobs": 2}), "top_logprobs"),
            (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs"),
            (json!({"logit_bias": {"a": 1}}), "logit_bias"),
            (json!({"logit_bias": {"1": 101}}), "logit_bias"),
            (json!({"stop": vec!["x"; 17]}), "stop"),
        ] {
            assert_eq!(sampling(more).unwrap_err().param.as_deref(), Some(param));
        }
        for more in [
            json!({"temperature": "hot"}),
            json!({"response_format": {"type": "xml"}}),
            json!({"messages": 3}),
        ] {
            let failure = sampling(more).unwrap_err();
            assert_eq!(failure.status, 400);
            assert!(failure.to_json()["error"]["message"].as_str().unwrap().contains("cannot be read"));
        }
    }

    #[test]
    fn conversations_are_texts_of_known_roles() {
        let messages = |messages: Value| request(json!({"messages": messages})).unwrap().messages();
        let parts = json!([
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ]);
        let expected = vec![Message::new("system", "Be brief."), Message::new("user", "ab")];
        assert_eq!(messages(parts).unwrap(), expected);
        for bad in [
            json!([]),
            json!([{"role": "tool", "content": "x"}]),
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
        ] {
            assert_eq!(messages(bad).unwrap_err().param.as_deref(), Some("messages"));
        }
    }
}
