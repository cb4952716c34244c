//! Folders: what is dropped or chosen is walked through and compared with what is stored; what is new or
//! has changed is read, and whether documents go with their files is asked.

use assistant::SyncPlan;
use futures_channel::oneshot;
use js_sys::{Array, Function, Reflect};
use sycamore::prelude::*;
use ui::{MAX_FOLDER_FILES, QueueRequest, Request, is_readable, words};
use wasm_bindgen::prelude::*;
use web_sys::{DataTransfer, File, FileList};

use super::link::{Link, Pending};
use super::model::{App, Gone};
use super::shelf::take_files;
use super::{focus, models};

/// Names that are listed before it is asked whether they go; the others are counted.
const MAX_NAMES: usize = 8;

#[wasm_bindgen]
extern "C" {
    /// An item of a `DataTransfer`.
    type Item;
    #[wasm_bindgen(method, js_name = webkitGetAsEntry)]
    fn entry(this: &Item) -> Option<Entry>;
    /// A `FileSystemEntry` of whichever kind.
    #[derive(Clone)]
    type Entry;
    #[wasm_bindgen(method, getter, js_name = isDirectory)]
    fn is_directory(this: &Entry) -> bool;
    #[wasm_bindgen(method, getter)]
    fn name(this: &Entry) -> String;
    #[wasm_bindgen(method, getter, js_name = fullPath)]
    fn full_path(this: &Entry) -> String;
    #[wasm_bindgen(method)]
    fn file(this: &Entry, done: &Function, fail: &Function);
    #[wasm_bindgen(method, js_name = createReader)]
    fn reader(this: &Entry) -> Reader;
    /// A `FileSystemDirectoryReader`.
    type Reader;
    #[wasm_bindgen(method, js_name = readEntries)]
    fn read(this: &Reader, done: &Function, fail: &Function);
}

/// A file with its path below the folder.
type Found = (String, File);

/// Takes what was dropped, files and folders. Has to be called while the event is handled: afterwards its
/// items are gone.
pub fn take_drop(app: App, link: Link, data: &DataTransfer) {
    let items = Array::from(&Reflect::get(data, &"items".into()).unwrap_or_default());
    let entries = items.iter().filter_map(|item| item.unchecked_into::<Item>().entry());
    let folders: Vec<Entry> = entries.filter(Entry::is_directory).collect();
    let names: Vec<String> = folders.iter().map(Entry::name).collect();
    // A folder is among the files, too, as one that cannot be read.
    let files = listed(data.files()).into_iter().map(|file| (file.name(), file));
    let files: Vec<_> = files.filter(|(name, _)| !names.contains(name)).collect();
    if folders.is_empty() || !files.is_empty() {
        take_files(app, link, &files);
    }
    platform::spawn_local(async move {
        for folder in folders {
            let mut found = Vec::new();
            walk(&folder, &mut found).await;
            take_folder(app, link, &folder.name(), found);
        }
    });
}

/// Takes the folder that was chosen in the dialog.
pub fn take_chosen(app: App, link: Link, list: Option<FileList>) {
    let path = |file: &File| Reflect::get(file, &"webkitRelativePath".into()).ok()?.as_string();
    let all = listed(list).into_iter().filter_map(|file| Some((path(&file)?, file)));
    let mut folder = String::new();
    let found = all.filter_map(|(path, file)| {
        let (first, rest) = path.split_once('/')?;
        first.clone_into(&mut folder);
        Some((rest.to_owned(), file))
    });
    let found: Vec<Found> = found.collect();
    take_folder(app, link, &folder, found);
}

/// The files of a list.
pub fn listed(list: Option<FileList>) -> Vec<File> {
    list.into_iter().flat_map(|list| (0..list.length()).filter_map(move |i| list.get(i))).collect()
}

fn take_folder(app: App, link: Link, folder: &str, found: Vec<Found>) {
    if !app.is_open() {
        return;
    }
    app.problem.set(None);
    let (found, has_models) = models::take_models(link, Some(folder), found);
    let readable: Vec<Found> = found.into_iter().filter(|(path, _)| is_readable(path)).collect();
    match readable.len() {
        // The folder was a model's.
        0 if has_models => {}
        // An empty list may as well be a folder that was not let in: nothing is taken for gone.
        0 => app.problem.set(Some(words::empty_folder(folder))),
        1..=MAX_FOLDER_FILES => link.compare(folder, readable),
        _ => app.problem.set(Some(words::large_folder(folder, MAX_FOLDER_FILES as u64))),
    }
}

impl Link {
    /// Compares a folder with what is stored of it.
    fn compare(self, folder: &str, found: Vec<Found>) {
        self.ask_to_keep();
        self.app().comparing.set(None);
        let (paths, files) = found.into_iter().unzip();
        self.send(Request::Queue(QueueRequest::PlanSync { folder: folder.to_owned(), paths }), files);
    }

    /// A folder was compared: does what needs no question, and asks about the rest.
    pub(super) fn take_plan(self, asked: Option<Pending>, plan: SyncPlan) {
        let Some(Pending { request, files, .. }) = asked else { return };
        let Request::Queue(QueueRequest::PlanSync { folder, paths }) = request else { return };
        let wanted: std::collections::HashSet<&String> = plan.added.iter().chain(&plan.changed).collect();
        let all = paths.iter().map(|path| format!("{folder}/{path}")).zip(files);
        let to_read: Vec<_> = all.filter(|(name, _)| wanted.contains(name)).collect();
        self.note(words::compared(&folder, &plan));
        self.add(&to_read);
        let SyncPlan { moved, gone, .. } = plan;
        if !moved.is_empty() {
            let plan = SyncPlan { moved, ..SyncPlan::default() };
            self.queue(QueueRequest::ApplySync { plan, delete_gone: false });
        }
        if !gone.is_empty() {
            self.app().gone.set(Some(Gone { folder, names: gone }));
        }
    }
}

/// The question whether documents go with their files; empty when there is none.
pub fn gone_view(app: App, link: Link) -> View {
    View::from_dynamic(move || {
        let Some(Gone { folder, names }) = app.gone.get_clone() else { return View::new() };
        let question = words::gone_from(&folder, names.len() as u64);
        let shown = names.iter().take(MAX_NAMES).cloned();
        let shown = shown.map(|name| view! { li(class="meta") { (name) } }).collect::<Vec<_>>();
        let more = match names.len().saturating_sub(MAX_NAMES) {
            0 => View::new(),
            n => view! { li(class="meta") { (words::more_names(n as u64)) } },
        };
        let close = move || {
            app.gone.set(None);
            focus("#drop button");
        };
        let delete = move |_| {
            let plan = SyncPlan { gone: names.clone(), ..SyncPlan::default() };
            link.queue(QueueRequest::ApplySync { plan, delete_gone: true });
            close();
        };
        view! {
            div(class="job locked", id="gone", role="group") {
                p(role="alert") { (question) }
                ul { (shown) (more) }
                div(class="pair") {
                    button(class="button small danger", r#type="button", on:click=delete) { (words::DELETE) }
                    button(class="button small keep", r#type="button", on:click=move |_| close()) { (words::KEEP) }
                }
            }
        }
    })
}

/// All files below a folder with their paths below it, and no more than may be taken. What cannot be read
/// any more is left out: it was moved or deleted meanwhile.
async fn walk(root: &Entry, found: &mut Vec<Found>) {
    let above = format!("{}/", root.full_path());
    let mut open = vec![root.clone()];
    while let Some(entry) = open.pop() {
        let path = entry.full_path().strip_prefix(&above).unwrap_or_default().to_owned();
        let is_wanted = path.is_empty() || is_readable(&path) || ui::is_of_model(&path);
        if found.len() > MAX_FOLDER_FILES || !is_wanted {
            continue;
        }
        if !entry.is_directory() {
            let (done, fail, outcome) = callbacks();
            entry.file(&done, &fail);
            if let Ok(Some(file)) = outcome.await {
                found.push((path, file.unchecked_into()));
            }
            continue;
        }
        let reader = entry.reader();
        // A reader gives some hundred entries at a time, and none at the end.
        loop {
            let (done, fail, outcome) = callbacks();
            reader.read(&done, &fail);
            let entries: Array = outcome.await.ok().flatten().map(JsCast::unchecked_into).unwrap_or_default();
            if entries.length() == 0 {
                break;
            }
            open.extend(entries.iter().map(JsCast::unchecked_into::<Entry>));
        }
    }
}

/// The two callbacks of an older interface, and what one of them will be told.
fn callbacks() -> (Function, Function, oneshot::Receiver<Option<JsValue>>) {
    let (sender, outcome) = oneshot::channel();
    let sender = std::rc::Rc::new(std::cell::RefCell::new(Some(sender)));
    let failed = std::rc::Rc::clone(&sender);
    let done = Closure::once_into_js(move |value: JsValue| {
        if let Some(sender) = sender.take() {
            // The receiver may have been dropped with the page.
            let _ = sender.send(Some(value));
        }
    });
    let fail = Closure::once_into_js(move |_: JsValue| {
        if let Some(sender) = failed.take() {
            let _ = sender.send(None);
        }
    });
    (done.unchecked_into(), fail.unchecked_into(), outcome)
}
