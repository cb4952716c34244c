//! An assistant on models of some hundred kilobytes with random weights: they rank and write nonsense,
//! but in the same way and with the same memory as real ones.

use std::path::Path;

use assistant::{Options, Place, SourceFile};
use models::{Catalog, FileEntry, ModelEntry, ModelKind, Store};
use runtime::TierChoice;

/// Options for the tiny models, which are put into `folder`.
pub fn tiny_options(folder: &Path, tier: TierChoice, generator: bool) -> Options {
    let builtin = Catalog::builtin();
    let embedder = install(folder, builtin.default_embedder(), "bert");
    let writer = install(folder, builtin.default_generator(), "llama_untied");
    // A prompt with passages needs more positions than the checkpoint was made with; rotary ones go on.
    let config = folder.join(&writer.id).join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let longer = text.replace("\"max_position_embeddings\": 64", "\"max_position_embeddings\": 2048");
    assert_ne!(text, longer, "the checkpoint's configuration has another form");
    std::fs::write(&config, longer).unwrap();
    let entries = vec![sized(folder, embedder), sized(folder, writer)];
    let store = Store::open(&folder.display().to_string(), None, None)
        .with_catalog(Catalog::from_entries(entries))
        .with_hub(None);
    Options { tier, generator, ..Options::new(Place::Memory, store) }
}

/// Copies a fixture under the id of `entry`.
fn install(folder: &Path, entry: &ModelEntry, fixture: &str) -> ModelEntry {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tiny").join(fixture);
    let target = folder.join(&entry.id);
    std::fs::create_dir_all(&target).unwrap();
    let mut files = Vec::new();
    for file in std::fs::read_dir(source).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        std::fs::copy(file.path(), target.join(&name)).unwrap();
        files.push(FileEntry { hub_path: name.clone(), name, n_bytes: 0, sha256: "0".repeat(64) });
    }
    let is_embedder = entry.kind == ModelKind::Embedder;
    let kind = if is_embedder { ModelKind::Embedder } else { ModelKind::Generator };
    ModelEntry { files, kind, python_package: None, ..entry.clone() }
}

/// With the sizes that its files have now.
fn sized(folder: &Path, mut entry: ModelEntry) -> ModelEntry {
    for file in &mut entry.files {
        file.n_bytes = folder.join(&entry.id).join(&file.name).metadata().unwrap().len();
    }
    entry
}

/// A text of `n_paragraphs` on a subject.
pub fn document(name: &str, subject: &str, n_paragraphs: usize) -> SourceFile {
    let paragraph =
        |i| format!("The {subject} number {i} is in the garden. Nobody has seen {subject} {i} before.\n\n");
    let text: String = (0..n_paragraphs).map(paragraph).collect();
    SourceFile { name: name.into(), mime: None, bytes: text.into_bytes() }
}
