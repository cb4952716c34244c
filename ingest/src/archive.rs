//! ZIP archives (APPNOTE.TXT): the directory at the end, or where that is lost the entries one by
//! one; contents are unpacked on demand, within a budget.

use crate::Limits;
use flate2::{Decompress, FlushDecompress, Status};
use std::cell::Cell;

/// An archive's directory over its bytes.
pub(crate) struct Archive<'a> {
    bytes: &'a [u8],
    members: Vec<Member>,
    /// Bytes that may still be unpacked.
    n_left: Cell<u64>,
    /// Bytes that one member may have, as a file may.
    max_member_bytes: u64,
    /// The directory is missing or incomplete.
    pub(crate) is_damaged: bool,
    /// There are more members than may be listed.
    pub(crate) is_cut: bool,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its path, with `/` between folders.
    pub(crate) name: String,
    method: u16,
    is_encrypted: bool,
    /// Where its local header starts.
    header_at: usize,
    n_packed: u64,
    n_bytes: u64,
    crc: Option<u32>,
}

/// Why a member gives no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Missing,
    Encrypted,
    /// Packed by a method other than Deflate.
    Method,
    TooLarge,
    Damaged,
}

impl Fault {
    /// What a user is told.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Missing => "a part of it is missing",
            Self::Encrypted => "it is protected by a password",
            Self::Method => "it is packed in an unusual way",
            Self::TooLarge => "it expands to more than can be read",
            Self::Damaged => "it is damaged",
        }
    }
}

const END_BYTES: usize = 22;
const ENTRY_BYTES: usize = 46;
const HEADER_BYTES: usize = 30;
/// A comment of at most 65,535 bytes may follow the end record.
const MAX_END_AT: usize = END_BYTES + 0xffff;
const IS_ENCRYPTED: u16 = 1;
const IS_UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

impl<'a> Archive<'a> {
    /// Lists what is in the archive; `None` if nothing can be found in it.
    pub(crate) fn open(bytes: &'a [u8], limits: &Limits) -> Option<Self> {
        let max = limits.max_members as usize;
        let (mut members, mut is_damaged) = match directory(bytes, max) {
            Some(members) => (members, false),
            None => (scan(bytes, max), true),
        };
        if members.is_empty() && !is_damaged {
            members = scan(bytes, max);
            is_damaged = !members.is_empty();
        }
        let is_cut = members.len() > max;
        members.truncate(max);
        let n_left = Cell::new(limits.max_unpacked_bytes);
        (!members.is_empty()).then_some(Self {
            bytes,
            members,
            n_left,
            max_member_bytes: limits.max_bytes,
            is_damaged,
            is_cut,
        })
    }

    /// All files, in the order of the directory; folders are left out.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|m| !m.name.ends_with('/'))
    }

    /// The member of this name; case is overlooked where nothing else fits.
    pub(crate) fn find(&self, name: &str) -> Option<&Member> {
        let exact = self.members.iter().find(|m| m.name == name);
        exact.or_else(|| self.members.iter().find(|m| m.name.eq_ignore_ascii_case(name)))
    }

    /// Bytes that may still be unpacked.
    pub(crate) fn n_left(&self) -> u64 {
        self.n_left.get()
    }

    /// The bytes of the member of this name.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, Fault> {
        self.unpack(self.find(name).ok_or(Fault::Missing)?)
    }

    /// The bytes of a member. What it takes is taken from the budget, also if it fails. One that says itself that it is
    /// too large is not tried.
    pub(crate) fn unpack(&self, member: &Member) -> Result<Vec<u8>, Fault> {
        if member.is_encrypted {
            return Err(Fault::Encrypted);
        }
        let packed = self.packed(member).ok_or(Fault::Damaged)?;
        let n_left = self.n_left.get();
        let max_bytes = n_left.min(self.max_member_bytes);
        if member.n_bytes > max_bytes {
            return Err(Fault::TooLarge);
        }
        let unpacked = match member.method {
            STORED if packed.len() as u64 > max_bytes => Err(Fault::TooLarge),
            STORED => Ok(packed.to_vec()),
            DEFLATED => inflate(packed, member.n_bytes, max_bytes),
            _ => Err(Fault::Method),
        };
        let n_taken = match &unpacked {
            Ok(bytes) => bytes.len() as u64,
            Err(Fault::TooLarge) => max_bytes,
            Err(_) => 0,
        };
        self.n_left.set(n_left - n_taken);
        let unpacked = unpacked?;
        let is_whole = member.crc.is_none_or(|crc| crc == checksum(&unpacked));
        if is_whole { Ok(unpacked) } else { Err(Fault::Damaged) }
    }

    fn packed(&self, member: &Member) -> Option<&'a [u8]> {
        let header = self.bytes.get(member.header_at..)?;
        if !header.starts_with(b"PK\x03\x04") {
            return None;
        }
        let start = HEADER_BYTES + u16_at(header, 26)? as usize + u16_at(header, 28)? as usize;
        let end = start.checked_add(usize::try_from(member.n_packed).ok()?)?;
        header.get(start..end)
    }
}

/// The members by the directory; `None` if there is none or it does not fit the file.
fn directory(bytes: &[u8], max: usize) -> Option<Vec<Member>> {
    let tail_at = bytes.len().saturating_sub(MAX_END_AT);
    let end_at = tail_at + bytes[tail_at..].windows(4).rposition(|w| w == b"PK\x05\x06")?;
    let end = &bytes[end_at..];
    let (mut n_members, mut n_bytes, mut at) =
        (u64::from(u16_at(end, 10)?), u64::from(u32_at(end, 12)?), u64::from(u32_at(end, 16)?));
    let mut directory_end = end_at;
    if at == 0xffff_ffff || n_members == 0xffff {
        let locator = bytes.get(end_at.checked_sub(20)?..end_at)?;
        if locator.starts_with(b"PK\x06\x07") {
            directory_end = usize::try_from(u64_at(locator, 8)?).ok()?;
            let end64 = bytes.get(directory_end..)?;
            (n_members, n_bytes, at) = (u64_at(end64, 32)?, u64_at(end64, 40)?, u64_at(end64, 48)?);
        }
    }
    // Bytes put before the archive, as self-extracting ones have them, shift every place in it.
    let actual = (directory_end as u64).checked_sub(n_bytes)?;
    let shift = actual.saturating_sub(at);
    let mut entry = bytes.get(usize::try_from(at + shift).ok()?..)?;
    let mut members = Vec::new();
    for _ in 0..n_members.min(max as u64 + 1) {
        let (member, n_used) = directory_entry(entry, shift)?;
        members.push(member);
        entry = entry.get(n_used..)?;
    }
    Some(members)
}

fn directory_entry(entry: &[u8], shift: u64) -> Option<(Member, usize)> {
    if !entry.starts_with(b"PK\x01\x02") {
        return None;
    }
    let (n_name, n_extra, n_comment) =
        (u16_at(entry, 28)? as usize, u16_at(entry, 30)? as usize, u16_at(entry, 32)? as usize);
    let name = entry.get(ENTRY_BYTES..ENTRY_BYTES + n_name)?;
    let extra = entry.get(ENTRY_BYTES + n_name..ENTRY_BYTES + n_name + n_extra)?;
    let mut sizes = [u32_at(entry, 24)?, u32_at(entry, 20)?, u32_at(entry, 42)?].map(u64::from);
    let mut wide = extra_field(extra, 1).unwrap_or_default();
    for size in sizes.iter_mut().filter(|size| **size == 0xffff_ffff) {
        *size = u64_at(wide, 0)?;
        wide = &wide[8..];
    }
    let [n_bytes, n_packed, header_at] = sizes;
    let flags = u16_at(entry, 8)?;
    let member = Member {
        name: name_of(name, flags),
        method: u16_at(entry, 10)?,
        is_encrypted: flags & IS_ENCRYPTED != 0,
        header_at: usize::try_from(header_at.checked_add(shift)?).ok()?,
        n_packed,
        n_bytes,
        crc: u32_at(entry, 16),
    };
    Some((member, ENTRY_BYTES + n_name + n_extra + n_comment))
}

/// The members by their own headers, for archives that lost their end. A member whose header does
/// not tell its size reaches up to the next one.
fn scan(bytes: &[u8], max: usize) -> Vec<Member> {
    let mut members = Vec::new();
    let mut at = 0;
    while let Some(header_at) = find(bytes, at, b"PK\x03\x04")
        && members.len() <= max
    {
        let header = &bytes[header_at..];
        at = header_at + 4;
        let Some((mut member, n_head)) = local_entry(header, header_at) else { continue };
        let start = header_at + n_head;
        if member.n_packed == 0 {
            let end = find(bytes, start, b"PK\x03\x04").or_else(|| find(bytes, start, b"PK\x01\x02"));
            member.n_packed = (end.unwrap_or(bytes.len()) - start.min(bytes.len())) as u64;
            member.crc = None;
        }
        if start as u64 + member.n_packed <= bytes.len() as u64 {
            at = start + member.n_packed as usize;
            members.push(member);
        }
    }
    members
}

fn local_entry(header: &[u8], header_at: usize) -> Option<(Member, usize)> {
    let n_name = u16_at(header, 26)? as usize;
    let name = header.get(HEADER_BYTES..HEADER_BYTES + n_name)?;
    let flags = u16_at(header, 6)?;
    let member = Member {
        name: name_of(name, flags),
        method: u16_at(header, 8)?,
        is_encrypted: flags & IS_ENCRYPTED != 0,
        header_at,
        n_packed: u64::from(u32_at(header, 18)?),
        n_bytes: u64::from(u32_at(header, 22)?),
        crc: u32_at(header, 14),
    };
    Some((member, HEADER_BYTES + n_name + u16_at(header, 28)? as usize))
}

/// Names are UTF-8 where the flag says so or they happen to be, else CP437 by the standard and
/// anything in practice; those are read as windows-1252.
fn name_of(name: &[u8], flags: u16) -> String {
    let text = match std::str::from_utf8(name) {
        Ok(text) => text.to_owned(),
        Err(_) if flags & IS_UTF8 != 0 => String::from_utf8_lossy(name).into_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(name).0.into_owned(),
    };
    text.replace('\\', "/")
}

fn extra_field(mut extra: &[u8], id: u16) -> Option<&[u8]> {
    loop {
        let n = u16_at(extra, 2)? as usize;
        let field = extra.get(4..4 + n)?;
        if u16_at(extra, 0)? == id {
            return Some(field);
        }
        extra = &extra[4 + n..];
    }
}

/// Unpacked at once; more is asked for as needed.
const STEP_BYTES: usize = 64 << 10;

/// A Deflate stream's content, of `n_bytes` as far as its archive knows. One that ends early gives what it has.
fn inflate(packed: &[u8], n_bytes: u64, max_bytes: u64) -> Result<Vec<u8>, Fault> {
    let mut stream = Decompress::new(false);
    let mut unpacked: Vec<u8> = Vec::new();
    // Little of what is packed shrinks to less than a tenth; what claims to gets room as it comes.
    let mut n_more = n_bytes.min(10 * packed.len() as u64) as usize + STEP_BYTES;
    loop {
        // Exact, and not beyond the limit: while a large one moves, it is in memory twice.
        unpacked.reserve_exact(n_more.min((max_bytes as usize - unpacked.len()).saturating_add(STEP_BYTES)));
        n_more = STEP_BYTES.max(unpacked.len() / 2);
        let n_before = (stream.total_in(), stream.total_out());
        let rest = packed.get(n_before.0 as usize..).unwrap_or_default();
        let status = stream.decompress_vec(rest, &mut unpacked, FlushDecompress::None);
        if unpacked.len() as u64 > max_bytes {
            return Err(Fault::TooLarge);
        }
        let has_room = unpacked.len() < unpacked.capacity();
        match status {
            Ok(Status::StreamEnd) => return Ok(unpacked),
            Ok(_) if !has_room || (stream.total_in(), stream.total_out()) != n_before => {}
            _ if unpacked.is_empty() => return Err(Fault::Damaged),
            _ => return Ok(unpacked),
        }
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn find(bytes: &[u8], from: usize, needle: &[u8; 4]) -> Option<usize> {
    Some(from + bytes.get(from..)?.windows(4).position(|w| w == needle)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
