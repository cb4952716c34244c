//! The source beside the answer: a document's text, page by page, with the cited passage in sight.

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::*;
use ui::{Sheet, words};
use wasm_bindgen::prelude::*;
use web_sys::{Element, HtmlElement, ScrollIntoViewOptions, ScrollLogicalPosition};

use super::model::{App, Source};
use super::shelf::cross;

thread_local! {
    /// What had the focus when the source opened; it gets it back.
    static CAME_FROM: RefCell<Option<HtmlElement>> = const { RefCell::new(None) };
}

/// Keeps in mind where the focus is, to give it back when the source closes.
pub fn remember_focus() {
    let is_inside = |element: &Element| element.closest(".source").ok().flatten().is_some();
    let active = document().active_element().filter(|element| !is_inside(element));
    // Some browsers do not focus a button that is clicked; then the page has the focus.
    let element = active.filter(|element| element.tag_name() != "BODY");
    if let Some(element) = element {
        CAME_FROM.set(element.dyn_into().ok());
    }
}

pub fn close(app: App) {
    let quote = document().query_selector(".quote.open").ok().flatten();
    app.source.set(None);
    let quote = quote.and_then(|element| element.dyn_into().ok());
    if let Some(element) = CAME_FROM.take().or(quote) {
        // It may be gone with its document; then the focus falls to the page.
        let _ = element.focus();
    }
}

pub fn view(app: App) -> View {
    View::from_dynamic(move || app.source.get_clone().map_or_else(View::new, |source| panel(app, source)))
}

fn panel(app: App, source: Source) -> View {
    let Source { name, page, start, end, sheets, .. } = source;
    let place = page.map_or_else(String::new, words::page);
    let closer = create_node_ref();
    let is_loaded = matches!(sheets, Some(Ok(_)));
    let text = match sheets {
        None => view! { p(class="busy") { (words::OPENING) } },
        Some(Ok(sheets)) => pages(&sheets, end > start),
        Some(Err(problem)) => view! { p(class="busy", role="alert") { (problem) } },
    };
    on_mount(move || {
        if let Some(button) = closer.try_get() {
            // A button that is on the page can take the focus.
            let _ = button.unchecked_into::<HtmlElement>().focus();
        }
        if is_loaded {
            scroll_to_mark();
        }
    });
    view! {
        div(class="source", id="source", role="dialog", aria-labelledby="source-name") {
            div(class="source-head") {
                div {
                    h2(id="source-name") { (name) }
                    p(id="source-page") { (place) }
                }
                button(class="icon", r#type="button", aria-label=words::CLOSE, title=words::CLOSE, r#ref=closer,
                    on:click=move |_| close(app)) { (cross()) }
            }
            div(class="source-text", id="source-text", tabindex="0") { (text) }
        }
    }
}

fn pages(sheets: &Rc<Vec<Sheet>>, is_marked: bool) -> View {
    let views = sheets.iter().cloned().map(|sheet| page_view(sheet, is_marked)).collect::<Vec<_>>();
    View::from(views)
}

fn page_view(sheet: Sheet, is_marked: bool) -> View {
    let Sheet { page, before, marked, after } = sheet;
    let folio = page.map(|page| {
        let text = words::page(page);
        view! { p(class="folio") { (text) } }
    });
    let is_here = is_marked && !marked.is_empty();
    let class = if is_here { "sheet here" } else { "sheet" };
    let mark = is_here.then(|| view! { mark { (marked) } });
    view! { (folio) div(class=class) { (before) (mark) (after) } }
}

fn scroll_to_mark() {
    let Ok(Some(mark)) = document().query_selector("#source-text mark") else { return };
    let how = ScrollIntoViewOptions::new();
    how.set_block(ScrollLogicalPosition::Start);
    mark.scroll_into_view_with_scroll_into_view_options(&how);
}
