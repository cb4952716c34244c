//! Models of the hub that are in no catalog, against a small server that answers as the hub does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use models::{Cancel, Error, FileState, Store};
use platform::block_on;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

type Pages = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A hub with these pages, by path and query.
fn hub(pages: &Pages) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let pages = Arc::clone(pages);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            lines.find(String::is_empty);
            let path = first.split(' ').nth(1).unwrap_or_default();
            let found = pages.lock().unwrap().get(path).cloned();
            let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
            let body = found.unwrap_or_default();
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            // A client that went away early is part of the test.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    url
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A repository with a model, listed as the hub lists it.
fn pages(repo: &str) -> Pages {
    let weights = vec![5; 100_000];
    let files: [(&str, &[u8]); 5] = [
        ("README.md", b"a card"),
        ("config.json", b"{\"a\": 1}"),
        ("1_Pooling/config.json", b"{\"b\": 2}"),
        ("tokenizer.json", b"{\"c\": 3}"),
        ("model.safetensors", &weights),
    ];
    let listed: Vec<String> = files
        .iter()
        .map(|(path, bytes)| {
            let n = bytes.len();
            let lfs = format!(r#", "lfs": {{"oid": "{}", "size": {n}, "pointerSize": 135}}"#, sha256(bytes));
            let lfs = if path.ends_with("safetensors") { lfs } else { String::new() };
            format!(r#"{{"type": "file", "oid": "0123", "size": {n}, "path": "{path}"{lfs}}}"#)
        })
        .collect();
    let list = format!(
        r#"[{{"type": "directory", "oid": "4567", "size": 0, "path": "1_Pooling"}}, {}]"#,
        listed.join(",")
    );
    let mut pages = BTreeMap::new();
    pages.insert(format!("/api/models/{repo}/tree/main?recursive=true"), list.into_bytes());
    for (path, bytes) in files {
        pages.insert(format!("/{repo}/resolve/main/{path}"), bytes.to_vec());
    }
    Arc::new(Mutex::new(pages))
}

#[test]
fn a_model_of_the_hub_is_pinned_at_its_first_fetch() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let repo = "BAAI/bge-small-en-v1.5";
        let pages = pages(repo);
        let url = hub(&pages);
        let store = Store::open(folder.path().to_str().unwrap(), None, None).with_hub(Some(&url));
        let missing = store.find("bge-small-en-v1.5").await;
        assert!(matches!(missing, Err(Error::Missing { .. })), "{missing:?}");

        let fetched = store.fetch("bge-small-en-v1.5", &mut |_| {}, &Cancel::new()).await.unwrap();
        assert_eq!(fetched.read("pooling.json").await.unwrap(), b"{\"b\": 2}");
        assert!(!fetched.has("README.md"));
        for name in ["bge-small-en-v1.5", "BGE-small-EN-v1.5", repo] {
            assert_eq!(store.find(name).await.unwrap(), fetched, "{name}");
        }

        // A hub that tells its commits is read at one of them.
        let commit = "0a1b2c";
        let of_main = pages.lock().unwrap().clone();
        let renamed = of_main.iter().map(|(path, page)| (path.replace("/main", "/0a1b2c"), page.clone()));
        let mut renamed: BTreeMap<_, _> = renamed.collect();
        renamed.insert(format!("/api/models/{repo}"), format!(r#"{{"sha": "{commit}"}}"#).into_bytes());
        let other = tempfile::tempdir().unwrap();
        let of_commit = Store::open(other.path().to_str().unwrap(), None, None)
            .with_hub(Some(&hub(&Arc::new(Mutex::new(renamed)))));
        of_commit.fetch(repo, &mut |_| {}, &Cancel::new()).await.unwrap();
        let kept = std::fs::read_to_string(other.path().join("bge-small-en-v1.5/pinned.json")).unwrap();
        assert!(kept.contains(commit), "{kept}");

        // From now on it is what it was, whatever the hub says.
        let moved = format!("/{repo}/resolve/main/model.safetensors");
        pages.lock().unwrap().insert(moved, vec![6; 100_000]);
        std::fs::write(folder.path().join("bge-small-en-v1.5/model.safetensors"), vec![6; 100_000]).unwrap();
        let checks = store.verify("bge-small-en-v1.5").await.unwrap();
        let damaged = checks.iter().filter(|c| c.state != FileState::Whole).map(|c| c.name.as_str());
        assert_eq!(damaged.collect::<Vec<_>>(), ["model.safetensors"]);
        let error = store.fetch("bge-small-en-v1.5", &mut |_| {}, &Cancel::new()).await.unwrap_err();
        assert!(error.to_string().contains("SHA-256"), "{error}");
    });
}

#[test]
fn any_repository_can_be_named_and_what_it_lacks_is_told() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let pages = pages("some_one/my-model.v2");
        let url = hub(&pages);
        let store = Store::open(folder.path().to_str().unwrap(), None, None).with_hub(Some(&url));
        let fetched = store.fetch("some_one/my-model.v2", &mut |_| {}, &Cancel::new()).await.unwrap();
        assert_eq!(
            (fetched.id(), store.find("some_one/my-model.v2").await.unwrap() == fetched),
            ("my-model.v2", true)
        );

        let list = "/api/models/a/pickled/tree/main?recursive=true";
        let json = r#"[{"type": "file", "size": 2, "path": "config.json"}, {"type": "file", "size": 9, "path": "pytorch_model.bin"}]"#;
        pages.lock().unwrap().insert(list.into(), json.into());
        for (name, expect) in
            [("a/pickled", "it has no model.safetensors and no GGUF file"), ("a/none", "404")]
        {
            let error = store.fetch(name, &mut |_| {}, &Cancel::new()).await.unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
        for name in ["../up", "a/b/c", "a/..", "nothing"] {
            let error = store.fetch(name, &mut |_| {}, &Cancel::new()).await.unwrap_err();
            assert!(matches!(error, Error::UnknownModel { .. }), "{name}: {error}");
        }
    });
}

#[test]
fn of_a_repository_with_gguf_files_one_is_taken() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let weights = vec![3; 5000];
        let file = |path: &str| {
            format!(
                r#"{{"type": "file", "size": 5000, "path": "{path}", "lfs": {{"oid": "{}", "size": 5000}}}}"#,
                sha256(&weights)
            )
        };
        let names =
            ["M-F16.gguf", "M-Q2_K.gguf", "M-Q4_0.gguf", "M-Q8_0.gguf", "M-Q4_K_M-00001-of-00002.gguf"];
        let list = format!("[{}]", names.map(file).join(","));
        let pages = BTreeMap::from([
            ("/api/models/a/M-GGUF/tree/main?recursive=true".to_owned(), list.into_bytes()),
            ("/a/M-GGUF/resolve/main/M-Q4_0.gguf".to_owned(), weights.clone()),
        ]);
        let url = hub(&Arc::new(Mutex::new(pages)));
        let store = Store::open(folder.path().to_str().unwrap(), None, None).with_hub(Some(&url));
        let fetched = store.fetch("a/M-GGUF", &mut |_| {}, &Cancel::new()).await.unwrap();
        assert_eq!(fetched.read("model.gguf").await.unwrap(), weights);
        assert_eq!(store.find("a/M-GGUF").await.unwrap(), fetched);
    });
}

#[test]
fn a_folder_is_used_as_it_is() {
    block_on(async {
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(own.path().to_str().unwrap(), None, None).with_hub(None);
        for folder in [other.path().join("mine"), own.path().join("e5-small-v2")] {
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("config.json"), "{}").unwrap();
        }
        let path = other.path().join("mine").display().to_string();
        assert_eq!(store.find(&format!("{path}/")).await.unwrap().id(), "mine");
        assert_eq!(store.find("e5-small-v2").await.unwrap().id(), "e5-small-v2");
        assert!(store.find("e5-base-v2").await.is_err());
    });
}
