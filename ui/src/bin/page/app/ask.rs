//! The question, and under it every answer of this visit, newest first.

use std::rc::Rc;

use assistant::{Answer, Quote};
use sycamore::prelude::*;
use ui::{Part, RequestId, Step, Style, answer_parts, answer_sentences, inline, without_line_marks, words};
use web_sys::{KeyboardEvent, MouseEvent, SubmitEvent};

use super::link::Link;
use super::model::{App, Exchange, Outcome, Phase, Source};
use super::{library, notices, source};

pub fn view(app: App, link: Link) -> View {
    view! {
        main(class="middle") {
            div(class="column") {
                (notices::view(app, link))
                (question(app, link))
                (welcome(app))
                section(aria-label="Answers") {
                    Keyed(list=app.exchanges, key=|exchange| exchange.id, view=move |exchange| exchange_view(app, link, exchange))
                }
            }
        }
    }
}

fn question(app: App, link: Link) -> View {
    let text = create_signal(String::new());
    let can_ask = move || app.is_open() && !app.documents.with(Vec::is_empty);
    let send = move || {
        let question = text.with_untracked(|text| text.trim().to_owned());
        if !question.is_empty() && can_ask() {
            text.set(String::new());
            link.ask(question);
        }
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        send();
    };
    let on_key = move |event: KeyboardEvent| {
        // While an input method composes a word, Enter belongs to it.
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            send();
        }
    };
    let placeholder = move || if can_ask() { words::ASK_PLACEHOLDER } else { words::ASK_EMPTY };
    let hint = move || match (can_ask(), app.is_reading()) {
        (false, _) => "",
        (true, true) => words::ASK_WAITS,
        (true, false) => words::ASK_HINT,
    };
    let hint_class = move || if app.is_reading() { "hint" } else { "hint keys" };
    // One button for both, so that the focus stays on it.
    let is_asking = move || app.asking.get().is_some();
    let class = move || if is_asking() { "button" } else { "button primary" };
    let button_id = move || if is_asking() { "stop" } else { "ask" };
    let label = move || if is_asking() { words::STOP } else { words::ASK };
    let is_off = move || !is_asking() && !can_ask();
    let act = move |event: MouseEvent| match app.asking.get_untracked() {
        // The second click of a double click asks for nothing new.
        Some(_) if event.detail() > 1 => {}
        Some(_) => link.stop(),
        None => send(),
    };
    view! {
        form(class="ask", role="search", on:submit=on_submit) {
            label(class="sr", r#for="question") { (words::QUESTION) }
            textarea(id="question", rows="1", placeholder=placeholder, aria-describedby="hint", autocomplete="off",
                bind:value=text, on:keydown=on_key)
            button(class=class, id=button_id, r#type="button", disabled=is_off, on:click=act) { (label) }
        }
        p(class=hint_class, id="hint") { (hint) }
        (within(app))
    }
}

/// Which documents are asked, where not all of them are.
fn within(app: App) -> View {
    View::from_dynamic(move || match library::within_name(app) {
        None => View::new(),
        Some(name) => {
            let text = words::asking_within(&name);
            view! {
                p(class="within", id="within") {
                    span { (text) }
                    button(class="link", r#type="button", on:click=move |_| app.within.set(None)) { (words::ASK_ALL) }
                }
            }
        }
    })
}

fn welcome(app: App) -> View {
    View::from_dynamic(move || {
        // On the first start there is time to read while models come.
        let is_time = app.phase.with(|phase| match phase {
            Phase::Ready => true,
            Phase::Starting(steps) => steps.iter().any(|step| matches!(step, Step::Fetching { .. })),
            _ => false,
        });
        if !is_time || !app.exchanges.with(Vec::is_empty) {
            return View::new();
        }
        let (title, text) = match app.documents.with(Vec::is_empty) {
            true => (words::WELCOME, words::WELCOME_TEXT),
            false => (words::WELCOME_BACK, words::WELCOME_BACK_TEXT),
        };
        view! { div(class="welcome") { h2 { (title) } p { (text) } } }
    })
}

fn exchange_view(app: App, link: Link, exchange: Exchange) -> View {
    let Exchange { id, question, quotes, text, outcome } = exchange;
    let is_busy = move || if outcome.with(|o| *o == Outcome::Running) { "true" } else { "false" };
    let open = move |n: u32| {
        let quote = quotes.with_untracked(|all| all.iter().flatten().find(|quote| quote.n == n).cloned());
        if let Some(quote) = quote {
            open_quote(link, id, quote);
        }
    };
    let answer = move || match outcome.get_clone() {
        Outcome::Running => running(quotes, text, open),
        Outcome::Answered(answer) => answered(&answer, open),
        Outcome::Stopped => stopped(quotes, text, view! { p(class="after") { (words::STOPPED) } }, open),
        Outcome::Failed(message) => {
            stopped(quotes, text, view! { p(class="after failed", role="alert") { (message) } }, open)
        }
    };
    let footnotes =
        move || quotes.get_clone().map_or_else(View::new, |quotes| footnotes(app, id, quotes, outcome, open));
    view! {
        article(class="exchange", aria-busy=is_busy) {
            h2 { (question) }
            (answer)
            (footnotes)
        }
    }
}

fn open_quote(link: Link, exchange: RequestId, quote: Quote) {
    source::remember_focus();
    let Quote { n, document_id, document, page, start, end, .. } = quote;
    let footnote = Some((exchange, n));
    link.open(document_id, Source { request: 0, name: document, page, start, end, footnote, sheets: None });
}

type Quotes = Signal<Option<Vec<Quote>>>;

fn running(quotes: Quotes, text: Signal<String>, open: impl Fn(u32) + Copy + 'static) -> View {
    // One view for the whole run: only the parts that change are touched as words come.
    let note = create_selector(move || match (quotes.with(Option::is_some), text.with(String::is_empty)) {
        (false, _) => words::SEARCHING,
        (true, true) => words::WRITING,
        (true, false) => "",
    });
    let parts = create_memo(move || {
        let n_quotes = quotes.with(|quotes| quotes.as_ref().map_or(0, Vec::len)) as u32;
        text.with(|text| answer_parts(text, n_quotes))
    });
    view! {
        div(class="answer") {
            span(class="busy") { (note.get()) }
            Indexed(list=parts, view=move |part| part_view(part, open))
            span(class="cursor", aria-hidden="true")
        }
    }
}

fn stopped(quotes: Quotes, text: Signal<String>, note: View, open: impl Fn(u32) + Copy + 'static) -> View {
    let n_quotes = quotes.with_untracked(|quotes| quotes.as_ref().map_or(0, Vec::len)) as u32;
    let parts = text.with_untracked(|text| answer_parts(text, n_quotes));
    let parts = parts.into_iter().map(|part| part_view(part, open)).collect::<Vec<_>>();
    view! {
        div(class="answer") { (parts) }
        (note)
    }
}

fn answered(answer: &Rc<Answer>, open: impl Fn(u32) + Copy + 'static) -> View {
    let sentences = answer_sentences(answer);
    let is_doubtful = sentences.iter().any(|(_, is_unsupported)| *is_unsupported);
    let sentences = sentences.into_iter().map(|(parts, is_unsupported)| {
        let parts = parts.into_iter().map(|part| part_view(part, open)).collect::<Vec<_>>();
        if !is_unsupported {
            return View::from(parts);
        }
        view! { span(class="unsupported", title=words::UNSUPPORTED_HINT) { (parts) } }
    });
    let sentences = sentences.collect::<Vec<_>>();
    let class = if answer.refused { "answer refusal" } else { "answer" };
    let caution = is_doubtful.then(|| view! { p(class="caution") { (words::UNSUPPORTED) } });
    let problem = answer.problem.clone().map(|problem| view! { p(class="caution") { (problem) } });
    let after = words::took(answer);
    view! { div(class=class) { (sentences) } (caution) (problem) p(class="after") { (after) } }
}

fn part_view(part: Part, open: impl Fn(u32) + Copy + 'static) -> View {
    match part {
        Part::Text(text) => prose(&text),
        Part::Ref(n) => {
            let (label, number) = (words::open_footnote(n), n.to_string());
            let follow = move |event: MouseEvent| {
                event.prevent_default();
                open(n);
            };
            // A link, for no line is broken between a word and its number; before and behind a button it is.
            view! { a(class="ref", href="#source", aria-label=label, on:click=follow) { (number) } }
        }
    }
}

/// Text with its Markdown marks shown as what they mean.
fn prose(text: &str) -> View {
    let runs = inline(text).into_iter().map(|(style, words)| match style {
        Style::Plain => View::from(words),
        Style::Emphasis => view! { em { (words) } },
        Style::Strong => view! { strong { (words) } },
        Style::Code => view! { code { (words) } },
    });
    View::from(runs.collect::<Vec<_>>())
}

fn footnotes(
    app: App,
    exchange: RequestId,
    quotes: Vec<Quote>,
    outcome: Signal<Outcome>,
    open: impl Fn(u32) + Copy + 'static,
) -> View {
    if quotes.is_empty() {
        return View::new();
    }
    // Under a refusal stand the nearest passages, which answer nothing.
    let title = move || match outcome.get_clone() {
        Outcome::Answered(answer) if answer.refused => words::NEAREST,
        _ => words::FOOTNOTES,
    };
    let rows = quotes.into_iter().map(|quote| footnote(app, exchange, quote, open)).collect::<Vec<_>>();
    view! {
        section(class="footnotes") {
            h3(class="small-head") { (title) }
            ol { (rows) }
        }
    }
}

fn footnote(app: App, exchange: RequestId, quote: Quote, open: impl Fn(u32) + Copy + 'static) -> View {
    let Quote { n, text, document_id, document, page, .. } = quote;
    let is_markdown = app
        .documents
        .with_untracked(|all| all.iter().any(|row| row.id == document_id && row.kind == "markdown"));
    let text = if is_markdown { prose(&without_line_marks(&text)) } else { View::from(text) };
    let (document, page) = words::place(&document, page);
    let is_open = move || app.source.with(|s| s.as_ref().is_some_and(|s| s.footnote == Some((exchange, n))));
    let class = move || if is_open() { "quote open" } else { "quote" };
    let (number, data_n) = (n.to_string(), n.to_string());
    view! {
        li {
            button(class=class, r#type="button", data-n=data_n, on:click=move |_| open(n)) {
                span(class="n") { (number) }
                span {
                    span(class="words") { (text) }
                    span(class="place") { b { (document) } (page) }
                }
            }
        }
    }
}
