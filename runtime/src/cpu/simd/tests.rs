//! Every instruction set of this machine against its safe twin, operation by operation.

use super::*;

/// All operations on one pair of inputs, as bits.
struct AllOps<'a> {
    a: &'a [f32; LANES],
    b: &'a [f32; LANES],
    bytes: &'a [u8; 4 * LANES],
}

/// Operations of optional kinds are empty where the set does not have them.
type Outputs = Vec<(&'static str, Vec<u32>)>;

impl Kernel for AllOps<'_> {
    type Output = Outputs;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Outputs {
        let (a, b) = (s.load(self.a), s.load(self.b));
        let bits = |x: S::F| {
            let mut out = [0.0; LANES];
            s.store(x, &mut out);
            out.map(f32::to_bits).to_vec()
        };
        let whole = s.min(s.max(s.round(a), s.splat(-126.0)), s.splat(127.0));
        let mut outputs = vec![
            ("splat", bits(s.splat(self.a[0]))),
            ("add", bits(s.add(a, b))),
            ("sub", bits(s.sub(a, b))),
            ("mul", bits(s.mul(a, b))),
            ("div", bits(s.div(a, b))),
            ("min", bits(s.min(a, b))),
            ("max", bits(s.max(a, b))),
            ("abs", bits(s.abs(a))),
            ("round", bits(s.round(a))),
            // Whole numbers, so that fused and unfused agree.
            ("mul_add", bits(s.mul_add(s.round(a), s.round(b), s.round(a)))),
            ("exp2_int", bits(s.exp2_int(whole))),
            ("sum", vec![s.sum(a).to_bits()]),
            ("max_lane", vec![s.max_lane(a).to_bits()]),
            (
                "to_i16",
                s.to_i16(s.min(s.max(a, s.splat(-32768.0)), s.splat(32767.0))).map(|x| x as u32).to_vec(),
            ),
        ];
        products(s, self.bytes, &mut outputs);
        outputs
    }
}

/// Products of whole numbers.
#[inline(always)]
fn products<S: Simd>(s: S, bytes: &[u8; 4 * LANES], outputs: &mut Outputs) {
    let bits = |x: S::I| {
        let mut out = [0.0; LANES];
        s.store(s.to_f32(x), &mut out);
        out.map(f32::to_bits).to_vec()
    };
    let dot = |w: [S::H; 2]| {
        let first = s.dot_pairs(s.zero_i(), w[0], s.splat_pair(0x0007_fffd));
        bits(s.dot_pairs(first, w[1], s.splat_pair(0x7f00_8001u32 as i32)))
    };
    let w = s.load_bytes(bytes);
    let shorts = std::array::from_fn(|i| i16::from_le_bytes([bytes[i], bytes[(i + 7) % bytes.len()]]));
    let pairs = s.load_pairs(&shorts);
    outputs.push(("dot_pairs", dot([pairs, pairs])));
    outputs.push(("low_nibble_pairs", dot(s.low_nibble_pairs(w))));
    outputs.push(("high_nibble_pairs", dot(s.high_nibble_pairs(w))));
    outputs.push(("byte_pairs", dot(s.byte_pairs(w))));
    let quads = [0x7f81_0105u32 as i32, -1, 0x7f7f_7f7f, 0x8181_8181u32 as i32, 0, 0x1122_b344u32 as i32];
    let nibbles = S::HAS_NIBBLE_DOT.then(|| {
        let (low, high) = (s.low_nibbles(w), s.high_nibbles(w));
        let mut acc = s.zero_a();
        for x in quads {
            acc = s.dot_nibbles(acc, low, x);
        }
        bits(s.nibble_sums(s.dot_nibbles(s.dot_nibbles(acc, high, quads[0]), high, quads[2])))
    });
    outputs.push(("dot_nibbles", nibbles.unwrap_or_default()));
    let whole = S::HAS_BYTE_DOT.then(|| {
        let sum = quads.iter().flat_map(|x| x.to_le_bytes()).map(|x| i32::from(x as i8)).sum();
        bits(quads.into_iter().fold(s.start_bytes(sum), |acc, x| s.dot_bytes(acc, w, x)))
    });
    outputs.push(("dot_bytes", whole.unwrap_or_default()));
}

#[test]
fn the_machines_instruction_sets_equal_the_portable_one_bit_by_bit() {
    let a = [0.5, 1.5, -2.5, 1e20, -0.0, 126.7, -126.4, 3.3, 9.5, 2.0, -7.7, 1e-20, 4e9, -31.0, 0.125, 77.0];
    let b = [2.0, -1.5, 0.25, 1e-20, 0.0, -7.0, 1e10, -3.3, 0.5, 2.5, 3.0, -8.0, 1e-9, 31.0, -0.5, 0.2];
    let pseudo: [u8; 64] = std::array::from_fn(|i| (i * 37 + 11) as u8);
    for bytes in [pseudo, [0xff; 64], [0x80; 64], [0x7f; 64]] {
        for (a, b) in [(a, b), (b, a)] {
            let outputs = with_every_set(|| AllOps { a: &a, b: &b, bytes: &bytes });
            let (_, expected) = &outputs[0];
            for (set, got) in &outputs {
                for ((op, got), (_, expected)) in got.iter().zip(expected) {
                    let is_absent = got.is_empty();
                    assert!(is_absent || got == expected, "{op} of {set} for {a:?}, {b:?}, {bytes:?}");
                }
            }
        }
    }
}
