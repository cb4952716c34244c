//! The bytes that tokens stand for.

use std::collections::HashMap;

use super::Tokenizer;

impl Tokenizer {
    /// The bytes of every token, by id, as they stand in the middle of a text; `None` for tokens that are no
    /// text, such as the end of a turn. Tokens of byte-level BPE and of SentencePiece may end within a character.
    pub fn token_bytes(&self) -> Vec<Option<Vec<u8>>> {
        let added = self.inner.get_added_tokens_decoder();
        let alphabet = self.is_byte_level().then(byte_of_char);
        let bytes = |id: u32| {
            if let Some(token) = added.get(&id) {
                return (!token.special).then(|| token.content.clone().into_bytes());
            }
            let token = self.inner.id_to_token(id)?;
            match &alphabet {
                Some(alphabet) => token.chars().map(|c| alphabet.get(&c).copied()).collect(),
                None => Some(of_piece(&token)),
            }
        };
        (0..self.n_vocab as u32).map(bytes).collect()
    }

    /// Whether tokens spell bytes by the characters of GPT-2's alphabet.
    fn is_byte_level(&self) -> bool {
        let decoder = self.inner.get_decoder().and_then(|decoder| serde_json::to_string(decoder).ok());
        decoder.is_some_and(|json| json.contains("\"ByteLevel\""))
    }
}

/// GPT-2's alphabet: printable bytes stand for themselves, the others for the characters from 256 on.
fn byte_of_char() -> HashMap<char, u8> {
    let is_printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut n_others = 0;
    let char_of = |byte: u8| match is_printable(byte) {
        true => char::from(byte),
        false => {
            n_others += 1;
            char::from_u32(255 + n_others).expect("68 characters from 256 on are letters")
        }
    };
    (0..=255).map(char_of).zip(0..=255).collect()
}

/// A piece of SentencePiece: `▁` is a blank, `<0x0A>` a byte.
fn of_piece(token: &str) -> Vec<u8> {
    let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    match digits.filter(|digits| digits.len() == 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        Some(byte) => vec![byte],
        None => token.replace('\u{2581}', " ").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_every_byte_once() {
        let alphabet = byte_of_char();
        assert_eq!(alphabet.len(), 256);
        for (c, byte) in [('Ġ', b' '), ('Ċ', b'\n'), ('a', b'a'), ('é', 0xe9), ('Ń', 0xad)] {
            assert_eq!(alphabet[&c], byte, "{c}");
        }
        assert_eq!(of_piece("▁the"), b" the");
        assert_eq!(of_piece("<0x0A>"), b"\n");
        assert_eq!(of_piece("<0xZZ>"), b"<0xZZ>");
    }

    #[test]
    fn bytes_of_tokens_are_the_text() {
        for (folder, text) in [("llama_tied", "the quick brown fox"), ("e5_multilingual", "tire it")] {
            let path = format!("{}/../fixtures/tiny/{folder}/tokenizer.json", env!("CARGO_MANIFEST_DIR"));
            let tokenizer = Tokenizer::from_json(&std::fs::read(path).unwrap()).unwrap();
            let bytes = tokenizer.token_bytes();
            assert_eq!(bytes.len(), tokenizer.n_vocab());
            let ids = tokenizer.encode(text, false).unwrap().ids;
            let spelled: Vec<u8> = ids.iter().flat_map(|id| bytes[*id as usize].clone().unwrap()).collect();
            assert_eq!(String::from_utf8(spelled).unwrap().trim_start(), text, "{folder}");
        }
    }
}
