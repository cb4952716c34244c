//! Kernels of the GPU tier that are compiled before the first prompt comes.

use crate::decoder::Decoder;
use crate::error::Result;
use crate::session::piece_tokens;
use runtime::{Runtime, Tier};

/// Passes that need kernels of their own: positions before them, and their tokens; 0 stands for a piece of
/// a prompt. A piece at the beginning and a later one, whose attention sees many keys; the last tokens of
/// a prompt, many and few; and one alone.
const PASSES: [(usize, usize); 5] = [(0, 0), (128, 0), (0, 9), (0, 2), (0, 1)];
/// Positions of the caches that the passes would write.
const N_CTX: usize = 256;

/// Has all kernels of `model` compiled, which may lack layers that are like those it has. Nothing is run. A
/// device that is lost meanwhile is mended by whoever loads the next weight.
pub(crate) async fn warm_up(rt: &Runtime, model: &Decoder) -> Result<()> {
    // An encoder's passes are as long as its prompts.
    if rt.tier() != Tier::Gpu || model.start_token().is_some() {
        return Ok(());
    }
    match compile(rt, model).await {
        Err(error) if error.is_device_lost() => Ok(()),
        outcome => outcome,
    }
}

async fn compile(rt: &Runtime, model: &Decoder) -> Result<()> {
    let mut state = model.new_state(rt, N_CTX).await?;
    for (n_past, n_tokens) in PASSES {
        let n_positions = model.n_positions().unwrap_or(N_CTX);
        let n_tokens = if n_tokens == 0 { piece_tokens(Tier::Gpu) } else { n_tokens }.min(n_positions);
        state.n_past = n_past.min(n_positions - n_tokens);
        let mut rec = rt.recorder();
        let states = model.forward(&mut rec, &state, &vec![0; n_tokens])?; // [T, D]
        let last = rec.last_row(states)?; // [1, D]
        let logits = model.logits(&mut rec, last)?; // [1, V]
        rec.argmax(logits)?;
        rec.warm_up()?;
    }
    if !model.is_replayable() {
        return Ok(());
    }
    state.n_past = 0;
    let mut rec = rt.recorder();
    let states = model.forward(&mut rec, &state, &[0])?; // [1, D]
    let logits = model.logits(&mut rec, states)?; // [1, V]
    Ok(rec.warm_up_token_loop(logits)?)
}

#[cfg(test)]
mod tests {
    use crate::{Generator, Sampling};
    use models::ModelFiles;
    use runtime::{KernelPolicy, KernelVariant, Options, Runtime, TierChoice};

    /// Who forces variants gets the kernels of a graphics card, on a software adapter too.
    async fn check(variants: Vec<KernelVariant>) {
        let folder = format!("{}/../fixtures/tiny/llama_gguf", env!("CARGO_MANIFEST_DIR"));
        let files = ModelFiles::from_folder("llama_gguf", &folder).await.unwrap();
        let kernels = KernelPolicy::Forced(variants);
        let options = Options { tier: TierChoice::Gpu, kernels, ..Options::default() };
        let rt = Runtime::open(&options).await.unwrap();
        let n_compiled = || rt.gpu_counters().unwrap().n_pipelines;
        let n_before = n_compiled();
        let generator = Generator::load(&rt, &files).await.unwrap();
        let n_loaded = n_compiled();
        assert!(n_loaded > n_before, "the model has kernels that the self-test has not");
        let mut session = generator.start("The cat sat on the mat.", &Sampling::greedy(4)).await.unwrap();
        while session.next().await.unwrap().is_some() {}
        assert_eq!(n_compiled(), n_loaded, "an answer compiles nothing");
    }

    #[test]
    fn an_answer_waits_for_no_kernel() {
        platform::block_on(async {
            check(vec![]).await;
            check(KernelVariant::ALL.into()).await;
        });
    }
}
