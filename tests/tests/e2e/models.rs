//! Models on the page: what is offered, downloaded, taken in by dropping, used, saved and deleted.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use browser::{Browser, Site, target_folder, workspace};
use serde_json::json;

const USUAL: &str = "smollm2-135m-instruct-q4_1";
/// One that the hub has.
const OTHER: &str = "SmolLM2-360M-Instruct-GGUF";

fn tiny(name: &str) -> PathBuf {
    workspace().join("fixtures/tiny").join(name)
}

/// The button of a model's row.
fn button(label: &str, model: &str) -> String {
    format!("#models [aria-label='{label}: {model}']")
}

/// A condition: the row of a model says this.
fn says(model: &str, what: &str) -> String {
    format!(
        "[...document.querySelectorAll('#models .model')].some((row) =>
           row.querySelector('.name').textContent === '{model}' && row.textContent.includes('{what}'))"
    )
}

fn delete(browser: &mut Browser, model: &str) {
    browser.click(&button("Delete", model));
    browser.click("#models .danger");
}

#[test]
fn a_dropped_model_is_used_and_deleted_and_quotes_go_on() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu");
    browser.click("#show-models");
    for what in ["in use", "98 MB", "of memory", "tokens/s", "Apache-2.0"] {
        browser.wait_for(&format!("the usual one says {what}"), &says(USUAL, what), 60);
    }
    // The others say their size before anything is fetched.
    browser.wait_for("others are offered", &says(OTHER, "386 MB"), 5);
    browser.wait_for("they are not here", &says(OTHER, "not downloaded"), 5);

    browser.drop_files("#drop", &[tiny("llama_gguf/model.gguf")]);
    browser.wait_for("the dropped one is here", &says("model", "here"), 60);
    browser.choose_files("#folder", &[tiny("llama_tied")]);
    browser.wait_for("the folder is a model", &says("llama_tied", "here"), 60);
    assert!(browser.texts("#documents .name").is_empty(), "a model is no document");
    browser.click(&button("Use", "model"));
    browser.wait_for("it is used", &says("model", "in use"), 60);
    browser.wait_for("the other one is not", &says(USUAL, "here"), 5);

    // The choice is kept.
    browser.reload();
    browser.wait_for_engine(120);
    browser.click("#show-models");
    browser.wait_for("it is still used", &says("model", "in use"), 60);
    let folder = target_folder().join(format!("saved-model-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    browser.download_to(&folder);
    browser.click(&button("Save", "model"));
    let saved = browser.wait_for_download(&folder, 60);
    assert_eq!(saved.file_name().and_then(|name| name.to_str()), Some("model.gguf"));
    let read = |path| std::fs::read(path).expect("a file can be read");
    assert!(read(saved) == read(tiny("llama_gguf/model.gguf")), "the saved file is another one");
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");

    delete(&mut browser, "model");
    browser.wait_for("it is gone", &format!("!({})", says("model", "")), 60);
    delete(&mut browser, USUAL);
    browser.wait_for("the usual one is not here", &says(USUAL, "not downloaded"), 60);
    // Without any generator answers are quotes, also in the next visit, which fetches none.
    browser.reload();
    browser.wait_for_engine(120);
    browser.drop_files("#drop", &[browser::document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    browser.ask("How high is the tower of the lighthouse?", 120);
    assert!(browser.texts(".exchange .quote .words").concat().contains("41.5"));
    browser.click("#show-models");
    browser.wait_for("it is still not here", &says(USUAL, "not downloaded"), 60);
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn a_download_is_shown_cancelled_and_taken_up_again() {
    let hub = Hub::start();
    let mirror = format!("http://127.0.0.1:{}", hub.port);
    let site = Site::with_mirror(&mirror);
    let mut browser = Browser::plain();
    // The page does not wait for its generator, which comes beside everything else.
    site.load(&mut browser, &format!("?tier=cpu&generator={OTHER}&mirror={mirror}"));
    let half = "document.querySelector('.model-work')?.textContent.includes('61 kB of 122 kB')";
    browser.wait_for("half of it is here", half, 120);
    browser.drop_files("#drop", &[browser::document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    browser.ask("How high is the tower of the lighthouse?", 60);
    assert!(browser.texts(".exchange .quote .words").concat().contains("41.5"));
    assert!(browser.text("#state").contains("is on its way"), "{}", browser.text("#state"));
    // A part of a model is refused, with what is missing, and so is one that writes nothing.
    browser.choose_files("#folder", &[tiny("distilbert")]);
    let told = "document.querySelector('#problem')?.textContent.includes('writes no texts')";
    browser.wait_for("what it is is told", told, 60);
    browser.drop_files("#drop", &[tiny("llama_tied/model.safetensors")]);
    let told = "document.querySelector('#problem')?.textContent.includes('config.json')";
    browser.wait_for("what is missing is told", told, 60);

    browser.click("#show-models");
    browser.click(".model-work .link");
    browser.wait_for("it is cancelled", "document.querySelector('.model-work') === null", 60);
    browser.wait_for("what came is kept", &says(OTHER, "61 kB downloaded"), 60);
    assert_eq!(hub.n_files.load(Ordering::SeqCst), 1);
    // Whoever has none and fetches one wants to use it.
    browser.click(&button("Go on", OTHER));
    browser.wait_for("it is used", &says(OTHER, "in use"), 60);
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

/// A hub with one small model. Of its file it gives half at first, and then nothing more; the next who asks
/// gets what he asks for.
struct Hub {
    port: u16,
    /// How often the file was asked for.
    n_files: std::sync::Arc<AtomicUsize>,
}

impl Hub {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port can be had");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let n_files = std::sync::Arc::new(AtomicUsize::new(0));
        let n_asked = n_files.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let n_asked = n_asked.clone();
                // A client that went away is none of the hub's business.
                std::thread::spawn(move || answer(stream, &n_asked).ok());
            }
        });
        Self { port, n_files }
    }
}

fn answer(mut stream: TcpStream, n_asked: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut line) = (Vec::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        head.push(std::mem::take(&mut line).trim_end().to_owned());
    }
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let range = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let range = name.eq_ignore_ascii_case("range").then(|| value.strip_prefix("bytes="))??;
        range.split_once('-')?.0.parse::<usize>().ok()
    });
    let file = std::fs::read(tiny("llama_gguf/model.gguf"))?;
    let n_bytes = file.len();
    let tell = "Connection: close\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *\r\n\
                Access-Control-Expose-Headers: *\r\n";
    let mut send = |status: &str, more: &str, body: &[u8], n_sent: usize| -> std::io::Result<()> {
        write!(stream, "HTTP/1.1 {status}\r\n{tell}{more}Content-Length: {}\r\n\r\n", body.len())?;
        stream.write_all(&body[..n_sent])?;
        stream.flush()
    };
    if head.first().is_some_and(|line| line.starts_with("OPTIONS")) {
        return send("200 OK", "", b"", 0);
    }
    if !path.contains("/resolve/") {
        let sha256 = assistant::sha256(&file).map(|byte| format!("{byte:02x}")).concat();
        let list = json!([{"path": "tiny.q4_k_m.gguf", "size": n_bytes, "lfs": {"oid": sha256}}]);
        let about = json!({"sha": "c0ffee"});
        let body = if path.contains("/tree/") { list } else { about }.to_string();
        return send("200 OK", "", body.as_bytes(), body.len());
    }
    if n_asked.fetch_add(1, Ordering::SeqCst) == 0 {
        send("200 OK", "Accept-Ranges: bytes\r\n", &file, n_bytes / 2)?;
        // Until the client has had enough.
        return std::io::copy(&mut reader, &mut std::io::sink()).map(drop);
    }
    let start = range.unwrap_or(0);
    let more = format!("Accept-Ranges: bytes\r\nContent-Range: bytes {start}-{}/{n_bytes}\r\n", n_bytes - 1);
    let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
    send(status, &more, &file[start..], n_bytes - start)
}
