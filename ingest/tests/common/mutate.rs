//! Changed bytes: the same for the same seed.

/// Pieces that parsers know, and numbers at the edge.
const PIECES: &[&[u8]] = &[
    b"<<",
    b">>",
    b"[",
    b"]",
    b"(",
    b")",
    b"/",
    b" R ",
    b" obj ",
    b"endobj",
    b"stream\n",
    b"endstream",
    b"q ",
    b" Do ",
    b"0",
    b"-1",
    b"255",
    b"65535",
    b"65536",
    b"4294967295",
    b"4294967296",
    b"-2147483649",
    b"9223372036854775807",
    b"1e400",
    b".",
    b"<",
    b"</",
    b"/>",
    b"]]>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"&",
    b"&amp;",
    b"&#x110000;",
    b"&a;",
    b"<!DOCTYPE a [<!ENTITY a \"b\">]>",
    b"\"",
    b"'",
    b",",
    b";",
    b"\t",
    b"\r",
    b"\n",
    b"\n\n",
    b"|",
    b"#",
    b"```\n",
    b"> ",
    b"- ",
    b"{",
    b"}",
    b":",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"From ",
    b"boundary=",
    b"--",
    b"=?utf-8?B?",
    b"Content-Type: multipart/mixed; boundary=\"a\"\n",
    b" --> ",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"<w:tbl>",
    b"<w:p>",
    b"<table:table-row table:number-rows-repeated=\"1048576\">",
    b"<a:t>",
    b"<c r=\"XFD1048576\">",
];

/// Makes changes by pseudo-random numbers (SplitMix64).
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// One to sixteen changes; parts of `others` may come in.
    pub fn change(&mut self, bytes: &[u8], others: &[&[u8]]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        for _ in 0..1 << self.below(5) {
            let at = self.below(changed.len());
            let end = (at + 1 + self.below(64)).min(changed.len());
            match self.below(9) {
                0 if !changed.is_empty() => changed[at] = self.next() as u8,
                1 if !changed.is_empty() => changed[at] ^= 1 << self.below(8),
                2 => drop(changed.drain(at..end)),
                3 => {
                    let part = changed[at..end].to_vec();
                    let n = 1 << self.below(8);
                    changed.splice(at..at, part.repeat(n));
                }
                4 => changed.truncate(at),
                5 => {
                    let other = others[self.below(others.len())];
                    let from = self.below(other.len());
                    let part = &other[from..(from + self.below(512)).min(other.len())];
                    changed.splice(at..end, part.iter().copied());
                }
                6 => self.change_number(&mut changed, at),
                _ => {
                    let piece = PIECES[self.below(PIECES.len())];
                    let n = if self.below(8) == 0 { 1 << self.below(12) } else { 1 };
                    changed.splice(at..at, piece.repeat(n));
                }
            }
        }
        changed.truncate(4 << 20);
        changed
    }

    /// Puts another number in place of the next one.
    fn change_number(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit) else { return };
        let from = at + from;
        let n = bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let numbers = ["0", "1", "255", "65536", "1000000", "4294967295", "9999999999", "-1"];
        let number = numbers[self.below(numbers.len())];
        bytes.splice(from..from + n, number.bytes());
    }
}
