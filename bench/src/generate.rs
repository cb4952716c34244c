//! How fast prompts are read and answers are written.

use generator::{Generator, Sampling};
use platform::{block_on, now_ms};

use crate::embed::passage_of;
use crate::{Args, Outcome, Row};

const PROMPT_TOKENS: u32 = 256;
const ANSWER_TOKENS: usize = 64;

pub(crate) fn rows(args: &Args) -> Outcome<Vec<Row>> {
    let rt = args.runtime()?;
    let store = args.models()?;
    let id = &store.catalog().default_generator().id;
    let generator = block_on(async {
        let files = store.open_model(id).await?;
        Outcome::Ok(Generator::load(&rt, &files).await?)
    })?;
    let prompt = passage_of(PROMPT_TOKENS, |text| generator.count_tokens(text))?;

    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    for run in 0..args.runs.max(1) {
        // Each begins differently: what the generator has read once it need not read again.
        let prompt = format!("{run}. {prompt}");
        let start_ms = now_ms();
        let mut session = block_on(generator.start(&prompt, &Sampling::greedy(ANSWER_TOKENS)))?;
        block_on(session.next())?;
        let first_ms = now_ms();
        while block_on(session.next())?.is_some() {}
        let end_ms = now_ms();
        prefill.push(session.n_prompt() as f64 / (first_ms - start_ms) * 1e3);
        let n_decoded = session.n_generated().saturating_sub(1);
        if n_decoded == 0 {
            return Err("the model ended its answer after one token: nothing to time".into());
        }
        decode.push(n_decoded as f64 / (end_ms - first_ms) * 1e3);
    }
    let tier = format!("{:?} tier, {} threads", rt.tier(), platform::n_threads());
    Ok(vec![
        Row::new(format!("{id}: prompt of about {PROMPT_TOKENS} tokens, {tier}"), "tokens/s", prefill),
        Row::new(format!("{id}: answer of up to {ANSWER_TOKENS} tokens, {tier}"), "tokens/s", decode),
    ])
}
