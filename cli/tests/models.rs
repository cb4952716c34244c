//! `footnote models` with a model that a user brings.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn footnote(models: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footnote"));
    command
        .args(["--quiet", "--tier", "cpu", "--models"])
        .arg(models)
        .arg("models")
        .args(args)
        .output()
        .unwrap()
}

fn json(models: &Path, args: &[&str]) -> Value {
    let output = footnote(models, args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {told}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {told}"))
}

fn fixture(name: &str) -> String {
    format!("{}/../fixtures/tiny/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_model_is_taken_in_measured_given_out_and_removed() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let models = folder.path();
    let verified = json(models, &["import", &fixture("llama_gguf/model.gguf"), "--name", "tiny"]);
    assert_eq!((&verified[0]["id"], &verified[0]["ok"]), (&"tiny".into(), &true.into()), "{verified}");
    // A folder gives its own name.
    let verified = json(models, &["import", &fixture("llama_tied")]);
    assert_eq!(verified[0]["id"], "llama_tied", "{verified}");
    let verified = json(models, &["import", &fixture("bge"), "--name", "mine"]);
    assert_eq!((&verified[0]["id"], &verified[0]["ok"]), (&"mine".into(), &true.into()), "{verified}");

    let listed = json(models, &["list", "--json"]);
    let here: Vec<(&str, &str)> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|model| model["here"] == true)
        .map(|model| (model["id"].as_str().unwrap(), model["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(here, [("llama_tied", "generator"), ("mine", "embedder"), ("tiny", "generator")]);

    let bench = json(models, &["bench", "--json"]);
    assert_eq!(bench["failed"], serde_json::json!([]), "{bench}");
    assert_eq!(bench["measured"].as_array().unwrap().len(), 3);
    for model in bench["measured"].as_array().unwrap() {
        let speed = model["tokens_per_s"].as_f64().or(model["passages_per_s"].as_f64());
        assert!(speed.is_some_and(|speed| speed > 0.0), "{model}");
        assert!(model["memory_bytes"].as_u64().unwrap() > 0 && model["load_ms"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(bench["embedder"]["id"], "mine");
    // The largest of the two that answer in time.
    assert_eq!(bench["generator"]["id"], "llama_tied");

    let to = out.path().to_str().unwrap();
    let exported = json(models, &["export", "tiny", to]);
    let path = exported["files"][0].as_str().unwrap();
    assert!(path.ends_with("model.gguf"), "{path}");
    assert_eq!(std::fs::read(path).unwrap(), std::fs::read(fixture("llama_gguf/model.gguf")).unwrap());
    json(models, &["remove", "tiny"]);
    let gone = footnote(models, &["verify", "tiny"]);
    assert!(!gone.status.success());
    let refused = footnote(models, &["import", &fixture("llama_tied/config.json")]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot be taken in"));
}

#[test]
fn a_mirror_is_asked_instead_of_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Write};
        let mut paths = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            paths.push(line.split(' ').nth(1).unwrap().to_owned());
            let nothing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(nothing).unwrap();
        }
        paths
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_footnote"));
    let models = folder.path().to_str().unwrap();
    let args = ["--quiet", "--models", models, "--mirror", &url, "models", "fetch", "owner/name"];
    let output = command.args(args).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains(&url));
    assert_eq!(
        asked.join().unwrap(),
        ["/api/models/owner/name", "/api/models/owner/name/tree/main?recursive=true"]
    );
}
