//! A server for pages that run other makers' scripts: folders under names, and the headers that isolate
//! a page so that it may use threads. The product's own server forbids what these scripts do.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use crate::Outcome;

/// Longer requests are no browser's.
const MAX_HEAD_LINES: usize = 100;

/// Serves each folder under its name, for as long as the process lives; gives the port.
pub(super) fn serve(folders: Vec<(&'static str, PathBuf)>) -> Outcome<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folders = folders.clone();
            std::thread::spawn(move || {
                if let Err(error) = answer(&stream, &folders) {
                    eprintln!("bench: a request was not answered: {error}");
                }
            });
        }
    });
    Ok(port)
}

/// Answers one request and closes the connection.
fn answer(stream: &TcpStream, folders: &[(&'static str, PathBuf)]) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines.by_ref().take(MAX_HEAD_LINES) {
        if line?.is_empty() {
            break;
        }
    }
    let url = first.split(' ').nth(1).unwrap_or_default();
    let (mut stream, path) = (stream, url.split('?').next().unwrap_or_default());
    let isolation = "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Embedder-Policy: require-corp\r\n\
                     Cross-Origin-Resource-Policy: same-origin\r\nConnection: close\r\n";
    let Some(mut file) = find(path, folders).and_then(|path| File::open(path).ok()) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\n{isolation}Content-Length: 0\r\n\r\n");
    };
    let n_bytes = file.metadata()?.len();
    let kind = media_type(path);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\n{isolation}Content-Type: {kind}\r\nContent-Length: {n_bytes}\r\n\r\n"
    )?;
    match io::copy(&mut file, &mut stream) {
        // A browser may leave before the end.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}

/// The file behind `/NAME/REST`, if it is one and lies in the folder.
fn find(path: &str, folders: &[(&'static str, PathBuf)]) -> Option<PathBuf> {
    let (name, rest) = path.strip_prefix('/')?.split_once('/')?;
    let (_, folder) = folders.iter().find(|(wanted, _)| *wanted == name)?;
    let is_inside = rest.split('/').all(|part| !part.is_empty() && part != ".." && !part.contains('\\'));
    Some(folder.join(rest)).filter(|path| is_inside && path.is_file())
}

fn media_type(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folders_are_found() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("a.js"), "1").expect("it can be written");
        let folders = [("page", folder.path().join("")), ("inner", folder.path().join("inner"))];
        assert!(find("/page/a.js", &folders).is_some());
        for path in ["/page/b.js", "/inner/../a.js", "/page//a.js", "/page/", "/other/a.js", "page/a.js", ""]
        {
            assert_eq!(find(path, &folders), None, "{path}");
        }
    }
}
