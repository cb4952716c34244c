//! Which files of a folder are worth reading.

/// Files of one folder. Beyond this the list of what becomes of them could not be looked through any more.
pub const MAX_FOLDER_FILES: usize = 10_000;

/// Endings of files without text. Everything else is tried: its content decides.
const WITHOUT_TEXT: [&str; 50] = [
    "jpg",
    "jpeg",
    "png",
    "gif",
    "webp",
    "bmp",
    "tif",
    "tiff",
    "heic",
    "avif",
    "ico",
    "psd",
    "raw",
    "mp3",
    "m4a",
    "wav",
    "flac",
    "ogg",
    "opus",
    "mp4",
    "m4v",
    "mov",
    "avi",
    "mkv",
    "webm",
    "woff",
    "woff2",
    "ttf",
    "otf",
    "exe",
    "dll",
    "so",
    "dylib",
    "bin",
    "o",
    "a",
    "lib",
    "class",
    "pyc",
    "wasm",
    "iso",
    "dmg",
    "msi",
    "db",
    "sqlite",
    "safetensors",
    "gguf",
    "onnx",
    "pack",
    "footnote",
];
/// Folders that hold no documents of the user's own.
const NOT_OWN: [&str; 3] = ["node_modules", "__MACOSX", "__pycache__"];

/// Whether a file of a folder is worth reading: not hidden, and of a kind that may have text.
///
/// ```
/// assert!(ui::is_readable("plans/2024.05/LICENSE"));
/// assert!(!ui::is_readable(".git/config"));
/// ```
pub fn is_readable(path: &str) -> bool {
    let is_own = |name: &str| !name.starts_with('.') && !NOT_OWN.contains(&name);
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let has_text = extension.is_none_or(|extension| !WITHOUT_TEXT.contains(&extension.as_str()));
    path.split('/').all(is_own) && has_text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_pictures_are_passed_over() {
        for path in ["a.md", "LICENSE", "2024.a/plan", "archive.zip", "a.b.PDF", "x.so.md"] {
            assert!(is_readable(path), "{path}");
        }
        for path in [".git/config", ".DS_Store", "photo.JPG", "app/node_modules/x/readme.md", "a/b.png"] {
            assert!(!is_readable(path), "{path}");
        }
    }
}
