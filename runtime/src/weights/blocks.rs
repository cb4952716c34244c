//! The elements of a file's types, as ggml defines them (ggml-quants.c), all little-endian.

use half::{bf16, f16};

use super::{DType, k_blocks};
use crate::op::GROUP;
use crate::{Error, Result};

/// f16 bits.
type Half = u16;

/// Elements in f32, bit-exact to ggml's `dequantize_row_*`. `bytes` are whole blocks.
pub(crate) fn to_f32(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        DType::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        DType::F16 => bytes.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        DType::BF16 => bytes.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        DType::Q8_0 => blocks::<34>(bytes, |block, out| {
            let d = half(block, 0);
            out.extend(block[2..].iter().map(|q| f32::from(*q as i8) * d));
        }),
        DType::Q4_0 => blocks::<18>(bytes, |block, out| {
            let d = half(block, 0);
            out.extend(block[2..].iter().map(|q| (f32::from(q & 15) - 8.0) * d));
            out.extend(block[2..].iter().map(|q| (f32::from(q >> 4) - 8.0) * d));
        }),
        DType::Q4_1 => blocks::<20>(bytes, |block, out| {
            let (d, m) = (half(block, 0), half(block, 2));
            out.extend(block[4..].iter().map(|q| f32::from(q & 15) * d + m));
            out.extend(block[4..].iter().map(|q| f32::from(q >> 4) * d + m));
        }),
        DType::Q5_0 => blocks::<22>(bytes, |block, out| {
            let d = half(block, 0);
            out.extend(five_bits(&block[2..]).map(|q| (f32::from(q) - 16.0) * d));
        }),
        DType::Q5_1 => blocks::<24>(bytes, |block, out| {
            let (d, m) = (half(block, 0), half(block, 2));
            out.extend(five_bits(&block[4..]).map(|q| f32::from(q) * d + m));
        }),
        DType::IQ4_NL => blocks::<18>(bytes, |block, out| {
            let d = half(block, 0);
            out.extend(uneven_numbers(&block[2..]).map(|q| d * f32::from(q)));
        }),
        DType::Q2_K => blocks(bytes, k_blocks::expand_q2_k),
        DType::Q3_K => blocks(bytes, k_blocks::expand_q3_k),
        DType::Q4_K => blocks(bytes, k_blocks::expand_q4_k),
        DType::Q5_K => blocks(bytes, k_blocks::expand_q5_k),
        DType::Q6_K => blocks(bytes, k_blocks::expand_q6_k),
    }
}

/// Little-endian 16-bit words.
pub(crate) fn u16s(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect()
}

/// Scales and quants of Q8_0 blocks: `{f16 d; i8 q[32]}`.
pub(crate) fn split_q8_0(bytes: &[u8]) -> (Vec<Half>, Vec<i8>) {
    let blocks = bytes.as_chunks::<34>().0;
    let scales = blocks.iter().map(|block| bits(block, 0)).collect();
    let quants = blocks.iter().flat_map(|block| block[2..].iter().map(|q| *q as i8)).collect();
    (scales, quants)
}

/// Scales, mins and quants of Q4_1 blocks: `{f16 d; f16 m; u8 q[16]}`.
pub(crate) fn split_q4_1(bytes: &[u8]) -> (Vec<Half>, Vec<Half>, Vec<u8>) {
    let blocks = bytes.as_chunks::<20>().0;
    let scales = blocks.iter().map(|block| bits(block, 0)).collect();
    let mins = blocks.iter().map(|block| bits(block, 2)).collect();
    (scales, mins, blocks.iter().flat_map(|block| block[4..].iter().copied()).collect())
}

/// Scales, mins (`-8 d`) and quants of Q4_0 blocks: `{f16 d; u8 q[16]}`.
///
/// `-8 d` is exact in f16 for every finite d below 8192; a larger one is a damaged file.
pub(crate) fn split_q4_0(bytes: &[u8]) -> Result<(Vec<Half>, Vec<Half>, Vec<u8>)> {
    let blocks = bytes.as_chunks::<18>().0;
    let scales: Vec<Half> = blocks.iter().map(|block| bits(block, 0)).collect();
    let mins = scales.iter().map(|d| {
        let min = f16::from_f32(-8.0 * f16::from_bits(*d).to_f32());
        if min.is_finite() { Ok(min.to_bits()) } else { Err(Error::corrupt("a Q4_0 scale is too large")) }
    });
    let mins = mins.collect::<Result<_>>()?;
    Ok((scales, mins, blocks.iter().flat_map(|block| block[2..].iter().copied()).collect()))
}

/// Scales and quants of Q5_0 blocks, `{f16 d; u8 qh[4]; u8 q[16]}`, as those of Q8_0.
pub(crate) fn split_q5_0(bytes: &[u8]) -> (Vec<Half>, Vec<i8>) {
    let blocks = bytes.as_chunks::<22>().0;
    let scales = blocks.iter().map(|block| bits(block, 0)).collect();
    (scales, blocks.iter().flat_map(|block| five_bits(&block[2..]).map(|q| q as i8 - 16)).collect())
}

/// Scales and quants of IQ4_NL blocks, `{f16 d; u8 q[16]}`, as those of Q8_0.
pub(crate) fn split_iq4_nl(bytes: &[u8]) -> (Vec<Half>, Vec<i8>) {
    let blocks = bytes.as_chunks::<18>().0;
    let scales = blocks.iter().map(|block| bits(block, 0)).collect();
    (scales, blocks.iter().flat_map(|block| uneven_numbers(&block[2..])).collect())
}

/// Scales and quants of whole groups of 32, as those of Q8_0: what has 5 or 6 bits and a minimum, or 16
/// elements for each scale, is off by at most half a 254th of its group's largest afterwards.
pub(crate) fn round_to_q8_0(values: &[f32]) -> Result<(Vec<Half>, Vec<i8>)> {
    let groups = values.as_chunks::<GROUP>().0;
    let (mut scales, mut quants) = (Vec::with_capacity(groups.len()), Vec::with_capacity(values.len()));
    for group in groups {
        let max = group.iter().fold(0f32, |max, x| max.max(x.abs()));
        let scale = f16::from_f32(max / 127.0);
        if !scale.is_finite() {
            return Err(Error::corrupt("a quantised group's scale is too large"));
        }
        let factor = if scale.to_f32() == 0.0 { 0.0 } else { 1.0 / scale.to_f32() };
        scales.push(scale.to_bits());
        // Beyond 127 only where the scale was rounded down.
        quants.extend(group.iter().map(|x| (x * factor).round_ties_even().clamp(-127.0, 127.0) as i8));
    }
    Ok((scales, quants))
}

/// The 32 numbers of `{u8 high[4]; u8 low[16]}`: the fifth bits follow each other in `high`.
fn five_bits(block: &[u8]) -> impl Iterator<Item = u8> {
    let high = u32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    let low = block[4..20].iter().map(|q| q & 15).chain(block[4..20].iter().map(|q| q >> 4));
    low.enumerate().map(move |(i, low)| low | ((high >> i & 1) as u8) << 4)
}

/// The sixteen numbers of IQ4_NL (`kvalues_iq4nl` of ggml-common.h).
const UNEVEN: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The 32 numbers that sixteen bytes choose.
fn uneven_numbers(block: &[u8]) -> impl Iterator<Item = i8> {
    let indices = block.iter().map(|q| q & 15).chain(block.iter().map(|q| q >> 4));
    indices.map(|idx| UNEVEN[usize::from(idx)])
}

fn blocks<const N: usize>(bytes: &[u8], mut expand: impl FnMut(&[u8; N], &mut Vec<f32>)) -> Vec<f32> {
    let blocks = bytes.as_chunks::<N>().0;
    let mut out = Vec::with_capacity(blocks.len() * if N > 64 { k_blocks::BLOCK } else { GROUP });
    blocks.iter().for_each(|block| expand(block, &mut out));
    out
}

fn bits(block: &[u8], at: usize) -> Half {
    u16::from_le_bytes([block[at], block[at + 1]])
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_bits(bits(block, at)).to_f32()
}
