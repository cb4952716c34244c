//! Conversations that are kept: the list, going on with one, renaming and deleting.

use assistant::Conversation;
use sycamore::prelude::*;
use ui::{LibraryRequest, words};

use super::collections::name_form;
use super::link::Link;
use super::model::App;
use super::shelf::{bin, pencil};
use super::{confirm, focus};

pub fn view(app: App, link: Link) -> View {
    let doing = create_signal(Doing::Nothing);
    let empty = move || match app.conversations.with(Vec::is_empty) {
        true => view! { p(class="more") { (words::NO_CONVERSATIONS) } },
        false => View::new(),
    };
    view! {
        div(class="conversations") {
            button(class="button", id="new-conversation", r#type="button", on:click=move |_| begin(app)) { (words::NEW_CONVERSATION) }
            ul(class="rows", id="conversations") {
                Keyed(list=app.conversations, key=|c| (c.id.0, c.title.clone(), c.n_messages),
                    view=move |conversation| row(app, link, conversation, doing))
            }
            (empty)
        }
    }
}

/// Begins a new conversation: the next question is its first one.
pub fn begin(app: App) {
    app.conversation.set(None);
    app.exchanges.set(Vec::new());
    focus("#question");
}

/// What is being done to a conversation.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    Nothing,
    Renaming(u64),
    Deleting(u64),
}

fn row(app: App, link: Link, conversation: Conversation, doing: Signal<Doing>) -> View {
    let Conversation { id, title, changed_unix_ms, n_messages, .. } = conversation;
    let (id, data_id) = (id.0, id.0.to_string());
    let class = move || if app.conversation.get() == Some(id) { "row chosen" } else { "row" };
    let current = move || if app.conversation.get() == Some(id) { "true" } else { "false" };
    let meta = words::conversation_meta(n_messages, &day(changed_unix_ms));
    let delete = move || {
        doing.set(Doing::Nothing);
        link.library(LibraryRequest::DeleteConversation { conversation: id });
        if app.conversation.get_untracked() == Some(id) {
            begin(app);
        } else {
            focus("#new-conversation");
        }
    };
    let close = move |button: &str| {
        doing.set(Doing::Nothing);
        focus(&format!("#conversations [data-id='{id}'] {button}"));
    };
    let body = move || {
        let (title, meta) = (title.clone(), meta.clone());
        if doing.get() == Doing::Renaming(id) {
            let rename = move |title| {
                link.library(LibraryRequest::RenameConversation { conversation: id, title });
                focus("#new-conversation");
            };
            return name_form(title, words::CONVERSATION_TITLE, rename, move || close(".rename"));
        }
        if doing.get() == Doing::Deleting(id) {
            let question = words::confirm_delete_conversation(&title);
            let yes = vec![(words::DELETE.into(), Box::new(delete) as Box<dyn Fn()>)];
            return confirm::view(question, yes, move || close(".delete"));
        }
        let (rename_label, delete_label) = (words::rename_label(&title), words::delete_label(&title));
        let hint = title.clone();
        view! {
            div(class="row-line") {
                button(class="doc", r#type="button", aria-current=current,
                    on:click=move |_| link.library(LibraryRequest::Messages { conversation: id })) {
                    span(class="name", title=hint) { (title) }
                    span(class="meta") { (meta) }
                }
                button(class="icon rename", r#type="button", aria-label=rename_label,
                    on:click=move |_| doing.set(Doing::Renaming(id))) { (pencil()) }
                button(class="icon delete", r#type="button", aria-label=delete_label, on:click=move |_| doing.set(Doing::Deleting(id))) { (bin()) }
            }
        }
    };
    view! { li(class=class, data-id=data_id) { (body) } }
}

/// The day of a moment, as the user's language writes it.
fn day(unix_ms: i64) -> String {
    let date = js_sys::Date::new(&(unix_ms as f64).into());
    date.to_locale_date_string("default", &js_sys::Object::new()).into()
}
