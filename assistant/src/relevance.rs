//! Whether the documents hold an answer at all.

use embedder::Embedder;

use crate::passages::Passage;
use crate::question::Question;
use crate::quotes::{self, Candidate};
use crate::{Result, Signals};

/// Below this estimated probability the answer is a refusal. Refusing a question that has an answer is the worse
/// mistake: what is answered shows its source.
pub(crate) const MIN_RELEVANCE: f32 = 0.4;

/// Weights of a logistic model over the signals.
struct Model {
    bias: f32,
    cosine: f32,
    passage_coverage: f32,
    sentence_cosine: f32,
    sentence_coverage: f32,
}

/// With sentences embedded each by itself. Fitted on the 612 questions and the 150 unanswerable
/// ones of xquad-en. The bias was chosen over further material, so that everywhere at most some 3 % of
/// questions with an answer are refused: in replay it refuses 1 % of those on English articles and 2 %
/// of those on the long texts of `chunking`, and of questions without an answer 92 % (the 150), 100 %
/// (questions about the long texts, asked to the articles), 95 % (questions asked to a base without
/// their article), 96 % and 88 % (questions about articles, and the 150, asked to the long texts).
const ALONE: Model =
    Model { bias: -8.8, cosine: 7.0, passage_coverage: 4.7, sentence_cosine: 8.2, sentence_coverage: 2.6 };

/// With the stored vectors of sentences, from the pass of their passages. Fitted on 300 of the questions and
/// the 150 unanswerable ones. What it would refuse without being sure is looked at again, by the other model: on
/// xquad-en one in forty of the questions with an answer, a quarter of the others.
const WITHIN: Model =
    Model { bias: -10.5, cosine: 4.7, passage_coverage: 5.4, sentence_cosine: 13.9, sentence_coverage: 2.4 };
/// Below the first it is sure of a refusal (e^-2 to 1), from the second on of an answer.
const SURE_REFUSAL: f32 = 0.12;
const SURE_ANSWER: f32 = 0.5;

/// The same over letters alone, for languages that the embedder cannot read: to it all their texts are alike, answer
/// or not. Fitted on questions in ten languages, each asked to a base with its article and to one without. Each
/// language judged by a fit to the nine others, 5 % of its questions are refused and 95 % of those without an answer.
/// Of the English ones as if English were such a language, in bases of some hundred passages: 1 % and 65 %.
const LETTERS_BIAS: f32 = -5.7;
const LETTERS_PASSAGE_WEIGHT: f32 = 8.7;
const LETTERS_SENTENCE_WEIGHT: f32 = 17.5;

/// Measures the signals and judges them; `cosine` is the best of the search by meaning.
///
/// # Errors
/// When the embedder fails.
pub(crate) async fn judge(
    question: &Question,
    cosine: f32,
    passages: &[Passage],
    candidates: &[Candidate],
    embedder: &Embedder,
) -> Result<Signals> {
    let max = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    let mut signals = Signals {
        cosine,
        background: question.background,
        clarity: question.clarity,
        passage_coverage: max(&mut passages.iter().map(|p| question.coverage(&p.terms))),
        sentence_cosine: max(&mut candidates.iter().filter_map(|c| c.cosine)),
        sentence_coverage: max(&mut candidates.iter().map(|c| c.coverage)),
        passage_letters: max(&mut passages.iter().map(|p| p.letters)),
        sentence_letters: max(&mut candidates.iter().map(|c| c.letters)),
        relevance: 0.0,
    };
    if !candidates.iter().any(|c| c.is_stored) {
        signals.relevance = relevance(&signals, &ALONE);
        return Ok(signals);
    }
    signals.relevance = relevance(&signals, &WITHIN);
    let is_unsure = (SURE_REFUSAL..SURE_ANSWER).contains(&signals.relevance);
    if is_unsure && question.clarity > 0.0 {
        signals.sentence_cosine = quotes::largest_cosine_alone(question, candidates, embedder).await?;
        signals.relevance = relevance(&signals, &ALONE);
    }
    Ok(signals)
}

/// Estimated probability that the documents hold an answer.
fn relevance(signals: &Signals, model: &Model) -> f32 {
    let by_meaning = model.bias
        + model.cosine * signals.cosine
        + model.passage_coverage * signals.passage_coverage
        + model.sentence_cosine * signals.sentence_cosine
        + model.sentence_coverage * signals.sentence_coverage;
    let by_letters = LETTERS_BIAS
        + LETTERS_PASSAGE_WEIGHT * signals.passage_letters
        + LETTERS_SENTENCE_WEIGHT * signals.sentence_letters;
    let logit = signals.clarity * by_meaning + (1.0 - signals.clarity) * by_letters;
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_answered(clarity: f32, cosines: [f32; 2], coverages: [f32; 2], letters: [f32; 2]) -> bool {
        let signals = Signals {
            cosine: cosines[0],
            background: 0.0,
            clarity,
            passage_coverage: coverages[0],
            passage_letters: letters[0],
            sentence_cosine: cosines[1],
            sentence_coverage: coverages[1],
            sentence_letters: letters[1],
            relevance: 0.0,
        };
        let answered = [&ALONE, &WITHIN].map(|model| relevance(&signals, model) >= MIN_RELEVANCE);
        assert_eq!(answered[0], answered[1]);
        answered[0]
    }

    /// Medians of questions with and without an answer, in English, Arabic and Thai.
    #[test]
    fn typical_questions_are_told_apart_in_languages_that_the_embedder_cannot_read_too() {
        let english = |cosines, coverages| is_answered(1.0, cosines, coverages, [0.0, 0.0]);
        assert!(english([0.58, 0.67], [0.74, 0.65]));
        assert!(!english([0.27, 0.31], [0.26, 0.24]));
        assert!(is_answered(0.0, [0.77, 0.71], [0.42, 0.39], [0.42, 0.41]));
        assert!(!is_answered(0.0, [0.77, 0.68], [0.13, 0.13], [0.08, 0.07]));
        assert!(is_answered(0.0, [0.19, 0.18], [0.76, 0.63], [0.52, 0.46]));
        assert!(!is_answered(0.0, [0.12, 0.18], [0.44, 0.25], [0.14, 0.06]));
    }
}
