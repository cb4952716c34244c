//! What the address of the page says about the engine.

use sycamore::prelude::*;
use ui::{Setup, TierChoice};
use web_sys::UrlSearchParams;

use super::models;

/// The engine; `?build=plain` in the address keeps it from using what not every browser has.
pub fn engine_script() -> String {
    match query().get("build") {
        Some(build) => format!("engine-worker.js?build={}", js_sys::encode_uri_component(&build)),
        None => "engine-worker.js".to_owned(),
    }
}

/// The settings in the address: `?tier=cpu`, `?tier=gpu`, `?tier=gpu-all`, `?generator=off` or a model's name (else the
/// one that was chosen on the page), `?threads=2`, `?mirror=https://..`, `?read-seconds=60`.
pub fn setup() -> Setup {
    let query = query();
    let tier = match query.get("tier").as_deref() {
        Some("cpu") => TierChoice::Cpu,
        Some("gpu") => TierChoice::Gpu,
        Some("gpu-all") => TierChoice::GpuAll,
        _ => TierChoice::Auto,
    };
    let threads = query.get("threads").and_then(|n_threads| n_threads.parse().ok());
    let read_seconds = query.get("read-seconds").and_then(|n_seconds| n_seconds.parse().ok());
    let generator = query.get("generator").or_else(models::chosen);
    Setup {
        tier,
        generator: generator.as_deref() != Some(models::OFF),
        threads,
        generator_model: generator.filter(|name| name != models::OFF && name != "on"),
        generator_later: true,
        mirror: query.get("mirror"),
        read_seconds,
    }
}

fn query() -> UrlSearchParams {
    let query = window().location().search().unwrap_or_default();
    UrlSearchParams::new_with_str(&query).expect("a query can be parsed")
}
