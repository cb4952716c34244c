//! The runtime, with the GPU's kernel variants that an earlier start found to be the fastest: its trial is
//! kept in a small file beside the models.

use platform::{File, OpenMode};
use runtime::{KernelChoice, KernelPolicy, KernelReport, RejectedKernel, Runtime};

use crate::Result;
use crate::open::Options;

/// Name of the file in the folder of the models.
const FILE: &str = "gpu-kernels.json";
/// A choice has some 200 bytes: a device's name and five variants.
const MAX_FILE_BYTES: u64 = 4096;

/// Opens the runtime; a choice that is not there or cannot be read is measured anew.
pub(crate) async fn open_runtime(options: &Options) -> Result<Runtime> {
    let path = format!("{}/{FILE}", options.models.folder());
    let kernels = match &options.kernels {
        KernelPolicy::Measure => match read(&path).await {
            Some(choice) => KernelPolicy::Remembered(choice),
            None => KernelPolicy::Measure,
        },
        given => given.clone(),
    };
    let runtime =
        Runtime::open(&runtime::Options { tier: options.tier, kernels, ..runtime::Options::default() })
            .await?;
    if let Some(KernelReport { choice, trials, .. }) = runtime.describe().kernels
        && !trials.is_empty()
    {
        // Where it cannot be kept, the next start spends its tenth of a second again.
        let _ = write(&path, &choice).await;
    }
    Ok(runtime)
}

async fn read(path: &str) -> Option<KernelChoice> {
    let file = File::open(path, OpenMode::Read).await.ok()?;
    let n_bytes = file.len().ok().filter(|n_bytes| *n_bytes <= MAX_FILE_BYTES)?;
    let mut json = vec![0; n_bytes as usize];
    file.read_at(&mut json, 0).ok()?;
    serde_json::from_slice(&json).ok()
}

async fn write(path: &str, choice: &KernelChoice) -> platform::Result<()> {
    let json = serde_json::to_vec(choice).expect("names and words are JSON");
    let file = File::open(path, OpenMode::Create).await?;
    file.write_at(&json, 0)?;
    file.sync()
}

/// A variant and what is wrong with it, for people.
pub(crate) fn told(rejected: RejectedKernel) -> String {
    format!("{}: {}", rejected.variant, rejected.reason)
}

#[cfg(test)]
mod tests {
    use runtime::KernelVariant;

    use super::*;

    #[test]
    fn a_choice_is_kept_and_damage_is_no_choice() {
        platform::block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = format!("{}/models/{FILE}", folder.path().display());
            assert_eq!(read(&path).await, None);
            let choice = KernelChoice { device: "a GPU".into(), variants: KernelVariant::ALL.to_vec() };
            write(&path, &choice).await.unwrap();
            assert!(File::open(&path, OpenMode::Read).await.unwrap().len().unwrap() < MAX_FILE_BYTES / 10);
            assert_eq!(read(&path).await, Some(choice));
            for damage in [&b"{"[..], &[b' '; 5000]] {
                std::fs::write(&path, damage).unwrap();
                assert_eq!(read(&path).await, None);
            }
        });
    }
}
