//! The embedder: tokenises, cuts, batches, and reads the vectors back.

use crate::checkpoint::Checkpoint;
use crate::config::EncoderConfig;
use crate::encoder::{Batch, Encoder};
use crate::error::{Error, Result};
use crate::sequence::{N_SPECIAL, Sequence, Sequencer, batches};
use crate::settings::{self, Pooling, Prompts, max_seq_length};
use models::{HubModel, ModelFiles};
use runtime::{Forecast, Recorder, Runtime, Tensor, Tokenizer};
use std::ops::Range;

/// Vectors that are shorter than this stay so, as in PyTorch's `normalize`.
const MIN_LENGTH: f64 = 1e-12;

/// A loaded embedding model.
pub struct Embedder {
    rt: Runtime,
    model: Encoder,
    sequencer: Sequencer,
    prompts: Prompts,
    /// Dimensions that its vectors may be cut to.
    cuts: Vec<usize>,
    /// Elements of a vector.
    dimensions: usize,
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
    /// `mean`, `cls` or `last`.
    pub pooling: String,
    /// Text put before every passage.
    pub prefix: String,
}

/// A passage, and parts of it that get a vector each.
#[derive(Clone, Copy, Debug)]
pub struct SpannedText<'a> {
    /// The passage.
    pub text: &'a str,
    /// Byte ranges of `text`, such as its sentences.
    pub spans: &'a [Range<usize>],
}

/// Unit vectors of a passage and of its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct PassageVectors {
    /// The same as [`Embedder::embed_passages`] gives.
    pub passage: Vec<f32>,
    /// For each span its vector; `None` where no token of it is embedded: it is empty or white space, or
    /// beyond [`Embedder::max_tokens`].
    pub spans: Vec<Option<Vec<f32>>>,
}

impl Embedder {
    /// Loads a model from its files, named as on the hub: `model.safetensors` (or its parts with their
    /// index), `config.json`, `tokenizer.json`, `1_Pooling/config.json` (or `pooling.json`) and, where there
    /// are any, `modules.json`, `sentence_bert_config.json`, `tokenizer_config.json` and
    /// `config_sentence_transformers.json`.
    ///
    /// # Errors
    /// A missing or damaged file, and [`Error::Unsupported`] for a setting that is not built here.
    pub async fn load(rt: &Runtime, files: &ModelFiles) -> Result<Self> {
        let config = EncoderConfig::parse(&files.read("config.json").await?)?;
        let pooling = Pooling::read(files).await?;
        let max_seq_length = max_seq_length(files, &config).await?;
        let known = HubModel::get(files.id()).map(|model| model.defaults.clone()).unwrap_or_default();
        let prompts = Prompts::read(files, &known).await?;
        let tokenizer = Tokenizer::from_json(&files.read("tokenizer.json").await?)?;
        check_tokenizer(&tokenizer, &config, max_seq_length)?;
        let cuts = settings::cuts(files, &known, config.d_model).await?;
        let checkpoint = Checkpoint::open(files, &Encoder::PREFIXES).await?;
        let needed = forecast(rt, &checkpoint, &config).total_bytes();
        rt.check_room(&format!("the embedder {}", files.id()), needed)?;
        let model = Encoder::load(rt, &checkpoint, config).await?;
        let sequencer = Sequencer { tokenizer, pooling, max_seq_length };
        warm_up(rt, &model, max_seq_length)?;
        let (id, revision, dimensions) = (files.id().into(), files.revision().into(), model.d_model());
        Ok(Self { rt: rt.clone(), model, sequencer, prompts, cuts, dimensions, id, revision })
    }

    /// The same model, whose vectors are cut to their first `dimensions` elements and made unit vectors
    /// again (Matryoshka representations, Kusupati et al., 2022).
    ///
    /// # Errors
    /// [`Error::Dimensions`] where the model was not trained to be cut there.
    pub fn with_dimensions(self, dimensions: usize) -> Result<Self> {
        let d_model = self.model.d_model();
        if dimensions == d_model || self.cuts.contains(&dimensions) {
            return Ok(Self { dimensions, ..self });
        }
        let mut allowed: Vec<String> = self.cuts.iter().map(ToString::to_string).collect();
        allowed.push(d_model.to_string());
        Err(Error::Dimensions { id: self.id, asked: dimensions, allowed: allowed.join(", ") })
    }

    /// What loading the model and embedding will take on the tier of `rt`; only the header of its
    /// weights and its settings are read.
    ///
    /// # Errors
    /// As [`Self::load`], but for what is only found while loading.
    pub async fn forecast(rt: &Runtime, files: &ModelFiles) -> Result<Forecast> {
        let config = EncoderConfig::parse(&files.read("config.json").await?)?;
        Ok(forecast(rt, &Checkpoint::open(files, &Encoder::PREFIXES).await?, &config))
    }

    /// One unit vector per passage, in the passages' order.
    ///
    /// # Errors
    /// [`Error::Runtime`] when the device is out of memory, [`Error::NotFinite`] when it computes nonsense.
    pub async fn embed_passages(&self, passages: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.embed(&self.prompts.passage, passages).await
    }

    /// One unit vector per passage, and one for each of its spans, from the same pass: a span's vector is
    /// the mean of its tokens' states, which have seen the whole passage. That is not the vector that the
    /// span's text alone would get.
    ///
    /// # Errors
    /// As [`Self::embed_passages`].
    pub async fn embed_passages_with_spans(
        &self,
        passages: &[SpannedText<'_>],
    ) -> Result<Vec<PassageVectors>> {
        let prefix = &self.prompts.passage;
        let sequences = passages.iter().map(|p| self.sequencer.sequence(prefix, p.text, p.spans));
        let sequences = sequences.collect::<Result<Vec<_>>>()?;
        let vectors = self.embed_sequences(&sequences).await?;
        Ok(sequences.iter().zip(&vectors).map(|(sequence, flat)| self.apart(sequence, flat)).collect())
    }

    /// A sequence's rows, given to the passage and to the spans that have tokens.
    fn apart(&self, sequence: &Sequence, flat: &[f32]) -> PassageVectors {
        let mut rows = flat.chunks_exact(self.dimensions).map(<[f32]>::to_vec);
        let passage = rows.next().expect("the text itself comes first");
        let spans = sequence
            .has_tokens
            .iter()
            .map(|has_tokens| has_tokens.then(|| rows.next().expect("a row per span with tokens")))
            .collect();
        PassageVectors { passage, spans }
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
        let n_tokens = self.sequencer.tokenizer.count(text).unwrap_or(text.len());
        u32::try_from(n_tokens).unwrap_or(u32::MAX)
    }

    /// Share of a text's tokens that stand for what the vocabulary has nothing for: 0 to 1.
    pub fn share_unknown(&self, text: &str) -> f32 {
        let tokenizer = &self.sequencer.tokenizer;
        let (Some(unknown), Ok(encoding)) = (tokenizer.unknown_id(), tokenizer.encode(text, false)) else {
            return 0.0;
        };
        let n_unknown = encoding.ids.iter().filter(|&&id| id == unknown).count();
        n_unknown as f32 / encoding.ids.len().max(1) as f32
    }

    /// Tokens of a passage that are embedded; what is beyond is cut off.
    pub fn max_tokens(&self) -> u32 {
        let n_prefix = self.count_tokens(&self.prompts.passage);
        (self.sequencer.max_seq_length as u32 - N_SPECIAL as u32).saturating_sub(n_prefix)
    }

    /// What its vectors may be compared with.
    pub fn tag(&self) -> EmbedderTagFields {
        EmbedderTagFields {
            id: self.id.clone(),
            revision: self.revision.clone(),
            dimensions: self.dimensions as u32,
            pooling: self.sequencer.pooling.as_str().into(),
            prefix: self.prompts.passage.clone(),
        }
    }

    async fn embed(&self, prefix: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let sequences = texts.iter().map(|text| self.sequencer.sequence(prefix, text, &[]));
        self.embed_sequences(&sequences.collect::<Result<Vec<_>>>()?).await
    }

    /// The vectors of each sequence, one after another: `[n_pooled, dimensions]`, row-major.
    async fn embed_sequences(&self, sequences: &[Sequence]) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.ids.len()).collect();
        let mut vectors = vec![Vec::new(); sequences.len()];
        for batch in batches(&lengths, self.model.max_batch_tokens(self.rt.tier())) {
            let batch_sequences: Vec<&Sequence> = batch.iter().map(|&i| &sequences[i]).collect();
            let flat = self.embed_batch(&batch_sequences).await?; // [n_pooled, D]
            if !flat.iter().all(|v| v.is_finite()) {
                return Err(Error::NotFinite);
            }
            let mut rest = flat.as_slice();
            for i in batch {
                let (own, others) = rest.split_at(sequences[i].pooled.len() * self.model.d_model());
                vectors[i] = cut(own, self.model.d_model(), self.dimensions);
                rest = others;
            }
            platform::yield_now().await;
        }
        Ok(vectors)
    }

    /// One batch, begun anew when the device is lost meanwhile.
    async fn embed_batch(&self, sequences: &[&Sequence]) -> Result<Vec<f32>> {
        loop {
            let mut rec = self.rt.recorder();
            let pooled = record(&mut rec, &self.model, sequences)?; // [n_pooled, D]
            match rec.read(&pooled).await {
                Err(error) if error.is_device_lost() => self.rt.recover().await?,
                read => return Ok(read?),
            }
        }
    }
}

/// A unit vector for each pooled range of each sequence: `[n_pooled, D]`.
fn record(rec: &mut Recorder<'_>, model: &Encoder, sequences: &[&Sequence]) -> Result<Tensor> {
    let ids: Vec<u32> = sequences.iter().flat_map(|sequence| sequence.ids.iter().copied()).collect();
    let lengths: Vec<u32> = sequences.iter().map(|sequence| sequence.ids.len() as u32).collect();
    let mut ranges = Vec::new();
    let mut first = 0;
    for (sequence, length) in sequences.iter().zip(&lengths) {
        ranges.extend(sequence.pooled.iter().map(|range| first + range.start..first + range.end));
        first += length;
    }
    let states = model.encode(rec, Batch { ids: &ids, token_types: None, lengths: &lengths })?; // [T, D]
    let pooled = rec.mean_pool(states, &ranges)?;
    Ok(rec.l2_normalize(pooled)?)
}

/// Has the GPU's kernels compiled: those for a question, and those for passages.
fn warm_up(rt: &Runtime, model: &Encoder, max_seq_length: usize) -> Result<()> {
    for (n_sequences, n_tokens) in [(1, 8), (16, 128)] {
        let n_tokens = max_seq_length.min(n_tokens);
        let pooled = std::iter::once(0..n_tokens as u32).collect();
        let sequence = Sequence { ids: vec![0; n_tokens], pooled, has_tokens: vec![] };
        let mut rec = rt.recorder();
        record(&mut rec, model, &vec![&sequence; n_sequences])?;
        rec.warm_up()?;
    }
    Ok(())
}

/// The first `to` elements of each of `rows: [n, from]`, of length 1 again.
fn cut(rows: &[f32], from: usize, to: usize) -> Vec<f32> {
    if from == to {
        return rows.to_vec();
    }
    let cut_row = |row: &[f32]| {
        let row = &row[..to];
        let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt().max(MIN_LENGTH);
        row.iter().map(|x| (f64::from(*x) / length) as f32).collect::<Vec<f32>>()
    };
    rows.chunks_exact(from).flat_map(cut_row).collect()
}

pub(crate) fn forecast(rt: &Runtime, checkpoint: &Checkpoint, config: &EncoderConfig) -> Forecast {
    // The residual with two copies, and queries, keys and values; or the residual and the wide layer
    // with its activation. What is freed on the way stays pooled, in sizes up to a quarter larger.
    let n_per_token = (6 * config.d_model + 2 * config.d_ffn) * 5 / 4;
    Forecast {
        weight_bytes: checkpoint.forecast(rt),
        kv_bytes: 0,
        activation_bytes: 4 * (config.max_batch_tokens(rt.tier()) * n_per_token) as u64,
    }
}

fn check_tokenizer(tokenizer: &Tokenizer, config: &EncoderConfig, max_seq_length: usize) -> Result<()> {
    let setting = |key: &str, reason| Err(Error::Setting { file: "tokenizer.json", key: key.into(), reason });
    let n_special = tokenizer.encode("", true)?.ids.len();
    if n_special != N_SPECIAL {
        return setting(
            "post_processor",
            format!("adds {n_special} tokens, where {N_SPECIAL} are supported"),
        );
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
