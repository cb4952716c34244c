//! What the browser grants this site.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

use super::js::{settle, storage_manager};
use crate::StorageEstimate;

pub(crate) async fn estimate() -> Option<StorageEstimate> {
    let storage = storage_manager()?;
    let estimate: JsValue = settle(storage.estimate().ok()?).await.ok()?;
    let bytes = |key: &str| Some(Reflect::get(&estimate, &key.into()).ok()?.as_f64()? as u64);
    let persisted: JsValue = settle(storage.persisted().ok()?).await.ok()?;
    Some(StorageEstimate {
        usage_bytes: bytes("usage")?,
        quota_bytes: bytes("quota")?,
        persisted: persisted.is_truthy(),
    })
}

pub(crate) async fn persist() -> bool {
    let Some(storage) = storage_manager() else {
        return false;
    };
    // A worker has `persisted` alone.
    let can_ask = Reflect::has(&storage, &"persist".into()).unwrap_or(false);
    let promise = if can_ask { storage.persist() } else { storage.persisted() };
    let Ok(promise) = promise else { return false };
    settle::<JsValue>(promise).await.is_ok_and(|granted| granted.is_truthy())
}
