//! Whether the documents hold an answer at all.

use crate::Signals;
use crate::passages::Passage;
use crate::question::Question;
use crate::quotes::Candidate;

/// Below this estimated probability the answer is a refusal.
pub(crate) const MIN_RELEVANCE: f32 = 0.5;

/// Weights of a logistic model over the signals, fitted on the 612 questions and the 150 unanswerable
/// ones of xquad-en. The bias was chosen over further material, so that everywhere at most some 3 % of
/// questions with an answer are refused: in replay it refuses 1 % of those on English articles and 2 %
/// of those on the long texts of `chunking`, and of questions without an answer 92 % (the 150), 100 %
/// (questions about the long texts, asked to the articles), 95 % (questions asked to a base without
/// their article), 96 % and 88 % (questions about articles, and the 150, asked to the long texts).
const BIAS: f32 = -8.8;
const COSINE_WEIGHT: f32 = 7.0;
const PASSAGE_COVERAGE_WEIGHT: f32 = 4.7;
const SENTENCE_COSINE_WEIGHT: f32 = 8.2;
const SENTENCE_COVERAGE_WEIGHT: f32 = 2.6;

/// The same over words alone, for languages that the embedder cannot read: to it all their texts are
/// alike, answer or not. Fitted on questions in ten languages, each asked to a base with its article
/// and to one without.
const WORDS_BIAS: f32 = -3.8;
const WORDS_PASSAGE_WEIGHT: f32 = -5.6;
const WORDS_SENTENCE_WEIGHT: f32 = 27.7;

/// Measures the signals and judges them; `cosine` is the best of the search by meaning.
pub(crate) fn judge(
    question: &Question,
    cosine: f32,
    passages: &[Passage],
    candidates: &[Candidate],
) -> Signals {
    let max = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    let mut signals = Signals {
        cosine,
        background: question.background,
        clarity: question.clarity,
        passage_coverage: max(&mut passages.iter().map(|p| question.coverage(&p.terms))),
        sentence_cosine: max(&mut candidates.iter().map(|c| c.cosine)),
        sentence_coverage: max(&mut candidates.iter().map(|c| c.coverage)),
        relevance: 0.0,
    };
    signals.relevance = relevance(&signals);
    signals
}

/// Estimated probability that the documents hold an answer.
fn relevance(signals: &Signals) -> f32 {
    let by_meaning = BIAS
        + COSINE_WEIGHT * signals.cosine
        + PASSAGE_COVERAGE_WEIGHT * signals.passage_coverage
        + SENTENCE_COSINE_WEIGHT * signals.sentence_cosine
        + SENTENCE_COVERAGE_WEIGHT * signals.sentence_coverage;
    let by_words = WORDS_BIAS
        + WORDS_PASSAGE_WEIGHT * signals.passage_coverage
        + WORDS_SENTENCE_WEIGHT * signals.sentence_coverage;
    let logit = signals.clarity * by_meaning + (1.0 - signals.clarity) * by_words;
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_answered(clarity: f32, cosines: [f32; 2], coverages: [f32; 2]) -> bool {
        let signals = Signals {
            cosine: cosines[0],
            background: 0.0,
            clarity,
            passage_coverage: coverages[0],
            sentence_cosine: cosines[1],
            sentence_coverage: coverages[1],
            relevance: 0.0,
        };
        relevance(&signals) >= MIN_RELEVANCE
    }

    /// Medians of questions with and without an answer, in English and in Arabic.
    #[test]
    fn typical_questions_are_told_apart_in_languages_that_the_embedder_cannot_read_too() {
        assert!(is_answered(1.0, [0.58, 0.67], [0.74, 0.65]));
        assert!(!is_answered(1.0, [0.27, 0.31], [0.26, 0.24]));
        assert!(is_answered(0.0, [0.79, 0.78], [0.40, 0.38]));
        assert!(!is_answered(0.0, [0.77, 0.77], [0.12, 0.12]));
    }
}
