//! Small tokenizers, made by hand.

use super::*;
use crate::weights::Weights;
use crate::weights::fixture::{Gguf, text};

/// GGUF's numbers for the value types used here.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

type Entry = (&'static str, u32, Vec<u8>);

fn array(kind: u32, values: &[Vec<u8>]) -> Vec<u8> {
    [kind.to_le_bytes().to_vec(), (values.len() as u64).to_le_bytes().to_vec(), values.concat()].concat()
}

fn texts(values: &[&str]) -> Vec<u8> {
    array(TEXT, &values.iter().map(|value| text(value)).collect::<Vec<_>>())
}

/// Byte-level BPE's spelling: `Ġ` is a space, `ðŁĺĢ` the bytes F0 9F 98 80.
const TOKENS: [&str; 19] = [
    "h", "e", "l", "o", "he", "ll", "hell", "hello", "1", "2", "Ġ", "Ġh", "<|end|>", "<note>", "ð", "Ł", "ĺ",
    "Ģ", "12",
];

/// A control token, a user-defined one, else normal ones.
fn types() -> Vec<u8> {
    let kind = |id: usize| [1i32, 3, 4][if (12..=13).contains(&id) { id - 11 } else { 0 }];
    array(I32, &(0..TOKENS.len()).map(|id| kind(id).to_le_bytes().into()).collect::<Vec<_>>())
}

fn sound() -> Vec<Entry> {
    vec![
        ("model", TEXT, text("gpt2")),
        ("pre", TEXT, text("smollm")),
        ("tokens", ARRAY, texts(&TOKENS)),
        ("token_type", ARRAY, types()),
        ("merges", ARRAY, texts(&["h e", "l l", "he ll", "hell o", "Ġ h", "1 2"])),
        ("bos_token_id", U32, 12u32.to_le_bytes().into()),
        ("eos_token_id", U32, 12u32.to_le_bytes().into()),
    ]
}

fn tokenizer(entries: Vec<Entry>) -> Result<Tokenizer> {
    let bytes = Gguf::sound().with(|file| {
        let entries =
            entries.iter().map(|(key, kind, value)| (format!("tokenizer.ggml.{key}"), *kind, value.clone()));
        file.meta.extend(entries);
    });
    Tokenizer::from_gguf(&Weights::open(Box::new(bytes))?)
}

/// The sound definition with another value.
fn changed(key: &str, value: Vec<u8>) -> Vec<Entry> {
    let mut entries = sound();
    entries.iter_mut().find(|entry| entry.0 == key).unwrap().2 = value;
    entries
}

#[test]
fn text_is_merged_digits_stay_apart_and_special_tokens_are_whole() {
    let t = tokenizer(sound()).unwrap();
    assert_eq!((t.n_vocab(), t.token_id("hello"), t.token_id("nothing")), (19, Some(7), None));
    type Case = (&'static str, &'static [u32], &'static [(usize, usize)]);
    let cases: [Case; 5] = [
        ("hello", &[7], &[(0, 5)]),
        ("hello hell", &[7, 10, 6], &[(0, 5), (5, 6), (6, 10)]),
        ("12", &[8, 9], &[(0, 1), (1, 2)]),
        ("<|end|>he<note>", &[12, 4, 13], &[(0, 7), (7, 9), (9, 15)]),
        ("", &[], &[]),
    ];
    for (text, ids, offsets) in cases {
        let encoding = t.encode(text, true).unwrap();
        assert_eq!((encoding.ids.as_slice(), encoding.offsets.as_slice()), (ids, offsets), "{text}");
        assert_eq!(t.decode(ids, false).unwrap(), text);
        assert_eq!(t.count(text).unwrap(), ids.len());
    }
    assert_eq!(t.decode(&[12, 4, 13], true).unwrap(), "he<note>");
}

#[test]
fn the_pre_tokenizer_is_the_files() {
    assert_eq!(tokenizer(changed("pre", text("gpt-2"))).unwrap().encode("12", true).unwrap().ids, [18]);
}

#[test]
fn tokens_are_added_where_the_file_says_so() {
    let mut entries = sound();
    entries.push(("add_bos_token", BOOL, vec![1]));
    entries.push(("add_eos_token", BOOL, vec![1]));
    let t = tokenizer(entries).unwrap();
    assert_eq!(t.encode("he", true).unwrap().ids, [12, 4, 12]);
    assert_eq!(t.encode("he", false).unwrap().ids, [4]);
}

#[test]
fn a_stream_never_splits_a_character() {
    let t = tokenizer(sound()).unwrap();
    let mut stream = t.streamer();
    let pieces: Vec<_> = [7, 14, 15, 16, 17, 12, 11, 14].into_iter().map(|id| stream.push(id)).collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(pieces, [text("hello"), None, None, None, text("😀"), None, text(" h"), None]);
    assert_eq!(stream.finish(), text("\u{fffd}"));
    // Bytes that never become a character are not held back for ever.
    let mut stream = t.streamer();
    let pieces: Vec<_> = (0..8).map(|_| stream.push(15)).collect();
    assert_eq!(pieces[..7], [const { None }; 7]);
    assert_eq!(pieces[7], text(&"\u{fffd}".repeat(8)));
    assert_eq!(stream.finish(), None);
}

#[test]
fn every_unusable_definition_is_refused_with_its_reason() {
    let without = |key: &str| sound().into_iter().filter(|entry| entry.0 != key).collect::<Vec<_>>();
    let mut no_bos = without("bos_token_id");
    no_bos.push(("add_bos_token", BOOL, vec![1]));
    let cases: Vec<(&str, Vec<Entry>)> = vec![
        ("the tokenizer `bert`", changed("model", text("bert"))),
        ("no list `scores`", changed("model", text("t5"))),
        ("no list `scores`", changed("model", text("llama"))),
        ("the pre-tokenizer `tekken`", changed("pre", text("tekken"))),
        ("no `model`", without("model")),
        ("no list `tokens`", without("tokens")),
        ("no list `merges`", without("merges")),
        ("something other than texts in `merges`", changed("merges", array(I32, &[vec![0; 4]]))),
        ("a merge without a space", changed("merges", texts(&["he"]))),
        ("out of vocabulary", changed("merges", texts(&["x y"]))),
        ("another number of types", changed("token_type", array(I32, &[vec![1, 0, 0, 0]]))),
        ("a token twice", changed("tokens", texts(&["h", "h"]))),
        ("no usable `bos_token_id`", no_bos),
    ];
    for (reason, entries) in cases {
        let error = tokenizer(entries).err().unwrap_or_else(|| panic!("not refused: {reason}"));
        assert!(error.to_string().contains(reason), "expected `{reason}`, got `{error}`");
    }
    assert!(matches!(Tokenizer::from_json(b"{}"), Err(Error::Tokenizer { .. })));
}

#[test]
fn a_tokenizer_json_loses_its_padding_and_truncation() {
    let json = r#"{"version":"1.0",
        "truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0},
        "padding":{"strategy":{"Fixed":8},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,
            "pad_type_id":0,"pad_token":"[PAD]"},
        "added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,
        "decoder":null,"model":{"type":"WordLevel","vocab":{"[PAD]":0,"a":1,"b":2},"unk_token":"[PAD]"}}"#;
    let t = Tokenizer::from_json(json.as_bytes()).unwrap();
    assert_eq!(t.encode("a b a b", true).unwrap().ids, [1, 2, 1, 2]);
}

/// Ids by llama.cpp, and for SentencePiece by its own package, too (`fixtures/make/gguf_tokenizers.py`).
#[derive(serde::Deserialize)]
struct Golden {
    texts: Vec<String>,
    bpe: Definition,
    sentence_piece: Definition,
}

#[derive(serde::Deserialize)]
struct Definition {
    tokens: Vec<String>,
    types: Vec<i32>,
    #[serde(default)]
    merges: Vec<String>,
    #[serde(default)]
    scores: Vec<f32>,
    /// By name of the case: of every text.
    ids: std::collections::BTreeMap<String, Vec<Vec<u32>>>,
}

impl Definition {
    fn entries(&self, model: &str) -> Vec<Entry> {
        let all = |values: &[String]| texts(&values.iter().map(String::as_str).collect::<Vec<_>>());
        let bytes = |values: Vec<[u8; 4]>| values.into_iter().map(Vec::from).collect::<Vec<_>>();
        let scores = bytes(self.scores.iter().map(|score| score.to_le_bytes()).collect());
        vec![
            ("model", TEXT, text(model)),
            ("tokens", ARRAY, all(&self.tokens)),
            (
                "token_type",
                ARRAY,
                array(I32, &bytes(self.types.iter().map(|kind| kind.to_le_bytes()).collect())),
            ),
            ("merges", ARRAY, all(&self.merges)),
            ("scores", ARRAY, array(F32, &scores)),
            ("bos_token_id", U32, 1u32.to_le_bytes().into()),
        ]
    }

    #[track_caller]
    fn check(&self, name: &str, t: &Tokenizer, texts: &[String]) {
        for (text, ids) in texts.iter().zip(&self.ids[name]) {
            let encoding = t.encode(text, false).unwrap();
            assert_eq!(&encoding.ids, ids, "{name}: {text:?}");
            // A space stands before each text that is between special tokens, and only the first goes.
            if name != "prefix" || !text.contains("<|") {
                assert_eq!(t.decode(ids, false).unwrap(), *text, "{name}");
            }
        }
    }
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../fixtures/golden/gguf_tokenizers.json")).unwrap()
}

#[test]
fn every_pre_tokenizer_cuts_as_llama_cpp_does() {
    let Golden { texts, bpe, .. } = golden();
    assert_eq!(bpe.ids.len(), 5);
    for pre in bpe.ids.keys() {
        let mut entries = bpe.entries("gpt2");
        entries.push(("pre", TEXT, text(pre)));
        let t = tokenizer(entries).unwrap();
        bpe.check(pre, &t, &texts);
        let n_added = usize::from(pre == "llama-bpe");
        assert_eq!(t.encode("a", true).unwrap().ids.len(), 1 + n_added, "{pre}");
    }
}

#[test]
fn sentence_piece_merges_as_its_own_package_does() {
    let Golden { texts, sentence_piece, .. } = golden();
    for (name, has_prefix) in [("prefix", 1), ("plain", 0)] {
        let mut entries = sentence_piece.entries("llama");
        entries.push(("add_space_prefix", BOOL, vec![has_prefix]));
        let t = tokenizer(entries).unwrap();
        sentence_piece.check(name, &t, &texts);
        assert_eq!(t.encode("", true).unwrap().ids, [1]);
        let mut stream = t.streamer();
        let pieces: String =
            t.encode("日本 x 🎉", false).unwrap().ids.into_iter().filter_map(|id| stream.push(id)).collect();
        assert_eq!(pieces, "日本 x 🎉", "{name}");
    }
    let refused = |change: &dyn Fn(&mut Definition), reason: &str| {
        let mut definition = golden().sentence_piece;
        change(&mut definition);
        let error = tokenizer(definition.entries("llama")).err().unwrap().to_string();
        assert!(error.contains(reason), "{error}");
    };
    refused(&|d| d.scores.truncate(9), "another number of scores");
    refused(&|d| d.tokens[5] = d.tokens[6].clone(), "a token twice");
    refused(&|d| d.types.truncate(9), "another number of types");
}

/// Ids by sentencepiece (`fixtures/make/t5.py`), with its table of replaced characters.
#[test]
fn unigram_cuts_as_its_own_package_does() {
    #[derive(serde::Deserialize)]
    struct Texts {
        tokenizations: Vec<Tokenization>,
    }
    #[derive(serde::Deserialize)]
    struct Tokenization {
        text: String,
        ids: Vec<u32>,
    }
    let golden: Texts = serde_json::from_str(include_str!("../../../fixtures/tiny/t5/golden.json")).unwrap();
    let json = include_bytes!("../../../fixtures/tiny/t5/tokenizer.json");
    let gguf = include_bytes!("../../../fixtures/tiny/t5/gguf/model.gguf").as_slice();
    let weights = Weights::open(Box::new(gguf)).unwrap();
    for t in [Tokenizer::from_json(json).unwrap(), Tokenizer::from_gguf(&weights).unwrap()] {
        for Tokenization { text, ids } in &golden.tokenizations {
            assert_eq!(&t.encode(text, true).unwrap().ids, ids, "{text:?}");
        }
        let ids = t.encode("the quick brown fox", false).unwrap().ids;
        assert_eq!(t.decode(&ids, true).unwrap(), "the quick brown fox");
    }
}

/// What a tokenizer could take for one thing although a space lies within, or for two although none does.
const ODD_TEXTS: [&str; 16] = [
    "",
    " ",
    "  hello  hello hello",
    "hello hello\n\n  hello\r\n hello\t hello",
    "he'll 'll ' ll hello's 's 12 1 212  3",
    "a <|end|> b<|end|> <|end|><|end|>  <note> <note>",
    "[CLS] the [MASK] of[SEP]it [UNK ]",
    "e\u{301} \u{301}e \u{301} \u{300}\u{323} o\u{308}",
    "\u{a0}hello\u{3000}hello \u{2003} hello\u{200b}hello \u{feff}",
    "ΑΣ ΣΑΣ ΟΔΟΣ İstanbul ẞ ǅ",
    "日本語 の テキスト  です。hello日本語",
    "👩‍👩‍👧‍👦 😀😀 \u{1f1e9}\u{1f1ea}",
    "x...  ...y!? ?! -- - (a) (  b )[ c]",
    "fn main() {\n    let x = 12;\n\n}\n",
    "\0 \u{7} \u{7f}a \u{fffd}",
    "hellohellohellohellohellohellohellohellohellohellohellohellohellohellohello hello",
];

#[track_caller]
fn assert_memo_is_right(tokenizer: &Tokenizer, what: &str) {
    assert!(tokenizer.memo.is_some(), "{what} has no memo");
    let joined = ODD_TEXTS.join(" ");
    // The second time words are remembered.
    for text in ODD_TEXTS.into_iter().chain([joined.as_str()]).cycle().take(2 * ODD_TEXTS.len() + 2) {
        for add_special in [false, true] {
            let whole = tokenizer.encode_whole(text, add_special).unwrap();
            let memo = tokenizer.memo.as_ref().unwrap().encode(&tokenizer.inner, text, add_special).unwrap();
            assert_eq!(memo, whole, "{what}: {text:?}, special {add_special}");
        }
        let whole = tokenizer.encode_whole(text, false).unwrap();
        assert_eq!(tokenizer.count(text).unwrap(), whole.ids.len(), "{what}: {text:?}");
    }
}

#[test]
fn a_memo_gives_what_the_library_gives() {
    for pre in ["gpt-2", "smollm", "llama-bpe", "smaug-bpe", "qwen2"] {
        assert_memo_is_right(&tokenizer(changed("pre", text(pre))).unwrap(), pre);
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tiny");
    for name in ["bert", "llama", "reranker"] {
        let json = std::fs::read(folder.join(name).join("tokenizer.json")).unwrap();
        assert_memo_is_right(&Tokenizer::from_json(&json).unwrap(), name);
    }
}

#[test]
fn what_looks_across_spaces_has_no_memo() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tiny");
    for name in ["e5_multilingual", "t5"] {
        let json = std::fs::read(folder.join(name).join("tokenizer.json")).unwrap();
        assert!(Tokenizer::from_json(&json).unwrap().memo.is_none(), "{name}");
    }
    let bert = std::fs::read_to_string(folder.join("bert/tokenizer.json")).unwrap();
    for (from, to) in [("\"lstrip\":false", "\"lstrip\":true"), ("\"[MASK]\"", "\"[MA SK]\"")] {
        let changed = bert.replace(from, to);
        assert_ne!(changed, bert, "the fixture has another form");
        assert!(Tokenizer::from_json(changed.as_bytes()).unwrap().memo.is_none(), "{to}");
    }
}
