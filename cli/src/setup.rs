//! From the options of a command to an open assistant.

use assistant::{Access, Assistant, Library, Options, Place, Read, Reranking};
use models::Store;
use runtime::{KernelPolicy, KernelVariant, TierChoice};

use crate::args::{Shared, TierArg};
use crate::error::{Error, Result};
use crate::output::Reporter;
use crate::reader;

/// The models' folder.
pub fn store(shared: &Shared) -> Result<Store> {
    let named = shared.models.clone().filter(|dir| !dir.is_empty());
    let folder = named.or_else(models::default_folder).ok_or(Error::NoModelFolder)?;
    let store = Store::open(&folder, None, None);
    Ok(match shared.mirror.as_deref().filter(|url| !url.is_empty()) {
        Some(url) => store.with_hub(Some(url)),
        None => store,
    })
}

pub fn tier(shared: &Shared) -> TierChoice {
    match shared.tier {
        TierArg::Auto => TierChoice::Auto,
        TierArg::Cpu => TierChoice::Cpu,
        TierArg::Gpu | TierArg::GpuAll => TierChoice::Gpu,
    }
}

/// Which variants of the GPU's kernels.
pub fn kernels(shared: &Shared) -> KernelPolicy {
    match shared.tier {
        TierArg::GpuAll => KernelPolicy::Forced(KernelVariant::ALL.into()),
        TierArg::Auto | TierArg::Cpu | TierArg::Gpu => KernelPolicy::Measure,
    }
}

fn reranker(shared: &Shared) -> Reranking {
    match shared.reranker.as_deref() {
        None | Some("" | "auto") => Reranking::Auto,
        Some("off") => Reranking::Off,
        Some(name) => Reranking::Model(name.into()),
    }
}

/// A knowledge base that must be there already.
pub async fn existing(path: &str) -> Result<Place> {
    match platform::exists(path).await {
        Ok(true) => Ok(Place::File(path.into())),
        _ => Err(Error::NoKnowledgeBase { path: path.into() }),
    }
}

/// A knowledge base that must be there already, without models.
pub async fn library(path: &str, access: Access) -> Result<Library> {
    existing(path).await?;
    Ok(Library::open(path, access).await?)
}

/// Opens the assistant on a knowledge base that is never written to.
pub async fn open_to_read(
    shared: &Shared,
    place: Place,
    generator: bool,
    reporter: &mut Reporter,
) -> Result<Assistant> {
    let options = Options { access: Access::ReadOnly, generator, ..options(shared, place)? };
    open_with(options, reporter).await
}

/// Opens the assistant; a generator that cannot be loaded is told on standard error.
pub async fn open(
    shared: &Shared,
    place: Place,
    generator: bool,
    reporter: &mut Reporter,
) -> Result<Assistant> {
    let options = Options { generator, ..options(shared, place)? };
    open_with(options, reporter).await
}

/// What the options of every command say of an assistant.
pub fn options(shared: &Shared, place: Place) -> Result<Options> {
    let (tier, kernels) = (tier(shared), kernels(shared));
    let (embedder, dimensions, reranker) = (shared.embedder.clone(), shared.dimensions, reranker(shared));
    let generator_model = shared.generator.clone();
    let usual = Options::new(place, store(shared)?);
    let read: Option<Read> = Some(reader::read);
    Ok(Options { embedder, dimensions, generator_model, reranker, tier, kernels, read, ..usual })
}

/// Opens the assistant with options of one's own.
pub async fn open_with(options: Options, reporter: &mut Reporter) -> Result<Assistant> {
    let generator = options.generator;
    let assistant = Assistant::open(options, &mut |p| reporter.tell(&p)).await?;
    reporter.clear();
    if generator && let Some(problem) = assistant.state()?.generator.problem {
        reporter.note(&format!("answering with quotes only, for the generator cannot be loaded: {problem}"));
    }
    Ok(assistant)
}
