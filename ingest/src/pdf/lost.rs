//! Objects that the library could not parse, read token by token: what does not belong there is passed over, as every
//! viewer does.

use super::lexer::{Lexer, Token};
use super::objects;
use super::xref::Layout;
use pdf_extract::{Dictionary, Document, Object, Stream, StringFormat};

/// More of them are no damage but noise.
const MAX_LOST: usize = 10_000;
/// Tokens of all of them.
const MAX_TOKENS: u32 = 2_000_000;
const MAX_DEPTH: u8 = 32;

/// Adds the objects that the tables of a file tell of and the library did not give, and the data of streams of which it
/// gave the dictionary alone. Those of an encrypted file are left alone, because their strings would stay encrypted.
pub(super) fn find(doc: &mut Document, layout: &Layout, bytes: &[u8]) {
    if layout.trailer.contains_key("Encrypt") {
        return;
    }
    let mut n_tokens_left = MAX_TOKENS;
    let is_lost = |number: u32, generation: u16| match doc.objects.get(&(number, generation)) {
        None => true,
        // A blank before `endstream` is enough for that.
        Some(Object::Dictionary(dict)) => dict.has(b"Length"),
        Some(_) => false,
    };
    let lost: Vec<_> = layout.at.iter().filter(|(number, (_, g))| is_lost(**number, *g)).collect();
    for (&number, &(at, generation)) in lost.into_iter().take(MAX_LOST) {
        let Some(rest) = bytes.get(at..) else { continue };
        let mut reader = Reader { lexer: Lexer::new(rest), n_tokens_left };
        let object = reader.object(number, rest);
        n_tokens_left = reader.n_tokens_left;
        doc.objects.extend(object.map(|object| ((number, generation), object)));
    }
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    n_tokens_left: u32,
}

/// What stands where a value may.
enum Found {
    Value(Object),
    /// The end of an array or a dictionary.
    End,
    /// A word that means nothing there.
    Stray,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.n_tokens_left = self.n_tokens_left.checked_sub(1)?;
        self.lexer.next()
    }

    /// `n g obj`, its value, and the data of a stream.
    fn object(&mut self, number: u32, bytes: &[u8]) -> Option<Object> {
        let (Token::Number(n), Token::Number(_), Token::Word(b"obj")) =
            (self.next()?, self.next()?, self.next()?)
        else {
            return None;
        };
        let Found::Value(value) = self.value(MAX_DEPTH)? else { return None };
        let Object::Dictionary(dict) = value else { return (n == f64::from(number)).then_some(value) };
        let is_stream = self.next() == Some(Token::Word(b"stream"));
        let object = match is_stream {
            false => Object::Dictionary(dict),
            true => Object::Stream(stream(dict, &bytes[self.lexer.position()..])?),
        };
        (n == f64::from(number)).then_some(object)
    }

    fn value(&mut self, depth: u8) -> Option<Found> {
        let depth = depth.checked_sub(1)?;
        Some(Found::Value(match self.next()? {
            Token::Number(number) => self.number(number),
            Token::Name(name) => Object::Name(name),
            Token::Text(text) => Object::String(text, StringFormat::Literal),
            Token::Word(b"true") => Object::Boolean(true),
            Token::Word(b"false") => Object::Boolean(false),
            Token::Word(b"null") => Object::Null,
            Token::Word(b"endobj" | b"obj" | b"stream") => return None,
            Token::Word(_) => return Some(Found::Stray),
            Token::ArrayEnd | Token::DictEnd => return Some(Found::End),
            Token::ArrayStart => Object::Array(self.array(depth)?),
            Token::DictStart => Object::Dictionary(self.dictionary(depth)?),
        }))
    }

    fn array(&mut self, depth: u8) -> Option<Vec<Object>> {
        let mut array = Vec::new();
        loop {
            match self.value(depth)? {
                Found::Value(value) => array.push(value),
                Found::Stray => {}
                Found::End => return Some(array),
            }
        }
    }

    fn dictionary(&mut self, depth: u8) -> Option<Dictionary> {
        let mut dict = Dictionary::new();
        loop {
            match self.next()? {
                Token::Name(key) => match self.value(depth)? {
                    Found::Value(value) => dict.set(key, value),
                    Found::Stray => {}
                    Found::End => return Some(dict),
                },
                Token::DictEnd => return Some(dict),
                Token::Word(b"endobj" | b"obj" | b"stream") => return None,
                _ => {}
            }
        }
    }

    /// A number, or a reference, which begins with one.
    fn number(&mut self, number: f64) -> Object {
        let integer = |n: f64| (n.fract() == 0.0 && n.abs() < 1e15).then_some(n as i64);
        let Some(whole) = integer(number) else { return Object::Real(number as f32) };
        let mut ahead = self.lexer.clone();
        if let (Ok(id), Some(Token::Number(generation)), Some(Token::Word(b"R"))) =
            (u32::try_from(whole), ahead.next(), ahead.next())
            && let Some(generation) = integer(generation).and_then(|n| u16::try_from(n).ok())
        {
            self.lexer = ahead;
            return Object::Reference((id, generation));
        }
        Object::Integer(whole)
    }
}

/// The stream whose data begins after its keyword: as long as it says, or up to its end.
fn stream(dict: Dictionary, bytes: &[u8]) -> Option<Stream> {
    let bytes = bytes.strip_prefix(b"\r").unwrap_or(bytes);
    let bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
    let told = dict.get(b"Length").and_then(Object::as_i64).ok().and_then(|n| usize::try_from(n).ok());
    let is_end = |rest: &[u8]| rest.trim_ascii_start().starts_with(b"endstream");
    let data = match told.and_then(|n| bytes.split_at_checked(n)) {
        Some((data, rest)) if is_end(rest) => data,
        _ => &bytes[..bytes.windows(9).position(|window| window == b"endstream")?],
    };
    objects::take(data.len()).then(|| Stream::new(dict, data.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &[u8]) -> Document {
        let mut layout = Layout::default();
        layout.at.insert(7, (0, 0));
        let mut doc = Document::new();
        objects::begin(source.len());
        find(&mut doc, &layout, source);
        doc
    }

    #[test]
    fn words_that_do_not_belong_there_are_passed_over() {
        let doc = found(
            b"7 0 obj <</Name /Arial,Unicode MS /Kids [1 0 R x 2 3.5] /In <</A (b) /C>> /D null>> endobj",
        );
        let dict = doc.objects[&(7, 0)].as_dict().unwrap();
        assert_eq!(dict.get(b"Name").unwrap().as_name().unwrap(), b"Arial,Unicode");
        let kids = [Object::Reference((1, 0)), Object::Integer(2), Object::Real(3.5)];
        assert_eq!(dict.get(b"Kids").unwrap().as_array().unwrap(), &kids);
        assert_eq!(dict.get(b"In").unwrap().as_dict().unwrap().get(b"A").unwrap().as_str().unwrap(), b"b");
        assert_eq!(dict.len(), 4);
    }

    #[test]
    fn streams_end_where_they_say_or_where_they_do() {
        for length in ["4", "400", "(x)", "1 0 R"] {
            let source = format!("7 0 obj <</Length {length} odd>> stream\r\nabcd\nendstream endobj");
            let doc = found(source.as_bytes());
            let stream = doc.objects[&(7, 0)].as_stream().unwrap();
            assert_eq!(stream.content.trim_ascii_end(), b"abcd", "{length}");
        }
    }

    #[test]
    fn streams_of_which_the_dictionary_alone_is_known_get_their_data() {
        let mut layout = Layout::default();
        layout.at.insert(7, (0, 0));
        let source = b"7 0 obj<</Length 4/A 1>>stream\nabcd endstream\nendobj";
        let mut doc = Document::new();
        let mut dict = Dictionary::new();
        dict.set("Length", Object::Integer(4));
        doc.objects.insert((7, 0), Object::Dictionary(dict));
        objects::begin(source.len());
        find(&mut doc, &layout, source);
        assert_eq!(doc.objects[&(7, 0)].as_stream().unwrap().content, b"abcd");
    }

    #[test]
    fn what_is_no_object_stays_lost() {
        let deep = ["7 0 obj ", &"[".repeat(1_000)].concat();
        for source in
            ["8 0 obj 1 endobj", "7 0 obj <</A", "7 0 obj endobj", "7 0 obj <</A 1 endobj >>", &deep]
        {
            assert!(found(source.as_bytes()).objects.is_empty(), "{source}");
        }
    }
}
