//! The commands about a knowledge base as a whole, as a user runs them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

const TEA: &str = "# Tea\n\nGreen tea steeps at 80 degrees for two minutes. Black tea wants boiling water.\n";
const BEES: &str =
    "# Bees\n\nA worker bee lives for about six weeks in summer. The queen may live for five years.\n";
const PORT: &str =
    "# Port\n\nThe port of Lisbon has nine berths. The ferry leaves at seven in the morning.\n";

struct Base(TempDir);

impl Base {
    fn new() -> Self {
        let base = Self(tempfile::tempdir().unwrap());
        for (name, text) in [("tea.md", TEA), ("sub/bees.md", BEES), ("port.md", PORT)] {
            base.write(name, text);
        }
        base
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file of the folder with documents.
    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join("docs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs the program on the knowledge base.
    fn run(&self, words: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_footnote"));
        command.args(["--quiet", "--tier", "cpu"]).args(words.split(' '));
        command.args(["--kb", &self.path("kb.footnote")]).args(more).output().expect("the program starts")
    }

    /// The same, for JSON.
    fn json(&self, words: &str, more: &[&str]) -> Value {
        let output = self.run(words, &[&["--json"], more].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words} {more:?}: {told}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{words} {more:?}: {e}: {told}"))
    }

    fn fails(&self, words: &str, more: &[&str]) -> String {
        let output = self.run(words, more);
        assert!(!output.status.success(), "{words} {more:?} worked");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn names(&self, more: &[&str]) -> Vec<String> {
        let listed = self.json("docs list", more);
        listed.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }

    fn sync(&self, more: &[&str]) -> Value {
        let docs = self.path("docs");
        self.json("sync", &[&[docs.as_str()], more].concat())
    }
}

#[test]
fn a_folder_is_mirrored_put_in_order_and_searched_in_part() {
    let base = Base::new();
    let plan = base.sync(&["--dry-run"]);
    assert_eq!(plan["added"], json!(["docs/port.md", "docs/sub/bees.md", "docs/tea.md"]), "{plan}");
    let done = base.sync(&["--collection", "Notes"]);
    assert_eq!(done["report"]["added"].as_array().unwrap().len(), 3, "{done}");
    assert_eq!(base.sync(&[])["n_unchanged"], 3);

    // One changed, one moved, one copied, one gone: what is gone stays until that is asked for.
    base.write("tea.md", &TEA.replace("80", "75"));
    fs::rename(base.path("docs/sub/bees.md"), base.path("docs/bees.md")).unwrap();
    base.write("copy of bees.md", BEES);
    fs::remove_file(base.path("docs/port.md")).unwrap();
    let done = base.sync(&[]);
    assert_eq!(done["changed"], json!(["docs/tea.md"]), "{done}");
    assert_eq!(done["moved"], json!([["docs/sub/bees.md", "docs/bees.md"]]), "{done}");
    assert_eq!(done["duplicates"], json!(["docs/copy of bees.md"]), "{done}");
    assert_eq!((&done["gone"], &done["n_removed"]), (&json!(["docs/port.md"]), &json!(0)), "{done}");
    assert_eq!(base.names(&[]).len(), 3);
    assert_eq!(base.sync(&["--delete"])["n_removed"], 1);
    assert_eq!(base.names(&["--collection", "Notes"]), ["docs/bees.md", "docs/tea.md"]);

    let collections = base.json("collections create", &["Animals"]);
    assert_eq!(collections[0]["name"], "Animals");
    base.json("collections move", &["--to", "Animals", "docs/bees.md"]);
    base.json("collections rename", &["Notes", "Drinks"]);
    let tags = base.json("docs tag", &["docs/bees.md", "--add", "flying", "--add", "small"]);
    assert_eq!(tags.as_array().unwrap().len(), 2, "{tags}");
    base.json("docs tag", &["docs/bees.md", "--remove", "small"]);
    assert_eq!(base.json("tags", &[]), json!([{"name": "flying", "n_documents": 1}]));
    assert_eq!(base.names(&["--since", "1h", "--tag", "flying"]), ["docs/bees.md"]);
    assert_eq!(base.names(&["--before", "2020-01-01"]), [] as [String; 0]);

    for (scope, expected) in
        [(["--collection", "Drinks"], "docs/tea.md"), (["--tag", "flying"], "docs/bees.md")]
    {
        let found = base.json("search", &[&["how long does a queen live"], &scope[..]].concat());
        let hits = found["hits"].as_array().unwrap();
        assert!(!hits.is_empty() && hits.iter().all(|hit| hit["document"] == expected), "{found}");
    }
    let question = ["How long may a queen live?", "--no-llm", "--collection", "Drinks"];
    let answer = base.json("ask", &question);
    assert!(answer["quotes"].as_array().unwrap().iter().all(|q| q["document"] == "docs/tea.md"), "{answer}");

    let told = base.fails("search", &["tea", "--collection", "Cars"]);
    assert!(told.contains("no collection named `Cars`"), "{told}");
    assert!(base.fails("search", &["tea", "--tag", "nobody"]).contains("choose more"));
    assert!(base.fails("docs remove", &["docs/none.md"]).contains("docs list"));
    assert!(base.fails("docs list", &["--since", "soon"]).contains("no date"));

    base.json("collections delete", &["Animals"]);
    assert_eq!(base.names(&[]).len(), 2);
    base.json("collections delete", &["Drinks", "--with-documents"]);
    assert_eq!(base.names(&[]), ["docs/bees.md"]);
    assert_eq!(base.json("docs remove", &["docs/bees.md"]), json!({"n_removed": 1}));
}

#[test]
fn documents_are_chosen_by_who_wrote_them_and_when() {
    let base = Base::new();
    let head =
        "<title>Tides</title><meta name=author content='Ana Duarte'><meta name=date content=2024-03-01>";
    base.write("tides.html", &format!("{head}<p>The tide turns every six hours and thirteen minutes."));
    base.write(
        "moon.md",
        "---\nauthor: Emil Ruiz\ndate: 2025-07-09\n---\n\n# Moon\n\nThe moon pulls at the sea.\n",
    );
    base.sync(&[]);
    let listed = base.json("docs list", &["--author", "duarte"]);
    assert_eq!(listed[0]["authors"], json!(["Ana Duarte"]), "{listed}");
    assert_eq!((&listed[0]["created"], listed.as_array().unwrap().len()), (&json!("2024-03-01"), 1));
    assert_eq!(base.names(&["--written-since", "2025"]), ["docs/moon.md"]);
    assert_eq!(base.names(&["--written-before", "2025-07-09"]), ["docs/tides.html"]);
    assert_eq!(base.names(&["--written-since", "2026-01"]), [] as [String; 0]);
    assert!(base.fails("docs list", &["--written-since", "spring"]).contains("no date"));
    let told = String::from_utf8(base.run("docs list", &["--author", "Ruiz"]).stdout).unwrap();
    assert!(told.contains("moon.md (Emil Ruiz, 2025-07-09)"), "{told}");
    let found = base.json("search", &["what pulls at the sea", "--author", "Duarte"]);
    assert!(
        found["hits"].as_array().unwrap().iter().all(|hit| hit["document"] == "docs/tides.html"),
        "{found}"
    );
}

#[test]
fn a_base_is_copied_with_its_conversations_and_made_small() {
    let base = Base::new();
    let docs = base.path("docs");
    let run = base.run("index", &[&docs, "--collection", "All", "--tag", "t"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    base.json("ask", &["How long may a queen live?", "--no-llm", "--keep"]);
    let listed = base.json("conversations list", &[]);
    assert_eq!(listed[0]["title"], "How long may a queen live?");
    let id = listed[0]["id"].to_string();
    base.json("ask", &["And a worker?", "--no-llm", "--conversation", &id]);
    base.json("conversations rename", &[&id, "Bees"]);
    let messages = base.json("conversations show", &[&id]);
    assert_eq!(messages.as_array().unwrap().len(), 4, "{messages}");
    assert!(!messages[1]["details"]["quotes"].as_array().unwrap().is_empty(), "{messages}");

    let out = base.path("all.export");
    let exported = base.json("export", &[&out]);
    assert_eq!((&exported["n_documents"], &exported["n_conversations"]), (&json!(3), &json!(1)));
    assert!(base.fails("export", &[&out]).contains("all.export"), "a file that is there is left alone");

    let copy = Base::new();
    let imported = copy.json("import", &[&out]);
    assert_eq!(imported["n_added"], 3, "{imported}");
    assert_eq!(copy.json("docs list", &[]), base.json("docs list", &[]));
    assert_eq!(copy.json("conversations show", &["1"]), messages);
    assert_eq!(copy.json("import", &[&out])["n_unchanged"], 3);
    let bytes = fs::read(&out).unwrap();
    fs::write(&out, &bytes[..bytes.len() / 2]).unwrap();
    assert!(copy.fails("import", &[&out]).contains("not a whole export"));
    assert_eq!(copy.json("stats", &[])["n_documents"], 3);

    // Searching and asking never write.
    let before = fs::read(copy.path("kb.footnote")).unwrap();
    copy.json("search", &["bees"]);
    copy.json("ask", &["How long may a queen live?", "--no-llm"]);
    assert!(fs::read(copy.path("kb.footnote")).unwrap() == before);

    for name in base.names(&[]) {
        base.json("docs remove", &[&name]);
    }
    let before = fs::metadata(base.path("kb.footnote")).unwrap().len();
    let compacted = base.json("compact", &[]);
    let after = fs::metadata(base.path("kb.footnote")).unwrap().len();
    assert!(after < before, "{before} bytes became {after}: {compacted}");
    base.json("conversations delete", &[&id]);
    assert!(base.fails("conversations show", &[&id]).contains("no conversation"));
}

#[test]
fn files_wait_in_the_queue_until_they_are_read() {
    let base = Base::new();
    base.write("broken.pdf", "%PDF-1.7 no more");
    let docs = base.path("docs");
    let given = base.json("jobs add", &[&docs, "--collection", "Later"]);
    assert_eq!(given.as_array().unwrap().len(), 4, "{given}");
    let jobs = base.json("jobs list", &[]);
    assert!(jobs.as_array().unwrap().iter().all(|job| job["stage"] == "waiting"), "{jobs}");
    let id_of = |name: &str| {
        let listed = jobs.as_array().unwrap().iter();
        let job = listed.clone().find(|job| job["file"]["name"].as_str().unwrap().ends_with(name)).unwrap();
        job["id"].to_string()
    };
    assert!(base.run("jobs pause", &[&id_of("port.md")]).status.success());
    assert!(base.run("jobs cancel", &[&id_of("bees.md")]).status.success());
    let run = base.run("jobs run", &["--json"]);
    assert!(!run.status.success(), "one of the files is broken");
    let queue: Value = serde_json::from_slice(&run.stdout).unwrap();
    let stage = |queue: &Value, name: &str| {
        let listed = queue["jobs"].as_array().unwrap().iter();
        let job = listed.clone().find(|job| job["file"]["name"].as_str().unwrap().ends_with(name));
        job.map(|job| job["stage"].as_str().unwrap().to_owned())
    };
    assert_eq!(stage(&queue, "tea.md").as_deref(), Some("done"));
    assert_eq!(stage(&queue, "broken.pdf").as_deref(), Some("failed"));
    assert_eq!(stage(&queue, "port.md").as_deref(), Some("paused"));
    assert_eq!(stage(&queue, "bees.md"), None);
    base.run("jobs cancel", &[&id_of("broken.pdf")]);
    base.json("jobs resume", &[&id_of("port.md")]);
    let queue = base.json("jobs run", &[]);
    assert_eq!((&queue["done_bytes"], &queue["left_ms"]), (&queue["total_bytes"], &Value::Null), "{queue}");
    assert_eq!(base.names(&["--collection", "Later"]).len(), 2);
    let again = base.json("jobs add", &[&docs]);
    let there = again.as_array().unwrap().iter().filter(|given| given["outcome"] == "already_there").count();
    assert_eq!(there, 2, "{again}");
}
