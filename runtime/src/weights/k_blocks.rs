//! Blocks of 256 elements, whose groups of 16 or 32 have small scales of their own, as ggml defines them
//! (`block_q2_K` to `block_q6_K` of ggml-common.h, `dequantize_row_*` of ggml-quants.c).

use half::f16;

/// Elements of a block.
pub(super) const BLOCK: usize = 256;

/// `{u8 scales[16]; u8 q[64]; f16 d; f16 dmin}`: 2 bits, in groups of 16 with a scale and a minimum of 4
/// bits each.
pub(super) fn expand_q2_k(block: &[u8; 84], out: &mut Vec<f32>) {
    let (d, d_min) = (half(block, 80), half(block, 82));
    for (idx, scale) in block[..16].iter().enumerate() {
        let (scale, min) = (d * f32::from(scale & 15), d_min * f32::from(scale >> 4));
        let (quants, shift) = two_bits(&block[16..80], idx);
        out.extend(quants.iter().map(|q| scale * f32::from(q >> shift & 3) - min));
    }
}

/// `{u8 hmask[32]; u8 q[64]; u8 scales[12]; f16 d}`: 3 bits, in groups of 16 with a scale of 6 bits.
pub(super) fn expand_q3_k(block: &[u8; 110], out: &mut Vec<f32>) {
    let (high, scales, d) = (&block[..32], &block[96..108], half(block, 108));
    for idx in 0..16 {
        let low = if idx < 8 { scales[idx] & 15 } else { scales[idx - 8] >> 4 };
        let scale = low | (scales[8 + idx % 4] >> (idx / 4 * 2) & 3) << 4;
        let scale = d * (f32::from(scale) - 32.0);
        let (quants, shift) = two_bits(&block[32..96], idx);
        let high = high[idx % 2 * 16..][..16].iter().map(|bits| bits >> (idx / 2) & 1);
        out.extend(quants.iter().zip(high).map(|(q, high)| {
            let q = f32::from(q >> shift & 3) - if high == 1 { 0.0 } else { 4.0 };
            scale * q
        }));
    }
}

/// The sixteen bytes that hold group `idx` of 2-bit numbers, and how far they are shifted.
fn two_bits(quants: &[u8], idx: usize) -> (&[u8], usize) {
    (&quants[idx / 8 * 32 + idx % 2 * 16..][..16], idx % 8 / 2 * 2)
}

/// `{f16 d; f16 dmin; u8 scales[12]; u8 q[128]}`: 4 bits, in groups of 32 with a scale and a minimum of 6
/// bits each.
pub(super) fn expand_q4_k(block: &[u8; 144], out: &mut Vec<f32>) {
    for idx in 0..8 {
        let (scale, min) = scale_and_min(block, idx);
        let quants = block[16 + idx / 2 * 32..][..32].iter().map(|q| q >> (idx % 2 * 4) & 15);
        out.extend(quants.map(|q| scale * f32::from(q) - min));
    }
}

/// `{f16 d; f16 dmin; u8 scales[12]; u8 qh[32]; u8 q[128]}`: 5 bits, in groups as in Q4_K.
pub(super) fn expand_q5_k(block: &[u8; 176], out: &mut Vec<f32>) {
    for idx in 0..8 {
        let (scale, min) = scale_and_min(block, idx);
        let low = block[48 + idx / 2 * 32..][..32].iter().map(|q| q >> (idx % 2 * 4) & 15);
        let high = block[16..48].iter().map(|bits| (bits >> idx & 1) << 4);
        out.extend(low.zip(high).map(|(low, high)| scale * f32::from(low | high) - min));
    }
}

/// Scale and minimum of group `idx` of eight: 6 bits each, in twelve bytes after two halves.
fn scale_and_min(block: &[u8], idx: usize) -> (f32, f32) {
    let (d, d_min, s) = (half(block, 0), half(block, 2), &block[4..16]);
    let (scale, min) = if idx < 4 {
        (s[idx] & 63, s[idx + 4] & 63)
    } else {
        (s[idx + 4] & 15 | s[idx - 4] >> 6 << 4, s[idx + 4] >> 4 | s[idx] >> 6 << 4)
    };
    (d * f32::from(scale), d_min * f32::from(min))
}

/// `{u8 ql[128]; u8 qh[64]; i8 scales[16]; f16 d}`: 6 bits, in groups of 16 with a scale of 8 bits.
pub(super) fn expand_q6_k(block: &[u8; 210], out: &mut Vec<f32>) {
    let d = half(block, 208);
    for idx in 0..16 {
        let scale = d * f32::from(block[192 + idx] as i8);
        // Eight groups for each half; of these four times two stand above each other.
        let (half_idx, layer, side) = (idx / 8, idx % 8 / 2, idx % 2 * 16);
        let low = &block[half_idx * 64 + layer % 2 * 32 + side..][..16];
        let high = &block[128 + half_idx * 32 + side..][..16];
        out.extend(low.iter().zip(high).map(|(low, high)| {
            let q = low >> (layer / 2 * 4) & 15 | (high >> (layer * 2) & 3) << 4;
            scale * (f32::from(q) - 32.0)
        }));
    }
}

/// Scales, mins and quants of the groups of 32 of Q4_K blocks, as those of Q4_1: scales and mins, products
/// of a half and a small whole number, are rounded to halves.
pub(crate) fn split_q4_k(bytes: &[u8]) -> (Vec<u16>, Vec<u16>, Vec<u8>) {
    let blocks = bytes.as_chunks::<144>().0;
    let groups = || blocks.iter().flat_map(|block| (0..8).map(move |idx| (block, idx)));
    let bits = |x: f32| f16::from_f32(x).to_bits();
    let scales = groups().map(|(block, idx)| bits(scale_and_min(block, idx).0)).collect();
    let mins = groups().map(|(block, idx)| bits(-scale_and_min(block, idx).1)).collect();
    let quants = groups().flat_map(|(block, idx)| {
        let q = &block[16 + idx / 2 * 32..][..32];
        let shift = idx % 2 * 4;
        (0..16).map(move |i| q[i] >> shift & 15 | (q[16 + i] >> shift & 15) << 4)
    });
    (scales, mins, quants.collect())
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}
