//! The queue of files, order, and kept conversations, on tiny models.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;

use assistant::{
    Access, AnswerEvent, AskOptions, Assistant, Enqueued, Error, JobStage, Library, Options, Place, Progress,
    Role, Scope, SearchOptions, SourceFile, Work,
};
use common::{document, tiny_options};
use platform::block_on;
use runtime::TierChoice;

fn options(folder: &Path) -> Options {
    let kb = Place::File(folder.join("kb.footnote").display().to_string());
    Options { kb, ..tiny_options(folder, TierChoice::Cpu, false) }
}

fn open(folder: &Path) -> Assistant {
    block_on(Assistant::open(options(folder), &mut |_| {})).unwrap_or_else(|e| panic!("{e}"))
}

fn enqueue(assistant: &mut Assistant, file: &SourceFile) -> Enqueued {
    block_on(assistant.enqueue(file, None)).unwrap()
}

fn waiting(enqueued: Enqueued) -> u64 {
    match enqueued {
        Enqueued::Waiting { job } => job,
        other => panic!("{other:?}"),
    }
}

fn run(assistant: &mut Assistant, job: u64) -> Vec<Progress> {
    let mut steps = Vec::new();
    block_on(assistant.run_job(job, &mut |p| steps.push(p))).unwrap();
    steps
}

fn stage(assistant: &Assistant, job: u64) -> JobStage {
    assistant.library().jobs().iter().find(|listed| listed.id.0 == job).unwrap().stage
}

/// Begins the work on a job and does so many steps of it, then drops it.
fn work_a_little(assistant: &mut Assistant, job: u64, n_steps: usize) {
    block_on(async {
        let file = assistant.job_file(job).await.unwrap().unwrap();
        let hint = ingest::Hint { name: &file.name, mime: None, password: None };
        let entries = ingest::ingest_all(&file.bytes, &hint, &ingest::Limits::default());
        let mut work = Work::begin(assistant, job, entries, 1.0).await.unwrap();
        for _ in 0..n_steps {
            work.step(assistant).await.unwrap().unwrap();
        }
    });
}

#[test]
fn the_queue_goes_on_after_a_reload_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut assistant = open(folder.path());
    let large = document("large.txt", "cat", 1200);
    let job = waiting(enqueue(&mut assistant, &large));
    let other = waiting(enqueue(&mut assistant, &document("other.txt", "dog", 3)));
    assert_eq!(enqueue(&mut assistant, &large), Enqueued::AlreadyWaiting { job });
    // One step takes the document up, each further one embeds eight passages; 64 are written down.
    work_a_little(&mut assistant, job, 1 + 9);
    assert_eq!(assistant.library().documents().unwrap().len(), 0);
    let state = assistant.queue();
    let listed = &state.jobs[0];
    assert!(listed.stage == JobStage::Embedding && listed.n_done == 64 && listed.n_total > 100, "{listed:?}");
    assert!(state.done_bytes > 0 && state.done_bytes < state.total_bytes, "{state:?}");
    assert!(state.left_ms.unwrap() > 0.0);
    assert_eq!((state.n_jobs, state.n_open), (2, 2));
    drop(assistant);

    let mut assistant = open(folder.path());
    assert_eq!(stage(&assistant, job), JobStage::Waiting);
    assert_eq!(assistant.next_job().unwrap().id.0, job);
    let steps = run(&mut assistant, job);
    let first = steps.iter().find_map(|step| match step {
        Progress::Embedding { n_done, .. } => Some(*n_done),
        _ => None,
    });
    assert_eq!(first, Some(64), "embedding goes on where it was written down");
    assert_eq!(stage(&assistant, job), JobStage::Done);
    assert_eq!(assistant.next_job().unwrap().id.0, other);
    run(&mut assistant, other);
    assert_eq!(assistant.queue().left_ms, None);

    // The same as without the interruption.
    let fresh = tempfile::tempdir().unwrap();
    let mut straight = open(fresh.path());
    block_on(straight.add(&large, &mut |_| {})).unwrap();
    let search = |assistant: &Assistant| {
        let hits = block_on(assistant.search("Where is cat 700?", 10)).unwrap();
        hits.into_iter().filter(|hit| hit.document == "large.txt").map(|hit| (hit.start, hit.text)).next()
    };
    assert_eq!(search(&assistant), search(&straight));
    let n_chunks = |assistant: &Assistant| assistant.documents().unwrap()[0].n_chunks;
    assert_eq!(n_chunks(&assistant), n_chunks(&straight));

    assert!(matches!(enqueue(&mut assistant, &large), Enqueued::AlreadyThere { .. }));
    let copy = SourceFile { name: "copy.txt".into(), ..large };
    assert_eq!(enqueue(&mut assistant, &copy), Enqueued::AlreadyThere { document: "large.txt".into() });
    assert_eq!(assistant.clear_done_jobs().unwrap(), 2);
    let left = std::fs::read_dir(folder.path().join("kb.footnote.queue")).unwrap().count();
    assert_eq!(left, 0, "bytes of files that are read are not kept");
}

#[test]
fn a_document_of_more_passages_than_the_store_takes_is_refused_before_any_is_embedded() {
    let folder = tempfile::tempdir().unwrap();
    let chunk_policy = ingest::ChunkPolicy { target_tokens: 1, max_tokens: 8, min_tokens: 0 };
    let options = Options { chunk_policy, ..options(folder.path()) };
    let mut assistant = block_on(Assistant::open(options, &mut |_| {})).unwrap();
    let bytes = "cat\n\n".repeat(vectordb::MAX_DOCUMENT_CHUNKS + 1).into_bytes();
    let file = SourceFile { name: "large.txt".into(), mime: None, bytes };
    let mut steps = Vec::new();
    let all = block_on(assistant.add_all(&file, &mut |step| steps.push(step))).unwrap();
    let reason = all.refused[0].to_string();
    assert!(all.added.is_empty() && reason.contains("50001 passages"), "{reason}");
    assert_eq!(steps, [Progress::Reading { name: "large.txt".into() }]);
    let job = waiting(enqueue(&mut assistant, &file));
    let steps = run(&mut assistant, job);
    assert!(!steps.iter().any(|step| matches!(step, Progress::Embedding { .. })), "{steps:?}");
    assert_eq!(stage(&assistant, job), JobStage::Failed);
}

#[test]
fn jobs_are_paused_cancelled_and_ask_for_lost_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut assistant = open(folder.path());
    let files = ["a.txt", "b.txt", "c.txt"].map(|name| document(name, name, 300));
    let jobs = [0, 1, 2].map(|n| waiting(enqueue(&mut assistant, &files[n])));
    work_a_little(&mut assistant, jobs[0], 5);
    assistant.pause_jobs(&jobs[..1]).unwrap();
    assert_eq!(assistant.next_job().unwrap().id.0, jobs[1]);
    block_on(assistant.cancel_jobs(&jobs[1..2])).unwrap();
    assert_eq!(assistant.next_job().unwrap().id.0, jobs[2]);
    let broken = SourceFile { name: "broken.pdf".into(), mime: None, bytes: b"%PDF-1.7 no more".into() };
    let failed = waiting(enqueue(&mut assistant, &broken));
    run(&mut assistant, failed);
    let listed = assistant.library().jobs();
    let listed = listed.iter().find(|job| job.id.0 == failed).unwrap();
    assert!(listed.stage == JobStage::Failed && listed.error.as_ref().unwrap().contains("broken.pdf"));
    drop(assistant);

    // The bytes of one are lost, those of another were torn.
    let queue = folder.path().join("kb.footnote.queue");
    let hex = |bytes: &[u8]| assistant::sha256(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>();
    std::fs::remove_file(queue.join(hex(&files[2].bytes))).unwrap();
    std::fs::write(queue.join("orphan"), "x").unwrap();
    let mut assistant = open(folder.path());
    assert_eq!(stage(&assistant, jobs[2]), JobStage::NeedsFile);
    assert!(assistant.next_job().is_none() && !queue.join("orphan").exists());
    let error = block_on(assistant.give_file(jobs[2], b"something else")).unwrap_err();
    assert!(matches!(error, Error::OtherFile { .. }), "{error}");
    block_on(assistant.give_file(jobs[2], &files[2].bytes)).unwrap();
    let torn = vec![b'x'; files[0].bytes.len()];
    std::fs::write(queue.join(hex(&files[0].bytes)), torn).unwrap();
    block_on(assistant.resume_jobs(&jobs[..1])).unwrap();
    assert_eq!(assistant.next_job().unwrap().id.0, jobs[0]);
    assert!(block_on(assistant.run_job(jobs[0], &mut |_| {})).unwrap().is_none());
    assert_eq!(stage(&assistant, jobs[0]), JobStage::NeedsFile);
    run(&mut assistant, jobs[2]);
    assert_eq!(assistant.documents().unwrap().len(), 1);
}

#[test]
fn a_locked_file_waits_for_its_password_and_a_lost_one_may_be_added_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut assistant = open(folder.path());
    let bytes = std::fs::read("../fixtures/docs/locked.pdf").unwrap();
    let locked = SourceFile { name: "locked.pdf".into(), mime: None, bytes };
    let job = waiting(enqueue(&mut assistant, &locked));
    run(&mut assistant, job);
    assert_eq!(stage(&assistant, job), JobStage::Locked);
    assert_eq!(enqueue(&mut assistant, &locked), Enqueued::AlreadyWaiting { job });
    drop(assistant);

    let mut assistant = open(folder.path());
    assert!(assistant.next_job().is_none(), "nobody knows the password");
    block_on(assistant.resume_jobs(&[job])).unwrap();
    let all = block_on(async {
        let file = assistant.job_file(job).await.unwrap().unwrap();
        let hint = ingest::Hint { name: &file.name, mime: None, password: Some("lighthouse") };
        let entries = ingest::ingest_all(&file.bytes, &hint, &ingest::Limits::default());
        let mut work = Work::begin(&mut assistant, job, entries, 1.0).await.unwrap();
        while work.step(&mut assistant).await.unwrap().is_some() {
            assert!(assistant.queue_during(&work).n_known_chunks > 0);
        }
        work.into_outcome()
    });
    assert_eq!((all.added.len(), all.notices().len()), (1, 0));
    assert_eq!(stage(&assistant, job), JobStage::Done);
    let state = assistant.queue();
    assert_eq!((state.n_done, state.n_open, state.n_paused), (1, 0, 0));

    // A file whose bytes were lost, and that is simply added once more.
    let lost = document("lost.txt", "lost", 40);
    let job = waiting(enqueue(&mut assistant, &lost));
    let queue = folder.path().join("kb.footnote.queue");
    std::fs::remove_dir_all(&queue).unwrap();
    run(&mut assistant, job);
    assert_eq!(stage(&assistant, job), JobStage::NeedsFile);
    assert_eq!(enqueue(&mut assistant, &lost), Enqueued::Waiting { job });
    run(&mut assistant, job);
    assert_eq!(stage(&assistant, job), JobStage::Done);
    // One that says nearly the same is told of.
    let mut copy = document("copy.txt", "lost", 40);
    copy.bytes.extend(b" And one more.");
    let job = waiting(enqueue(&mut assistant, &copy));
    let all = block_on(assistant.run_job(job, &mut |_| {})).unwrap().unwrap();
    assert!(all.notices().iter().any(|note| note.contains("lost.txt")), "{:?}", all.notices());
}

#[test]
fn a_question_is_asked_of_a_part_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut assistant = open(folder.path());
    let collection = assistant.library_mut().create_collection("Pets").unwrap();
    for (name, subject) in [("cat.txt", "cat"), ("dog.txt", "dog"), ("ox.txt", "ox")] {
        let job = block_on(assistant.enqueue(&document(name, subject, 40), Some(collection))).unwrap();
        run(&mut assistant, waiting(job));
    }
    let library = assistant.library_mut();
    let [cat, dog, ox] = ["cat.txt", "dog.txt", "ox.txt"].map(|name| library.document_named(name).unwrap());
    library.move_documents(&[ox], None).unwrap();
    library.set_tags(cat, &["soft".into()]).unwrap();
    let in_pets = Scope { collections: vec!["Pets".into()], ..Scope::default() };
    let soft = Scope { tags: vec!["soft".into()], ..in_pets.clone() };
    for (scope, expected) in
        [(Scope::default(), vec![cat, dog, ox]), (in_pets.clone(), vec![cat, dog]), (soft, vec![cat])]
    {
        let options = SearchOptions { k: 12, scope, ..SearchOptions::default() };
        let hits = block_on(assistant.search_by("Where is the ox number 7?", &options)).unwrap();
        let n_all: u32 = assistant
            .documents()
            .unwrap()
            .iter()
            .filter(|d| expected.contains(&d.id.0))
            .map(|d| d.n_chunks)
            .sum();
        assert_eq!(hits.len(), 12.min(n_all as usize));
        assert!(hits.iter().all(|hit| expected.contains(&hit.document_id)));
    }
    let nobody = Scope { tags: vec!["nobody".into()], ..Scope::default() };
    let unknown = Scope { collections: vec!["Cars".into()], ..Scope::default() };
    for (scope, is_right) in [
        (nobody, (|e| matches!(e, Error::NothingInScope)) as fn(&Error) -> bool),
        (unknown, |e| matches!(e, Error::UnknownCollection { .. })),
    ] {
        let options = AskOptions { scope, ..AskOptions::default() };
        let error = block_on(assistant.ask("Where?", &options)).err().unwrap();
        assert!(is_right(&error), "{error}");
    }

    let question = "Where is the cat number 2?";
    let answer = block_on(async {
        let options = AskOptions { scope: in_pets, ..AskOptions::default() };
        let mut asking = assistant.ask(question, &options).await.unwrap();
        loop {
            if let AnswerEvent::Done(answer) = asking.next().await.unwrap().unwrap() {
                return answer;
            }
        }
    });
    assert!(!answer.quotes.is_empty() && answer.quotes.iter().all(|quote| quote.document_id != ox));
    let library = assistant.library_mut();
    let conversation = library.keep_exchange(None, (question, 1), &answer).unwrap();
    // Kept twice, as by an engine that takes over from one that could not say that it has done it.
    assert_eq!(library.keep_exchange(None, (question, 1), &answer).unwrap(), conversation);
    for _ in 0..2 {
        let asked = ("And the dog?", 2);
        assert_eq!(library.keep_exchange(Some(conversation), asked, &answer).unwrap(), conversation);
    }
    drop(assistant);

    let path = folder.path().join("kb.footnote").display().to_string();
    let mut library = block_on(Library::open(&path, Access::ReadOnly)).unwrap();
    let listed = library.conversations().unwrap();
    assert_eq!((listed.len(), listed[0].title.as_str(), listed[0].n_messages), (1, question, 4));
    let messages = library.messages(conversation).unwrap();
    assert_eq!((messages[0].role, messages[0].text.as_str()), (Role::Question, question));
    let kept: assistant::Answer = serde_json::from_value(messages[1].details.clone()).unwrap();
    assert_eq!((kept.answer, kept.quotes.len()), (answer.answer, answer.quotes.len()));
    assert!(library.create_collection("no").is_err(), "it is open for reading only");
}
