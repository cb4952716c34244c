//! `footnote quantize`: a generator's full-precision weights in 8 or 4 bits.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use generator::Generator;
use models::ModelFiles;
use runtime::{Bits, QuantizedTensor, Runtime};
use serde::Serialize;

use crate::args::{QuantizeArgs, Shared};
use crate::error::{AtPath, Error, Result};
use crate::{output, setup};

const WEIGHTS: &str = "model.safetensors";

#[derive(Serialize)]
struct Told {
    bytes_before: u64,
    bytes_after: u64,
    /// Over all elements of what was quantised.
    relative_error: f64,
    worst: Option<Worst>,
    perplexity: Option<Perplexity>,
}

#[derive(Serialize)]
struct Worst {
    tensor: String,
    relative_error: f64,
}

#[derive(Serialize)]
struct Perplexity {
    before: f64,
    after: f64,
    n_tokens: usize,
}

pub async fn run(shared: &Shared, args: &QuantizeArgs) -> Result<ExitCode> {
    let files = setup::store(shared)?.find(&args.model).await?;
    if files.names().any(|name| name.ends_with(".gguf")) {
        return Err(Error::Usage(format!("{} is GGUF already; give a folder with safetensors", args.model)));
    }
    let out = Path::new(&args.out);
    if out.exists() {
        return Err(Error::Usage(format!("{} is there already; name a folder that is not", out.display())));
    }
    // What cannot be loaded afterwards is not begun; the perplexity is that of the tier asked for.
    let rt = Runtime::open(&runtime::Options { tier: setup::tier(shared), ..Default::default() }).await?;
    let text = args.text.as_deref().map(|path| fs::read_to_string(path).at(Path::new(path))).transpose()?;
    let before = measure(&rt, &files, text.as_deref()).await?;

    fs::create_dir_all(out).at(out)?;
    let (tensors, bytes_before) = write_weights(&files, out, args.bits.bits()).await?;
    for name in files.names().filter(|name| is_setting(name)) {
        fs::write(out.join(name), files.read(name).await?).at(&out.join(name))?;
    }
    let made = ModelFiles::from_folder(&args.out, &args.out).await?;
    let after = measure(&rt, &made, text.as_deref()).await?;
    tell(args, bytes_before, &tensors, before.zip(after))?;
    Ok(ExitCode::SUCCESS)
}

/// Perplexity and number of tokens, where there is a text; the model must load in any case.
async fn measure(rt: &Runtime, files: &ModelFiles, text: Option<&str>) -> Result<Option<(f64, usize)>> {
    let generator = Generator::load(rt, files).await?;
    match text {
        Some(text) => Ok(Some(generator.perplexity(text).await?)),
        None => Ok(None),
    }
}

/// Writes the weights under a name of their own until they are whole; gives what became of them, and their
/// bytes before.
async fn write_weights(files: &ModelFiles, out: &Path, bits: Bits) -> Result<(Vec<QuantizedTensor>, u64)> {
    let (part, whole) = (out.join(format!("{WEIGHTS}.part")), out.join(WEIGHTS));
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&part).at(&part)?);
    let mut failed = None;
    let weights = generator::open_weights(files).await?;
    let tensors = runtime::quantize(&weights, &|name| bits_of(name, bits), &mut |bytes| {
        // The runtime knows no error of this kind; its own is put in place of ours below.
        file.write_all(bytes).map_err(|error| {
            failed = Some(error);
            runtime::Error::CorruptWeights { reason: "the new file could not be written".into() }
        })
    });
    if let Some(error) = failed {
        return Err(error).at(&part);
    }
    let tensors = tensors?;
    file.flush().and_then(|()| file.get_ref().sync_all()).at(&part)?;
    fs::rename(&part, &whole).at(&whole)?;
    let before = weights.names().filter_map(|name| Some(weights.tensor_info(name)?.n_bytes)).sum();
    Ok((tensors, before))
}

/// Embeddings and the output matrix lose most by few bits. GPT-2's other matrices are stored the other way
/// round, across the groups, and stay as they are.
fn bits_of(name: &str, bits: Bits) -> Option<Bits> {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    match () {
        () if has(&[".c_attn.", ".c_proj.", ".c_fc."]) => None,
        () if has(&["embed_tokens", "lm_head", "wte.", "wpe."]) => Some(Bits::Eight),
        () => Some(bits),
    }
}

/// Settings, vocabularies and templates lie beside the weights.
fn is_setting(name: &str) -> bool {
    !name.contains('/')
        && !name.ends_with(".index.json")
        && [".json", ".jinja", ".txt", ".model"].iter().any(|end| name.ends_with(end))
}

fn tell(
    args: &QuantizeArgs,
    bytes_before: u64,
    tensors: &[QuantizedTensor],
    perplexities: Option<((f64, usize), (f64, usize))>,
) -> Result<()> {
    let changed = || tensors.iter().filter(|tensor| tensor.relative_error > 0.0);
    let weigh = |tensor: &QuantizedTensor| tensor.n_bytes as f64;
    let n_bytes: f64 = changed().map(weigh).sum();
    let squares: f64 = changed().map(|tensor| weigh(tensor) * tensor.relative_error.powi(2)).sum();
    let worst = changed().max_by(|a, b| a.relative_error.total_cmp(&b.relative_error));
    let told = Told {
        bytes_before,
        bytes_after: fs::metadata(Path::new(&args.out).join(WEIGHTS)).at(Path::new(&args.out))?.len(),
        relative_error: output::round((squares / n_bytes.max(1.0)).sqrt()),
        worst: worst.map(|tensor| Worst {
            tensor: tensor.name.clone(),
            relative_error: output::round(tensor.relative_error),
        }),
        perplexity: perplexities.map(|((before, n_tokens), (after, _))| Perplexity {
            before: output::round(before),
            after: output::round(after),
            n_tokens,
        }),
    };
    let mut words = format!(
        "{}: {:.1} MB, from {:.1} MB; the weights are off by {:.2} % of their size",
        args.out,
        told.bytes_after as f64 / 1e6,
        told.bytes_before as f64 / 1e6,
        100.0 * told.relative_error
    );
    if let Some(worst) = &told.worst {
        words += &format!(", most in {} ({:.2} %)", worst.tensor, 100.0 * worst.relative_error);
    }
    if let Some(Perplexity { before, after, n_tokens }) = told.perplexity {
        words += &format!("\nperplexity over {n_tokens} tokens: {after}, from {before}");
    }
    output::told(args.json, &told, &words)
}
