//! Turns `catalog.toml` into JSON, so that no program has to read TOML.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=catalog.toml");
    let text = fs::read_to_string("catalog.toml").expect("catalog.toml lies beside this program");
    let catalog: toml::Table = text.parse().unwrap_or_else(|error| panic!("catalog.toml: {error}"));
    let folder = env::var_os("OUT_DIR").expect("cargo names a folder");
    let json = serde_json::to_string(&catalog["model"]).expect("tables of text and numbers become JSON");
    fs::write(Path::new(&folder).join("catalog.json"), json).expect("cargo's folder can be written");
}
