//! `footnote serve` as programs for OpenAI's API meet it, over a socket, with tiny models.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

struct Server {
    child: Child,
    port: u16,
    _models: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// A server with a tiny generator and a tiny embedder.
    fn start(more: &[&str]) -> Self {
        let models = tempfile::tempdir().unwrap();
        copy("bert", &models.path().join("e5-small-v2"));
        let tied = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tiny/llama_tied");
        let folder = models.path().to_str().unwrap().to_owned();
        let import = footnote()
            .args(["--quiet", "--models", &folder, "models", "import", "--name", "tied"])
            .arg(tied)
            .output()
            .unwrap();
        assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
        let mut child = footnote()
            .args(["--tier", "cpu", "--models", &folder, "serve", "--port", "0", "--web", "nowhere"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = told.find(|line| line.as_ref().unwrap().contains("/v1")).unwrap().unwrap();
        let port = line.split("127.0.0.1:").nth(1).unwrap().trim_end_matches("/v1").parse().unwrap();
        // Somebody has to take what it says later.
        std::thread::spawn(move || told.for_each(drop));
        Self { child, port, _models: models }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let n_bytes = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: {n_bytes}\r\n\r\n",
            self.port
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, reply) = self.ask("POST", path, &body.to_string());
        (status, serde_json::from_str(&reply).unwrap_or_else(|e| panic!("{reply}: {e}")))
    }
}

fn footnote() -> Command {
    Command::new(env!("CARGO_BIN_EXE_footnote"))
}

fn copy(fixture: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tiny").join(fixture)).unwrap()
    {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

const CHAT: &str = "/v1/chat/completions";

fn hello(more: Value) -> Value {
    let mut body = json!({
        "model": "tied", "messages": [{"role": "user", "content": "hi"}], "temperature": 0, "max_tokens": 6,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn chat_completions_embeddings_and_models() {
    let server = Server::start(&[]);
    let (status, models) = server.ask("GET", "/v1/models", "");
    let models: Value = serde_json::from_str(&models).unwrap();
    assert_eq!((status, &models["object"]), (200, &json!("list")));
    let ids: Vec<_> = models["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["tied", "e5-small-v2"]);
    assert_eq!(server.ask("GET", "/v1/models/tied", "").0, 200);
    assert_eq!(server.ask("GET", "/v1/models/none", "").0, 404);

    let (status, whole) = server.post(CHAT, hello(json!({})));
    assert_eq!(status, 200, "{whole}");
    assert_eq!((&whole["object"], &whole["model"]), (&json!("chat.completion"), &json!("tied")));
    let choice = &whole["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["role"]),
        (&json!("length"), &json!("assistant"))
    );
    assert_eq!((&choice["logprobs"], &whole["usage"]["completion_tokens"]), (&Value::Null, &json!(6)));
    let text = choice["message"]["content"].as_str().unwrap().to_owned();
    assert!(!text.is_empty());
    // Without a word about the seed two answers differ, with the same they do not.
    let drawn = |seed: Option<u64>| {
        let more = json!({"temperature": 2, "seed": seed, "max_tokens": 30});
        server.post(CHAT, hello(more)).1["choices"][0]["message"]["content"].clone()
    };
    assert_eq!(drawn(Some(3)), drawn(Some(3)));
    assert_ne!(drawn(Some(3)), drawn(Some(4)));
    assert_ne!(drawn(None), drawn(None));

    let (_, stream) = server.ask(
        "POST",
        CHAT,
        &hello(json!({"stream": true, "stream_options": {"include_usage": true}})).to_string(),
    );
    let events: Vec<&str> = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    assert_eq!(events.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|e| serde_json::from_str(e).unwrap()).collect();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
    let pieces = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
    assert_eq!(pieces.collect::<String>(), text, "the stream is the same text");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let [.., finish, usage] = &chunks[..] else { panic!("{stream}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "length");
    assert_eq!(usage["usage"]["completion_tokens"], 6);

    let (status, embedded) =
        server.post("/v1/embeddings", json!({"model": "e5-small-v2", "input": ["a cat", "a dog"]}));
    assert_eq!(status, 200, "{embedded}");
    let vector: Vec<f64> = serde_json::from_value(embedded["data"][1]["embedding"].clone()).unwrap();
    assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-4);
    assert_eq!(embedded["data"][1]["index"], 1);
    let packed = server
        .post(
            "/v1/embeddings",
            json!({"model": "e5-small-v2", "input": "a dog", "encoding_format": "base64"}),
        )
        .1;
    assert_eq!(packed["data"][0]["embedding"].as_str().unwrap().len(), (vector.len() * 4).div_ceil(3) * 4);
}

#[test]
fn forms_stops_and_probabilities() {
    let server = Server::start(&[]);
    let schema = json!({"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let answer = server
        .post(CHAT, hello(json!({"response_format": format, "max_tokens": 60, "temperature": 1, "seed": 1})))
        .1;
    let choice = &answer["choices"][0];
    if choice["finish_reason"] == "stop" {
        let value: Value = serde_json::from_str(choice["message"]["content"].as_str().unwrap()).unwrap();
        assert!(value["a"] == "x" || value["a"] == "y", "{value}");
    }
    let regex = json!({"type": "regex", "regex": "[ab]{3}"});
    let answer = server.post(CHAT, hello(json!({"response_format": regex}))).1;
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["choices"][0]["message"]["content"].as_str().unwrap().len(), 3);

    let whole =
        server.post(CHAT, hello(json!({"max_tokens": 20}))).1["choices"][0]["message"]["content"].clone();
    let whole = whole.as_str().unwrap();
    let stop: String = whole.chars().skip(3).take(2).collect();
    let answer = server.post(CHAT, hello(json!({"max_tokens": 20, "stop": [stop]}))).1;
    assert_eq!(answer["choices"][0]["message"]["content"], whole[..whole.find(&stop).unwrap()]);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");

    let answer = server.post(CHAT, hello(json!({"logprobs": true, "top_logprobs": 3}))).1;
    let content = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(content.len(), 6);
    for token in content {
        assert!(token["logprob"].as_f64().unwrap() < 0.0);
        assert_eq!(token["top_logprobs"].as_array().unwrap().len(), 3);
        assert_eq!(token["top_logprobs"][0]["token"], token["token"], "greedy takes the likeliest");
        assert!(token["bytes"].is_array());
    }
}

#[test]
fn what_goes_wrong_is_told_as_clients_expect() {
    let server = Server::start(&[]);
    for (path, body, status, code) in [
        (CHAT, hello(json!({"model": "none"})), 404, json!("model_not_found")),
        (CHAT, hello(json!({"model": "../tied"})), 404, json!("model_not_found")),
        (CHAT, hello(json!({"model": "/etc"})), 404, json!("model_not_found")),
        (
            CHAT,
            hello(json!({"messages": [{"role": "user", "content": "x ".repeat(500)}]})),
            400,
            json!("context_length_exceeded"),
        ),
        (CHAT, hello(json!({"tools": [{}]})), 400, Value::Null),
        (CHAT, json!([1]), 400, Value::Null),
        ("/v1/embeddings", json!({"model": "e5-small-v2", "input": []}), 400, Value::Null),
        ("/v1/embeddings", json!({"model": "tied", "input": "x"}), 404, json!("model_not_found")),
        ("/v1/completions", json!({}), 404, json!("unknown_url")),
    ] {
        let (told, failure) = server.post(path, body);
        assert_eq!((told, &failure["error"]["code"]), (status, &code), "{failure}");
        assert_eq!(failure["error"]["type"], "invalid_request_error");
        assert!(!failure["error"]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(server.ask("GET", CHAT, "").0, 405);
    // It goes on.
    assert_eq!(server.post(CHAT, hello(json!({}))).0, 200);
}

#[test]
fn a_client_that_goes_stops_its_answer() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let body = hello(json!({"stream": true, "max_tokens": 1000})).to_string();
        let head =
            format!("POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).unwrap();
        stream.read_exact(&mut [0; 64]).unwrap();
    }
    assert_eq!(server.post(CHAT, hello(json!({}))).0, 200);
}
