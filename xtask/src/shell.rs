//! Which files the service worker keeps so that the app starts without a network, and their hashes,
//! so that it never keeps files of two versions.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Outcome;

const SERVICE_WORKER: &str = "service-worker.js";
const VERSION_FILE: &str = "version.js";
/// What the list and the version take the place of, in the sources.
const EMPTY_LIST: &str = "const FILES = {};";
const EMPTY_VERSION: &str = "const VERSION = \"\";";

/// Writes names and hashes of `files` into the service worker of `dist`, and the version that they
/// make, there and for the page.
pub fn list_files(dist: &Path, files: &BTreeSet<PathBuf>) -> Outcome {
    let mut list = String::from("const FILES = {\n");
    let is_source =
        |name: &&PathBuf| **name != Path::new(SERVICE_WORKER) && **name != Path::new(VERSION_FILE);
    for name in files.iter().filter(is_source) {
        // Addresses have slashes on every system.
        let address = name.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
        writeln!(list, "  {address:?}: \"{}\",", integrity(&dist.join(name))?)?;
    }
    let version =
        Sha256::digest(&list).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let version = format!("const VERSION = \"{version}\";");
    fill(&dist.join(VERSION_FILE), &[(EMPTY_VERSION, &version)])?;
    writeln!(list, "  {VERSION_FILE:?}: \"{}\",", integrity(&dist.join(VERSION_FILE))?)?;
    list.push_str("};");
    fill(&dist.join(SERVICE_WORKER), &[(EMPTY_LIST, &list), (EMPTY_VERSION, &version)])
}

fn fill(path: &Path, places: &[(&str, &str)]) -> Outcome {
    let mut text = fs::read_to_string(path)?;
    for (empty, full) in places {
        if !text.contains(empty) {
            return Err(format!("{} has no line `{empty}`", path.display()).into());
        }
        text = text.replacen(empty, full, 1);
    }
    Ok(fs::write(path, text)?)
}

/// What a browser compares a file with.
fn integrity(path: &Path) -> Outcome<String> {
    Ok(format!("sha256-{}", base64(&Sha256::digest(fs::read(path)?))))
}

/// Standard base64, as integrity metadata wants it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0u32, |bits, (i, &b)| bits | u32::from(b) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= group.len() { digit as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("\u{fb}\u{ff}", "w7vDvw=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text, "{bytes}");
        }
    }

    #[test]
    fn the_list_names_every_file_and_its_hash() {
        let dist = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dist.path().join(name), text).unwrap();
        let read = |name: &str| fs::read_to_string(dist.path().join(name)).unwrap();
        fs::create_dir(dist.path().join("snippets")).unwrap();
        let names = ["index.html", "snippets/a.js", SERVICE_WORKER, VERSION_FILE].map(PathBuf::from).into();
        let sources = |text: &str| {
            write("index.html", text);
            write("snippets/a.js", "abc");
            write(SERVICE_WORKER, &format!("// kept\n{EMPTY_LIST}\n{EMPTY_VERSION}\n"));
            write(VERSION_FILE, &format!("export {EMPTY_VERSION}\n"));
        };
        sources("abc");
        list_files(dist.path(), &names).unwrap();
        let filled = read(SERVICE_WORKER);
        // The hash of "abc", from FIPS 180.
        let hash = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        let list = format!(
            "const FILES = {{\n  \"index.html\": \"{hash}\",\n  \"snippets/a.js\": \"{hash}\",\n  \"version.js\": "
        );
        assert!(filled.starts_with(&format!("// kept\n{list}")), "{filled}");
        let version = read(VERSION_FILE);
        assert!(filled.contains(version.trim_start_matches("export ").trim()), "{version}");
        assert!(list_files(dist.path(), &names).is_err(), "it is filled already");
        sources("abcd");
        list_files(dist.path(), &names).unwrap();
        assert_ne!(read(VERSION_FILE), version, "other files are another version");
    }
}
