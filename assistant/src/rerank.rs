//! The reranker: loaded where it is wanted, and the best passages put in its order.

use embedder::Reranker;
use models::ModelFiles;
use runtime::{Runtime, Tier};
use vectordb::{Db, Filter};

use crate::open::{Options, Reranking, model_files};
use crate::question::Question;
use crate::retrieve::Found;
use crate::types::{Leg, ModelState, Progress, SearchOptions};
use crate::{Result, retrieve};

/// The usual reranker: as small as the usual embedder.
const USUAL: &str = "ms-marco-MiniLM-L6-v2";
/// Passages that are read together with the question. Further down the fusion finds little, and each costs
/// a pass of the model.
const MAX_RERANKED: usize = 24;

/// A loaded reranker.
pub(crate) struct Loaded {
    reranker: Reranker,
    forecast_bytes: u64,
}

/// The reranker that the options ask for, where the tier is right for it.
///
/// # Errors
/// When the one that was named cannot be loaded. The usual one is not worth a failure.
pub(crate) async fn load(
    runtime: &Runtime,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Loaded>> {
    match &options.reranker {
        Reranking::Off => Ok(None),
        Reranking::Auto if runtime.tier() == Tier::Cpu => Ok(None),
        Reranking::Auto => match options.models.find(USUAL).await {
            Ok(files) => Ok(try_load(runtime, &files).await.ok()),
            Err(_) => Ok(None),
        },
        Reranking::Model(name) => {
            let files = model_files(&options.models, name, &options.cancel, progress).await?;
            progress(Progress::Loading { model: files.id().to_owned() });
            Ok(Some(try_load(runtime, &files).await?))
        }
    }
}

async fn try_load(runtime: &Runtime, files: &ModelFiles) -> Result<Loaded> {
    let forecast_bytes = Reranker::forecast(runtime, files).await?.total_bytes();
    Ok(Loaded { reranker: Reranker::load(runtime, files).await?, forecast_bytes })
}

impl Loaded {
    pub(crate) fn state(&self) -> ModelState {
        ModelState {
            id: self.reranker.id().to_owned(),
            loaded: true,
            problem: None,
            forecast_bytes: self.forecast_bytes,
        }
    }
}

/// The best passages, those by words and meaning in the reranker's order where there is one. Scores stay those
/// of the fusion, whose scale the rest of the answer relies on, the best one first.
pub(crate) async fn search(
    db: &Db,
    loaded: Option<&Loaded>,
    question: &Question,
    options: &SearchOptions,
    filter: &Filter,
) -> Result<Vec<Found>> {
    let Some(Loaded { reranker, .. }) = loaded.filter(|_| options.leg == Leg::Fused) else {
        return retrieve::search(db, question, options, filter);
    };
    let more = SearchOptions { k: options.k.max(MAX_RERANKED), ..options.clone() };
    let mut found = retrieve::search(db, question, &more, filter)?;
    let rest = found.split_off(found.len().min(MAX_RERANKED));
    let texts: Vec<String> = found.iter().map(|f| headed(&f.row.heading_path, &f.row.text)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let scores = reranker.score(question.search_text(), &texts).await?;
    let mut found = in_order(found, &scores);
    found.extend(rest);
    found.truncate(options.k);
    Ok(found)
}

fn headed(heading_path: &[String], text: &str) -> String {
    if heading_path.is_empty() { text.to_owned() } else { format!("{}\n{text}", heading_path.join(" > ")) }
}

/// What was found by falling score, while its own scores stay at their places.
fn in_order(found: Vec<Found>, scores: &[f32]) -> Vec<Found> {
    let own: Vec<f32> = found.iter().map(|found| found.score).collect();
    let mut scored: Vec<(f32, Found)> = scores.iter().copied().zip(found).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().zip(own).map(|((_, found), score)| Found { score, ..found }).collect()
}
