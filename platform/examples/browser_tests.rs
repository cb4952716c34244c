//! The shared body of tests as a program for a browser's worker. `cargo xtask web --tests` builds it
//! and `tests/tests/platform.rs` runs it; it posts `ok`, or the message of the check that failed.

#[cfg(target_arch = "wasm32")]
#[path = "../tests/body/mod.rs"]
mod body;

#[cfg(target_arch = "wasm32")]
mod worker {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering};

    use wasm_bindgen::prelude::*;

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_name = postMessage)]
        fn post(message: &str);
        #[wasm_bindgen(thread_local_v2, js_namespace = location, js_name = origin)]
        static ORIGIN: String;
        #[wasm_bindgen(thread_local_v2, js_namespace = location, js_name = search)]
        static SEARCH: String;
    }

    /// One more than many machines have: they must do with fewer cores than threads.
    const N_WANTED: usize = 3;

    pub(super) fn start() {
        std::panic::set_hook(Box::new(|info| post(&info.to_string())));
        platform::spawn_local(async {
            if SEARCH.with(|search| search.contains("crash")) {
                crash().await;
            } else {
                check_all().await;
            }
            post("ok");
        });
    }

    async fn check_all() {
        post("tasks");
        super::body::tasks().await;
        post("threads");
        let has_threads = SEARCH.with(|search| search.contains("expect-threads"));
        super::body::threads(N_WANTED, if has_threads { N_WANTED } else { 1 }).await;
        post("downloads");
        let origin = ORIGIN.with(Clone::clone);
        let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 253) as u8).collect();
        let [url, missing] = ["bytes.bin", "missing"].map(|name| format!("{origin}/{name}"));
        super::body::downloads(&url, &bytes, &missing).await;
        post("files");
        let is_private = SEARCH.with(|search| search.contains("private-window"));
        assert_eq!(platform::keeps_files().await, !is_private);
        super::body::files_and_folders("tests").await;
        post("storage");
        let estimate = platform::storage_estimate().await;
        assert!(estimate.is_some_and(|e| e.quota_bytes > 0), "{estimate:?}");
        platform::request_persistence().await;
    }

    /// A helper crashes in the middle of its piece: the program must end and say so.
    async fn crash() {
        thread_local! {
            static IS_FIRST_THREAD: Cell<bool> = const { Cell::new(false) };
        }
        IS_FIRST_THREAD.set(true);
        assert_eq!(platform::start_threads(Some(2)).await, 2);
        let is_helper_here = AtomicBool::new(false);
        platform::parallel_chunks_mut(&mut [(); 2], 1, |_, _| {
            if !IS_FIRST_THREAD.get() {
                is_helper_here.store(true, Ordering::SeqCst);
                std::process::abort();
            }
            while !is_helper_here.load(Ordering::SeqCst) {}
        });
    }
}

fn main() {
    #[cfg(target_arch = "wasm32")]
    worker::start();
}
