//! What the browser grants this site.

use std::cell::Cell;

use js_sys::Reflect;
use wasm_bindgen::JsValue;

use super::js::{is_worker, settle, storage_manager};
use crate::{Room, StorageEstimate};

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

pub(crate) async fn room(_path: &str) -> Option<Room> {
    let StorageEstimate { usage_bytes, quota_bytes, .. } = estimate().await?;
    Some(Room { free_bytes: quota_bytes.saturating_sub(usage_bytes), counts_holes: true })
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

/// Asked once: a browser does not change its mind within a visit.
pub(crate) async fn keeps_files() -> bool {
    thread_local! {
        static KEEPS: Cell<Option<bool>> = const { Cell::new(None) };
    }
    if let Some(known) = KEEPS.get() {
        return known;
    }
    let keeps = has_files().await;
    KEEPS.set(Some(keeps));
    keeps
}

async fn has_files() -> bool {
    let Some(storage) = storage_manager() else { return false };
    let has = |object: &JsValue, name: &str| Reflect::has(object, &name.into()).unwrap_or(false);
    if !has(&storage, "getDirectory") || settle::<JsValue>(storage.get_directory()).await.is_err() {
        return false;
    }
    // A page never has synchronous access, and says so where it is asked for.
    let handle = Reflect::get(&js_sys::global(), &"FileSystemFileHandle".into()).unwrap_or_default();
    let prototype = Reflect::get(&handle, &"prototype".into()).unwrap_or_default();
    !is_worker() || (prototype.is_object() && has(&prototype, "createSyncAccessHandle"))
}
