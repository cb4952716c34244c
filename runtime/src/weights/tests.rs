//! Hand-made files: sound ones, and one for each way of being damaged.

use super::fixture::{Gguf, text};
use super::*;

fn safetensors(header: &str, n_data: usize) -> Vec<u8> {
    let data = (0..n_data).map(|i| i as u8);
    (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes()).chain(data).collect()
}

fn open(bytes: Vec<u8>) -> Result<Weights> {
    Weights::open(Box::new(bytes))
}

#[test]
fn a_sound_gguf_file_is_read() {
    let values = [
        (0, vec![200], MetaValue::U64(200)),
        (1, vec![200], MetaValue::I64(-56)),
        (2, vec![1, 2], MetaValue::U64(513)),
        (3, vec![255, 255], MetaValue::I64(-1)),
        (5, vec![255; 4], MetaValue::I64(-1)),
        (6, 0.5f32.to_le_bytes().into(), MetaValue::F64(0.5)),
        (7, vec![1], MetaValue::Bool(true)),
        (8, text("höhe"), MetaValue::Text("höhe".into())),
        (
            9,
            [&8u32.to_le_bytes()[..], &2u64.to_le_bytes(), &text("x"), &text("")].concat(),
            MetaValue::Array(vec![MetaValue::Text("x".into()), MetaValue::Text(String::new())]),
        ),
        (10, u64::MAX.to_le_bytes().into(), MetaValue::U64(u64::MAX)),
        (11, i64::MIN.to_le_bytes().into(), MetaValue::I64(i64::MIN)),
        (12, 0.1f64.to_le_bytes().into(), MetaValue::F64(0.1)),
    ];
    let bytes = Gguf::sound().with(|file| {
        file.version = 2;
        let entries = values.iter().enumerate();
        file.meta.extend(entries.map(|(i, (kind, value, _))| (format!("v{i}"), *kind, value.clone())));
    });
    let w = open(bytes).unwrap();
    assert_eq!(w.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(w.meta("answer").and_then(MetaValue::as_u64), Some(42));
    for (i, (_, _, expected)) in values.iter().enumerate() {
        assert_eq!(w.meta(&format!("v{i}")), Some(expected), "value {i}");
    }
    let a = w.tensor_info("a").unwrap();
    assert_eq!((a.shape.as_slice(), a.dtype, a.n_bytes), ([2, 3].as_slice(), DType::F32, 24));
    assert_eq!(w.read_f32("a").unwrap(), [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
    let expected: Vec<f32> = (0..32).map(|i| (i - 16) as f32 * 0.5).collect();
    assert_eq!(w.read_f32("b").unwrap(), expected);
    assert_eq!(w.read_bytes("b").unwrap().len(), 34);
}

#[test]
fn another_alignment_is_followed() {
    let bytes = Gguf::sound().with(|file| {
        file.alignment = 64;
        file.meta.push(("general.alignment".into(), 4, 64u32.to_le_bytes().into()));
        file.tensors.pop();
    });
    assert_eq!(open(bytes).unwrap().read_f32("a").unwrap()[5], 5.5);
}

#[test]
fn every_damaged_gguf_file_is_refused_with_its_reason() {
    let sound = Gguf::sound();
    let n_bytes = sound.bytes().len();
    let entry = |key: &str, kind: u32, value: Vec<u8>| (key.to_owned(), kind, value);
    let array = |kind: u32, n: u64| [&kind.to_le_bytes()[..], &n.to_le_bytes()].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("only 3 bytes", b"GGU".to_vec()),
        ("ends within its header, at 30", sound.bytes()[..30].to_vec()),
        ("within or before the tensor `b`", sound.bytes()[..n_bytes - 1].to_vec()),
        ("within or before the tensor `a`", sound.bytes()[..n_bytes - 60].to_vec()),
        ("claims 65537 tensors", sound.with(|f| f.n_tensors = Some(65_537))),
        ("claims 60000 tensors", sound.with(|f| f.n_tensors = Some(60_000))),
        ("metadata entries", sound.with(|f| f.n_meta = Some(u64::MAX))),
        ("there twice", sound.with(|f| f.meta.push(f.meta[0].clone()))),
        ("there twice", sound.with(|f| f.tensors[1].0 = "a".into())),
        ("bytes of a text", sound.with(|f| f.meta.push(entry("t", 8, u64::MAX.to_le_bytes().into())))),
        ("not UTF-8", sound.with(|f| f.meta.push(entry("t", 8, [&1u64.to_le_bytes()[..], &[255]].concat())))),
        ("a value of type 13", sound.with(|f| f.meta.push(entry("t", 13, vec![])))),
        ("a value of type 9", sound.with(|f| f.meta.push(entry("t", 9, array(9, 1))))),
        ("elements of an array", sound.with(|f| f.meta.push(entry("t", 9, array(0, 1 << 40))))),
        ("elements of an array", sound.with(|f| f.meta.push(entry("t", 9, array(0, 4_000_000))))),
        ("alignment", sound.with(|f| f.meta.push(entry("general.alignment", 4, 24u32.to_le_bytes().into())))),
        ("alignment", sound.with(|f| f.meta.push(entry("general.alignment", 4, 0u32.to_le_bytes().into())))),
        ("5 dimensions", sound.with(|f| f.tensors[0].1 = vec![1; 5])),
        ("impossible size", sound.with(|f| f.tensors[0].1 = vec![3, 0])),
        ("overflows", sound.with(|f| f.tensors[0].1 = vec![1 << 40, 1 << 40])),
        ("multiple of 32", sound.with(|f| f.tensors[1].1 = vec![31])),
        ("the offset 7", sound.with(|f| f.tensors[1].3 = 7)),
        ("the offset", sound.with(|f| f.tensors[1].3 = u64::MAX - 31)),
        ("overlap", sound.with(|f| f.tensors[1].3 = 0)),
    ];
    for (reason, bytes) in cases {
        let error = open(bytes).err().unwrap_or_else(|| panic!("not refused: {reason}"));
        assert!(matches!(error, Error::CorruptWeights { .. }), "{reason}: {error}");
        assert!(error.to_string().contains(reason), "expected `{reason}`, got `{error}`");
    }
    for version in [1, 4, 3u32.swap_bytes()] {
        let error = open(sound.with(|f| f.version = version)).err().unwrap();
        assert!(matches!(error, Error::UnsupportedWeights { .. }), "{error}");
    }
}

#[test]
fn no_truncation_of_a_gguf_header_panics() {
    let bytes = Gguf::sound().bytes();
    for n in 0..bytes.len() {
        assert!(open(bytes[..n].to_vec()).is_err(), "{n} bytes");
    }
}

#[test]
fn a_sound_safetensors_file_is_read() {
    let header = r#"{"__metadata__":{"format":"pt"},
        "w":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},
        "ids":{"dtype":"I64","shape":[1],"data_offsets":[4,12]},
        "v":{"dtype":"BF16","shape":[2],"data_offsets":[12,16]}}"#;
    let mut bytes = safetensors(header, 0);
    bytes.extend([0x00, 0x3c, 0x00, 0xc0]);
    bytes.extend([0; 8]);
    bytes.extend([0x80, 0x3f, 0x20, 0xc1]);
    let w = open(bytes).unwrap();
    assert_eq!(w.names().collect::<Vec<_>>(), ["v", "w"]);
    assert_eq!(w.tensor_info("w").unwrap().shape, [1, 2]);
    assert_eq!(w.read_f32("w").unwrap(), [1.0, -2.0]);
    assert_eq!(w.read_f32("v").unwrap(), [1.0, -10.0]);
    assert_eq!(w.meta("format").and_then(MetaValue::as_str), Some("pt"));
    assert!(w.read_f32("ids").unwrap_err().to_string().contains("the type I64 for `ids`"));
    assert!(matches!(w.read_f32("no"), Err(Error::MissingTensor { .. })));
}

#[test]
fn every_damaged_safetensors_file_is_refused_with_its_reason() {
    let one = |offsets: &str| format!(r#"{{"w":{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}}}"#);
    let blocks_of = |shape: &str, n: usize| {
        let meta = r#"{"__metadata__":{"blocks.w":"Q8_0"},"#;
        format!(r#"{meta}"w":{{"dtype":"U8","shape":{shape},"data_offsets":[0,{n}]}}}}"#)
    };
    let two = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
        "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("only 0 bytes", vec![]),
        ("ends within its header", safetensors("{}", 0)[..9].to_vec()),
        ("neither GGUF nor safetensors", b"%PDF-1.7 and so on".to_vec()),
        ("no safetensors header", safetensors("{\"w\":", 0)),
        ("no safetensors header", safetensors(&one("[0,7]"), 7)),
        ("no safetensors header", safetensors(&one("[4,12]"), 12)),
        ("no safetensors header", safetensors(two, 12)),
        ("has 69 bytes, its header promises 70", safetensors(&one("[0,8]"), 7)),
        ("promises", safetensors(&one("[0,8]"), 9)),
        ("no matrix of Q8_0 blocks", safetensors(&blocks_of("[2,33]", 66), 66)),
        ("no matrix of Q8_0 blocks", safetensors(&blocks_of("[68]", 68), 68)),
    ];
    for (reason, bytes) in cases {
        let error = open(bytes).err().unwrap_or_else(|| panic!("not refused: {reason}"));
        assert!(matches!(error, Error::CorruptWeights { .. }), "{reason}: {error}");
        assert!(error.to_string().contains(reason), "expected `{reason}`, got `{error}`");
    }
}

/// Blocks by hand, against ggml's formulas.
#[test]
fn quantised_blocks_expand_bit_exactly() {
    let nibbles: Vec<u8> = (0..16).map(|i| i | (15 - i) << 4).collect();
    let scale = 0x2e66u16; // 0.0999756
    let d = half::f16::from_bits(scale).to_f32();
    let m = half::f16::from_bits(0xb800).to_f32(); // -0.5
    let q4_0 = [&scale.to_le_bytes()[..], &nibbles].concat();
    let q4_1 = [&scale.to_le_bytes()[..], &0xb800u16.to_le_bytes(), &nibbles].concat();
    let (x0, x1) = (blocks::to_f32(DType::Q4_0, &q4_0), blocks::to_f32(DType::Q4_1, &q4_1));
    for i in 0..16 {
        let (low, high) = (i as f32, 15.0 - i as f32);
        assert_eq!((x0[i], x0[16 + i]), ((low - 8.0) * d, (high - 8.0) * d));
        assert_eq!((x1[i], x1[16 + i]), (low * d + m, high * d + m));
    }
    let (scales, mins, quants) = blocks::split_q4_0(&q4_0).unwrap();
    assert_eq!((scales[0], half::f16::from_bits(mins[0]).to_f32()), (scale, -8.0 * d));
    assert_eq!(quants, nibbles);
    assert!(blocks::split_q4_0(&[&0x7bffu16.to_le_bytes()[..], &nibbles].concat()).is_err());
}

/// Every quantised type against what the `gguf` package expands it to (`fixtures/make/gguf_blocks.py`):
/// to the bit in f32, and through a tier's layout within what rounding may cost.
#[test]
fn blocks_of_every_type_are_read_as_their_reference_reads_them() {
    let file = include_bytes!("../../../fixtures/golden/gguf_blocks.gguf").as_slice();
    let weights = Weights::open(Box::new(file)).unwrap();
    // As a 4-bit group a Q4_K one has its scale and its minimum in halves, each off by at most 2^-11 of
    // itself. Fifteen scales are the range of its random numbers, or a little more, which is at most twice
    // the largest of them; the minimum is at most the largest and that range. An 8-bit group is off by half
    // a step, of which 127 make its largest, and where its scale was rounded down by 2^-11 of that.
    let rounded = 1.0 / 254.0 + 1.0 / 2048.0;
    let types = [
        ("Q4_0", 0.0),
        ("Q4_1", 0.0),
        ("Q5_0", 0.0),
        ("Q5_1", rounded),
        ("Q8_0", 0.0),
        ("Q2_K", rounded),
        ("Q3_K", rounded),
        ("Q4_K", 6.0 / 2048.0),
        ("Q5_K", rounded),
        ("Q6_K", rounded),
        ("IQ4_NL", 0.0),
    ];
    let rt = platform::block_on(crate::Runtime::open(&crate::Options {
        tier: crate::TierChoice::Cpu,
        ..crate::Options::default()
    }))
    .unwrap();
    for (name, tolerance) in types {
        let expected = weights.read_f32(&format!("{name}.f32")).unwrap();
        assert_eq!(weights.read_f32(name).unwrap(), expected, "{name}");
        let loaded = rt.load_weight(&weights, name, &[2, 512], crate::WeightFormat::Native);
        let loaded = platform::block_on(loaded).unwrap();
        let mut rec = rt.recorder();
        let rows = rec.gather(&loaded, &[0, 1]).unwrap();
        let got = platform::block_on(rec.read(&rows)).unwrap();
        for (i, (got, expected)) in
            got.as_chunks::<32>().0.iter().zip(expected.as_chunks::<32>().0).enumerate()
        {
            let largest = expected.iter().fold(0f32, |max, x| max.max(x.abs()));
            for (got, expected) in got.iter().zip(expected) {
                let error = (got - expected).abs();
                assert!(error <= tolerance * largest, "{name}, group {i}: {got}, not {expected}");
            }
        }
    }
}

/// A file of one tensor, which is part `no` of `count`.
fn split_part(name: &str, no: u16, count: u16) -> Vec<u8> {
    Gguf::sound().with(|file| {
        let number = |key: &str, n: u16| (key.to_owned(), 2, n.to_le_bytes().to_vec());
        file.meta =
            vec![number("split.no", no), number("split.count", count), ("part".into(), 8, text(name))];
        file.tensors.pop();
        file.tensors[0].0 = name.into();
    })
}

fn open_all(parts: Vec<Vec<u8>>) -> Result<Weights> {
    Weights::open_parts(parts.into_iter().map(|bytes| Box::new(bytes) as Box<dyn ReadAt>).collect())
}

#[test]
fn a_model_in_parts_is_read_as_one() {
    let w = open_all(vec![split_part("x", 0, 2), split_part("y", 1, 2)]).unwrap();
    assert_eq!(w.names().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(w.read_f32("y").unwrap(), [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
    assert_eq!(w.meta("part").and_then(MetaValue::as_str), Some("x"));
    let one = |name: &str, last: u8| {
        let header = format!(r#"{{"{name}":{{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}}}"#);
        let mut bytes = safetensors(&header, 0);
        bytes.extend([0x80, last]);
        bytes
    };
    let w = open_all(vec![one("a", 0x3f), one("b", 0xbf)]).unwrap();
    assert_eq!([w.read_f32("a").unwrap(), w.read_f32("b").unwrap()], [[1.0], [-1.0]]);
    let cases = [
        ("two of its files have the tensor `a`", vec![one("a", 0x3f), one("a", 0x3f)]),
        ("one of 2 parts, and 1 are there", vec![split_part("x", 0, 2)]),
        ("one of 2 parts, and 3 are there", ["x", "y", "z"].map(|name| split_part(name, 0, 2)).into()),
        ("says that it is part Some(1)", vec![split_part("y", 1, 2), split_part("x", 0, 2)]),
        ("0 files", vec![]),
    ];
    for (reason, parts) in cases {
        let error = open_all(parts).err().unwrap_or_else(|| panic!("not refused: {reason}"));
        assert!(error.to_string().contains(reason), "expected `{reason}`, got `{error}`");
    }
}

/// Parts, other orders and sums of a tensor, through a tier.
#[test]
fn views_of_tensors_are_loaded() {
    use crate::TensorView;
    let header = r#"{"m":{"dtype":"F16","shape":[3,2],"data_offsets":[0,12]},
        "v":{"dtype":"F32","shape":[3],"data_offsets":[12,24]}}"#;
    let mut bytes = safetensors(header, 0);
    bytes.extend((1..=6u8).flat_map(|i| half::f16::from_f32(i.into()).to_le_bytes()));
    bytes.extend([7f32, 8.0, 9.0].iter().flat_map(|x| x.to_le_bytes()));
    let weights = open(bytes).unwrap();
    let (tier, precision) = (crate::TierChoice::Cpu, crate::Precision::Exact);
    let options = crate::Options { tier, precision, ..crate::Options::default() };
    let rt = platform::block_on(crate::Runtime::open(&options)).unwrap();
    let load = |view: TensorView| {
        let loaded = platform::block_on(rt.load_view(&weights, view, crate::WeightFormat::F32))?;
        let mut rec = rt.recorder();
        let rows = rec.gather(&loaded, &(0..loaded.n_rows() as u32).collect::<Vec<_>>())?;
        platform::block_on(rec.read(&rows))
    };
    assert_eq!(load(TensorView::whole("m", &[3, 2]).rows(1..3)).unwrap(), [3.0, 4.0, 5.0, 6.0]);
    let turned = TensorView::whole("m", &[2, 3]).transposed();
    assert_eq!(load(turned.clone()).unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    assert_eq!(load(turned.clone().rows(1..2)).unwrap(), [2.0, 4.0, 6.0]);
    assert_eq!(load(TensorView::whole("v", &[3]).rows(1..3)).unwrap(), [8.0, 9.0]);
    assert_eq!(load(TensorView::whole("v", &[3]).plus(1.0)).unwrap(), [8.0, 9.0, 10.0]);
    for wrong in [
        TensorView::whole("m", &[2, 3]),
        turned.rows(1..3),
        TensorView::whole("m", &[3, 2]).rows(2..2),
        TensorView::whole("v", &[3]).rows(2..4),
    ] {
        assert!(matches!(load(wrong.clone()), Err(Error::ShapeMismatch { .. })), "{wrong:?}");
    }
    let file = open(Gguf::sound().bytes()).unwrap();
    let plus = TensorView::whole("b", &[32]).plus(1.0);
    let refused = platform::block_on(rt.load_view(&file, plus, crate::WeightFormat::F32)).err().unwrap();
    assert!(refused.to_string().contains("Q8_0 for `b`"), "{refused}");
}

/// Opens a file, and reads all that it claims to have; what is wrong is an error.
fn read_all(bytes: Vec<u8>) {
    // A few bytes of a header can claim no more than the file has.
    let Ok(weights) = open(bytes) else { return };
    for name in weights.names() {
        let _ = weights.read_f32(name);
    }
    let _ = crate::Tokenizer::from_gguf(&weights);
}

#[test]
fn no_mutation_of_a_sound_file_panics() {
    let gguf = include_bytes!("../../../fixtures/golden/gguf_blocks.gguf")[..4096].to_vec();
    let with_tokens = include_bytes!("../../../fixtures/tiny/qwen3/gguf/model.gguf");
    let tiny = include_bytes!("../../../fixtures/tiny/gpt2/model.safetensors");
    let mut seed = 7u32;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    for (file, n) in
        [(Gguf::sound().bytes(), 4000), (gguf, 500), (with_tokens.to_vec(), 300), (tiny.to_vec(), 1000)]
    {
        // Most of what can go wrong stands in the header.
        let n_header = file.len().min(3000);
        for _ in 0..n {
            let mut mutated = file.clone();
            for _ in 0..=random(4) {
                let at = random(n_header.min(mutated.len()));
                match random(4) {
                    0 => mutated[at] = random(256) as u8,
                    1 => mutated[at] ^= 1 << random(8),
                    2 => drop(mutated.remove(at)),
                    _ => mutated.insert(at, [0, 255, b'"', b'['][random(4)]),
                }
            }
            if random(8) == 0 {
                mutated.truncate(random(file.len()));
            }
            read_all(mutated);
        }
    }
}
