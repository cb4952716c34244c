//! Copies of a whole knowledge base: offered for download as one file, and taken in again.

use js_sys::Promise;
use sycamore::prelude::*;
use ui::words;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, FileSystemDirectoryHandle, FileSystemFileHandle, HtmlElement, HtmlInputElement, Url};

use super::link::Link;
use super::model::App;

/// How long the browser has to begin a download before its address is let go.
const ADDRESS_LIVES_MS: u32 = 60_000;

pub fn view(app: App, link: Link) -> View {
    let input = create_node_ref();
    let field = move || input.get().unchecked_into::<HtmlInputElement>();
    let take = move |_| {
        if let Some(file) = field().files().and_then(|files| files.get(0)) {
            link.import(file);
        }
        field().set_value("");
    };
    let is_off = move || !app.is_open() || app.copying.with(Option::is_some);
    let cannot_export = move || is_off() || app.documents.with(Vec::is_empty);
    view! {
        div(class="copies") {
            button(class="link", id="export", r#type="button", title=words::EXPORT_HINT, disabled=cannot_export,
                on:click=move |_| link.export()) { (words::EXPORT) }
            button(class="link", r#type="button", title=words::IMPORT_HINT, disabled=is_off,
                on:click=move |_| field().click()) { (words::IMPORT) }
            input(id="import", r#type="file", hidden=true, aria-label=words::IMPORT, accept=".footnote-export",
                r#ref=input, on:change=take)
            p(class="meta") { (app.copying.get_clone().unwrap_or_default()) }
            (cancel(app, link))
        }
    }
}

fn cancel(app: App, link: Link) -> View {
    let is_copying = create_selector(move || app.copying.with(Option::is_some) && link.copy().is_some());
    View::from_dynamic(move || match is_copying.get() {
        false => View::new(),
        true => {
            let cancel = move |_| {
                if let Some(id) = link.copy() {
                    link.cancel(id);
                }
            };
            view! { button(class="link", id="cancel-copy", r#type="button", on:click=cancel) { (words::CANCEL) } }
        }
    })
}

/// Hands a file of the origin to the user as a download.
///
/// # Errors
/// The browser's own, when the file is not there any more.
pub async fn download(path: &str) -> Result<(), JsValue> {
    download_as(path, path.rsplit_once('/').map_or(path, |(_, name)| name)).await
}

/// As [`download`], under another name.
///
/// # Errors
/// As [`download`].
pub async fn download_as(path: &str, saved_as: &str) -> Result<(), JsValue> {
    let storage = web_sys::window().expect("a page has a window").navigator().storage();
    let mut folder: FileSystemDirectoryHandle = settle(storage.get_directory()).await?;
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    for parent in parents.split('/').filter(|parent| !parent.is_empty()) {
        folder = settle(folder.get_directory_handle(parent)).await?;
    }
    let handle: FileSystemFileHandle = settle(folder.get_file_handle(name)).await?;
    // The browser reads it from the disk as it saves it.
    let file: Blob = settle(handle.get_file()).await?;
    let address = Url::create_object_url_with_blob(&file)?;
    let anchor: HtmlElement = document().create_element("a")?.unchecked_into();
    anchor.set_attribute("href", &address)?;
    anchor.set_attribute("download", saved_as)?;
    anchor.click();
    platform::sleep_ms(ADDRESS_LIVES_MS).await;
    Url::revoke_object_url(&address)
}

async fn settle<T: JsCast>(promise: Promise) -> Result<T, JsValue> {
    Ok(JsFuture::from(promise).await?.unchecked_into())
}
