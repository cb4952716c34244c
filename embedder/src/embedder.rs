//! The embedder: tokenises, cuts, batches, and reads the vectors back.

use crate::bert::Bert;
use crate::config::{BertConfig, Pooling, Prompts, max_seq_length};
use crate::error::{Error, Result};
use models::ModelFiles;
use runtime::{Forecast, Runtime, Tier, Tokenizer, WeightFormat, Weights};

/// Tokens of one recording on the CPU: enough for the matrix kernels to reach their speed, and in a
/// browser half a second, after which other messages get their turn.
const MAX_BATCH_TOKENS_CPU: usize = 512;
/// Tokens of one recording on the GPU: with 1,536 floats per token the widest activation has 50 MB,
/// within the 128 MiB that every WebGPU device binds.
const MAX_BATCH_TOKENS_GPU: usize = 8192;

/// A loaded embedding model.
pub struct Embedder {
    rt: Runtime,
    model: Bert,
    tokenizer: Tokenizer,
    pooling: Pooling,
    prompts: Prompts,
    /// With the special tokens.
    max_seq_length: usize,
    id: String,
    revision: String,
}

/// What vectors of this embedder must be compared with: vectors of the same tag, and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedderTagFields {
    /// The model's id.
    pub id: String,
    /// Changes whenever the weights do.
    pub revision: String,
    /// Elements of a vector.
    pub dimensions: u32,
    /// `mean` or `cls`.
    pub pooling: String,
    /// Text put before every passage.
    pub prefix: String,
}

impl Embedder {
    /// Loads a BERT model: `model.safetensors`, `config.json`, `tokenizer.json`, `pooling.json` and,
    /// where there are any, `sentence_bert_config.json` and `config_sentence_transformers.json`.
    ///
    /// # Errors
    /// A missing or damaged file, and [`Error::Unsupported`] for a setting that is not built here.
    pub async fn load(rt: &Runtime, files: &ModelFiles) -> Result<Self> {
        let config = BertConfig::parse(&files.read("config.json").await?)?;
        let pooling = Pooling::parse(&files.read("pooling.json").await?)?;
        let limits = read_optional(files, "sentence_bert_config.json").await?;
        let max_seq_length = max_seq_length(limits.as_deref(), &config)?;
        let prompts = match read_optional(files, "config_sentence_transformers.json").await? {
            Some(json) => Prompts::parse(&json)?,
            None => Prompts::default(),
        };
        let tokenizer = Tokenizer::from_json(&files.read("tokenizer.json").await?)?;
        check_tokenizer(&tokenizer, &config, max_seq_length)?;
        let weights = Weights::open(Box::new(files.file("model.safetensors").await?))?.named(files.id());
        let needed = forecast(rt, &weights, &config).total_bytes();
        rt.check_room(&format!("the embedder {}", files.id()), needed)?;
        let model = Bert::load(rt, &weights, config).await?;
        warm_up(rt, &model, pooling, max_seq_length)?;
        let (id, revision) = (files.id().into(), files.revision().into());
        Ok(Self { rt: rt.clone(), model, tokenizer, pooling, prompts, max_seq_length, id, revision })
    }

    /// What loading the model and embedding will take on the tier of `rt`; only the header of its
    /// weights and its settings are read.
    ///
    /// # Errors
    /// As [`Self::load`], but for what is only found while loading.
    pub async fn forecast(rt: &Runtime, files: &ModelFiles) -> Result<Forecast> {
        let config = BertConfig::parse(&files.read("config.json").await?)?;
        let weights = Weights::open(Box::new(files.file("model.safetensors").await?))?;
        Ok(forecast(rt, &weights, &config))
    }

    /// One unit vector per passage, in the passages' order.
    ///
    /// # Errors
    /// [`Error::Runtime`] when the device is out of memory, [`Error::NotFinite`] when it computes nonsense.
    pub async fn embed_passages(&self, passages: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.embed(&self.prompts.passage, passages).await
    }

    /// The unit vector of a question, to be compared with passages' vectors by the dot product.
    ///
    /// # Errors
    /// As [`Self::embed_passages`].
    pub async fn embed_query(&self, query: &str) -> Result<Vec<f32>> {
        let mut vectors = self.embed(&self.prompts.query, &[query]).await?;
        Ok(vectors.pop().expect("one vector per text"))
    }

    /// Tokens of `text` without the special ones; to be compared with [`Self::max_tokens`].
    /// A text that the tokenizer refuses counts as one token per byte.
    pub fn count_tokens(&self, text: &str) -> u32 {
        let n_tokens = self.tokenizer.count(text).unwrap_or(text.len());
        u32::try_from(n_tokens).unwrap_or(u32::MAX)
    }

    /// Tokens of a passage that are embedded; what is beyond is cut off.
    pub fn max_tokens(&self) -> u32 {
        let n_prefix = self.count_tokens(&self.prompts.passage);
        (self.max_seq_length as u32 - N_SPECIAL as u32).saturating_sub(n_prefix)
    }

    /// What its vectors may be compared with.
    pub fn tag(&self) -> EmbedderTagFields {
        EmbedderTagFields {
            id: self.id.clone(),
            revision: self.revision.clone(),
            dimensions: self.model.d_model() as u32,
            pooling: self.pooling.as_str().into(),
            prefix: self.prompts.passage.clone(),
        }
    }

    async fn embed(&self, prefix: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let sequences = texts.iter().map(|text| self.token_ids(prefix, text)).collect::<Result<Vec<_>>>()?;
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in batches(&sequences, max_batch_tokens(self.rt.tier())) {
            let ids: Vec<u32> = batch.iter().flat_map(|&i| sequences[i].iter().copied()).collect();
            let lengths: Vec<u32> = batch.iter().map(|&i| sequences[i].len() as u32).collect();
            let flat = self.embed_batch(&ids, &lengths).await?; // [n_sequences * D]
            if !flat.iter().all(|v| v.is_finite()) {
                return Err(Error::NotFinite);
            }
            for (&i, vector) in batch.iter().zip(flat.chunks_exact(self.model.d_model())) {
                vectors[i] = vector.to_vec();
            }
            platform::yield_now().await;
        }
        Ok(vectors)
    }

    /// One batch, begun anew when the device is lost meanwhile.
    async fn embed_batch(&self, ids: &[u32], lengths: &[u32]) -> Result<Vec<f32>> {
        loop {
            let mut rec = self.rt.recorder();
            let pooled = self.model.embed(&mut rec, ids, lengths, self.pooling)?; // [n_sequences, D]
            match rec.read(&pooled).await {
                Err(error) if error.is_device_lost() => self.rt.recover().await?,
                read => return Ok(read?),
            }
        }
    }

    /// Token ids with the special ones, cut to the longest sequence: `[CLS] a b c [SEP]`.
    fn token_ids(&self, prefix: &str, text: &str) -> Result<Vec<u32>> {
        let encoding = match prefix {
            "" => self.tokenizer.encode(text, true)?,
            _ => self.tokenizer.encode(&format!("{prefix}{text}"), true)?,
        };
        let mut ids = encoding.ids;
        if ids.len() > self.max_seq_length {
            let last = *ids.last().expect("longer than a positive number");
            ids.truncate(self.max_seq_length - 1);
            ids.push(last);
        }
        Ok(ids)
    }
}

/// Has the GPU's kernels compiled: those for a question, and those for passages.
fn warm_up(rt: &Runtime, model: &Bert, pooling: Pooling, max_seq_length: usize) -> Result<()> {
    for (n_sequences, n_tokens) in [(1, 8), (16, 128)] {
        let lengths = vec![n_tokens.min(max_seq_length) as u32; n_sequences];
        let n_ids = lengths.iter().sum::<u32>() as usize;
        let mut rec = rt.recorder();
        model.embed(&mut rec, &vec![0; n_ids], &lengths, pooling)?;
        rec.warm_up()?;
    }
    Ok(())
}

/// One token before the text and one after it: what cutting relies on and loading checks.
const N_SPECIAL: usize = 2;

fn max_batch_tokens(tier: Tier) -> usize {
    match tier {
        Tier::Cpu => MAX_BATCH_TOKENS_CPU,
        Tier::Gpu => MAX_BATCH_TOKENS_GPU,
    }
}

fn forecast(rt: &Runtime, weights: &Weights, config: &BertConfig) -> Forecast {
    // The residual with two copies, and queries, keys and values; or the residual and the wide layer
    // with its activation. What is freed on the way stays pooled, in sizes up to a quarter larger.
    let n_per_token = (6 * config.d_model + 2 * config.d_ffn) * 5 / 4;
    Forecast {
        weight_bytes: rt.forecast_weights(weights, WeightFormat::F32),
        kv_bytes: 0,
        activation_bytes: 4 * (max_batch_tokens(rt.tier()) * n_per_token) as u64,
    }
}

async fn read_optional(files: &ModelFiles, name: &str) -> Result<Option<Vec<u8>>> {
    if files.has(name) { Ok(Some(files.read(name).await?)) } else { Ok(None) }
}

fn check_tokenizer(tokenizer: &Tokenizer, config: &BertConfig, max_seq_length: usize) -> Result<()> {
    let setting = |key: &str, reason| Err(Error::Setting { file: "tokenizer.json", key: key.into(), reason });
    let n_special = tokenizer.encode("", true)?.ids.len();
    if n_special != N_SPECIAL {
        return setting("post_processor", format!("adds {n_special} tokens, where BERT has {N_SPECIAL}"));
    }
    if tokenizer.n_vocab() > config.n_vocab {
        let reason =
            format!("{} tokens, but config.json has vocab_size {}", tokenizer.n_vocab(), config.n_vocab);
        return setting("vocab", reason);
    }
    if max_seq_length <= N_SPECIAL {
        let reason = format!("{max_seq_length} leaves no room for text");
        return Err(Error::Setting {
            file: "sentence_bert_config.json",
            key: "max_seq_length".into(),
            reason,
        });
    }
    Ok(())
}

/// Indices of the sequences in batches of at most `max_tokens` (or of one sequence), alike in
/// length, because the longest sequence decides how long attention takes.
fn batches(sequences: &[Vec<u32>], max_tokens: usize) -> Vec<Vec<usize>> {
    let mut by_length: Vec<usize> = (0..sequences.len()).collect();
    by_length.sort_by_key(|&i| sequences[i].len());
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut n_tokens = 0;
    for i in by_length {
        n_tokens += sequences[i].len();
        match batches.last_mut() {
            Some(batch) if n_tokens <= max_tokens => batch.push(i),
            _ => {
                n_tokens = sequences[i].len();
                batches.push(vec![i]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::batches;

    #[test]
    fn batches_are_within_the_limit_and_complete() {
        let sequences: Vec<Vec<u32>> = [5, 1, 9, 30, 2, 2, 8].iter().map(|&n| vec![0; n]).collect();
        assert_eq!(batches(&sequences, 10), [vec![1, 4, 5, 0], vec![6], vec![2], vec![3]]);
        assert_eq!(batches(&sequences, 1000).len(), 1);
        assert!(batches(&[], 10).is_empty());
    }
}
