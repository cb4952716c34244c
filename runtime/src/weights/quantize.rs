//! Writing weights in few bits: safetensors whose matrices are rows of GGUF's blocks.
//!
//! A quantised matrix is a tensor of bytes (U8), `[n_rows, bytes of a row]`; the file's metadata says under
//! `blocks.<name>` which blocks they are. What is no matrix, or has rows that are no multiple of a group,
//! stays as it was.

use half::f16;
use serde_json::{Map, Value, json};

use super::{BLOCKS_KEY, DType, TensorInfo, Weights, blocks};
use crate::op::GROUP;
use crate::{Error, Result};

/// Rows are read and written in pieces of about so many elements.
const PIECE_ELEMENTS: usize = 1 << 20;
/// Times that a group of 4 bits is fitted anew to the numbers its elements were rounded to.
const N_FITS: usize = 4;

/// How many bits a weight gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// Groups of 32 with a scale (Q8_0).
    Eight,
    /// Groups of 32 with a scale and a minimum (Q4_1).
    Four,
}

/// What became of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedTensor {
    /// Its name.
    pub name: String,
    /// How it is stored now.
    pub dtype: DType,
    /// Bytes in the new file.
    pub n_bytes: u64,
    /// Root mean square of the differences, as a share of that of its elements; 0 where nothing changed.
    pub relative_error: f64,
}

/// Writes all tensors of `weights` as one safetensors file; `bits_of` says for each matrix how many bits it
/// gets, if it is not to stay as it is. Only pieces are in memory.
///
/// # Errors
/// [`Error::UnsupportedWeights`] where a tensor is quantised already or no float, [`Error::CorruptWeights`]
/// for elements that are no numbers, and what reading and `write` give.
pub fn quantize(
    weights: &Weights,
    bits_of: &dyn Fn(&str) -> Option<Bits>,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Vec<QuantizedTensor>> {
    if let Some((name, dtype)) = weights.opened.header.unsupported.iter().next() {
        return Err(Error::UnsupportedWeights { what: format!("the type {dtype} for `{name}`") });
    }
    let mut planned = vec![];
    for (name, info) in &weights.opened.header.tensors {
        if !matches!(info.dtype, DType::F32 | DType::F16 | DType::BF16) {
            return Err(Error::UnsupportedWeights { what: format!("{:?} for `{name}`", info.dtype) });
        }
        let is_grouped = info.shape.len() == 2 && info.shape[1].is_multiple_of(GROUP);
        let dtype = match (is_grouped, bits_of(name)) {
            (false, _) | (_, None) => info.dtype,
            (true, Some(Bits::Eight)) => DType::Q8_0,
            (true, Some(Bits::Four)) => DType::Q4_1,
        };
        planned.push((name.as_str(), info, dtype, dtype.tensor_bytes(&info.shape)?));
    }
    write(&header(&planned)?)?;
    let mut done = vec![];
    for (name, info, dtype, n_bytes) in planned {
        let relative_error = write_tensor(weights, info, dtype, write)?;
        done.push(QuantizedTensor { name: name.into(), dtype, n_bytes, relative_error });
    }
    Ok(done)
}

/// The length and the JSON in front of the tensors.
fn header(planned: &[(&str, &TensorInfo, DType, u64)]) -> Result<Vec<u8>> {
    let mut header = Map::new();
    let mut metadata = Map::from_iter([("format".to_owned(), Value::from("pt"))]);
    let mut at = 0;
    for (name, info, dtype, n_bytes) in planned {
        let mut shape = info.shape.clone();
        let stored = match dtype {
            DType::F32 => "F32",
            DType::F16 => "F16",
            DType::BF16 => "BF16",
            _ => {
                metadata.insert(format!("{BLOCKS_KEY}{name}"), format!("{dtype:?}").into());
                shape[1] = dtype.row_bytes(shape[1])? as usize;
                "U8"
            }
        };
        let entry = json!({"dtype": stored, "shape": shape, "data_offsets": [at, at + n_bytes]});
        header.insert((*name).to_owned(), entry);
        at += n_bytes;
    }
    header.insert("__metadata__".into(), Value::Object(metadata));
    let mut text = Value::Object(header).to_string().into_bytes();
    // Tensors begin at a multiple of 8.
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok([&(text.len() as u64).to_le_bytes()[..], &text].concat())
}

/// Writes one tensor, and gives its error.
fn write_tensor(
    weights: &Weights,
    info: &TensorInfo,
    dtype: DType,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<f64> {
    let width = info.shape.last().copied().unwrap_or(1).max(1);
    let row_bytes = info.dtype.row_bytes(width)? as usize;
    let piece_bytes = (PIECE_ELEMENTS / width).max(1) * row_bytes;
    let (mut error, mut size) = (0.0, 0.0);
    let mut at = 0;
    while at < info.n_bytes {
        let mut piece = vec![0; piece_bytes.min((info.n_bytes - at) as usize)];
        weights.read_piece(info, at, &mut piece)?;
        at += piece.len() as u64;
        if dtype == info.dtype {
            write(&piece)?;
            continue;
        }
        let values = blocks::to_f32(info.dtype, &piece);
        let bytes = pack(&values, dtype)?;
        for (x, y) in values.iter().zip(blocks::to_f32(dtype, &bytes)) {
            error += f64::from(x - y).powi(2);
            size += f64::from(*x).powi(2);
        }
        write(&bytes)?;
    }
    Ok(if size > 0.0 { (error / size).sqrt() } else { 0.0 })
}

/// Whole groups as blocks of `dtype`.
fn pack(values: &[f32], dtype: DType) -> Result<Vec<u8>> {
    if !values.iter().all(|x| x.is_finite()) {
        return Err(Error::corrupt("an element is not a number"));
    }
    let mut out = vec![];
    if dtype == DType::Q8_0 {
        let (scales, quants) = blocks::round_to_q8_0(values)?;
        for (scale, quants) in scales.iter().zip(quants.as_chunks::<GROUP>().0) {
            out.extend(scale.to_le_bytes());
            out.extend(quants.iter().map(|q| *q as u8));
        }
        return Ok(out);
    }
    for group in values.as_chunks::<GROUP>().0 {
        let (scale, min, quants) = four_bits(group);
        out.extend(scale.to_le_bytes());
        out.extend(min.to_le_bytes());
        out.extend((0..GROUP / 2).map(|i| quants[i] | quants[GROUP / 2 + i] << 4));
    }
    Ok(out)
}

/// Scale, minimum and numbers of a group. The first fit reaches from its smallest to its largest element;
/// each further one is the straight line through what the elements were rounded to, and the best one
/// counts.
fn four_bits(group: &[f32; GROUP]) -> (f16, f16, [u8; GROUP]) {
    let (low, high) = group.iter().fold((f32::MAX, f32::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
    let mut fit = ((high - low) / 15.0, low);
    let (mut least, mut best) = (f32::INFINITY, (f16::ZERO, f16::ZERO, [0; GROUP]));
    for _ in 0..=N_FITS {
        let (scale, min) = (f16::from_f32(fit.0), f16::from_f32(fit.1));
        let (d, m) = (scale.to_f32(), min.to_f32());
        let factor = if d == 0.0 { 0.0 } else { 1.0 / d };
        let quants = group.map(|x| ((x - m) * factor).round().clamp(0.0, 15.0) as u8);
        let error = group.iter().zip(quants).map(|(x, q)| (x - (d * f32::from(q) + m)).powi(2)).sum::<f32>();
        if error < least {
            (least, best) = (error, (scale, min, quants));
        }
        let Some(next) = line(group, &quants) else { break };
        fit = next;
    }
    best
}

/// Slope and start of the line through the points `(quants[i], group[i])` with the least squares; none
/// where they are all above each other.
fn line(group: &[f32; GROUP], quants: &[u8; GROUP]) -> Option<(f32, f32)> {
    let n = GROUP as f32;
    let q = || quants.iter().map(|q| f32::from(*q));
    let (mean_q, mean_x) = (q().sum::<f32>() / n, group.iter().sum::<f32>() / n);
    let spread: f32 = q().map(|q| (q - mean_q).powi(2)).sum();
    let both: f32 = q().zip(group).map(|(q, x)| (q - mean_q) * (x - mean_x)).sum();
    let slope = both / spread;
    (spread > 0.0 && slope.is_finite()).then_some((slope, mean_x - slope * mean_q))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::self_test::numbers;

    fn safetensors(header: &str, values: &[f32]) -> Weights {
        let data = values.iter().flat_map(|x| x.to_le_bytes());
        let bytes: Vec<u8> =
            (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes()).chain(data).collect();
        Weights::open(Box::new(bytes)).unwrap()
    }

    fn quantized(weights: &Weights, bits: Bits) -> Result<(Weights, Vec<QuantizedTensor>)> {
        let mut file = vec![];
        let done = quantize(weights, &|_| Some(bits), &mut |bytes| {
            file.extend(bytes);
            Ok(())
        })?;
        Ok((Weights::open(Box::new(file)).unwrap(), done))
    }

    const MATRIX_AND_VECTOR: &str = r#"{"m":{"dtype":"F32","shape":[3,64],"data_offsets":[0,768]},
        "v":{"dtype":"F32","shape":[32],"data_offsets":[768,896]}}"#;

    #[test]
    fn what_is_written_is_read_again_within_its_error() {
        let mut values = numbers(224, 3);
        values[64..128].fill(0.25);
        let weights = safetensors(MATRIX_AND_VECTOR, &values);
        // Uniform numbers over 254 or 15 steps: a step over the root of 12, against a root mean square of
        // .577, and what halves round.
        for (bits, dtype, worst) in [(Bits::Eight, DType::Q8_0, 0.006), (Bits::Four, DType::Q4_1, 0.07)] {
            let (read, done) = quantized(&weights, bits).unwrap();
            let info = read.tensor_info("m").unwrap();
            assert_eq!((info.shape.as_slice(), info.dtype), ([3, 64].as_slice(), dtype));
            assert_eq!(read.read_f32("v").unwrap(), values[192..]);
            let got = read.read_f32("m").unwrap();
            let sum = |f: &dyn Fn(usize) -> f32| (0..192).map(|i| f64::from(f(i)).powi(2)).sum::<f64>();
            let error = (sum(&|i| got[i] - values[i]) / sum(&|i| values[i])).sqrt();
            assert_eq!((done[0].name.as_str(), done[0].dtype, done[1].relative_error), ("m", dtype, 0.0));
            assert!((done[0].relative_error - error).abs() < 1e-9 && error < worst, "{error}");
            assert!(bits == Bits::Eight || got[64..128] == values[64..128], "equal elements are exact");
            assert!(quantized(&read, bits).is_err(), "it is quantised already");
        }
    }

    #[test]
    fn a_better_line_is_found_where_one_element_stands_out() {
        let mut group: [f32; GROUP] = std::array::from_fn(|i| (i as f32 * 0.7).sin());
        group[0] = 1.6;
        let error = |(scale, min, quants): (f16, f16, [u8; GROUP])| -> f32 {
            let number = |q: u8| scale.to_f32() * f32::from(q) + min.to_f32();
            group.iter().zip(quants).map(|(x, q)| (x - number(q)).powi(2)).sum()
        };
        let (d, m) = (f16::from_f32(2.6 / 15.0), f16::from_f32(-1.0));
        let plain = group.map(|x| ((x - m.to_f32()) / d.to_f32()).round().clamp(0.0, 15.0) as u8);
        assert!(error(four_bits(&group)) < error((d, m, plain)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mut values = numbers(224, 3);
        values[100] = f32::NAN;
        let error = quantized(&safetensors(MATRIX_AND_VECTOR, &values), Bits::Four).err().unwrap();
        assert!(error.to_string().contains("not a number"), "{error}");
        let ids = r#"{"ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
        let error = quantized(&safetensors(ids, &[0.0; 2]), Bits::Four).err().unwrap();
        assert!(error.to_string().contains("I64 for `ids`"), "{error}");
    }
}
