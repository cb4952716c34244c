//! The reranker: a question and a passage read together, one score out (Nogueira and Cho, 2019).

use crate::checkpoint::{Checkpoint, Linear};
use crate::config::{EncoderConfig, Family, parse};
use crate::embedder::forecast;
use crate::encoder::{Batch, Encoder};
use crate::error::{Error, Result};
use crate::sequence::batches;
use crate::settings::max_seq_length;
use models::ModelFiles;
use runtime::{Activation, Forecast, PairEncoding, Recorder, Runtime, Tensor, Tokenizer};
use serde_json::Value;

/// A loaded cross-encoder: BERT or XLM-R with a classifier of one label.
pub struct Reranker {
    rt: Runtime,
    model: Encoder,
    head: Head,
    tokenizer: Tokenizer,
    max_seq_length: usize,
    id: String,
}

/// From the state of the first token to a score.
struct Head {
    dense: Linear,  // D -> D, tanh
    output: Linear, // D -> 1
    is_probability: bool,
}

impl Reranker {
    /// Loads a model from its files, named as on the hub: `model.safetensors`, `config.json`,
    /// `tokenizer.json` and, where there is one, `tokenizer_config.json`.
    ///
    /// # Errors
    /// A missing or damaged file, and [`Error::Unsupported`] for a setting that is not built here.
    pub async fn load(rt: &Runtime, files: &ModelFiles) -> Result<Self> {
        let json = files.read("config.json").await?;
        let config = EncoderConfig::parse(&json)?;
        let is_probability = is_probability(&parse("config.json", &json)?)?;
        let names = HeadNames::of(config.family)?;
        let max_seq_length = max_seq_length(files, &config).await?;
        let tokenizer = Tokenizer::from_json(&files.read("tokenizer.json").await?)?;
        check_tokenizer(&tokenizer, &config, max_seq_length)?;
        let checkpoint = Checkpoint::open(files, &Encoder::PREFIXES).await?;
        let needed = forecast(rt, &checkpoint, &config).total_bytes();
        rt.check_room(&format!("the reranker {}", files.id()), needed)?;
        let d = config.d_model;
        let head = Head {
            dense: checkpoint.head_linear(rt, names.dense, d, d).await?,
            output: checkpoint.head_linear(rt, names.output, d, 1).await?,
            is_probability,
        };
        let model = Encoder::load(rt, &checkpoint, config).await?;
        let reranker = Self { rt: rt.clone(), model, head, tokenizer, max_seq_length, id: files.id().into() };
        reranker.warm_up()?;
        Ok(reranker)
    }

    /// What loading the model and scoring will take on the tier of `rt`.
    ///
    /// # Errors
    /// As [`Self::load`], but for what is only found while loading.
    pub async fn forecast(rt: &Runtime, files: &ModelFiles) -> Result<Forecast> {
        let config = EncoderConfig::parse(&files.read("config.json").await?)?;
        Ok(forecast(rt, &Checkpoint::open(files, &Encoder::PREFIXES).await?, &config))
    }

    /// One score per passage, in the passages' order: the higher, the better the passage answers the
    /// query. Models differ in their scale: a probability, or any number.
    ///
    /// # Errors
    /// [`Error::Runtime`] when the device is out of memory, [`Error::NotFinite`] when it computes nonsense.
    pub async fn score(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        let pairs = passages.iter().map(|text| self.tokenizer.encode_pair(query, text, self.max_seq_length));
        let pairs = pairs.collect::<runtime::Result<Vec<PairEncoding>>>()?;
        let lengths: Vec<usize> = pairs.iter().map(|pair| pair.ids.len()).collect();
        let mut scores = vec![0.0; passages.len()];
        for batch in batches(&lengths, self.model.max_batch_tokens(self.rt.tier())) {
            let batch_pairs: Vec<&PairEncoding> = batch.iter().map(|&i| &pairs[i]).collect();
            for (i, logit) in batch.into_iter().zip(self.score_batch(&batch_pairs).await?) {
                scores[i] = if self.head.is_probability { 1.0 / (1.0 + (-logit).exp()) } else { logit };
            }
            platform::yield_now().await;
        }
        if scores.iter().all(|score| score.is_finite()) { Ok(scores) } else { Err(Error::NotFinite) }
    }

    /// The model's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// One batch, begun anew when the device is lost meanwhile.
    async fn score_batch(&self, pairs: &[&PairEncoding]) -> Result<Vec<f32>> {
        loop {
            let mut rec = self.rt.recorder();
            let logits = self.record(&mut rec, pairs)?; // [n_pairs, 1]
            match rec.read(&logits).await {
                Err(error) if error.is_device_lost() => self.rt.recover().await?,
                read => return Ok(read?),
            }
        }
    }

    /// `[n_pairs, 1]`
    fn record(&self, rec: &mut Recorder<'_>, pairs: &[&PairEncoding]) -> Result<Tensor> {
        let ids: Vec<u32> = pairs.iter().flat_map(|pair| pair.ids.iter().copied()).collect();
        let token_types: Vec<u32> = pairs.iter().flat_map(|pair| pair.token_types.iter().copied()).collect();
        let lengths: Vec<u32> = pairs.iter().map(|pair| pair.ids.len() as u32).collect();
        let firsts = lengths.iter().scan(0, |next, length| {
            *next += length;
            Some(*next - length..*next - length + 1)
        });
        let firsts: Vec<_> = firsts.collect();
        let batch = Batch { ids: &ids, token_types: Some(&token_types), lengths: &lengths };
        let states = self.model.encode(rec, batch)?; // [T, D]
        let first = rec.mean_pool(states, &firsts)?; // [n_pairs, D]
        let hidden = self.head.dense.apply(rec, first, Activation::Tanh)?;
        self.head.output.apply(rec, hidden, Activation::None)
    }

    /// Has the GPU's kernels compiled for some twenty passages.
    fn warm_up(&self) -> Result<()> {
        let n_tokens = self.max_seq_length.min(128);
        let pair = PairEncoding { ids: vec![0; n_tokens], token_types: vec![0; n_tokens] };
        let mut rec = self.rt.recorder();
        self.record(&mut rec, &[&pair; 20])?;
        Ok(rec.warm_up()?)
    }
}

struct HeadNames {
    dense: &'static str,
    output: &'static str,
}

impl HeadNames {
    fn of(family: Family) -> Result<Self> {
        match family {
            Family::Bert => Ok(Self { dense: "bert.pooler.dense", output: "classifier" }),
            Family::Roberta => Ok(Self { dense: "classifier.dense", output: "classifier.out_proj" }),
            Family::DistilBert => Err(Error::Unsupported {
                key: "model_type of a reranker".into(),
                value: "distilbert".into(),
                supported: "bert, roberta, xlm-roberta or camembert",
            }),
        }
    }
}

/// Whether a score goes through the sigmoid function, as sentence-transformers decides it.
fn is_probability(all: &Value) -> Result<bool> {
    let labels = all.get("id2label").and_then(Value::as_object).map(|labels| labels.len() as u64);
    let n_labels = all.get("num_labels").and_then(Value::as_u64).or(labels);
    if n_labels.is_some_and(|n| n != 1) {
        let value = n_labels.map(|n| n.to_string()).unwrap_or_default();
        return Err(Error::Unsupported { key: "num_labels".into(), value, supported: "1" });
    }
    let newer = all.get("sentence_transformers").and_then(|settings| settings.get("activation_fn"));
    let named = newer.or(all.get("sbert_ce_default_activation_function")).and_then(Value::as_str);
    match named.map(|name| name.rsplit('.').next().unwrap_or_default()) {
        None | Some("Sigmoid") => Ok(true),
        Some("Identity") => Ok(false),
        Some(other) => Err(Error::Unsupported {
            key: "activation_fn".into(),
            value: other.into(),
            supported: "Sigmoid or Identity",
        }),
    }
}

fn check_tokenizer(tokenizer: &Tokenizer, config: &EncoderConfig, max_seq_length: usize) -> Result<()> {
    let setting = |key: &str, reason| Err(Error::Setting { file: "tokenizer.json", key: key.into(), reason });
    let empty = tokenizer.encode_pair("", "", max_seq_length)?;
    if empty.ids.len() < 3 {
        return setting("post_processor", format!("adds {} tokens to two texts", empty.ids.len()));
    }
    if max_seq_length <= empty.ids.len() {
        let (file, key) = ("tokenizer_config.json", "model_max_length".into());
        return Err(Error::Setting {
            file,
            key,
            reason: format!("{max_seq_length} leaves no room for text"),
        });
    }
    if let Some(largest) = empty.token_types.iter().find(|t| **t as usize >= config.n_token_types.max(1)) {
        return setting("post_processor", format!("gives token type {largest}, which the model has not"));
    }
    if tokenizer.n_vocab() > config.n_vocab {
        let reason =
            format!("{} tokens, but config.json has vocab_size {}", tokenizer.n_vocab(), config.n_vocab);
        return setting("vocab", reason);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_of_scores_is_the_models() {
        #[track_caller]
        fn check(json: &str, expect: &str) {
            let got = match is_probability(&serde_json::from_str(json).unwrap()) {
                Ok(is_probability) => is_probability.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(got.contains(expect), "{got}");
        }
        check(r#"{"id2label": {"0": "LABEL_0"}}"#, "true");
        let raw = r#"{"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}"#;
        check(raw, "false");
        check(r#"{"sbert_ce_default_activation_function": "torch.nn.modules.activation.Sigmoid"}"#, "true");
        check(r#"{"sbert_ce_default_activation_function": "torch.nn.ReLU"}"#, "activation_fn = ReLU");
        check(r#"{"id2label": {"0": "no", "1": "yes", "2": "?"}}"#, "num_labels = 3 is not supported");
    }
}
