//! The engine: a dedicated worker that owns the assistant, the store and the models.

#[cfg(target_arch = "wasm32")]
mod worker;

fn main() {
    #[cfg(target_arch = "wasm32")]
    worker::start();
}
