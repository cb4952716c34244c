//! Measures, as their fields define them.

use std::collections::HashMap;

/// Rank measures over questions.
#[derive(Debug, Default, Clone, Copy)]
pub struct Ranks {
    n: usize,
    n_first: usize,
    n_five: usize,
    reciprocal: f64,
}

impl Ranks {
    /// Counts a question whose first hit has that 0-based rank.
    pub fn count(&mut self, rank: Option<usize>) {
        self.n += 1;
        let Some(rank) = rank else { return };
        self.n_first += usize::from(rank < 1);
        self.n_five += usize::from(rank < 5);
        self.reciprocal += if rank < 10 { 1.0 / (rank + 1) as f64 } else { 0.0 };
    }

    /// Questions.
    pub fn n(&self) -> usize {
        self.n
    }

    pub fn hit1(&self) -> f64 {
        share(self.n_first, self.n)
    }

    pub fn hit5(&self) -> f64 {
        share(self.n_five, self.n)
    }

    /// Mean reciprocal rank within the first ten.
    pub fn mrr10(&self) -> f64 {
        self.reciprocal / self.n.max(1) as f64
    }
}

/// `part` of `whole`; 0 of nothing.
pub fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// F1 over words as SQuAD computes it (Rajpurkar and others 2016): lower case, without punctuation
/// and English articles; the best over the accepted answers.
pub fn token_f1(answer: &str, accepted: &[String]) -> f64 {
    let answer = normalised(answer);
    accepted.iter().map(|a| f1(&answer, &normalised(a))).fold(0.0, f64::max)
}

fn f1(answer: &[String], gold: &[String]) -> f64 {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in gold {
        *left.entry(word).or_default() += 1;
    }
    let mut n_same = 0;
    for word in answer {
        if let Some(n) = left.get_mut(word.as_str()).filter(|n| **n > 0) {
            *n -= 1;
            n_same += 1;
        }
    }
    if n_same == 0 {
        return 0.0;
    }
    let precision = share(n_same, answer.len());
    let recall = share(n_same, gold.len());
    2.0 * precision * recall / (precision + recall)
}

fn normalised(text: &str) -> Vec<String> {
    let kept = text.to_lowercase();
    let kept: String = kept.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    kept.split_whitespace().filter(|w| !matches!(*w, "a" | "an" | "the")).map(str::to_owned).collect()
}

/// The answer without marks like `[1]`.
pub fn without_marks(answer: &str) -> String {
    let mut text = String::new();
    let mut rest = answer;
    while let Some(open) = rest.find('[') {
        let close = rest[open..].find(']').map(|at| open + at);
        let Some(close) = close.filter(|&c| rest[open + 1..c].bytes().all(|b| b.is_ascii_digit())) else {
            text.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        };
        text.push_str(&rest[..open]);
        rest = &rest[close + 1..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_is_squads() {
        let gold = vec!["the Kawann Short".to_owned()];
        assert_eq!(token_f1("Kawann Short.", &gold), 1.0);
        assert!((token_f1("Kawann Short led them", &gold) - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(token_f1("", &gold), 0.0);
        assert_eq!(token_f1("x", &[]), 0.0);
    }

    #[test]
    fn ranks() {
        let mut ranks = Ranks::default();
        for rank in [Some(0), Some(3), Some(9), Some(10), None] {
            ranks.count(rank);
        }
        assert_eq!((ranks.hit1(), ranks.hit5()), (0.2, 0.4));
        assert!((ranks.mrr10() - (1.0 + 0.25 + 0.1) / 5.0).abs() < 1e-9);
    }

    #[test]
    fn marks_are_no_words() {
        assert_eq!(without_marks("Hot [1]. a[i] [2]"), "Hot . a[i] ");
    }
}
