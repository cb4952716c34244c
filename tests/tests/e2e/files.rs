//! Files that tests make.

use std::path::{Path, PathBuf};

use browser::target_folder;

/// A file below the build folder.
pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a file lies in a folder"))
        .expect("the build folder can be written");
    std::fs::write(&path, bytes).expect("the build folder can be written");
    path
}

/// A text of so many sentences, which shares few words with that of another number. Some fifteen sentences
/// are a passage.
pub fn log_book(number: u32, n_sentences: u32) -> PathBuf {
    let sentence = |i: u32| {
        let n = number * 10_000 + i;
        format!("Entry {n} counts {} boats and {} gulls. ", n * 7, n * 11)
    };
    let text: String = (0..n_sentences).map(sentence).collect();
    write(&target_folder().join("e2e-files"), &format!("log-{number}.txt"), text.as_bytes())
}

/// Writes a file and removes its compressed neighbours, which hold the old text.
pub fn rewrite(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("the build folder can be written");
    for extension in ["br", "gz"] {
        // Gone already after the first change.
        let _ = std::fs::remove_file(folder.join(format!("{name}.{extension}")));
    }
}

/// Copies a folder with all it holds.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the build folder can be written");
    for entry in std::fs::read_dir(from).expect("the app is built") {
        let path: PathBuf = entry.expect("the app can be listed").path();
        let copy = to.join(path.file_name().expect("an entry has a name"));
        match path.is_dir() {
            true => copy_folder(&path, &copy),
            false => drop(std::fs::copy(&path, copy).expect("a file can be copied")),
        }
    }
}
