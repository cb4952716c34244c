//! The floor table of `docs/ARCHITECTURE.md` against what `cargo metadata` says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate lies in the workspace root")
        .to_path_buf()
}

/// Reads the rows `| 2 | `vectordb` | ... |` of the floor table; a crate that stands alone has the
/// floor `-`.
fn floor_table(page: &str) -> BTreeMap<String, Option<u32>> {
    let mut floors = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, floor, name, ..] = cells[..] else {
            continue;
        };
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
            continue;
        };
        let floor = match floor {
            "-" => None,
            number => match number.parse() {
                Ok(number) => Some(number),
                Err(_) => continue,
            },
        };
        assert!(floors.insert(name.to_owned(), floor).is_none(), "{name} stands twice in the floor table");
    }
    floors
}

struct Member {
    name: String,
    /// Workspace crates it needs to run, on any target; development dependencies may look upward.
    uses: Vec<String>,
}

fn workspace_members() -> Vec<Member> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    packages
        .iter()
        .map(|package| Member {
            name: package["name"].as_str().expect("a name").to_owned(),
            uses: package["dependencies"]
                .as_array()
                .expect("a list of dependencies")
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|name| names.contains(name))
                .map(str::to_owned)
                .collect(),
        })
        .collect()
}

#[test]
fn dependencies_point_down() {
    let page = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md"))
        .expect("docs/ARCHITECTURE.md is readable");
    let mut floors = floor_table(&page);
    for member in workspace_members() {
        let floor = floors
            .remove(&member.name)
            .unwrap_or_else(|| panic!("{} is missing in the floor table", member.name));
        let used_floors = floor_table(&page);
        for used in &member.uses {
            let below = matches!(
                (used_floors.get(used).copied().flatten(), floor),
                (Some(used_floor), Some(own_floor)) if used_floor < own_floor
            );
            assert!(
                below,
                "{} (floor {floor:?}) uses {used} (floor {:?}): dependencies only point down",
                member.name,
                used_floors.get(used)
            );
        }
    }
    assert!(floors.is_empty(), "the floor table names crates that do not exist: {floors:?}");
}

#[test]
fn the_target_switch_lives_in_platform_and_ui() {
    // The runtime's SIMD cage and its test are the one place besides that asks for the architecture.
    const ALLOWED: [&str; 3] = ["platform/", "ui/", "runtime/src/cpu/simd"];
    let mut offenders = Vec::new();
    for member in workspace_members() {
        visit(&root().join(&member.name), &mut |path, text| {
            let relative =
                path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
            let switched = text.lines().any(|line| line.contains("target_arch") && line.contains("cfg"));
            if switched && !ALLOWED.iter().any(|prefix| relative.starts_with(prefix)) {
                offenders.push(relative);
            }
        });
    }
    offenders.retain(|path| path != "tests/tests/architecture.rs");
    assert!(offenders.is_empty(), "cfg(target_arch) outside of {ALLOWED:?}: {offenders:?}");
}

fn visit(dir: &Path, f: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(dir).expect("a crate folder is readable") {
        let path = entry.expect("an entry is readable").path();
        if path.is_dir() {
            visit(&path, f);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            f(&path, &std::fs::read_to_string(&path).expect("source is UTF-8"));
        }
    }
}
