//! What the tests need besides a compiler: a browser, and an adapter to run shaders on.

use std::env;
use std::fs;
use std::path::Path;

use crate::run::{find_program, say};
use crate::{Outcome, apt};

/// Browsers that speak the DevTools protocol, in the order in which the tests look for them.
const CHROMIUM_NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Makes Chromium and a Vulkan adapter available.
pub fn ensure() -> Outcome {
    if let Some(given) = env::var_os("CHROMIUM").filter(|given| !Path::new(given).is_file()) {
        return Err(format!("CHROMIUM names {}, which is not there", given.display()).into());
    }
    if !has_chromium() {
        apt::install(&["chromium"], "Chromium (for the browser tests)")?;
    }
    if cfg!(target_os = "linux") && !has_vulkan_adapter() {
        apt::install(
            &["mesa-vulkan-drivers", "libvulkan1"],
            "a Vulkan driver (for the tests of the kernels)",
        )?;
    }
    Ok(())
}

fn has_chromium() -> bool {
    env::var_os("CHROMIUM").is_some() || find_program(&CHROMIUM_NAMES).is_some()
}

/// Whether some driver is registered with the Vulkan loader. A software driver will do.
fn has_vulkan_adapter() -> bool {
    let is_named = |name| env::var_os(name).is_some_and(|files| !files.is_empty());
    if is_named("VK_DRIVER_FILES") || is_named("VK_ICD_FILENAMES") {
        say("the Vulkan driver is the one that the environment names");
        return true;
    }
    ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(Result::ok)
        .any(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
}
