//! A text as the model reads it: token ids, and which of them are pooled.

use crate::error::Result;
use crate::settings::Pooling;
use runtime::Tokenizer;
use std::ops::Range;

/// One token before the text and one after it: what cutting relies on and loading checks.
pub(crate) const N_SPECIAL: usize = 2;

/// A text's tokens, and the rows of the model's output that become vectors.
pub(crate) struct Sequence {
    /// With the special tokens, cut to the longest sequence: `[CLS] a b c [SEP]`.
    pub(crate) ids: Vec<u32>,
    /// Tokens whose states are averaged: first those of the text, then those of each span that has any.
    pub(crate) pooled: Vec<Range<u32>>,
    /// For each span, whether one of its tokens is embedded.
    pub(crate) has_tokens: Vec<bool>,
}

/// How texts become sequences.
pub(crate) struct Sequencer {
    pub(crate) tokenizer: Tokenizer,
    pub(crate) pooling: Pooling,
    /// With the special tokens.
    pub(crate) max_seq_length: usize,
}

impl Sequencer {
    /// `spans` are byte ranges of `text`. A token belongs to the span that holds its last byte: a token
    /// may begin with the space before a word.
    pub(crate) fn sequence(&self, prefix: &str, text: &str, spans: &[Range<usize>]) -> Result<Sequence> {
        let encoding = match prefix {
            "" => self.tokenizer.encode(text, true)?,
            _ => self.tokenizer.encode(&format!("{prefix}{text}"), true)?,
        };
        let (mut ids, mut offsets) = (encoding.ids, encoding.offsets);
        if ids.len() > self.max_seq_length {
            let last = *ids.last().expect("longer than a positive number");
            ids.truncate(self.max_seq_length - 1);
            offsets.truncate(self.max_seq_length - 1);
            ids.push(last);
        }
        let n_tokens = ids.len() as u32;
        let mut pooled = vec![match self.pooling {
            Pooling::Mean => 0..n_tokens,
            Pooling::Cls => 0..1,
            Pooling::Last => n_tokens - 1..n_tokens,
        }];
        let tokens =
            spans.iter().map(|span| tokens_of(&offsets, prefix.len() + span.start..prefix.len() + span.end));
        let tokens: Vec<_> = tokens.collect();
        let has_tokens = tokens.iter().map(|tokens| !tokens.is_empty()).collect();
        pooled.extend(tokens.into_iter().filter(|tokens| !tokens.is_empty()));
        Ok(Sequence { ids, pooled, has_tokens })
    }
}

/// The tokens whose last byte is in `span`.
fn tokens_of(offsets: &[(usize, usize)], span: Range<usize>) -> Range<u32> {
    let within = |&(start, end): &(usize, usize)| start < end && end > span.start && end <= span.end;
    let Some(first) = offsets.iter().position(within) else { return 0..0 };
    let last = offsets.iter().rposition(within).expect("there is a first one");
    first as u32..last as u32 + 1
}

/// Indices of the sequences in batches of at most `max_tokens` (or of one sequence), alike in
/// length, because the longest sequence decides how long attention takes.
pub(crate) fn batches(lengths: &[usize], max_tokens: usize) -> Vec<Vec<usize>> {
    let mut by_length: Vec<usize> = (0..lengths.len()).collect();
    by_length.sort_by_key(|&i| lengths[i]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut n_tokens = 0;
    for i in by_length {
        n_tokens += lengths[i];
        match batches.last_mut() {
            Some(batch) if n_tokens <= max_tokens => batch.push(i),
            _ => {
                n_tokens = lengths[i];
                batches.push(vec![i]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_within_the_limit_and_complete() {
        let lengths = [5, 1, 9, 30, 2, 2, 8];
        assert_eq!(batches(&lengths, 10), [vec![1, 4, 5, 0], vec![6], vec![2], vec![3]]);
        assert_eq!(batches(&lengths, 1000).len(), 1);
        assert!(batches(&[], 10).is_empty());
    }

    #[test]
    fn a_token_belongs_to_the_span_of_its_last_byte() {
        // "Oh. A cat", in tokens that carry the space before them.
        let offsets = [(0, 0), (0, 2), (2, 3), (3, 5), (5, 9), (0, 0)];
        assert_eq!(tokens_of(&offsets, 0..3), 1..3);
        assert_eq!(tokens_of(&offsets, 4..9), 3..5);
        assert_eq!(tokens_of(&offsets, 3..4), 0..0, "a span of white space");
        assert_eq!(tokens_of(&offsets, 9..20), 0..0, "beyond what was kept");
    }
}
