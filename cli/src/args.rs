//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Answers questions from your own documents, with footnotes. Nothing leaves this machine.
#[derive(Debug, Parser)]
#[command(name = "footnote", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub shared: Shared,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Shared {
    /// Folder with the models [default: a folder in the user's cache]
    #[arg(long, global = true, env = "FOOTNOTE_MODELS", value_name = "DIR")]
    pub models: Option<String>,
    /// Fetch models from this mirror of the hub [default: https://huggingface.co]
    #[arg(long, global = true, env = "FOOTNOTE_MIRROR", value_name = "URL")]
    pub mirror: Option<String>,
    /// The embedder: a model's name (`footnote models list`), its repository on the hub (owner/name) or a
    /// folder with its files [default: all-MiniLM-L6-v2]; a knowledge base stays with its own
    #[arg(long, global = true, env = "FOOTNOTE_EMBEDDER", value_name = "PATH_OR_ID")]
    pub embedder: Option<String>,
    /// Cut vectors to so many elements, where the embedder was trained for it
    #[arg(long, global = true, value_name = "N")]
    pub dimensions: Option<usize>,
    /// The model that writes answers: as --embedder, or a GGUF file [default: SmolLM2-135M-Instruct]
    #[arg(long, global = true, env = "FOOTNOTE_GENERATOR", value_name = "PATH_OR_ID")]
    pub generator: Option<String>,
    /// The model that puts the best passages in order: as --embedder, or off, or auto [default: auto, which
    /// takes ms-marco-MiniLM-L6-v2 on a GPU if it was fetched]
    #[arg(long, global = true, env = "FOOTNOTE_RERANKER", value_name = "PATH_OR_ID")]
    pub reranker: Option<String>,
    /// What computes
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub tier: TierArg,
    /// Threads that compute [default: as many as the machine has]
    #[arg(long, global = true, env = "FOOTNOTE_THREADS", value_name = "N")]
    pub threads: Option<usize>,
    /// No progress on standard error
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TierArg {
    /// A hardware GPU that passes the self-test, else the CPU
    Auto,
    /// The CPU
    Cpu,
    /// Any GPU adapter, a software one too
    Gpu,
    /// As gpu, with every variant of its kernels tested, and used where it passes: for diagnosis
    GpuAll,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add files and folders to a knowledge base
    Index(IndexArgs),
    /// Find passages
    Search(SearchArgs),
    /// Answer a question with footnotes
    Ask(AskArgs),
    /// List, remove or tag the documents of a knowledge base
    Docs(crate::library_args::DocsArgs),
    /// List, make, rename or delete collections, or move documents into one
    Collections(crate::library_args::CollectionsArgs),
    /// List the tags, and how many documents have each
    Tags(crate::library_args::KbArgs),
    /// List, show, rename or delete the kept conversations
    Conversations(crate::library_args::ConversationsArgs),
    /// The queue of files: add to it, work on it, stop and clear it
    Jobs(crate::library_args::JobsArgs),
    /// Make a knowledge base agree with a folder
    Sync(crate::library_args::SyncArgs),
    /// Write a whole knowledge base to one file
    Export(crate::library_args::ExportArgs),
    /// Take in what `export` wrote, merged with what is there
    Import(crate::library_args::ImportArgs),
    /// Make the file of a knowledge base small
    Compact(crate::library_args::KbArgs),
    /// How much a knowledge base holds
    Stats(crate::library_args::KbArgs),
    /// List, fetch, verify, import, export, remove or measure models
    Models(ModelsArgs),
    /// Write a generator's full-precision weights in 8 or 4 bits
    Quantize(QuantizeArgs),
    /// Check that everything in a knowledge base is whole
    Verify(VerifyArgs),
    /// Copy all that is readable of a damaged knowledge base to a new one
    Repair(RepairArgs),
    /// Check what this machine has and what is missing
    Doctor(DoctorArgs),
    /// Serve the built web app, and the models to programs for OpenAI's API, on this machine
    Serve(ServeArgs),
    /// Measure retrieval, answers or text extraction
    Eval(EvalArgs),
    /// Read one file from standard input, for this program itself
    #[command(hide = true)]
    ReadOne,
}

#[derive(Debug, Args)]
pub struct IndexArgs {
    /// The knowledge base's file; it is made if it is not there
    #[arg(long, value_name = "FILE")]
    pub kb: String,
    /// Files, archives and folders with documents; what has not changed is left alone
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Put the documents into this collection, which is made if it is not there
    #[arg(long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Give the documents this tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// The knowledge base's file
    #[arg(long, value_name = "FILE")]
    pub kb: String,
    /// What to find
    #[arg(value_name = "QUESTION")]
    pub question: String,
    /// How many passages
    #[arg(short, default_value_t = 10, value_name = "N")]
    pub k: usize,
    #[command(flatten)]
    pub scope: crate::library_args::ScopeArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct AskArgs {
    /// The knowledge base's file
    #[arg(long, value_name = "FILE")]
    pub kb: Option<String>,
    /// Files and folders to ask, unless --kb names a knowledge base; then the question
    #[arg(required = true, value_name = "PATH.. QUESTION")]
    pub words: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Answer with quotes only, without the generator
    #[arg(long)]
    pub no_llm: bool,
    #[command(flatten)]
    pub scope: crate::library_args::ScopeArgs,
    /// Keep question and answer in the knowledge base, in a new conversation
    #[arg(long, requires = "kb")]
    pub keep: bool,
    /// Keep them at the end of this conversation
    #[arg(long, requires = "kb", value_name = "ID")]
    pub conversation: Option<u64>,
    /// Let the generator choose among sentences of the sources, but write nothing of its own
    #[arg(long)]
    pub only_quotes: bool,
}

#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    pub command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// The models there are, and which of them are here
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model, or the two default ones
    Fetch {
        /// The model's name
        id: Option<String>,
    },
    /// Compare every file with its SHA-256
    Verify {
        /// The model's name
        id: Option<String>,
    },
    /// Take in a model from files: one GGUF file, or a folder (or the files) with safetensors
    Import {
        /// A file, all files of the model, or the folder with them
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// What it is called from now on [default: the name of the file or folder]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Write a model's files to a folder, each compared with its SHA-256
    Export {
        /// The model's name
        id: String,
        /// The folder; it is made if it is not there
        #[arg(value_name = "DIR")]
        to: String,
    },
    /// Delete a model's files, whole and half
    Remove {
        /// The model's name
        id: String,
    },
    /// Measure the models that are here, and say which to use
    Bench {
        /// Only these
        #[arg(value_name = "NAME")]
        ids: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct QuantizeArgs {
    /// The model: a folder with model.safetensors and its settings, or a model's name
    #[arg(value_name = "IN")]
    pub model: String,
    /// The new folder
    #[arg(value_name = "OUT")]
    pub out: String,
    /// Bits of a weight; embeddings and the output matrix get 8 in any case
    #[arg(long, value_enum, default_value = "4")]
    pub bits: BitsArg,
    /// Measure how well both foresee this text
    #[arg(long, value_name = "FILE")]
    pub text: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BitsArg {
    /// Groups of 32 with a scale
    #[value(name = "8")]
    Eight,
    /// Groups of 32 with a scale and a minimum
    #[value(name = "4")]
    Four,
}

impl BitsArg {
    pub fn bits(self) -> runtime::Bits {
        match self {
            Self::Eight => runtime::Bits::Eight,
            Self::Four => runtime::Bits::Four,
        }
    }
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The knowledge base's file
    #[arg(long, value_name = "FILE")]
    pub kb: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RepairArgs {
    /// The damaged knowledge base's file; it is only read
    #[arg(long, value_name = "FILE")]
    pub kb: String,
    /// The new file
    #[arg(long, value_name = "FILE")]
    pub out: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The port on 127.0.0.1; 0 takes any that is free
    #[arg(long, default_value_t = 8017)]
    pub port: u16,
    /// The built web app
    #[arg(long, default_value = "target/web-dist", value_name = "DIR")]
    pub web: PathBuf,
    /// Leave out the headers that let the page use threads, as hosts do that cannot set them
    #[arg(long)]
    pub not_isolated: bool,
    /// Leave out the API for programs (below /v1)
    #[arg(long)]
    pub no_api: bool,
    /// Let pages of this origin, such as http://localhost:3000, use the API; `*` lets in all; may be repeated
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub allow_origins: Vec<String>,
}

#[derive(Debug, Args)]
pub struct EvalArgs {
    #[command(subcommand)]
    pub command: EvalCommand,
}

#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// How often the right passage is found
    Retrieval(RetrievalArgs),
    /// How often the right sentence is quoted, and what the answers are worth
    Answers(AnswersArgs),
    /// Whether questions are understood that go on from the one before
    FollowUps(FollowUpsArgs),
    /// What the readers of files make of a folder
    Extract(ExtractArgs),
    /// Reads one file, for `extract`: a crash costs this process only
    #[command(hide = true)]
    ExtractOne {
        /// The file
        file: PathBuf,
        /// Write its text to this file
        #[arg(long)]
        text: Option<PathBuf>,
    },
}

/// Documents and questions of an evaluation.
#[derive(Debug, Clone, Args)]
pub struct Corpus {
    /// Folder with the documents, or one with a folder for each of several sets, such as languages
    #[arg(long, value_name = "DIR")]
    pub docs: PathBuf,
    /// Questions, one JSON object per line [default: questions.jsonl beside the documents]
    #[arg(long, value_name = "FILE")]
    pub questions: Option<PathBuf>,
    /// Knowledge base to keep the embedded documents in, so that a second run is quick
    #[arg(long, value_name = "FILE")]
    pub kb: Option<String>,
    /// Tokens at which a passage is closed, instead of the usual
    #[arg(long, value_name = "N")]
    pub target_tokens: Option<u32>,
    /// Tokens below which a passage is merged with its neighbour, instead of the usual
    #[arg(long, value_name = "N")]
    pub min_tokens: Option<u32>,
    /// Ask only this many questions, spread over the file
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Write a page with the failing questions and what was retrieved for them to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RetrievalArgs {
    #[command(flatten)]
    pub corpus: Corpus,
    /// Besides, search each document that questions name in a base of its own
    #[arg(long)]
    pub alone: bool,
}

#[derive(Debug, Args)]
pub struct AnswersArgs {
    #[command(flatten)]
    pub corpus: Corpus,
    /// Questions that the documents do not answer, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub unanswerable: Option<PathBuf>,
    /// Answer with quotes only, without the generator
    #[arg(long)]
    pub no_llm: bool,
    /// Let the generator choose among sentences of the sources, but write nothing of its own
    #[arg(long)]
    pub only_quotes: bool,
    /// Write one JSON object per question to this file
    #[arg(long, value_name = "FILE")]
    pub details: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct FollowUpsArgs {
    #[command(flatten)]
    pub corpus: Corpus,
    /// Write one JSON object per question to this file
    #[arg(long, value_name = "FILE")]
    pub details: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Folder with the files
    #[arg(long, value_name = "DIR")]
    pub files: PathBuf,
    /// Seconds one file may take
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub timeout: u64,
    /// Write the text of each file to this folder, without comments of annotated pages
    #[arg(long, value_name = "DIR")]
    pub text: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
