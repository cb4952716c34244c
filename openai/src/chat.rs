//! Chat completions.

use generator::{Finish, Generator, Piece, Probability, Session};
use serde_json::{Value, json};

use crate::{ChatRequest, Failure};

/// An answer that is told, whole or in pieces.
pub struct Chat<'a> {
    /// The model's name, as the answer gives it.
    pub model: &'a str,
    /// Told of each piece of an answer that is streamed; `false` says that nobody listens any more.
    pub send: &'a mut dyn FnMut(Value) -> bool,
}

/// Answers a request. Where it asks for a stream, pieces go to [`Chat::send`] and nothing is returned; the end of
/// the stream is the caller's to mark.
///
/// # Errors
/// A [`Failure`] for what the request or the model does not allow.
pub async fn chat(
    generator: &Generator,
    request: &ChatRequest,
    Chat { model, send }: Chat<'_>,
) -> Result<Option<Value>, Failure> {
    let created_ms = platform::unix_ms();
    let mut sampling = request.sampling(created_ms as u64)?;
    sampling.max_tokens = sampling.max_tokens.min(generator.n_ctx());
    let prompt = generator.chat_prompt(&request.messages()?)?;
    let mut session = generator.start(&prompt, &sampling).await?;
    let asks_logprobs = sampling.top_probabilities.is_some();
    let mut telling =
        Telling { generator, asks_logprobs, created_ms, model, send, streams: request.streams() };
    if telling.streams && !telling.piece(json!({ "role": "assistant", "content": "" }), None, None) {
        return Ok(None);
    }
    let (mut text, mut logprobs) = (String::new(), Vec::new());
    while let Some(piece) = session.next().await? {
        let logprob = telling.logprob(&piece);
        if telling.streams {
            let is_heard = telling.piece(json!({ "content": piece.text }), logprob.map(|l| vec![l]), None);
            if !is_heard {
                return Ok(None);
            }
        } else {
            text += &piece.text;
            logprobs.extend(logprob);
        }
        // Other tasks have their turn, such as one that stops this.
        platform::yield_now().await;
    }
    let reason = finish_reason(session.finish());
    let usage = usage(&session);
    if telling.streams {
        telling.piece(json!({}), None, Some(reason));
        if request.tells_usage() {
            let mut last = telling.frame("chat.completion.chunk", json!([]));
            last["usage"] = usage;
            (telling.send)(last);
        }
        return Ok(None);
    }
    let message = json!({ "role": "assistant", "content": text, "refusal": null });
    let logprobs = telling.logprobs(asks_logprobs.then_some(logprobs));
    let choice = json!({ "index": 0, "message": message, "logprobs": logprobs, "finish_reason": reason });
    let mut whole = telling.frame("chat.completion", json!([choice]));
    whole["usage"] = usage;
    Ok(Some(whole))
}

struct Telling<'a, 's> {
    generator: &'a Generator,
    asks_logprobs: bool,
    created_ms: i64,
    model: &'a str,
    send: &'s mut dyn FnMut(Value) -> bool,
    streams: bool,
}

impl Telling<'_, '_> {
    /// Tells a change of the answer; `false` when nobody listens.
    fn piece(&mut self, delta: Value, logprobs: Option<Vec<Value>>, reason: Option<&str>) -> bool {
        let logprobs = self.logprobs(logprobs.filter(|_| self.asks_logprobs));
        let choice = json!({ "index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason });
        let frame = self.frame("chat.completion.chunk", json!([choice]));
        (self.send)(frame)
    }

    /// What all answers have around them.
    fn frame(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.created_ms),
            "object": object,
            "created": self.created_ms / 1000,
            "model": self.model,
            "system_fingerprint": concat!("footnote-", env!("CARGO_PKG_VERSION")),
            "choices": choices,
        })
    }

    fn logprobs(&self, content: Option<Vec<Value>>) -> Value {
        content.map_or(Value::Null, |content| json!({ "content": content, "refusal": null }))
    }

    fn logprob(&self, piece: &Piece) -> Option<Value> {
        let Probability { logprob, top } = piece.probability.as_ref()?;
        let mut token = self.token(piece.token, *logprob);
        let top: Vec<Value> = top.iter().map(|(token, logprob)| self.token(*token, *logprob)).collect();
        token["top_logprobs"] = top.into();
        Some(token)
    }

    fn token(&self, token: u32, logprob: f32) -> Value {
        let bytes = self.generator.token_bytes(token);
        // JSON has no infinity; OpenAI says -9999 of what is next to impossible.
        let logprob = logprob.max(-9999.0);
        json!({ "token": String::from_utf8_lossy(&bytes), "logprob": logprob, "bytes": bytes })
    }
}

fn usage(session: &Session) -> Value {
    let (n_prompt, n_generated) = (session.n_prompt(), session.n_generated());
    json!({
        "prompt_tokens": n_prompt,
        "completion_tokens": n_generated,
        "total_tokens": n_prompt + n_generated,
        "prompt_tokens_details": { "cached_tokens": session.n_reused() },
    })
}

fn finish_reason(finish: Option<Finish>) -> &'static str {
    match finish {
        Some(Finish::MaxTokens | Finish::ContextFull) => "length",
        _ => "stop",
    }
}
