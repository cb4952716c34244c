//! The numbers that quantised weights stand for.

use half::f16;

use crate::op::Rows;

/// All elements of `rows` in f32, bit-exact to the formulas at [`Rows`].
pub(crate) fn dequantize(rows: Rows<'_>) -> Vec<f32> {
    let half = |bits: u16| f16::from_bits(bits).to_f32();
    match rows {
        Rows::F32(values) => values.to_vec(),
        Rows::F16(bits) => bits.iter().map(|bits| half(*bits)).collect(),
        Rows::Q8 { scales, quants } => {
            let groups = quants.as_chunks::<32>().0.iter().zip(scales);
            groups.flat_map(|(quants, scale)| quants.map(|q| half(*scale) * f32::from(q))).collect()
        }
        Rows::Q4 { scales, mins, quants } => {
            let mut out = Vec::with_capacity(2 * quants.len());
            for ((quants, scale), min) in quants.as_chunks::<16>().0.iter().zip(scales).zip(mins) {
                let (scale, min) = (half(*scale), half(*min));
                out.extend(quants.iter().map(|q| scale * f32::from(q & 15) + min));
                out.extend(quants.iter().map(|q| scale * f32::from(q >> 4) + min));
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(x: f32) -> u16 {
        f16::from_f32(x).to_bits()
    }

    #[test]
    fn groups_follow_their_formula() {
        let quants: Vec<i8> = (0..64).map(|i| i as i8 - 32).collect();
        let out = dequantize(Rows::Q8 { scales: &[bits(0.5), bits(-2.0)], quants: &quants });
        assert_eq!((out[0], out[31], out[32], out[63]), (-16.0, -0.5, 0.0, -62.0));

        let quants: Vec<u8> = (0..16).map(|i| i | (15 - i) << 4).collect();
        let out = dequantize(Rows::Q4 { scales: &[bits(0.25)], mins: &[bits(-2.0)], quants: &quants });
        assert_eq!((out[0], out[15], out[16], out[31]), (-2.0, 1.75, 1.75, -2.0));
        assert_eq!(dequantize(Rows::F16(&[bits(1.5)])), [1.5]);
    }
}
