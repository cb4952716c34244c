//! The façade on real models: add, search, ask, remove.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use assistant::{
    Answer, AnswerEvent, AskOptions, Assistant, Error, Options, Place, Progress, Scope, SourceFile,
};
use platform::block_on;
use runtime::TierChoice;

const TEA: &str = "# Tea\n\nGreen tea steeps at 80 degrees for two minutes. Black tea wants boiling water.\n\n\
    ## History\n\nThe first tea house of Lisbon was opened by Ana Duarte in 1871. She sold it six years later.\n";
const BEES: &str = "A worker bee lives for about six weeks in summer. The queen may live for five years.\n";

fn options(place: Place, generator: bool) -> Options {
    let folder = models::default_folder().expect("a home folder, or FOOTNOTE_MODELS");
    let store = models::Store::open(&folder, None, None);
    Options { tier: TierChoice::Cpu, generator, ..Options::new(place, store) }
}

/// Opens with the real models; where no source can give them, the test fails with that reason.
fn open(place: Place, generator: bool) -> Assistant {
    block_on(Assistant::open(options(place, generator), &mut |_| {})).unwrap_or_else(|e| panic!("{e}"))
}

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), mime: None, bytes: text.into() }
}

fn filled() -> Assistant {
    let mut assistant = open(Place::Memory, false);
    for (name, text) in [("tea.md", TEA), ("bees.txt", BEES)] {
        block_on(assistant.add(&file(name, text), &mut |_| {})).unwrap();
    }
    assistant
}

/// All events of an answer, in order.
fn events(assistant: &mut Assistant, question: &str, options: &AskOptions) -> Vec<AnswerEvent> {
    block_on(async {
        let mut asking = assistant.ask(question, options).await.unwrap();
        let mut events = Vec::new();
        while let Some(event) = asking.next().await.unwrap() {
            events.push(event);
        }
        events
    })
}

fn ask(assistant: &mut Assistant, question: &str) -> Answer {
    match events(assistant, question, &AskOptions::default()).pop() {
        Some(AnswerEvent::Done(answer)) => answer,
        other => panic!("the last event is {other:?}"),
    }
}

fn slice(text: &str, start: u32, end: u32) -> String {
    text.chars().skip(start as usize).take((end - start) as usize).collect()
}

#[test]
fn quotes_are_exact_and_come_first() {
    let mut assistant = filled();
    let events = events(&mut assistant, "Who opened the first tea house of Lisbon?", &AskOptions::default());
    let AnswerEvent::Quotes(quotes) = &events[0] else { panic!("{:?}", events[0]) };
    let Some(AnswerEvent::Done(answer)) = events.last() else { panic!("no end") };
    assert_eq!(quotes, &answer.quotes);
    assert!(quotes[0].text.contains("Ana Duarte"), "{quotes:?}");
    for (i, quote) in quotes.iter().enumerate() {
        assert_eq!(quote.n as usize, i + 1);
        let text = if quote.document == "tea.md" { TEA } else { BEES };
        assert_eq!(slice(text, quote.start, quote.end), quote.text);
    }
    let told: String = events[1..events.len() - 1]
        .iter()
        .map(|event| if let AnswerEvent::Token(text) = event { text.as_str() } else { panic!("{event:?}") })
        .collect();
    assert_eq!(told, answer.answer, "without a generator the text is final as it is told");
    assert!(answer.sentences.iter().all(|s| s.supported) && !answer.generated && !answer.refused);
    assert!(answer.citations.iter().all(|c| c.supported && c.text == quotes[c.n as usize - 1].text));
}

#[test]
fn what_the_documents_do_not_say_is_refused() {
    let mut assistant = filled();
    for question in ["Which spacecraft first landed on Titan?", "What is the capital of Mongolia?"] {
        let answer = ask(&mut assistant, question);
        assert!(answer.refused && answer.citations.is_empty(), "{answer:?}");
        assert!(answer.answer.contains("do not contain"), "{}", answer.answer);
        assert!(!answer.quotes.is_empty(), "the nearest passages are shown");
    }
    assert!(!ask(&mut assistant, "How long may a queen live?").refused);
}

#[test]
fn a_small_base_on_one_subject_answers_what_it_says_in_other_words() {
    let harbour = include_str!("../../fixtures/docs/harbour.md");
    let mut assistant = open(Place::Memory, false);
    block_on(assistant.add(&file("harbour.md", harbour), &mut |_| {})).unwrap();
    let answer = ask(&mut assistant, "Who kept the lighthouse, and what did each of the keepers do?");
    assert!(!answer.refused, "{:?}", answer.signals);
    let answer = ask(&mut assistant, "What is the boiling point of tungsten?");
    assert!(answer.refused, "{:?}", answer.signals);
}

/// German texts: the embedder was made for English.
const TEE: &str = "# Tee\n\nGrüner Tee zieht zwei Minuten bei 80 Grad. Schwarzer Tee braucht kochendes Wasser.\n\n\
    ## Geschichte\n\nDas erste Teehaus von Lissabon wurde 1871 von Ana Duarte eröffnet.\n";
const BIENEN: &str =
    "Eine Arbeiterin lebt im Sommer etwa sechs Wochen. Die Königin kann fünf Jahre alt werden.\n";

#[test]
fn a_small_base_in_another_language_tells_what_it_knows_from_what_it_does_not() {
    let mut assistant = open(Place::Memory, false);
    for (name, text) in [("tee.md", TEE), ("bienen.txt", BIENEN)] {
        block_on(assistant.add(&file(name, text), &mut |_| {})).unwrap();
    }
    for (question, sentence) in [
        ("Wie viele Jahre alt kann die Königin werden?", "fünf Jahre"),
        ("Wer hat das erste Teehaus von Lissabon eröffnet?", "Ana Duarte"),
    ] {
        let answer = ask(&mut assistant, question);
        assert!(!answer.refused && answer.quotes[0].text.contains(sentence), "{answer:?}");
    }
    for question in ["Wie hoch ist der Kilimandscharo?", "Welche Farbe hat das Trikot von Brasilien?"] {
        let answer = ask(&mut assistant, question);
        assert!(answer.refused, "{question}: {:?}", answer.signals);
    }
}

#[test]
fn what_is_usual_is_measured_in_the_part_that_is_asked() {
    let mut assistant = filled();
    let mut alone = open(Place::Memory, false);
    for assistant in [&mut assistant, &mut alone] {
        block_on(assistant.add(&file("tee.md", TEE), &mut |_| {})).unwrap();
    }
    let id = assistant.library().document_named("tee.md").unwrap();
    assistant.library_mut().set_tags(id, &["deutsch".into()]).unwrap();
    let question = "Wann wurde das Teehaus eröffnet?";
    let scope = Scope { tags: vec!["deutsch".into()], ..Scope::default() };
    let options = AskOptions { scope, ..AskOptions::default() };
    let background =
        |assistant: &mut Assistant, options: &AskOptions| match events(assistant, question, options).pop() {
            Some(AnswerEvent::Done(answer)) => answer.signals.background,
            other => panic!("the last event is {other:?}"),
        };
    let [part, all] = [options, AskOptions::default()].map(|options| background(&mut assistant, &options));
    assert_eq!(part, background(&mut alone, &AskOptions::default()));
    assert!(all < part, "English texts are unlike the question: {all} {part}");
}

#[test]
fn a_quotation_is_found_where_a_line_parts_its_words() {
    let mut assistant = filled();
    let text = "# Coast\n\nThe keeper lit the light-\nhouses of the bay every night at six.\n";
    block_on(assistant.add(&file("coast.md", text), &mut |_| {})).unwrap();
    let hits = block_on(assistant.search("\"lit the lighthouses of the bay\"", 3)).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.document.as_str()).collect::<Vec<_>>(), ["coast.md"]);
    let answer = ask(&mut assistant, "When did they say \"lit the lighthouses of the bay\"?");
    assert!(!answer.refused && answer.quotes[0].text.contains("at six"), "{answer:?}");
}

#[test]
fn documents_are_replaced_skipped_and_removed() {
    let mut assistant = filled();
    let mut steps = Vec::new();
    let again = block_on(assistant.add(&file("tea.md", TEA), &mut |p| steps.push(p))).unwrap();
    assert!(again.already_there && steps.is_empty(), "{steps:?}");

    let newer = TEA.replace("Ana Duarte", "Rui Costa");
    let added = block_on(assistant.add(&file("tea.md", &newer), &mut |p| steps.push(p))).unwrap();
    assert!(!added.already_there && added.n_chunks > 0);
    assert!(matches!(steps.first(), Some(Progress::Reading { .. })), "{steps:?}");
    assert!(matches!(steps.last(), Some(Progress::Storing { .. })), "{steps:?}");
    assert_eq!(assistant.documents().unwrap().len(), 2);
    let answer = ask(&mut assistant, "Who opened the first tea house of Lisbon?");
    assert!(answer.answer.contains("Rui Costa") && !answer.answer.contains("Ana"), "{}", answer.answer);

    assert!(assistant.remove(added.id).unwrap());
    assert!(!assistant.remove(added.id).unwrap());
    assert!(matches!(assistant.source(added.id), Err(Error::UnknownDocument { .. })));
    assert!(ask(&mut assistant, "Who opened the first tea house of Lisbon?").refused);
}

#[test]
fn copies_and_versions_are_told_and_not_repeated() {
    let mut assistant = filled();
    let mut add = |name: &str, text: &str| block_on(assistant.add(&file(name, text), &mut |_| {})).unwrap();
    let copy = add("copy of tea.md", TEA);
    assert_eq!((copy.already_there, copy.same_as.as_deref()), (true, Some("tea.md")));
    let version = add("tea, second edition.md", &TEA.replace("Ana Duarte", "Rui Costa"));
    assert_eq!(version.near.as_ref().map(|near| near.name.as_str()), Some("tea.md"));
    assert!(version.notes().concat().contains("tea.md"), "{:?}", version.notes());
    assert!(add("words.md", "# Words\n\nNothing of the above is said here.").near.is_none());
    assert_eq!(assistant.state().unwrap().n_documents, 4);
    let hits = block_on(assistant.search("How hot should water for green tea be?", 5)).unwrap();
    let versions = ["tea.md", "tea, second edition.md"];
    let best = &hits[0];
    assert!(versions.contains(&best.document.as_str()) && best.text.contains("80 degrees"), "{best:?}");
    assert!(best.also_in.len() == 1 && versions.contains(&best.also_in[0].as_str()), "{best:?}");
    assert_eq!(hits.iter().filter(|hit| hit.text == best.text).count(), 1);
}

#[test]
fn quoted_words_are_required_where_a_passage_has_them() {
    let mut assistant = filled();
    let search =
        |assistant: &mut Assistant, question: &str| block_on(assistant.search(question, 10)).unwrap();
    let hits = search(&mut assistant, "\"Ana Duarte\"");
    assert!(!hits.is_empty() && hits.iter().all(|hit| hit.text.contains("Ana Duarte")), "{hits:?}");
    assert!(search(&mut assistant, "\"Duarte Ana\"").is_empty());
    // Without passages there would be nothing to answer from.
    let answer = ask(&mut assistant, "Who opened \"tea house first\" of Lisbon?");
    assert!(answer.quotes.iter().any(|quote| quote.text.contains("Ana Duarte")), "{answer:?}");
}

#[test]
fn a_bad_file_costs_itself_alone() {
    let mut assistant = filled();
    for (name, bytes) in [("empty.md", &b""[..]), ("broken.pdf", b"%PDF-1.7 no more")] {
        let bad = SourceFile { name: name.into(), mime: None, bytes: bytes.into() };
        let error = block_on(assistant.add(&bad, &mut |_| {})).unwrap_err();
        assert!(matches!(error, Error::Refused(_)) && error.to_string().contains(name), "{error}");
    }
    assert_eq!(assistant.state().unwrap().n_documents, 2);
}

#[test]
fn an_archive_gives_its_documents_and_a_newer_one_replaces_them() {
    let mut assistant = filled();
    let fixture = |name: &str| {
        let path = format!("{}/../fixtures/documents/{name}", env!("CARGO_MANIFEST_DIR"));
        SourceFile { name: "port.zip".into(), mime: None, bytes: std::fs::read(path).unwrap() }
    };
    let all = block_on(assistant.add_all(&fixture("python.zip"), &mut |_| {})).unwrap();
    let names: Vec<&str> = all.added.iter().map(|added| added.name.as_str()).collect();
    assert_eq!(
        names,
        ["port.zip/port/größe.md", "port.zip/port/tables/boats.csv", "port.zip/port/handbook.docx"]
    );
    assert_eq!(all.warnings(), ["1 files in it are of kinds that cannot be read, such as pictures"]);
    assert!(ask(&mut assistant, "How many berths has the port?").answer.contains("nine"));

    let again = block_on(assistant.add_all(&fixture("python.zip"), &mut |_| {})).unwrap();
    assert!(again.added.iter().all(|added| added.already_there));
    let all = block_on(assistant.add_all(&fixture("html.eml"), &mut |_| {})).unwrap();
    assert_eq!((all.added.len(), all.refused.len()), (1, 0));
    assert_eq!(assistant.state().unwrap().n_documents, 3);
}

#[test]
fn a_knowledge_base_is_there_after_it_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::File(dir.path().join("kb.footnote").to_str().unwrap().to_owned());
    let mut assistant = open(place.clone(), false);
    assert!(matches!(block_on(assistant.ask("Tea?", &AskOptions::default())), Err(Error::NoDocuments)));
    let added = block_on(assistant.add(&file("tea.md", TEA), &mut |_| {})).unwrap();
    drop(assistant);

    let mut assistant = open(place, false);
    assert_eq!(assistant.source(added.id).unwrap().text, TEA);
    assert!(ask(&mut assistant, "How hot should water for green tea be?").answer.contains("80 degrees"));
    assert!(matches!(block_on(assistant.ask(" ?! ", &AskOptions::default())), Err(Error::EmptyQuestion)));
}

#[test]
fn the_generator_goes_on_from_the_best_quote_and_can_be_stopped() {
    let mut assistant = open(Place::Memory, true);
    let state = assistant.state().unwrap();
    assert!(state.generator.loaded, "{:?}", state.generator.problem);
    block_on(assistant.add(&file("tea.md", TEA), &mut |_| {})).unwrap();
    let answer = ask(&mut assistant, "Who opened the first tea house of Lisbon?");
    // Whether it has anything to add is the model's own affair.
    assert!(answer.problem.is_none() && answer.timings_ms.contains_key("generate"), "{answer:?}");
    assert!(answer.answer.contains("Ana Duarte") && answer.sentences[0].supported, "{answer:?}");
    for sentence in &answer.sentences {
        let text = slice(&answer.answer, sentence.start, sentence.end);
        assert!(sentence.citations.iter().all(|n| text.contains(&format!("[{n}]"))), "{text}");
    }

    let stopped = block_on(async {
        let mut asking =
            assistant.ask("How long does green tea steep?", &AskOptions::default()).await.unwrap();
        asking.next().await.unwrap();
        asking.next().await.unwrap();
        asking.stop();
        asking.next().await.unwrap()
    });
    let Some(AnswerEvent::Done(answer)) = stopped else { panic!("{stopped:?}") };
    assert!(!answer.generated && answer.answer.contains("[1]"), "{answer:?}");
}

#[test]
fn a_follow_up_reads_only_what_is_new() {
    let mut assistant = open(Place::Memory, true);
    for (name, text) in [("tea.md", TEA), ("bees.txt", BEES)] {
        block_on(assistant.add(&file(name, text), &mut |_| {})).unwrap();
    }
    let mut answers = Vec::new();
    for question in [
        "Who opened the first tea house of Lisbon?",
        "When was the first tea house of Lisbon opened?",
        "Who opened the first tea house of Lisbon?",
    ] {
        let options = AskOptions { max_tokens: 12, ..AskOptions::default() };
        let Some(AnswerEvent::Done(answer)) = events(&mut assistant, question, &options).pop() else {
            panic!("no answer")
        };
        assert!(answer.problem.is_none(), "{answer:?}");
        answers.push(answer);
    }
    let tokens = |i: usize, name: &str| answers[i].timings_ms[name];
    assert_eq!(tokens(0, "reused_tokens"), 0.0);
    let n_prompt = tokens(0, "prefill_tokens");
    assert!(n_prompt > 128.0, "{n_prompt}");
    // The instructions at least.
    let reused = [tokens(1, "reused_tokens"), tokens(2, "reused_tokens")];
    assert!(reused.iter().all(|n| *n >= 64.0), "{reused:?} of {n_prompt}");
    assert_eq!(tokens(2, "prefill_tokens") + tokens(2, "reused_tokens"), n_prompt);
    assert_eq!(answers[2].answer, answers[0].answer);
}
