//! What the page asks about the knowledge base as a whole, and what it learns of it.

use std::rc::Rc;

use assistant::{Answer, Message, Role, Scope};
use sycamore::prelude::*;
use ui::{Keep, LibraryEvent, LibraryRequest, Request, RequestId, words};
use web_sys::File;

use super::copies;
use super::link::{Link, Pending};
use super::model::{App, Exchange, Outcome, Phase};

impl Link {
    /// Asks for something that needs no file.
    pub fn library(self, request: LibraryRequest) {
        // These the page asks by itself.
        if !matches!(request, LibraryRequest::Shelf | LibraryRequest::Conversations) {
            self.app().problem.set(None);
        }
        self.send(Request::Library(request), Vec::new());
    }

    /// Takes in a copy of a knowledge base.
    pub fn import(self, file: File) {
        self.app().problem.set(None);
        self.ask_to_keep();
        self.app().copying.set(Some(words::IMPORTING.into()));
        self.app().announcement.set(words::IMPORTING.into());
        self.send(Request::Library(LibraryRequest::Import), vec![file]);
    }

    /// Offers a copy of the knowledge base for download.
    pub fn export(self) {
        self.app().copying.set(Some(words::EXPORTING.into()));
        self.app().announcement.set(words::EXPORTING.into());
        self.library(LibraryRequest::Export);
    }

    /// Offers what is readable of a damaged knowledge base for download.
    pub fn rescue(self) {
        self.app().copying.set(Some(words::EXPORTING.into()));
        self.library(LibraryRequest::Rescue);
    }

    /// Replaces a damaged knowledge base by what is readable of it.
    pub fn rebuild(self) {
        self.app().copying.set(Some(words::REBUILDING.into()));
        self.library(LibraryRequest::Rebuild);
    }

    /// Deletes the damaged knowledge base that was kept.
    pub fn forget_damaged(self) {
        self.library(LibraryRequest::ForgetDamaged);
        self.refresh();
    }

    /// The export or import that is not done yet.
    pub(super) fn copy(self) -> Option<RequestId> {
        self.with_pending(|all| {
            let is_copy = |pending: &Pending| {
                matches!(pending.request, Request::Library(LibraryRequest::Export | LibraryRequest::Import))
            };
            all.iter().find(|(_, pending)| is_copy(pending)).map(|(id, _)| *id)
        })
    }

    /// Which documents a question is asked of: those of the collection that is looked at.
    pub(super) fn scope(self) -> Scope {
        let app = self.app();
        let chosen = app.within.get_untracked();
        let name =
            |id| app.collections.with_untracked(|all| Some(all.iter().find(|c| c.id.0 == id)?.name.clone()));
        Scope { collections: chosen.and_then(name).into_iter().collect(), ..Scope::default() }
    }

    /// Where a question and its answer are kept.
    pub(super) fn keep(self) -> Keep {
        self.app().conversation.get_untracked().map_or(Keep::New, Keep::In)
    }

    pub(super) fn take_library(self, id: RequestId, event: LibraryEvent) {
        let app = self.app();
        match event {
            LibraryEvent::Shelf(shelf) => {
                let is_there = |id| shelf.collections.iter().any(|collection| collection.id.0 == id);
                if app.within.get_untracked().is_some_and(|id| !is_there(id)) {
                    app.within.set(None);
                }
                app.documents.set(shelf.documents);
                app.collections.set(shelf.collections);
            }
            LibraryEvent::Copies { document, near } => app.near.set((document, near)),
            LibraryEvent::Conversations(conversations) => app.conversations.set(conversations),
            LibraryEvent::Messages { conversation, messages } => self.show(conversation, messages),
            LibraryEvent::Kept { conversation } => {
                // Another conversation may have been opened meanwhile.
                if app.exchange(id).is_some() {
                    app.conversation.set(Some(conversation));
                }
                self.library(LibraryRequest::Conversations);
            }
            LibraryEvent::NotKept { message } => app.problem.set(Some(message)),
            LibraryEvent::Copying { done_bytes, total_bytes } => {
                app.copying.set(Some(words::copying(done_bytes, total_bytes)));
            }
            LibraryEvent::Exported { path, .. } => {
                app.copying.set(None);
                platform::spawn_local(async move {
                    if copies::download(&path).await.is_err() {
                        app.problem.set(Some(words::NO_DOWNLOAD.into()));
                    }
                });
            }
            LibraryEvent::Rebuilt(repaired) => {
                app.copying.set(None);
                // The answer and what is told to all say the same.
                if app.phase.with_untracked(|phase| matches!(phase, Phase::Damaged(_))) {
                    app.rebuilt.set(words::rebuilt(&repaired));
                    self.reopen();
                }
            }
            LibraryEvent::Imported(_) => {
                app.copying.set(None);
                app.announcement.set(words::IMPORTED.into());
                self.library(LibraryRequest::Conversations);
            }
            LibraryEvent::Comparing { n_done, n_total } => app.comparing.set(Some((n_done, n_total))),
            // Heard where the files are, or seen in the list.
            LibraryEvent::Compacted { .. }
            | LibraryEvent::Queue(_)
            | LibraryEvent::Read { .. }
            | LibraryEvent::Enqueued { .. }
            | LibraryEvent::SyncPlanned(_)
            | LibraryEvent::Synced { .. } => {}
        }
    }

    /// Shows a conversation that was kept, newest exchange first.
    fn show(self, conversation: u64, messages: Vec<Message>) {
        let app = self.app();
        self.stop();
        let mut exchanges = Vec::new();
        let mut messages = messages.into_iter().peekable();
        while let Some(message) = messages.next() {
            if message.role != Role::Question {
                continue;
            }
            let answer = messages.next_if(|next| next.role == Role::Answer);
            exchanges.insert(0, self.exchange(message.text, answer.map(|answer| answer.details)));
        }
        app.exchanges.set(exchanges);
        app.conversation.set(Some(conversation));
        super::focus("#question");
    }

    fn exchange(self, question: String, answer: Option<serde_json::Value>) -> Exchange {
        let answer = answer.and_then(|answer| serde_json::from_value::<Answer>(answer).ok());
        let quotes = answer.as_ref().map(|answer| answer.quotes.clone());
        let outcome = answer.map_or(Outcome::Stopped, |answer| Outcome::Answered(Rc::new(answer)));
        let id = self.next_id();
        self.app().scope.run_in(|| Exchange {
            id,
            question,
            quotes: create_signal(quotes),
            text: create_signal(String::new()),
            outcome: create_signal(outcome),
        })
    }
}

/// The name of the collection that is asked alone.
pub fn within_name(app: App) -> Option<String> {
    let id = app.within.get()?;
    app.collections
        .with(|all| all.iter().find(|collection| collection.id.0 == id).map(|found| found.name.clone()))
}
