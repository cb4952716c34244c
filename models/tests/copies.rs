//! Import, export and removal.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use models::{Cancel, Catalog, CopyProgress, Error, FileEntry, FileState, ModelEntry, ModelKind, Store};
use platform::{File, OpenMode, block_on};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

fn weights() -> Vec<u8> {
    (0..3_000_000_u32).map(|i| (i % 251) as u8).collect()
}

fn store(folder: &Path) -> Store {
    let sha256 = Sha256::digest(weights()).iter().map(|b| format!("{b:02x}")).collect();
    let file =
        FileEntry { name: "model.gguf".into(), hub_path: "Known.Q4.gguf".into(), n_bytes: 3_000_000, sha256 };
    let known = ModelEntry {
        id: "known".into(),
        kind: ModelKind::Generator,
        files: vec![file],
        hub_repo: "owner/known".into(),
        revision: "main".into(),
        python_package: None,
        licence: "MIT".into(),
    };
    Store::open(folder.to_str().unwrap(), None, None)
        .with_catalog(Catalog::from_entries(vec![known]))
        .with_hub(None)
}

fn files(folder: &Path, contents: &[(&str, &[u8])]) -> Vec<File> {
    contents
        .iter()
        .map(|(name, bytes)| {
            let path = folder.join(name);
            fs::write(&path, bytes).unwrap();
            block_on(File::open(path.to_str().unwrap(), OpenMode::Read)).unwrap()
        })
        .collect()
}

fn import(store: &Store, name: Option<&str>, files: &[File]) -> models::Result<String> {
    block_on(store.import(name, files, &mut |_| {}, &Cancel::new()))
}

const LLAMA: &[u8] = br#"{"model_type": "llama"}"#;

#[test]
fn a_gguf_file_becomes_a_model_of_its_own_name() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(dir.path());
    let given = files(from.path(), &[("My model.Q8_0.gguf", &[9; 100])]);
    let mut told = Vec::<CopyProgress>::new();
    let id = block_on(store.import(None, &given, &mut |p| told.push(p), &Cancel::new())).unwrap();
    assert_eq!(id, "My-model.Q8_0");
    assert_eq!((told.last().unwrap().done_bytes, told.last().unwrap().total_bytes), (100, 100));
    let opened = block_on(store.open_model(&id)).unwrap();
    assert_eq!(block_on(opened.read("model.gguf")).unwrap(), [9; 100]);
    assert_eq!(block_on(store.find(&id)).unwrap(), opened);
    assert_eq!(block_on(store.imported()).unwrap()[0].kind, ModelKind::Generator);
    assert!(!dir.path().join(&id).join("incoming").exists());

    fs::write(dir.path().join(&id).join("model.gguf"), [8; 100]).unwrap();
    assert!(matches!(block_on(store.verify(&id)).unwrap()[0].state, FileState::Damaged { .. }));
    // Once more, over the damaged one.
    assert_eq!(import(&store, Some(&id), &given).unwrap(), id);
    assert_eq!(block_on(store.verify(&id)).unwrap()[0].state, FileState::Whole);
}

#[test]
fn files_of_a_known_model_are_that_model() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(dir.path());
    let given = files(from.path(), &[("whatever.gguf", &weights())]);
    assert_eq!(import(&store, Some("mine"), &given).unwrap(), "known");
    assert_eq!(block_on(store.verify("known")).unwrap()[0].state, FileState::Whole);
    assert!(!dir.path().join("mine").exists(), "nothing else is left");

    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("deep").to_str().unwrap().to_owned();
    let paths = block_on(store.export("known", &to, &mut |_| {}, &Cancel::new())).unwrap();
    assert_eq!(paths, [format!("{to}/Known.Q4.gguf")]);
    assert!(fs::read(&paths[0]).unwrap() == weights());

    let n_bytes = block_on(store.remove("known")).unwrap();
    assert_eq!(n_bytes, 3_000_000);
    assert!(matches!(block_on(store.open_model("known")), Err(Error::Missing { .. })));
    assert!(matches!(block_on(store.remove("known")), Err(Error::Missing { .. })));
    assert!(matches!(block_on(store.remove("unheard-of")), Err(Error::UnknownModel { .. })));
}

#[test]
fn a_damaged_model_is_not_exported() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(dir.path());
    import(&store, None, &files(from.path(), &[("known.gguf", &weights())])).unwrap();
    let mut bytes = weights();
    bytes[1] ^= 1;
    fs::write(dir.path().join("known/model.gguf"), bytes).unwrap();
    let out = tempfile::tempdir().unwrap();
    let to = out.path().to_str().unwrap();
    let error = block_on(store.export("known", to, &mut |_| {}, &Cancel::new())).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_of_files_is_a_model_when_nothing_is_missing() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(dir.path());
    let all: [(&str, &[u8]); 3] =
        [("config.json", LLAMA), ("tokenizer.json", b"{}"), ("model.safetensors", &[1; 5000])];
    for (n, missing) in [(0, "config.json"), (1, "tokenizer.json"), (2, "safetensors")] {
        let some: Vec<_> = (0..3).filter(|i| *i != n).map(|i| all[i]).collect();
        let error = import(&store, Some("mine"), &files(from.path(), &some)).unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "a refusal writes nothing");
    assert_eq!(import(&store, Some("mine"), &files(from.path(), &all)).unwrap(), "mine");
    assert!(block_on(store.open_model("mine")).unwrap().has("tokenizer.json"));
    for name in ["../mine", "", "a/b", "known"] {
        let error = import(&store, Some(name), &files(from.path(), &all)).unwrap_err();
        assert!(matches!(error, Error::NotImported { .. }), "{name}: {error}");
    }
    let error = import(&store, None, &[]).unwrap_err();
    assert!(matches!(error, Error::NotImported { .. }), "{error}");
}

#[test]
fn an_import_that_is_stopped_leaves_nothing_and_harms_nothing() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(dir.path());
    let id = import(&store, Some("mine"), &files(from.path(), &[("a.gguf", &[1; 100])])).unwrap();
    let before = block_on(store.open_model(&id)).unwrap();
    let given = files(from.path(), &[("b.gguf", &weights())]);
    for name in ["mine", "new"] {
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let error = block_on(store.import(Some(name), &given, &mut |_| stop.cancel(), &cancel)).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    }
    assert_eq!(block_on(store.open_model(&id)).unwrap(), before);
    assert!(!dir.path().join("new").exists());
    assert!(!dir.path().join("mine/incoming").exists());
}

#[test]
fn what_a_cut_import_or_download_left_is_found() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(dir.path());
    block_on(store.tidy()).unwrap();
    import(&store, Some("mine"), &files(from.path(), &[("a.gguf", &[1; 100])])).unwrap();
    for left in ["mine/incoming", "new/incoming"] {
        fs::create_dir_all(dir.path().join(left)).unwrap();
        fs::write(dir.path().join(left).join("model.gguf"), [2; 50]).unwrap();
    }
    block_on(store.tidy()).unwrap();
    assert!(!dir.path().join("new").exists() && !dir.path().join("mine/incoming").exists());
    assert!(block_on(store.open_model("mine")).is_ok());
    assert_eq!(block_on(store.begun_bytes("mine")), 100);
    for id in ["known", "nobody", "owner/nothing"] {
        assert_eq!(block_on(store.begun_bytes(id)), 0, "{id}");
    }
}
