//! Every instruction set of this machine against its safe twin, operation by operation.

use super::*;

/// All operations on one pair of inputs, as bits.
struct AllOps<'a> {
    a: &'a [f32; 8],
    b: &'a [f32; 8],
    words: &'a [u8; 32],
    bytes: &'a [i8; 16],
}

impl Kernel for AllOps<'_> {
    type Output = Vec<(&'static str, Vec<u32>)>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let (a, b) = (s.load(self.a), s.load(self.b));
        let bits = |x: S::F| {
            let mut out = [0.0; 8];
            s.store(x, &mut out);
            out.map(f32::to_bits).to_vec()
        };
        let dot = |w: S::H, pair: i32| bits(s.to_f32(s.dot_pairs(s.zero_i(), w, s.splat_pair(pair))));
        let words = s.load_words(self.words);
        let twice = s.dot_pairs(s.dot_pairs(s.zero_i(), words, words), words, s.splat_pair(-1));
        vec![
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
            ("exp2_int", bits(s.exp2_int(s.min(s.max(s.round(a), s.splat(-126.0)), s.splat(127.0))))),
            ("sum", vec![s.sum(a).to_bits()]),
            ("max_lane", vec![s.max_lane(a).to_bits()]),
            ("load_i8", dot(s.load_i8(self.bytes), 0x0007_fffd)),
            ("nibble 0", dot(s.nibble::<0>(words), 0x0101_0001)),
            ("nibble 1", dot(s.nibble::<1>(words), 0x0101_0001)),
            ("nibble 2", dot(s.nibble::<2>(words), 0x0101_0001)),
            ("nibble 3", dot(s.nibble::<3>(words), 0x0101_0001)),
            ("dot_pairs", bits(s.to_f32(twice))),
        ]
    }
}

#[test]
fn the_machines_instruction_set_equals_the_portable_one_bit_by_bit() {
    let a = [0.5, 1.5, -2.5, 1e20, -0.0, 126.7, -126.4, 3.3];
    let b = [2.0, -1.5, 0.25, 1e-20, 0.0, -7.0, 1e10, -3.3];
    let words = std::array::from_fn(|i| (i * 37 + 11) as u8);
    let bytes = std::array::from_fn(|i| (i as i8 - 8) * 16);
    for (a, b) in [(a, b), (b, a)] {
        let ops = || AllOps { a: &a, b: &b, words: &words, bytes: &bytes };
        for ((op, got), (_, expected)) in dispatch(ops()).into_iter().zip(ops().run(Portable)) {
            assert_eq!(got, expected, "{op} of {} for {a:?} and {b:?}", name());
        }
    }
}
