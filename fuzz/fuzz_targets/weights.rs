#![no_main]

use runtime::{Tokenizer, Weights};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(weights) = Weights::open(Box::new(bytes.to_vec())) else { return };
    for name in weights.names() {
        let _ = weights.read_f32(name);
    }
    let _ = Tokenizer::from_gguf(&weights);
});
