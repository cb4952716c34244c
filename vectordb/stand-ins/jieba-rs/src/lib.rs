//! The part of jieba-rs that cozo calls, without a dictionary: see `Cargo.toml`.

/// Cuts text at every character that is not an ASCII letter or digit.
#[derive(Debug, Clone, Default)]
pub struct Jieba;

impl Jieba {
    /// The cutter; there is no dictionary to load.
    pub fn new() -> Self {
        Self
    }

    /// The same cutter.
    pub fn empty() -> Self {
        Self
    }

    /// Cuts `text`; each piece ends after a character that is not an ASCII letter or digit.
    pub fn cut<'a>(&self, text: &'a str, _hmm: bool) -> Vec<&'a str> {
        text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).collect()
    }

    /// The same cut.
    pub fn cut_all<'a>(&self, text: &'a str) -> Vec<&'a str> {
        self.cut(text, false)
    }

    /// The same cut.
    pub fn cut_for_search<'a>(&self, text: &'a str, hmm: bool) -> Vec<&'a str> {
        self.cut(text, hmm)
    }
}
