//! The shared body of tests as a program for a browser's worker. `cargo xtask test` builds it and
//! `tests/tests/platform.rs` runs it; it posts `ok`, or the message of the check that failed.

#[cfg(target_arch = "wasm32")]
#[path = "../tests/body/mod.rs"]
mod body;

#[cfg(target_arch = "wasm32")]
mod worker {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_name = postMessage)]
        fn post(message: &str);
        #[wasm_bindgen(thread_local_v2, js_namespace = location, js_name = origin)]
        static ORIGIN: String;
    }

    pub(super) fn start() {
        std::panic::set_hook(Box::new(|info| post(&info.to_string())));
        platform::spawn_local(async {
            post("tasks");
            super::body::tasks().await;
            post("downloads");
            let origin = ORIGIN.with(Clone::clone);
            let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 253) as u8).collect();
            let [url, missing] = ["bytes.bin", "missing"].map(|name| format!("{origin}/{name}"));
            super::body::downloads(&url, &bytes, &missing).await;
            post("files");
            super::body::files_and_folders("tests").await;
            post("storage");
            let estimate = platform::storage_estimate().await;
            assert!(estimate.is_some_and(|e| e.quota_bytes > 0), "{estimate:?}");
            platform::request_persistence().await;
            post("ok");
        });
    }
}

fn main() {
    #[cfg(target_arch = "wasm32")]
    worker::start();
}
