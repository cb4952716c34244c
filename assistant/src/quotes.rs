//! The sentences of the passages that fit the question best, as exact spans of the source.

use std::collections::HashSet;

use embedder::Embedder;
use ingest::Span;

use crate::passages::{Passage, jaccard};
use crate::question::Question;
use crate::{Quote, Result, injection, words};

/// Longer "sentences" (tables, listings, text without stops) are cut at line ends, then at words.
const MAX_QUOTE_CHARS: u32 = 500;
/// Shorter pieces are headings, list numbers, page numbers.
const MIN_QUOTE_CHARS: u32 = 12;
/// Sentences that are embedded, best by words first. On xquad-en 8 find nearly the same quotes as all;
/// 8 of some 30 tokens cost a browser's CPU about 120 ms.
const MAX_EMBEDDED: usize = 8;
/// Weights of the parts of a sentence's score, fitted on xquad-en in five-fold cross-validation: the
/// question's terms that it has, weighed by how few of the sentences at hand have them; those that it
/// has together with its neighbours ("He was born in Ulm." after the name); the question's pairs of
/// words that stand in it as they are; what it means; and how well its passage fits.
const COVERAGE_WEIGHT: f32 = 0.4;
const CONTEXT_WEIGHT: f32 = 0.26;
const PAIRS_WEIGHT: f32 = 0.14;
const COSINE_WEIGHT: f32 = 0.52;
const PASSAGE_WEIGHT: f32 = 0.7;
/// What speaks to the model is quoted only where nothing else is.
const ORDER_PENALTY: f32 = 1.0;
/// What stands beside such an order may be said for its sake: another passage that says nearly as much
/// of what was asked is quoted first.
const BESIDE_ORDER_PENALTY: f32 = 0.3;
/// Two sentences that share this part of their terms (Jaccard) say the same.
const DUPLICATE_OVERLAP: f32 = 0.85;
/// Quotes further below the best one than this share of its score are left out.
const MIN_SHARE_OF_BEST: f32 = 0.5;

/// A sentence of a passage and how well it fits.
pub(crate) struct Candidate {
    /// Index of its passage.
    pub passage: usize,
    /// In code points of the document's text.
    pub span: Span,
    pub text: String,
    pub coverage: f32,
    pub cosine: f32,
    pub score: f32,
}

/// The sentences of `passages` (best passage first), best first; only the first few by words, which
/// are compared by meaning too.
pub(crate) async fn rank(
    question: &Question,
    passages: &[Passage],
    embedder: &Embedder,
) -> Result<Vec<Candidate>> {
    let mut candidates = by_words(question, passages);
    candidates.truncate(MAX_EMBEDDED);
    let texts: Vec<&str> = candidates.iter().map(|c| c.text.as_str()).collect();
    let vectors = embedder.embed_passages(&texts).await?;
    for (candidate, vector) in candidates.iter_mut().zip(&vectors) {
        candidate.cosine = question.cosine(vector);
        candidate.score += COSINE_WEIGHT * candidate.cosine;
    }
    sort(&mut candidates);
    Ok(candidates)
}

/// All sentences, best first by words.
fn by_words(question: &Question, passages: &[Passage]) -> Vec<Candidate> {
    let sentences: Vec<Vec<(Span, &str)>> = passages.iter().map(|p| pieces(&p.chunk.text)).collect();
    let terms: Vec<Vec<HashSet<String>>> = sentences
        .iter()
        .map(|pieces| pieces.iter().map(|(_, text)| words::term_set(text)).collect())
        .collect();
    let here = question.weighed_among(terms.iter().flatten());
    let mut candidates = Vec::new();
    for (passage_idx, passage) in passages.iter().enumerate() {
        let terms = &terms[passage_idx];
        let speaks_to_model = sentences[passage_idx].iter().any(|(_, text)| injection::is_order(text));
        let penalty = |text: &str| match () {
            () if injection::is_order(text) => ORDER_PENALTY,
            () if speaks_to_model => BESIDE_ORDER_PENALTY,
            () => 0.0,
        };
        for (i, (span, text)) in sentences[passage_idx].iter().enumerate() {
            let neighbours = &terms[i.saturating_sub(1)..terms.len().min(i + 2)];
            let context = question.coverage(&neighbours.iter().flatten().cloned().collect());
            let score = COVERAGE_WEIGHT * here.coverage(&terms[i])
                + CONTEXT_WEIGHT * context
                + PAIRS_WEIGHT * question.share_of_pairs(text)
                + PASSAGE_WEIGHT * passage.score
                + question.exact.bonus(text)
                - penalty(text);
            candidates.push(Candidate {
                passage: passage_idx,
                span: Span::new(passage.chunk.start + span.start, passage.chunk.start + span.end),
                text: (*text).to_owned(),
                coverage: question.coverage(&terms[i]),
                cosine: 0.0,
                score,
            });
        }
    }
    sort(&mut candidates);
    candidates
}

/// The best candidates as numbered quotes, nothing said twice.
pub(crate) fn choose(candidates: &[Candidate], passages: &[Passage], max_quotes: usize) -> Vec<Quote> {
    let mut quotes: Vec<Quote> = Vec::new();
    let best = candidates.first().map_or(0.0, |c| c.score);
    for candidate in candidates.iter().filter(|c| c.score >= MIN_SHARE_OF_BEST * best) {
        if quotes.len() == max_quotes {
            break;
        }
        let terms = words::term_set(&candidate.text);
        let says_the_same =
            |quote: &Quote| jaccard(&words::term_set(&quote.text), &terms) >= DUPLICATE_OVERLAP;
        if quotes
            .iter()
            .any(|quote| quote.text == candidate.text || !terms.is_empty() && says_the_same(quote))
        {
            continue;
        }
        let passage = &passages[candidate.passage];
        quotes.push(Quote {
            n: quotes.len() as u32 + 1,
            text: candidate.text.clone(),
            document_id: passage.chunk.document.0,
            document: passage.document.clone(),
            page: passage.chunk.page,
            start: candidate.span.start,
            end: candidate.span.end,
            score: candidate.score,
        });
    }
    quotes
}

fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// The quotable pieces of a passage: sentences, and parts of overlong ones.
fn pieces(text: &str) -> Vec<(Span, &str)> {
    let mut pieces = Vec::new();
    for span in ingest::sentences(text) {
        if span.len() <= MAX_QUOTE_CHARS {
            pieces.push(span);
        } else {
            cut(ingest::slice(text, span), span.start, &mut pieces);
        }
    }
    let pieces = pieces.into_iter().map(|span| (span, ingest::slice(text, span)));
    pieces.filter(|(span, text)| span.len() >= MIN_QUOTE_CHARS && !is_heading(text)).collect()
}

fn is_heading(text: &str) -> bool {
    text.starts_with('#') && !text.contains('\n')
}

/// Cuts a long piece at line ends, and where lines are long too, before the last word that fits.
fn cut(long: &str, offset: u32, pieces: &mut Vec<Span>) {
    let mut start = offset;
    for line in long.split_inclusive('\n') {
        let chars: Vec<char> = line.chars().collect();
        let mut from = 0;
        while from < chars.len() {
            let mut to = chars.len().min(from + MAX_QUOTE_CHARS as usize);
            if to < chars.len() {
                let blank = chars[from..to].iter().rposition(|c| c.is_whitespace());
                to = blank.filter(|&at| at > 0).map_or(to, |at| from + at);
            }
            let piece = &chars[from..to];
            let lead = piece.iter().take_while(|c| c.is_whitespace()).count();
            let trail = piece[lead..].iter().rev().take_while(|c| c.is_whitespace()).count();
            let (a, b) = (start + (from + lead) as u32, start + (to - trail) as u32);
            if a < b {
                pieces.push(Span::new(a, b));
            }
            from = to;
        }
        start += chars.len() as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_exact_spans_of_bounded_length() {
        let row = "| é cell | another cell of a table without any stop |\n";
        let long_line = "word ".repeat(400);
        let text = format!("# Heading\n\nA short sentence here. {}\n\n{long_line}", row.repeat(20));
        let found = pieces(&text);
        assert!(found.len() > 20);
        for (span, piece) in &found {
            assert_eq!(ingest::slice(&text, *span), *piece);
            assert!(span.len() <= MAX_QUOTE_CHARS && piece.trim() == *piece, "{piece:?}");
        }
        let all: String = found.iter().map(|(_, piece)| *piece).collect();
        let n_words = all.matches("word").count();
        assert_eq!(n_words, 400, "nothing is lost");
    }
}
