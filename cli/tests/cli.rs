//! The program as a user runs it: what it prints, and with which exit code it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

const TEA: &str = "# Tea\n\nGreen tea steeps at 80 degrees for two minutes. Black tea wants boiling water \
    and four minutes.\n\n## History\n\nThe first tea house of Lisbon was opened by Ana Duarte in 1871.\n";
const BEES: &str = "# Bees\n\nA worker bee lives for about six weeks in summer. The queen may live for \
    five years and lays up to 2,000 eggs a day.\n";

fn footnote(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footnote"));
    command.args(["--quiet", "--tier", "cpu"]).args(args).output().expect("the program starts")
}

/// Runs the program and reads its standard output as JSON.
fn json(args: &[&str]) -> Value {
    let output = footnote(args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {told}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {told}"))
}

/// The models come the way a user gets them; without any source the tests fail with that reason.
fn fetch_models() {
    static FETCHED: OnceLock<()> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let verified = json(&["models", "fetch"]);
        assert!(verified.as_array().unwrap().iter().all(|model| model["ok"] == true), "{verified}");
    });
}

struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

fn slice(text: &str, start: &Value, end: &Value) -> String {
    let (start, end) = (start.as_u64().unwrap() as usize, end.as_u64().unwrap() as usize);
    text.chars().skip(start).take(end - start).collect()
}

#[test]
fn indexes_searches_and_asks_one_knowledge_base() {
    fetch_models();
    let folder = Folder::new(&[
        ("docs/tea.md", TEA),
        ("docs/animals/bees.md", BEES),
        ("docs/empty.md", ""),
        ("docs/broken.pdf", "%PDF-1.7\nthis is no PDF"),
        ("docs/.hidden.md", "# Hidden\n\nNobody finds this."),
    ]);
    let (kb, docs) = (folder.path("kb.footnote"), folder.path("docs"));

    let report = json(&["index", "--kb", &kb, &docs]);
    assert_eq!(report["n_documents"], 2, "{report}");
    assert_eq!(report["added"].as_array().unwrap().len(), 2);
    let failed: Vec<&str> =
        report["failed"].as_array().unwrap().iter().map(|f| f["reason"].as_str().unwrap()).collect();
    assert_eq!(failed.len(), 2, "one bad file costs itself alone: {report}");
    assert!(failed.iter().any(|r| r.contains("empty.md")) && failed.iter().any(|r| r.contains("broken.pdf")));

    let again = json(&["index", "--kb", &kb, &docs]);
    assert_eq!(again["added"], json!([]));
    assert_eq!(again["unchanged"].as_array().unwrap().len(), 2);

    let found = json(&["search", "--kb", &kb, "how long does a queen live", "-k", "2", "--json"]);
    let hit = &found["hits"][0];
    assert!(hit["document"].as_str().unwrap().ends_with("animals/bees.md"), "{found}");
    assert_eq!(slice(BEES, &hit["start"], &hit["end"]), hit["text"].as_str().unwrap());

    let answer =
        json(&["ask", "--kb", &kb, "Who opened the first tea house of Lisbon?", "--json", "--no-llm"]);
    assert_eq!(answer["refused"], false, "{answer}");
    let quote = &answer["quotes"][0];
    assert!(quote["text"].as_str().unwrap().contains("Ana Duarte"), "{answer}");
    assert_eq!(slice(TEA, &quote["start"], &quote["end"]), quote["text"].as_str().unwrap());
    assert_eq!(quote["page"], Value::Null);
    assert!(answer["answer"].as_str().unwrap().contains("[1]"));
    assert_eq!(answer["citations"][0]["supported"], true);
    assert!(answer["timings_ms"]["total"].as_f64().unwrap() > 0.0);

    let refused =
        json(&["ask", "--kb", &kb, "Which spacecraft first landed on Titan?", "--json", "--no-llm"]);
    assert_eq!(refused["refused"], true, "{refused}");
    assert!(refused["answer"].as_str().unwrap().contains("do not contain"));
    assert_eq!(refused["citations"], json!([]));
}

#[test]
fn asks_files_directly_with_the_generator() {
    fetch_models();
    let folder = Folder::new(&[("tea.md", TEA)]);
    let answer =
        json(&["ask", &folder.path("tea.md"), "How hot should the water for green tea be?", "--json"]);
    assert_eq!(answer["problem"], Value::Null, "{answer}");
    assert!(
        answer["timings_ms"]["generate"].as_f64().is_some_and(|ms| ms > 0.0),
        "the generator ran: {answer}"
    );
    assert!(answer["quotes"][0]["text"].as_str().unwrap().contains("80 degrees"), "{answer}");
    for citation in answer["citations"].as_array().unwrap() {
        let n = citation["n"].as_u64().unwrap() as usize;
        assert_eq!(citation["text"], answer["quotes"][n - 1]["text"]);
    }
}

/// A small model with random weights that can hold a whole prompt, which its settings alone decide.
fn tiny_generator(folder: &Folder, family: &str) -> String {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tiny").join(family);
    fs::create_dir(folder.path(family)).unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        let Ok(mut bytes) = fs::read(from.join(name)) else { continue };
        if name == "config.json" {
            let mut config: Value = serde_json::from_slice(&bytes).unwrap();
            for field in ["max_position_embeddings", "n_positions"] {
                if !config[field].is_null() {
                    config[field] = json!(4096);
                }
            }
            bytes = config.to_string().into_bytes();
        }
        fs::write(folder.path(&format!("{family}/{name}")), bytes).unwrap();
    }
    folder.path(family)
}

/// One with a chat template, one without, whose answer goes on from a plain text, and one that is not there.
#[test]
fn asks_another_generator() {
    fetch_models();
    let folder = Folder::new(&[("tea.md", TEA)]);
    let ask = |generator: &str| {
        let question = "How hot should the water for green tea be?";
        let answer = json(&["--generator", generator, "ask", &folder.path("tea.md"), question, "--json"]);
        assert!(answer["quotes"][0]["text"].as_str().unwrap().contains("80 degrees"), "{answer}");
        answer
    };
    for family in ["llama_tied", "t5"] {
        let answer = ask(&tiny_generator(&folder, family));
        assert_eq!((&answer["problem"], &answer["generated"]), (&Value::Null, &json!(true)), "{answer}");
    }
    let answer = ask(&folder.path("nothing"));
    let problem = answer["problem"].as_str().unwrap_or_default();
    assert!(problem.contains("nothing") && answer["generated"] == false, "{answer}");
}

#[test]
fn a_damaged_knowledge_base_is_told_and_repaired() {
    fetch_models();
    let folder = Folder::new(&[("tea.md", TEA), ("bees.md", BEES), ("zeros", &"\0".repeat(1 << 20))]);
    let (kb, fresh) = (folder.path("kb.footnote"), folder.path("repaired.footnote"));
    json(&["index", "--kb", &kb, &folder.path("tea.md"), &folder.path("bees.md")]);
    assert_eq!(json(&["verify", "--kb", &kb, "--json"]), json!({"ok": true, "problems": []}));

    let mut bytes = fs::read(&kb).unwrap();
    bytes[..512].fill(0);
    fs::write(&kb, bytes).unwrap();
    let told = |args: &[&str]| {
        let output = footnote(args);
        assert!(!output.status.success());
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(told(&["search", "--kb", &kb, "tea"]).contains("repair"));
    assert!(told(&["verify", "--kb", &kb]).contains(&format!("footnote repair --kb {kb}")));
    let repaired = json(&["repair", "--kb", &kb, "--out", &fresh, "--json"]);
    // Without its header nobody can tell whether the file once had more.
    let losses = repaired["losses"].as_array().unwrap();
    assert!(
        repaired["n_documents"] == 2 && losses.iter().all(|loss| loss["document"].is_null()),
        "{repaired}"
    );
    let found = json(&["search", "--kb", &fresh, "how long does a queen live", "--json"]);
    assert!(found["hits"][0]["text"].as_str().unwrap().contains("five years"), "{found}");

    // Files that are something else are told so, and are left as they were.
    for (name, bytes) in [("tea.md", TEA.as_bytes()), ("zeros", &[0; 1 << 20])] {
        let (other, bees) = (folder.path(name), folder.path("bees.md"));
        for args in
            [&["index", "--kb", &other, &bees][..], &["repair", "--kb", &other, "--out", &folder.path("x")]]
        {
            let message = told(args);
            assert!(message.contains("no knowledge base"), "{message}");
        }
        assert!(fs::read(&other).unwrap() == bytes);
    }
}

#[test]
fn says_what_to_do_when_something_is_missing() {
    let folder = Folder::new(&[("kb", "")]);
    let missing = folder.path("nothing.footnote");
    for (args, word) in [
        (&["search", "--kb", missing.as_str(), "tea"][..], "footnote index"),
        (&["ask", "tea"][..], "--kb"),
        (&["models", "fetch", "gpt-9"][..], "all-MiniLM-L6-v2"),
        (&["serve", "--no-api", "--web", missing.as_str()][..], "cargo xtask web"),
        (&["eval", "retrieval", "--docs", ".", "--questions", missing.as_str()][..], "nothing.footnote"),
    ] {
        let output = footnote(args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(word), "{args:?}: {told}");
        assert!(output.stdout.is_empty(), "{args:?} printed a result");
    }
}

#[test]
fn evaluates_retrieval_and_answers() {
    fetch_models();
    let gold = |doc: &str, text: &str, question: &str, answer: &str| {
        let start = text.find(answer).unwrap();
        json!({"doc": doc, "question": question, "answers": [answer], "start": start, "end": start + answer.len()})
    };
    let questions = [
        gold("tea.md", TEA, "Who opened the first tea house of Lisbon?", "Ana Duarte"),
        gold("bees.md", BEES, "How long does a worker bee live in summer?", "six weeks"),
    ];
    let lines: Vec<String> = questions.iter().map(Value::to_string).collect();
    let unanswerable = json!({"question": "Which spacecraft first landed on Titan?"}).to_string();
    let folder = Folder::new(&[
        ("docs/tea.md", TEA),
        ("docs/bees.md", BEES),
        ("questions.jsonl", &lines.join("\n")),
        ("none.jsonl", &unanswerable),
    ]);
    let (docs, asked, none) =
        (folder.path("docs"), folder.path("questions.jsonl"), folder.path("none.jsonl"));

    let got = json(&["eval", "retrieval", "--docs", &docs, "--questions", &asked, "--json"]);
    assert_eq!((got["n"].as_u64(), got["hit1"].as_f64()), (Some(2), Some(1.0)), "{got}");
    assert_eq!(got["legs"]["dense"]["hit5"], 1.0);
    assert_eq!(got["legs"]["bm25"]["mrr10"], 1.0);
    assert!(got["ms_per_query"].as_f64().unwrap() > 0.0);
    // The questions lie beside the documents, and one of each is in a corpus of its own.
    let sets = json(&["eval", "retrieval", "--docs", folder.0.path().to_str().unwrap(), "--json"]);
    assert_eq!(sets["mrr10"], 1.0, "{sets}");
    let of_corpus = |mut question: Value| {
        question["corpus"] = question["doc"].take();
        question.to_string()
    };
    fs::write(folder.path("corpora.jsonl"), questions.clone().map(of_corpus).join("\n")).unwrap();
    let (corpora, report) = (folder.path("corpora.jsonl"), folder.path("report.html"));
    let args = [
        "eval",
        "retrieval",
        "--docs",
        &docs,
        "--questions",
        &corpora,
        "--alone",
        "--report",
        &report,
        "--json",
    ];
    let got = json(&args);
    for part in ["corpora", "alone"] {
        assert_eq!(got[part]["tea.md"]["n"], 1, "{got}");
        assert_eq!(got[part]["bees.md"]["legs"]["bm25"]["mrr10"], 1.0, "{got}");
    }
    let page = fs::read_to_string(&report).unwrap();
    assert!(page.contains("tea.md alone") && page.contains("0 questions failed"), "{page}");

    let details = folder.path("details.jsonl");
    let got = json(&[
        "eval",
        "answers",
        "--docs",
        &docs,
        "--questions",
        &asked,
        "--unanswerable",
        &none,
        "--no-llm",
        "--json",
        "--details",
        &details,
    ]);
    assert_eq!(got["n"], 2, "{got}");
    assert_eq!(got["quote_hit"], 1.0, "{got}");
    assert_eq!((&got["quote_hit1"], &got["quote_hit3"]), (&json!(1.0), &json!(1.0)), "{got}");
    assert_eq!(got["unsupported_rate"], 0.0, "{got}");
    assert_eq!(got["unsupported_shown_as_supported"], 0.0, "{got}");
    assert_eq!(got["supported_shown_as_supported"], 1.0, "{got}");
    assert!(got["altered"].as_object().is_some_and(|kinds| kinds.len() > 1), "{got}");
    assert_eq!(got["citation_precision"], 1.0, "{got}");
    assert_eq!((&got["refusal_recall"], &got["false_refusals"]), (&json!(1.0), &json!(0.0)), "{got}");
    assert!(got["token_f1"].as_f64().unwrap() > 0.1, "{got}");
    assert_eq!(fs::read_to_string(details).unwrap().lines().count(), 3);
}

#[test]
fn extraction_survives_every_file() {
    let folder = Folder::new(&[
        ("good.md", TEA),
        ("empty.txt", ""),
        (
            "broken.pdf",
            "%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 1 0 R >>\nendobj\ntrailer << /Root 1 0 R >>",
        ),
    ]);
    let got = json(&["eval", "extract", "--files", folder.0.path().to_str().unwrap(), "--json"]);
    let row =
        |name: &str| got["files"].as_array().unwrap().iter().find(|r| r["file"] == name).unwrap().clone();
    assert_eq!(row("good.md")["ok"], true, "{got}");
    assert_eq!(row("good.md")["chars"].as_u64().unwrap() as usize, TEA.chars().count());
    assert_eq!(row("empty.txt")["ok"], false);
    assert_eq!(row("broken.pdf")["ok"], false);
    assert_eq!((&got["totals"]["n"], &got["totals"]["crashed"]), (&json!(3), &json!(0)), "{got}");
}

#[test]
fn doctor_and_models_report_as_json() {
    fetch_models();
    let report = json(&["doctor", "--json"]);
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(report["tier"]["tier"], "cpu");
    let listed = json(&["models", "list", "--json"]);
    // Those of the hub are listed without files, which nobody knows before they are fetched.
    let (pinned, of_the_hub): (Vec<_>, Vec<_>) =
        listed.as_array().unwrap().iter().partition(|model| model.get("files").is_some());
    assert!(pinned.len() == 2 && pinned.iter().all(|m| m["here"] == true), "{listed}");
    assert!(of_the_hub.iter().any(|m| m["id"] == "e5-small-v2" && m["hub_repo"] == "intfloat/e5-small-v2"));
    for model in pinned {
        for file in model["files"].as_array().unwrap() {
            let path = Path::new(model["folder"].as_str().unwrap()).join(file["name"].as_str().unwrap());
            assert_eq!(path.metadata().unwrap().len(), file["n_bytes"].as_u64().unwrap());
        }
    }
}
