//! The ingest worker: parses untrusted files and is thrown away with the first that ends badly.

#[cfg(target_arch = "wasm32")]
mod worker;

fn main() {
    #[cfg(target_arch = "wasm32")]
    worker::start();
}
