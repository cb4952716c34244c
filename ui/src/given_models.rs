//! Which of the files that a user gives are models, and which are documents.

use std::collections::BTreeMap;

/// A model among given files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenModel {
    /// What it is called, where its files do not say.
    pub name: Option<String>,
    /// Its files: their places among those given, and their names within the model.
    pub files: Vec<(usize, String)>,
}

/// Whether a file is a part of a model; of settings only what lies beside weights is.
///
/// ```
/// assert!(ui::is_of_model("Qwen3/model.safetensors"));
/// assert!(!ui::is_of_model("notes.md"));
/// ```
pub fn is_of_model(path: &str) -> bool {
    is_gguf(path) || ends(path, ".safetensors") || is_setting(path)
}

/// Takes the models out of given files, which have paths below `folder`, if they come from one. Each GGUF file is a
/// model, but the parts of one that is split are one together; so are safetensors of a folder with the settings beside
/// them. What else lies there belongs to no documents. Returns the models, and the places of all other files.
pub fn given_models(folder: Option<&str>, paths: &[&str]) -> (Vec<GivenModel>, Vec<usize>) {
    let weights: Vec<&str> =
        paths.iter().filter(|path| ends(path, ".safetensors")).map(|path| dir(path)).collect();
    let has_config =
        |within: &str| paths.iter().any(|path| dir(path) == within && base(path) == "config.json");
    let mut models: BTreeMap<(&str, Option<&str>), GivenModel> = BTreeMap::new();
    let mut others = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        // The settings of pooling have a folder of their own beside the weights.
        let (within, inner) = match path.strip_suffix("1_Pooling/config.json") {
            Some(above) if weights.contains(&above.trim_end_matches('/')) => {
                (above.trim_end_matches('/'), "1_Pooling/config.json")
            }
            _ => (dir(path), base(path)),
        };
        let last = within.rsplit('/').next().filter(|last| !last.is_empty()).or(folder);
        let (stem, name) = if is_gguf(path) {
            let stem = unsplit(inner);
            // Every model's file may be called `model.gguf`.
            let says_nothing = inner.eq_ignore_ascii_case("model.gguf");
            (Some(stem), if stem != inner { Some(stem) } else { last.filter(|_| says_nothing) })
        } else if weights.contains(&within) && (ends(path, ".safetensors") || is_setting(path)) {
            (None, last)
        } else {
            if !(weights.contains(&within) && has_config(within)) {
                others.push(at);
            }
            continue;
        };
        let name = name.map(str::to_owned);
        let model = models.entry((within, stem)).or_insert(GivenModel { name, files: Vec::new() });
        model.files.push((at, inner.to_owned()));
    }
    (models.into_values().collect(), others)
}

/// What `name-00001-of-00003.gguf` is a part of: `name`; of other files their whole name.
fn unsplit(name: &str) -> &str {
    let is_number = |digits: &str| digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
    let split = || {
        let (rest, n_parts) = name.get(..name.len() - 5)?.rsplit_once("-of-")?;
        let (stem, part) = rest.rsplit_once('-')?;
        (is_number(n_parts) && is_number(part)).then_some(stem)
    };
    split().unwrap_or(name)
}

fn is_gguf(path: &str) -> bool {
    ends(path, ".gguf")
}

fn is_setting(path: &str) -> bool {
    ends(path, ".json") || ends(path, ".jinja")
}

fn ends(path: &str, extension: &str) -> bool {
    path.len() >= extension.len()
        && path.is_char_boundary(path.len() - extension.len())
        && path[path.len() - extension.len()..].eq_ignore_ascii_case(extension)
}

fn dir(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, base)| base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: Option<&str>, files: &[(usize, &str)]) -> GivenModel {
        let files = files.iter().map(|(at, inner)| (*at, (*inner).to_owned())).collect();
        GivenModel { name: name.map(str::to_owned), files }
    }

    #[test]
    fn models_are_taken_out_of_documents() {
        let dropped =
            ["notes.md", "Tiny.GGUF", "big-00002-of-00002.gguf", "data.json", "big-00001-of-00002.gguf"];
        let (models, others) = given_models(None, &dropped);
        assert_eq!(
            models,
            [
                model(None, &[(1, "Tiny.GGUF")]),
                model(Some("big"), &[(2, "big-00002-of-00002.gguf"), (4, "big-00001-of-00002.gguf")]),
            ]
        );
        assert_eq!(others, [0, 3]);
    }

    #[test]
    fn a_folder_with_weights_and_settings_is_a_model() {
        let paths =
            ["README.md", "config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"];
        let (models, others) = given_models(Some("Qwen3"), &paths);
        let files = [
            (1, "config.json"),
            (2, "tokenizer.json"),
            (3, "model.safetensors"),
            (4, "1_Pooling/config.json"),
        ];
        assert_eq!(models, [model(Some("Qwen3"), &files)]);
        assert_eq!(others, [0; 0], "its readme is no document");
    }

    #[test]
    fn settings_elsewhere_are_documents() {
        let paths = [
            "work/plan.json",
            "work/a.md",
            "m/q/config.json",
            "m/q/model.safetensors",
            "x/1_Pooling/config.json",
        ];
        let (models, others) = given_models(Some("home"), &paths);
        assert_eq!(models, [model(Some("q"), &[(2, "config.json"), (3, "model.safetensors")])]);
        assert_eq!(others, [0, 1, 4]);
        // Weights alone are handed on, so that it is said what is missing.
        let (models, others) = given_models(None, &["model.safetensors", "a.md"]);
        assert_eq!((models.len(), others.as_slice()), (1, &[1][..]));
        assert_eq!(models[0].name, None);
    }

    #[test]
    fn a_file_that_says_nothing_is_called_like_its_folder() {
        for (folder, path, name) in [
            (None, "model.gguf", None),
            (Some("Qwen3"), "model.gguf", Some("Qwen3")),
            (Some("home"), "Qwen3/model.gguf", Some("Qwen3")),
            (Some("home"), "Qwen3/q4.gguf", None),
        ] {
            assert_eq!(given_models(folder, &[path]).0[0].name.as_deref(), name);
        }
    }

    #[test]
    fn only_numbered_parts_are_parts() {
        for (name, stem) in [
            ("a-00001-of-00003.gguf", "a"),
            ("a-b-00003-of-00003.GGUF", "a-b"),
            ("a-1-of-3.gguf", "a-1-of-3.gguf"),
            ("é.gguf", "é.gguf"),
        ] {
            assert_eq!(unsplit(name), stem);
        }
    }
}
