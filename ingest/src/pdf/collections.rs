//! Adobe's character collections: numbers of Chinese, Japanese and Korean characters. Most of them
//! follow the tables of national standards, which `encoding_rs` knows; `data/collections.txt` says where.

use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GBK};
use std::sync::LazyLock;

/// Characters that follow each other.
struct Run {
    collection: &'static str,
    first: u32,
    n: u32,
    place: Place,
}

enum Place {
    /// Cell of the standard's table.
    Cell(u32),
    Unicode(u32),
}

/// The character with the number `cid` of the collection `Adobe-NAME`.
pub(super) fn char(name: &str, cid: u32) -> Option<char> {
    // By collection, then by number, as the file has them.
    static RUNS: LazyLock<Vec<Run>> =
        LazyLock::new(|| include_str!("data/collections.txt").lines().filter_map(run).collect());
    let run = RUNS.iter().find(|r| r.collection == name && (r.first..r.first + r.n).contains(&cid))?;
    let nth = cid - run.first;
    match run.place {
        Place::Unicode(first) => char::from_u32(first + nth),
        Place::Cell(first) => of_cell(name, first + nth),
    }
}

fn run(line: &'static str) -> Option<Run> {
    let mut words = line.split(' ');
    let (collection, first, n) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let place = words.next()?;
    let place = match place.strip_prefix('=') {
        Some(cell) => Place::Cell(cell.parse().ok()?),
        None => Place::Unicode(u32::from_str_radix(place, 16).ok()?),
    };
    Some(Run { collection, first, n, place })
}

/// The character in a cell of a table, counted from its first row.
fn of_cell(name: &str, cell: u32) -> Option<char> {
    let (encoding, n_columns): (&'static Encoding, u32) = match name {
        "Japan1" => (EUC_JP, 94),
        "GB1" => (GBK, 94),
        "Korea1" => (EUC_KR, 94),
        "CNS1" => (BIG5, 157),
        _ => return None,
    };
    let (row, column) = (cell / n_columns, cell % n_columns);
    let second = match (n_columns, column) {
        (94, column) => 0xa1 + column,
        // Big5 leaves a gap between its two blocks of columns.
        (_, 0..63) => 0x40 + column,
        (_, column) => 0xa1 + column - 63,
    };
    let bytes = [u8::try_from(0xa1 + row).ok()?, u8::try_from(second).ok()?];
    encoding.decode_without_bom_handling_and_without_replacement(&bytes)?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_each_collection() {
        // From Adobe's lists cid2code.txt.
        for (name, cid, want) in [
            ("Japan1", 34, Some('A')),
            ("Japan1", 843, Some('あ')),
            ("Japan1", 1125, Some('亜')),
            ("Japan1", 3498, Some('標')),
            ("GB1", 1036, Some('保')),
            ("Korea1", 1086, Some('가')),
            ("CNS1", 595, Some('一')),
            ("Japan1", 60_000, None),
            ("Identity", 34, None),
        ] {
            assert_eq!(char(name, cid), want, "{name} {cid}");
        }
    }
}
