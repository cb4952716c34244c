//! Sentences that a source does not support, made from sentences that it does: one number, name or
//! word is another one, two names have changed places, or the statement is denied. The same sentence
//! always gives the same traps, so that two runs can be compared.

use std::collections::BTreeSet;

/// A sentence altered in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// `number`, `name`, `swap`, `negation` or `opposite`.
    pub kind: &'static str,
    pub text: String,
}

/// Words after which `not` denies what is said.
const AUXILIARIES: [&str; 14] = [
    "is", "are", "was", "were", "has", "had", "can", "could", "will", "would", "may", "must", "should", "did",
];

/// Words whose exchange turns a statement round.
const OPPOSITES: [(&str, &str); 40] = [
    ("more", "fewer"),
    ("most", "least"),
    ("largest", "smallest"),
    ("larger", "smaller"),
    ("highest", "lowest"),
    ("higher", "lower"),
    ("greater", "lesser"),
    ("first", "last"),
    ("before", "after"),
    ("early", "late"),
    ("earlier", "later"),
    ("older", "younger"),
    ("north", "south"),
    ("northern", "southern"),
    ("east", "west"),
    ("eastern", "western"),
    ("increased", "decreased"),
    ("increase", "decrease"),
    ("won", "lost"),
    ("began", "ended"),
    ("begin", "end"),
    ("above", "below"),
    ("inside", "outside"),
    ("always", "never"),
    ("many", "few"),
    ("public", "private"),
    ("internal", "external"),
    ("strong", "weak"),
    ("rich", "poor"),
    ("old", "new"),
    ("long", "short"),
    ("large", "small"),
    ("high", "low"),
    ("major", "minor"),
    ("positive", "negative"),
    ("supported", "opposed"),
    ("accepted", "rejected"),
    ("allowed", "forbidden"),
    ("maximum", "minimum"),
    ("male", "female"),
];

/// Nothing that any of our documents is about.
const STRANGERS: [&str; 6] = ["Marlowe", "Okonkwo", "Brandvold", "Takahashi", "Quintero", "Lindqvist"];

/// The traps of one sentence; `i` chooses among what could be put in.
pub fn of(sentence: &str, i: usize) -> Vec<Trap> {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let altered = [
        ("number", number(&words, i)),
        ("name", name(&words, i)),
        ("swap", swap(&words)),
        ("negation", negation(&words)),
        ("opposite", opposite(&words)),
    ];
    let original = words.join(" ");
    let trap = |(kind, text): (&'static str, Option<String>)| Some(Trap { kind, text: text? });
    altered.into_iter().filter_map(trap).filter(|trap| trap.text != original).collect()
}

/// One number is another one.
fn number(words: &[&str], i: usize) -> Option<String> {
    let at = words.iter().position(|word| word.bytes().any(|b| b.is_ascii_digit()))?;
    let last = words[at].rfind(|c: char| c.is_ascii_digit())?;
    let digit = words[at].as_bytes()[last] - b'0';
    let other = (digit + 1 + (i % 8) as u8) % 10;
    let changed = format!("{}{other}{}", &words[at][..last], &words[at][last + 1..]);
    Some(replaced(words, at, &changed))
}

/// One name is a stranger's.
fn name(words: &[&str], i: usize) -> Option<String> {
    let (start, _) = *names(words).first()?;
    let changed = rebuilt(words[start], STRANGERS[i % STRANGERS.len()]);
    Some(replaced(words, start, &changed))
}

/// Two names have changed places.
fn swap(words: &[&str]) -> Option<String> {
    let names = names(words);
    let text = |&(a, b): &(usize, usize)| words[a..b].iter().map(|w| bare(w)).collect::<Vec<_>>().join(" ");
    let first = names.first()?;
    let second = names.iter().find(|other| {
        let (a, b) = (text(first), text(other));
        other.0 > first.1 && !a.contains(&b) && !b.contains(&a)
    })?;
    // A list may be told in any order.
    let between = &words[first.1..second.0];
    if !between.iter().any(|word| word.len() > 3 && word.chars().all(char::is_lowercase)) {
        return None;
    }
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let (own, other) = match at {
            _ if at == first.0 => (first, second),
            _ if at == second.0 => (second, first),
            _ => {
                out.push(words[at].to_owned());
                at += 1;
                continue;
            }
        };
        out.push(rebuilt_ends(words[own.0], words[own.1 - 1], &text(other)));
        at = own.1;
    }
    Some(out.join(" "))
}

/// The statement is denied, or a denial taken away.
fn negation(words: &[&str]) -> Option<String> {
    if let Some(at) = words.iter().position(|word| matches!(*word, "not" | "never")) {
        let mut kept = words.to_vec();
        kept.remove(at);
        return Some(kept.join(" "));
    }
    let at = words.iter().position(|word| AUXILIARIES.contains(word))?;
    Some(replaced(words, at, &format!("{} not", words[at])))
}

fn opposite(words: &[&str]) -> Option<String> {
    let at = words.iter().position(|word| opposite_of(word).is_some())?;
    Some(replaced(words, at, &rebuilt(words[at], opposite_of(words[at])?)))
}

fn opposite_of(word: &str) -> Option<&'static str> {
    let word = bare(word);
    OPPOSITES.iter().find_map(|(a, b)| match word {
        _ if word == *a => Some(*b),
        _ if word == *b => Some(*a),
        _ => None,
    })
}

/// Runs of capitalised words that do not begin the sentence, as `(start, end)`.
fn names(words: &[&str]) -> Vec<(usize, usize)> {
    let skipped: BTreeSet<&str> = ["I", "The", "A", "An", "In", "On", "He", "She", "It"].into();
    let is_name = |i: usize| {
        let word = bare(words[i]);
        let mut letters = word.chars();
        i > 0
            && !skipped.contains(word)
            && letters.next().is_some_and(char::is_uppercase)
            && letters.next().is_some_and(char::is_lowercase)
    };
    let mut names = Vec::new();
    let mut i = 0;
    while i < words.len() {
        let start = i;
        while i < words.len() && is_name(i) {
            i += 1;
            // A name ends at a comma.
            if words[i - 1].ends_with([',', ';', ':', ')']) {
                break;
            }
        }
        if i > start {
            names.push((start, i));
        } else {
            i += 1;
        }
    }
    names
}

/// A word without the punctuation around it, and without a possessive ending.
fn bare(word: &str) -> &str {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word)
}

/// Another word within the punctuation of the first.
fn rebuilt(word: &str, other: &str) -> String {
    rebuilt_ends(word, word, other)
}

/// Other words within the punctuation before `first` and behind `last`.
fn rebuilt_ends(first: &str, last: &str, other: &str) -> String {
    let lead = &first[..first.find(bare(first)).unwrap_or(0)];
    let core = bare(last);
    let tail = last.find(core).map_or("", |at| &last[at + core.len()..]);
    format!("{lead}{other}{tail}")
}

fn replaced(words: &[&str], at: usize, word: &str) -> String {
    let mut words = words.to_vec();
    words[at] = word;
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_alters_what_it_says() {
        let sentence =
            "In 1066, Duke William defeated King Harold (of England) before noon, and was crowned.";
        let got: Vec<(&str, String)> = of(sentence, 0).into_iter().map(|t| (t.kind, t.text)).collect();
        let expected = [
            (
                "number",
                "In 1067, Duke William defeated King Harold (of England) before noon, and was crowned.",
            ),
            (
                "name",
                "In 1066, Marlowe William defeated King Harold (of England) before noon, and was crowned.",
            ),
            ("swap", "In 1066, King Harold defeated Duke William (of England) before noon, and was crowned."),
            (
                "negation",
                "In 1066, Duke William defeated King Harold (of England) before noon, and was not crowned.",
            ),
            (
                "opposite",
                "In 1066, Duke William defeated King Harold (of England) after noon, and was crowned.",
            ),
        ];
        assert_eq!(got, expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    #[test]
    fn what_cannot_be_altered_is_left_alone() {
        assert!(of("Tea steeps.", 3).is_empty());
        let lists: Vec<_> =
            of("They visited Rome, Paris and Berlin", 1).into_iter().map(|t| t.kind).collect();
        assert_eq!(lists, ["name"], "a list may be told in any order");
        assert_eq!(of("It is not hot.", 0)[0].text, "It is hot.");
    }
}
