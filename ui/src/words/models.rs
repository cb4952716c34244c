//! What the page says about models and what computes them.

use assistant::{ModelState, Offer, TierState};

use super::{count, done_of, seconds, size};

/// Opens the list of models.
pub const MODELS: &str = "Models";
/// Under the list of models.
pub const MODELS_HINT: &str = "A GGUF file, or all files of a model with safetensors, can be dropped on the page. Without any model answers are quotes.";
/// Writes answers with a model.
pub const USE_MODEL: &str = "Use";
/// Fetches a model.
pub const DOWNLOAD_MODEL: &str = "Download";
/// Gives a model out as files.
pub const SAVE_MODEL: &str = "Save";
/// Before it is known how far it is.
pub const MODEL_WORK: &str = "One moment…";

/// The tier, and why it was chosen.
pub fn tier(tier: &TierState) -> (String, String) {
    let reason = if tier.reason.is_empty() { String::new() } else { format!(": {}", tier.reason) };
    match &tier.adapter {
        Some(adapter) if tier.tier == "gpu" => (format!("GPU ({adapter})"), reason + kernels(tier).as_str()),
        _ if tier.tier == "gpu" => ("GPU".to_owned(), reason + kernels(tier).as_str()),
        _ => (format!("CPU ({}, {})", tier.simd, count(tier.n_threads as u64, "thread", "threads")), reason),
    }
}

/// The GPU's kernel variants: which are used, and which failed.
fn kernels(tier: &TierState) -> String {
    let used = if tier.kernels.is_empty() { "plain".to_owned() } else { tier.kernels.join(", ") };
    match tier.rejected_kernels.as_slice() {
        [] => format!("; kernels: {used}"),
        rejected => format!("; kernels: {used}; not used: {}", rejected.join("; ")),
    }
}

/// A model of the state line, and what is wrong with it, or that one is on its way.
pub fn model(model: &ModelState, is_coming: bool) -> (String, String) {
    match &model.problem {
        Some(problem) => (model.id.clone(), format!(" is not available: {problem}")),
        None if model.loaded => (model.id.clone(), String::new()),
        None if is_coming => (model.id.clone(), " is on its way".to_owned()),
        None => (model.id.clone(), " is off".to_owned()),
    }
}

/// `12 MB of 98 MB · 4.2 MB/s · 21 s left`.
pub fn download(done_bytes: u64, total_bytes: u64, speed: Option<(u64, u64)>) -> String {
    let sizes = done_of(done_bytes, total_bytes);
    match speed {
        Some((bytes_per_s, left_ms)) if done_bytes < total_bytes => {
            format!("{sizes} · {}/s · {} left", size(bytes_per_s), seconds(left_ms as f64))
        }
        _ => sizes,
    }
}

/// Announced when a model was fetched or taken in.
pub fn model_here(id: &str) -> String {
    format!("The model {id} is here.")
}

/// What a model's row says under its name.
pub fn offer(offer: &Offer) -> String {
    let mut facts = vec![size(offer.n_bytes), format!("{} of memory", size(offer.memory_bytes))];
    facts.extend(offer.tokens_per_s.map(|speed| format!("about {speed:.0} tokens/s")));
    facts.push(match offer.licence.strip_prefix("LicenseRef-") {
        Some(own) => format!("{own} licence"),
        None => offer.licence.clone(),
    });
    facts.push(match (offer.used, offer.here, offer.begun_bytes) {
        (true, ..) => "in use".into(),
        (_, true, _) => "here".into(),
        (_, _, 0) => "not downloaded".into(),
        (_, _, begun) => format!("{} downloaded", size(begun)),
    });
    facts.join(" · ")
}

/// The question before a model is deleted.
pub fn confirm_delete_model(id: &str) -> String {
    format!("Delete {id} from this browser? To use it again, it has to be downloaded or dropped here anew.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_and_downloads_read_well() {
        let model = Offer {
            id: "m".into(),
            n_bytes: 98_362_432,
            licence: "Apache-2.0".into(),
            here: true,
            begun_bytes: 0,
            used: false,
            memory_bytes: 190_000_000,
            tokens_per_s: Some(91.7),
            problem: None,
        };
        assert_eq!(offer(&model), "98 MB · 190 MB of memory · about 92 tokens/s · Apache-2.0 · here");
        let begun =
            Offer { here: false, begun_bytes: 12_000_000, licence: "LicenseRef-Gemma".into(), ..model };
        assert!(offer(&begun).ends_with("Gemma licence · 12 MB downloaded"));
        assert_eq!(download(12_000_000, 98_000_000, None), "12 MB of 98 MB");
        let speed = Some((4_200_000, 20_500));
        assert_eq!(download(12_000_000, 98_000_000, speed), "12 MB of 98 MB · 4.2 MB/s · 20 s left");
        assert_eq!(download(5, 5, speed), "5 B of 5 B");
    }
}
