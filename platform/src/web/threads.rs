//! The threads that compute: workers which run this very program on this very memory.
//!
//! Only a program that was compiled with `+atomics` can have them, so there is a twin in
//! `no_threads.rs` for the others.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{Worker, WorkerOptions, WorkerType};

use super::js;
use crate::pool::Pool;

/// Beyond this the workers of one tab take more memory and start-up time than they give speed.
const MAX: usize = 8;

/// The script of a thread; it lies beside the program.
const SCRIPT: &str = "compute-worker.js";
/// Loading a script that is in the cache and making an instance of a compiled module takes tens of
/// milliseconds. Helpers that need longer join later.
const MAX_START_MS: f64 = 5_000.0;
const POLL_MS: u32 = 4;
/// Each look takes about a nanosecond: wasm has no spin-wait instruction.
const N_SPINS: u32 = 20_000;

static POOL: Pool = Pool::new(N_SPINS);

thread_local! {
    /// Keeps the workers alive.
    static HELPERS: RefCell<Vec<Worker>> = const { RefCell::new(Vec::new()) };
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_namespace = ["import", "meta"], js_name = url)]
    static PROGRAM_URL: String;
}

pub(crate) async fn start(n_threads: Option<usize>) -> usize {
    if !js::is_worker() || !js::is_isolated() || HELPERS.with_borrow(|helpers| !helpers.is_empty()) {
        return count();
    }
    let n_wanted = n_threads.unwrap_or_else(|| js::hardware_threads().min(MAX)).max(1);
    let n_failed = Rc::new(Cell::new(0));
    for _ in 1..n_wanted {
        match start_helper(&n_failed) {
            Ok(helper) => HELPERS.with_borrow_mut(|helpers| helpers.push(helper)),
            // There are fewer threads, which the count says.
            Err(_) => n_failed.set(n_failed.get() + 1),
        }
    }
    let since = js::performance_now();
    while count() + n_failed.get() < n_wanted && js::performance_now() - since < MAX_START_MS {
        super::tasks::sleep_ms(POLL_MS).await;
    }
    count()
}

pub(crate) fn count() -> usize {
    POOL.n_threads()
}

pub(crate) fn parallel_chunks_mut<T: Send>(
    data: &mut [T],
    chunk_len: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    POOL.chunks_mut(data, chunk_len, f);
}

/// The body of a thread; its script calls this.
#[wasm_bindgen(js_name = computeForever)]
pub fn compute_forever() {
    POOL.help()
}

/// The script of a thread calls this when the body has crashed.
#[wasm_bindgen(js_name = computeCrashed)]
pub fn compute_crashed() {
    POOL.lose_helper();
}

fn start_helper(n_failed: &Rc<Cell<usize>>) -> Result<Worker, JsValue> {
    let program_url = PROGRAM_URL.with(Clone::clone);
    let folder_end = program_url.rfind('/').map_or(0, |slash| slash + 1);
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    let url = format!("{}{SCRIPT}", &program_url[..folder_end]);
    let worker = Worker::new_with_options(&url, &options)?;
    let n_failed = Rc::clone(n_failed);
    let on_error = Closure::<dyn FnMut(JsValue)>::new(move |_| n_failed.set(n_failed.get() + 1));
    worker.set_onerror(Some(on_error.into_js_value().unchecked_ref()));
    let parts = [
        ("program", JsValue::from(program_url)),
        ("module", wasm_bindgen::module()),
        ("memory", wasm_bindgen::memory()),
    ];
    let message = Object::new();
    for (name, part) in parts {
        Reflect::set(&message, &name.into(), &part)?;
    }
    if let Err(error) = worker.post_message(&message) {
        worker.terminate();
        return Err(error);
    }
    Ok(worker)
}
