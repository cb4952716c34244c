//! Bytes of text files into Unicode.

use crate::{Warning, WarningCode};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};

/// How many bytes are looked at to guess an encoding or to tell text from binary data.
const MAX_SNIFF_BYTES: usize = 64 << 10;
/// Old encodings differ in few letters, so that more is looked at: a book.
const MAX_GUESS_BYTES: usize = 1 << 20;

/// Decodes `bytes`, whose encoding may be declared by the media type or by the file itself.
///
/// A byte order mark decides and is removed; then UTF-8 if it fits; then the declaration; then
/// UTF-8 with few errors; then what the frequencies of its letters speak for. The last two warn.
pub(crate) fn decode(
    bytes: &[u8],
    declared: Option<&'static Encoding>,
    name: &str,
) -> (String, Option<Warning>) {
    if let Some((encoding, n_bom)) = Encoding::for_bom(bytes) {
        let (text, had_errors) = encoding.decode_without_bom_handling(&bytes[n_bom..]);
        return (text.into_owned(), had_errors.then(|| replaced(name, encoding)));
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        let (text, _) = encoding.decode_without_bom_handling(bytes);
        return (text.into_owned(), Some(guessed(name, encoding)));
    }
    if let Some(text) = iso_2022_jp(bytes) {
        return (text, Some(guessed(name, ISO_2022_JP)));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => return (text.to_owned(), None),
        // A file cut in the middle of its last character is still UTF-8.
        Err(e) if e.error_len().is_none() => {
            return (String::from_utf8_lossy(bytes).into_owned(), Some(replaced(name, UTF_8)));
        }
        Err(_) => {}
    }
    if let Some(encoding) = declared.filter(|&e| e != UTF_8) {
        let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
        return (text.into_owned(), had_errors.then(|| replaced(name, encoding)));
    }
    if is_mostly_utf8(bytes) {
        return (String::from_utf8_lossy(bytes).into_owned(), Some(replaced(name, UTF_8)));
    }
    let encoding = likely(bytes);
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    (text.into_owned(), Some(guessed(name, encoding)))
}

/// The text of bytes that switch to Japanese and back as old Japanese mail does; all are ASCII.
fn iso_2022_jp(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(MAX_SNIFF_BYTES)];
    let switches = head.windows(3).any(|w| matches!(w, b"\x1b$B" | b"\x1b$@"));
    if !switches {
        return None;
    }
    let (text, had_errors) = ISO_2022_JP.decode_without_bom_handling(bytes);
    (!had_errors).then(|| text.into_owned())
}

/// The old encoding that the letters look most like.
fn likely(bytes: &[u8]) -> &'static Encoding {
    let head = &bytes[..bytes.len().min(MAX_GUESS_BYTES)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(head, head.len() == bytes.len());
    detector.guess(None, Utf8Detection::Deny)
}

/// The encoding named in a media type such as `text/plain; charset=iso-8859-2`.
pub(crate) fn declared_in_mime(mime: &str) -> Option<&'static Encoding> {
    let (_, label) = mime.split_once("charset=")?;
    Encoding::for_label(label.trim_matches(['"', '\'', ' ', ';']).as_bytes())
}

/// The encoding named in the first kilobytes of an HTML or XML file.
pub(crate) fn declared_in_markup(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).to_ascii_lowercase();
    let after = ["charset=", "encoding="].iter().find_map(|key| Some(head.split_once(key)?.1))?;
    let label: String = after
        .trim_start_matches(['"', '\'', ' '])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.'))
        .collect();
    Encoding::for_label(label.as_bytes())
}

/// Whether the bytes are no text in any encoding that `decode` knows.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(MAX_SNIFF_BYTES)];
    if Encoding::for_bom(bytes).is_some() || utf16_without_mark(bytes).is_some() {
        return false;
    }
    let n_control = head
        .iter()
        .filter(|&&b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x08))
        .count();
    // Text may hold a stray control character; compressed data has 10 % of them.
    let too_many_controls = n_control > 4 && n_control * 50 > head.len();
    let n_high = head.iter().filter(|&&b| b >= 0x80).count();
    let n_c1 = head.iter().filter(|b| matches!(b, 0x80..=0x9f)).count();
    let is_noise = n_high * 10 > head.len() * 3 && n_c1 * 8 > head.len() && !is_mostly_utf8(head);
    too_many_controls || (n_control > 0 && is_noise)
}

fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(MAX_SNIFF_BYTES)];
    let n_pairs = head.len() / 2;
    if n_pairs < 4 || bytes.len() % 2 == 1 {
        return None;
    }
    let n_zero = |offset: usize| head.iter().skip(offset).step_by(2).filter(|&&b| b == 0).count();
    let (even, odd) = (n_zero(0), n_zero(1));
    let encoding = match (even * 10 / n_pairs, odd * 10 / n_pairs) {
        (0, 6..) => UTF_16LE,
        (6.., 0) => UTF_16BE,
        _ => return None,
    };
    let (text, had_errors) = encoding.decode_without_bom_handling(&head[..(n_pairs * 2) & !3]);
    let n_control = text.chars().filter(|c| c.is_control() && !c.is_whitespace()).count();
    (!had_errors && n_control * 100 <= n_pairs).then_some(encoding)
}

/// More multi-byte characters that fit than errors.
fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(MAX_SNIFF_BYTES)];
    let (mut n_good, mut n_bad) = (0usize, 0usize);
    for part in head.utf8_chunks() {
        n_good += part.valid().chars().filter(|c| !c.is_ascii()).count();
        n_bad += usize::from(!part.invalid().is_empty());
    }
    n_good > n_bad
}

fn guessed(name: &str, encoding: &'static Encoding) -> Warning {
    Warning {
        code: WarningCode::Encoding,
        message: format!(
            "{name} does not say how its characters are encoded and was read as {}; if letters look wrong, save it as UTF-8",
            encoding.name()
        ),
    }
}

fn replaced(name: &str, encoding: &'static Encoding) -> Warning {
    Warning {
        code: WarningCode::Encoding,
        message: format!(
            "{name} holds bytes that are not valid {}; they were replaced by \u{fffd}",
            encoding.name()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_found() {
        let utf16 = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
        };
        let cases: Vec<(Vec<u8>, &str, bool)> = vec![
            ("größer".into(), "größer", false),
            (b"\xef\xbb\xbfgr\xc3\xb6\xc3\x9fer".to_vec(), "größer", false),
            ([b"\xff\xfe".to_vec(), utf16("größer 漢", false)].concat(), "größer 漢", false),
            ([b"\xfe\xff".to_vec(), utf16("größer 漢", true)].concat(), "größer 漢", false),
            (utf16("no mark at all", false), "no mark at all", true),
            (utf16("no mark at all", true), "no mark at all", true),
            (b"gr\xf6\xdfer \x93so\x94".to_vec(), "größer “so”", true),
            (
                [b"gr\xff".to_vec(), "ößer, höher, länger".into()].concat(),
                "gr\u{fffd}ößer, höher, länger",
                true,
            ),
            (b"cut in a charact\xc3".to_vec(), "cut in a charact\u{fffd}", true),
        ];
        for (bytes, want, warns) in cases {
            assert!(!is_binary(&bytes), "{want}");
            let (text, warning) = decode(&bytes, None, "a.txt");
            assert_eq!((text.as_str(), warning.is_some()), (want, warns), "{bytes:?}");
        }
    }

    #[test]
    fn old_encodings_are_told_by_their_letters() {
        let cases = [
            ("windows-1251", "Маяк был построен в 1862 году, высота его сорок один метр."),
            ("KOI8-U", "Маяк был построен в 1862 году, высота его сорок один метр."),
            ("Shift_JIS", "灯台は一八六二年に建てられました。高さは四十一メートルです。"),
            ("EUC-JP", "灯台は一八六二年に建てられました。高さは四十一メートルです。"),
            ("ISO-2022-JP", "灯台は一八六二年に建てられました。"),
            ("GBK", "灯塔建于一八六二年，高四十一米。每六秒闪两次。"),
            ("Big5", "燈塔建於一八六二年，高四十一米。每六秒閃兩次。"),
            ("EUC-KR", "등대는 1862년에 세워졌다. 높이는 41미터이다."),
            (
                "windows-1250",
                "Maják byl postaven v roce 1862 a je vysoký čtyřicet jedna metrů, světlo vidět je daleko.",
            ),
            ("windows-1253", "Ο φάρος χτίστηκε το 1862 και έχει ύψος σαράντα ένα μέτρα."),
            ("windows-1256", "بنيت المنارة عام 1862 ويبلغ ارتفاعها واحدا وأربعين مترا."),
        ];
        for (label, text) in cases {
            let encoding = Encoding::for_label(label.as_bytes()).expect("the label is known");
            let (bytes, _, had_errors) = encoding.encode(text);
            assert!(!had_errors, "{label}");
            assert!(!is_binary(&bytes), "{label}");
            let (got, warning) = decode(&bytes, None, "a.txt");
            assert_eq!((got.as_str(), warning.is_some()), (text, true), "{label}");
        }
    }

    #[test]
    fn declarations_are_heeded() {
        let latin2 = declared_in_mime("text/plain; charset=\"ISO-8859-2\"");
        assert_eq!(decode(b"\xb1", latin2, "a.txt"), ("ą".to_owned(), None));
        let meta = declared_in_markup(b"<html><meta charset='shift_jis'>");
        assert_eq!(meta.map(Encoding::name), Some("Shift_JIS"));
        assert_eq!(declared_in_markup(b"<p>nothing"), None);
    }

    #[test]
    fn binary_data_is_no_text() {
        let noise: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert!(is_binary(&noise));
        assert!(is_binary(&[0; 64]));
        assert!(!is_binary(b"a stray \0 is no harm in a long text"));
    }
}
