//! `footnote ask`: a question to a knowledge base, or straight to files.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use assistant::{Answer, AnswerEvent, AskOptions, Assistant, Place};

use crate::args::{AskArgs, Shared};
use crate::error::{Error, Result};
use crate::index;
use crate::output::{self, Reporter};
use crate::setup;

pub async fn run(shared: &Shared, args: &AskArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let (question, paths) = args.words.split_last().expect("clap asks for at least one word");
    let mut assistant = open(shared, args, paths, &mut reporter).await?;
    let scope = args.scope.scope()?;
    let conversation = match args.conversation {
        Some(id) => assistant.library().exchanges(id)?,
        None => Vec::new(),
    };
    let (generate, only_quotes) = (!args.no_llm, args.only_quotes);
    let options = AskOptions { generate, only_quotes, scope, conversation, ..AskOptions::default() };
    let mut asking = assistant.ask(question, &options).await?;
    let streams = !args.json && io::stdout().is_terminal();
    while let Some(event) = asking.next().await? {
        match event {
            AnswerEvent::Quotes(_) => {
                asking.reconsider(&assistant).await?;
            }
            AnswerEvent::Token(text) if streams => output::piece(&text),
            AnswerEvent::Token(_) => {}
            AnswerEvent::Done(answer) => {
                if args.keep || args.conversation.is_some() {
                    let asked = (question.as_str(), platform::unix_ms());
                    let id = assistant.library_mut().keep_exchange(args.conversation, asked, &answer)?;
                    reporter.note(&format!("kept in conversation {id}"));
                }
                if args.json {
                    output::json(&answer)?;
                } else {
                    print(&answer, streams);
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(
    shared: &Shared,
    args: &AskArgs,
    paths: &[String],
    reporter: &mut Reporter,
) -> Result<Assistant> {
    let place = match (&args.kb, paths) {
        (Some(kb), []) => setup::existing(kb).await?,
        (Some(_), [..]) => {
            return Err(Error::Usage("give either --kb FILE or paths, and the question last".into()));
        }
        (None, []) => {
            return Err(Error::Usage("name the documents: --kb FILE, or paths before the question".into()));
        }
        (None, [..]) => Place::Memory,
    };
    let keeps = args.keep || args.conversation.is_some();
    let mut assistant = if args.kb.is_some() && !keeps {
        setup::open_to_read(shared, place, !args.no_llm, reporter).await?
    } else {
        setup::open(shared, place, !args.no_llm, reporter).await?
    };
    if args.kb.is_none() {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let scope = index::Scope { base: None, is_document: &|_| true };
        index::add_all(&mut assistant, &paths, &scope, reporter).await?;
        index::need_documents(&assistant, &paths)?;
    }
    Ok(assistant)
}

/// The answer unless it was streamed, then its footnotes.
fn print(answer: &Answer, streamed: bool) {
    output::line(if streamed { "" } else { &answer.answer });
    if let Some(understood) = &answer.understood {
        output::line(&format!("Searched for: {understood}"));
    }
    for sentence in answer.sentences.iter().filter(|s| !s.supported) {
        let chars = answer.answer.chars().skip(sentence.start as usize);
        let text: String = chars.take((sentence.end - sentence.start) as usize).collect();
        output::line(&format!("No document supports: {text}"));
    }
    output::line(if answer.refused { "\nThe nearest passages:" } else { "" });
    for quote in &answer.quotes {
        let page = quote.page.map(|p| format!(", page {p}")).unwrap_or_default();
        output::line(&format!("[{}] {}{page}: \u{201c}{}\u{201d}", quote.n, quote.document, quote.text));
    }
}
