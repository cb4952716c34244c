//! How soon the quotes are there: from a typed question to exact spans, among 10,000 passages.

use assistant::{AskOptions, Assistant, Options, Place, SourceFile};
use platform::{block_on, now_ms};

use crate::corpus::percentile;
use crate::{Args, Outcome, Row, Tier};

/// Passages of the usual length, which the questions are about, in documents of as many.
const LONG_PASSAGES: usize = 1_000;
const SENTENCES: usize = 8;
const SENTENCE_WORDS: usize = 18;
/// Further ones, short to be embedded soon: a search looks at all of them all the same.
const SHORT_PASSAGES: usize = 9_000;
const SHORT_WORDS: usize = 10;
const PASSAGES_PER_DOCUMENT: usize = 500;
const QUESTION_WORDS: usize = 8;
const PASSAGES_PER_QUESTION: usize = 10;

const WORDS: &str = "harbour winter copper engine letter garden market river teacher window bridge candle \
    forest summer doctor signal carpet velvet mountain station lantern paper silver cotton morning evening \
    island captain violin orchard kitchen railway valley museum blanket compass feather granite hammer \
    journal kettle ladder magnet needle orange pepper quarry ribbon saddle timber umbrella village walnut \
    yellow barrel cellar desert ember fabric glacier helmet insect jacket kingdom";

pub(crate) fn rows(args: &Args) -> Outcome<Vec<Row>> {
    let mut texts = Texts { state: 0x9e37_79b9_7f4a_7c15 };
    let tier = match args.tier {
        Tier::Auto => runtime::TierChoice::Auto,
        Tier::Cpu => runtime::TierChoice::Cpu,
        Tier::Gpu => runtime::TierChoice::Gpu,
    };
    let options = Options { tier, generator: false, ..Options::new(Place::Memory, args.models()?) };
    let mut assistant = block_on(Assistant::open(options, &mut |_| {}))?;
    let mut questions = Vec::new();
    for (n_passages, n_sentences, n_words) in
        [(LONG_PASSAGES, SENTENCES, SENTENCE_WORDS), (SHORT_PASSAGES, 1, SHORT_WORDS)]
    {
        for i in 0..n_passages / PASSAGES_PER_DOCUMENT {
            let (text, asked) = texts.document(n_sentences, n_words);
            let file =
                SourceFile { name: format!("{n_words} words, {i}.md"), mime: None, bytes: text.into_bytes() };
            block_on(assistant.add(&file, &mut |_| {}))?;
            questions.extend(asked.into_iter().filter(|_| n_passages == LONG_PASSAGES));
        }
    }
    let n_chunks = assistant.state()?.n_chunks;
    let options = AskOptions { generate: false, ..AskOptions::default() };
    let (mut medians, mut worst) = (Vec::new(), Vec::new());
    for run in 0..=args.runs {
        let mut figures = Vec::with_capacity(questions.len());
        for question in &questions {
            let start_ms = now_ms();
            block_on(assistant.ask(question, &options))?;
            figures.push(now_ms() - start_ms);
        }
        // The first run warms up.
        if run > 0 {
            medians.push(percentile(&mut figures, 0.5));
            worst.push(percentile(&mut figures, 0.99));
        }
    }
    let what = format!("question to quotes, {n_chunks} passages");
    Ok(vec![Row::new(format!("{what}: p50"), "ms", medians), Row::new(format!("{what}: p99"), "ms", worst)])
}

struct Texts {
    state: u64,
}

impl Texts {
    /// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled".
    fn word(&mut self) -> &'static str {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        let n_words = WORDS.split_whitespace().count() as u64;
        WORDS.split_whitespace().nth((random % n_words) as usize).unwrap_or_default()
    }

    /// A document of sections that are a passage each, and questions with words of some of them.
    fn document(&mut self, n_sentences: usize, n_words: usize) -> (String, Vec<String>) {
        let (mut text, mut last, mut questions) = (String::new(), String::new(), Vec::new());
        for i in 0..PASSAGES_PER_DOCUMENT {
            text.push_str(&format!("# {} {i}\n\n", self.word()));
            for _ in 0..n_sentences {
                let words: Vec<&str> = (0..n_words).map(|_| self.word()).collect();
                last = words.join(" ");
                text.push_str(&format!("The {last}. "));
            }
            text.push_str("\n\n");
            if i % PASSAGES_PER_QUESTION == 0 {
                let words: Vec<&str> = last.split_whitespace().take(QUESTION_WORDS).collect();
                questions.push(format!("Which {} is it?", words.join(" ")));
            }
        }
        (text, questions)
    }
}
