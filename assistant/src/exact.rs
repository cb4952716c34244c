//! Parts of a question that are meant letter by letter: what stands in quotation marks, and names of
//! code (`snake_case`, `CamelCase`, `path/to/file.rs`, `x86_64`), which a search by words takes apart.
//! Passages that hold a quotation are found by the store; here it tells sentences apart.

/// Parts of a question that are looked at; more make no question.
const MAX_PARTS: usize = 8;
/// A passage without a part in quotation marks counts as much less as a perfect fit counts.
const PHRASE_BONUS: f32 = 1.0;
/// A passage with a name of code counts as much more as a third of the words of a question.
const NAME_BONUS: f32 = 0.3;

const QUOTATION_MARKS: [(char, char); 7] =
    [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('»', '«'), ('`', '`'), ('「', '」')];

/// What a question asks for letter by letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exact {
    /// Quotations of more than one term, which the store requires; folded.
    phrases: Vec<String>,
    /// Names of code, and single words in quotation marks; folded.
    names: Vec<String>,
}

impl Exact {
    pub(crate) fn of(question: &str) -> Self {
        let mut quoted = quoted(question);
        quoted.truncate(MAX_PARTS);
        let is_phrase = |(open, part): &(char, String)| *open != '`' && vectordb::terms(part).len() > 1;
        let (phrases, named): (Vec<_>, Vec<_>) = quoted.into_iter().partition(is_phrase);
        let text_of = |(_, part): (char, String)| part;
        let trim = |c: char| !c.is_alphanumeric() && c != '_';
        let words = question.split_whitespace().map(|word| word.trim_matches(trim));
        let mut names: Vec<String> = named.into_iter().map(text_of).collect();
        for name in words.filter(|word| is_code(word)).map(folded) {
            if !names.contains(&name) && names.len() < MAX_PARTS {
                names.push(name);
            }
        }
        Self { phrases: phrases.into_iter().map(text_of).collect(), names }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.phrases.is_empty() && self.names.is_empty()
    }

    /// What passages are to be looked up for besides: with a quotation nothing, as the store gives only
    /// passages that hold it.
    pub(crate) fn looked_up(&self) -> &[String] {
        if self.phrases.is_empty() { &self.names } else { &[] }
    }

    /// What the score of a text gains by what it has of the parts.
    pub(crate) fn bonus(&self, text: &str) -> f32 {
        if self.is_empty() {
            return 0.0;
        }
        let (text, whole) = (folded(text), folded(&ingest::with_whole_words(text)));
        let share = |parts: &[String], bonus: f32| {
            let n_there = parts.iter().filter(|part| holds(&text, part) || holds(&whole, part)).count();
            if parts.is_empty() { 0.0 } else { bonus * n_there as f32 / parts.len() as f32 }
        };
        share(&self.phrases, PHRASE_BONUS) + share(&self.names, NAME_BONUS)
    }
}

/// What stands in quotation marks, folded, and the mark that opens it; a single letter is no phrase, and `'` is mostly an
/// apostrophe.
fn quoted(question: &str) -> Vec<(char, String)> {
    let mut found = Vec::new();
    let mut rest = question;
    while let Some((at, open)) = rest.char_indices().find(|(_, c)| QUOTATION_MARKS.iter().any(|m| m.0 == *c))
    {
        let inside = &rest[at + open.len_utf8()..];
        let closes = QUOTATION_MARKS.iter().filter(|marks| marks.0 == open);
        let end = closes.filter_map(|marks| inside.find(marks.1).map(|end| (end, marks.1))).min();
        let Some((end, close)) = end else { break };
        let phrase = folded(&inside[..end]);
        if phrase.chars().count() > 1 && phrase.chars().any(char::is_alphanumeric) {
            found.push((open, phrase));
        }
        rest = &inside[end + close.len_utf8()..];
    }
    found
}

/// Whether a word is written as only names of code and of files are.
fn is_code(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    let inner = |c: char| chars.len() > 2 && chars[1..chars.len() - 1].contains(&c);
    let humps = chars.windows(2).filter(|pair| pair[0].is_lowercase() && pair[1].is_uppercase()).count();
    let has_extension = word.rsplit_once('.').is_some_and(|(stem, extension)| {
        stem.len() > 1
            && (1..=5).contains(&extension.len())
            && extension.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && !stem.chars().all(|c| c.is_numeric() || c == '.' || c == ',')
    });
    let is_path = inner('/') && (word.matches('/').count() > 1 || has_extension);
    inner('_') || word.contains("::") || humps > 0 || has_extension || is_path
}

/// Lower case, blanks made one.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether a text has the part, and not only inside of longer words.
fn holds(text: &str, part: &str) -> bool {
    let is_inner = |c: char| c.is_alphanumeric() && c.is_ascii() || c == '_';
    text.match_indices(part).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + part.len()..].chars().next();
        let joins = |a: Option<char>, b: Option<char>| a.is_some_and(is_inner) && b.is_some_and(is_inner);
        !joins(before, part.chars().next()) && !joins(part.chars().next_back(), after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn quotation_marks_and_names_of_code_are_found() {
        let check = |question: &str, phrases: &[&str], names: &[&str]| {
            let exact = Exact::of(question);
            assert_eq!((exact.phrases, exact.names), (owned(phrases), owned(names)), "{question}");
        };
        check(
            "Who said \"I have  a Dream\" and „nie wieder“ in `nap`?",
            &["i have a dream", "nie wieder"],
            &["nap"],
        );
        check("What does MAX_CHARS in src/quotes.rs do?", &[], &["max_chars", "src/quotes.rs"]);
        check(
            "Is `HashMap::entry_ref` or getElementById slow?",
            &[],
            &["hashmap::entry_ref", "getelementbyid"],
        );
        assert_eq!(Exact::of("Why is \"read line\" an io_error?").looked_up(), &[] as &[String]);
        for question in [
            "How hot is 3.5 degrees?",
            "What's \"a\" worth?",
            "Is tea and/or milk nice?",
            "U.S. law",
            "\"open",
        ] {
            assert!(Exact::of(question).is_empty(), "{question}: {:?}", Exact::of(question));
        }
    }

    #[test]
    fn a_text_gains_by_what_it_has_letter_by_letter() {
        let exact = Exact::of("Where is \"read line\" used with io_error?");
        assert_eq!(exact.bonus("It calls Read\nLine on an io_error."), PHRASE_BONUS + NAME_BONUS);
        assert_eq!(exact.bonus("bread line, read lines, my_io_error"), 0.0);
        assert_eq!(exact.bonus("an IO_Error here"), NAME_BONUS);
        assert_eq!(exact.bonus("They re-\nad line by line"), PHRASE_BONUS);
    }
}
