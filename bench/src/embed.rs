//! How fast texts become vectors.

use platform::block_on;

use crate::{Args, Outcome, Row};

const PASSAGE_TOKENS: u32 = 128;
const BATCH_TEXTS: usize = 16;

pub(crate) fn rows(args: &Args) -> Outcome<Vec<Row>> {
    let rt = args.runtime()?;
    let store = args.models()?;
    let id = &store.catalog().default_embedder().id;
    let embedder = block_on(async {
        let files = store.open_model(id).await?;
        Outcome::Ok(embedder::Embedder::load(&rt, &files).await?)
    })?;
    let passage = passage_of(PASSAGE_TOKENS, |text| embedder.count_tokens(text))?;
    let tier = format!("{:?} tier, {} threads", rt.tier(), platform::n_threads());

    let one = Row::timed(format!("{id}: one passage of {PASSAGE_TOKENS} tokens, {tier}"), args.runs, || {
        Ok(block_on(embedder.embed_passages(&[&passage]))?)
    })?;
    let batch = vec![passage.as_str(); BATCH_TEXTS];
    let many = Row::timed(
        format!("{id}: {BATCH_TEXTS} passages of {PASSAGE_TOKENS} tokens, {tier}"),
        args.runs,
        || Ok(block_on(embedder.embed_passages(&batch))?),
    )?;
    Ok(vec![one, many])
}

/// A text of exactly `n_tokens` tokens, special tokens included.
pub(crate) fn passage_of(n_tokens: u32, count: impl Fn(&str) -> u32) -> Outcome<String> {
    const WORDS: [&str; 8] = ["the", "river", "runs", "past", "old", "houses", "and", "trees"];
    let mut text = String::new();
    for word in WORDS.iter().cycle() {
        text.push_str(word);
        match count(&text) {
            n if n == n_tokens => return Ok(text),
            n if n > n_tokens => return Err("no text of this length is at hand".into()),
            _ => text.push(' '),
        }
    }
    unreachable!("a cycle never ends")
}
