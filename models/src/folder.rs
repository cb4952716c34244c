//! Where native programs keep models when nobody says otherwise.

use std::env;
use std::path::PathBuf;

/// `$FOOTNOTE_MODELS`, or the `footnote/models` folder in the user's cache folder. `None` where
/// neither is known (in the browser, or without a home folder).
pub fn default_folder() -> Option<String> {
    let named = env::var_os("FOOTNOTE_MODELS").filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = named.or_else(|| Some(user_cache()?.join("footnote").join("models")))?;
    folder.into_os_string().into_string().ok()
}

fn user_cache() -> Option<PathBuf> {
    let var = |name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if cfg!(windows) {
        return var("LOCALAPPDATA");
    }
    if cfg!(target_os = "macos") {
        return Some(var("HOME")?.join("Library/Caches"));
    }
    var("XDG_CACHE_HOME").or_else(|| Some(var("HOME")?.join(".cache")))
}
