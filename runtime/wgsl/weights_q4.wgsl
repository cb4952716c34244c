// Weights in 4 bits, row-major [n_out, n_in], groups of 32 with an f16 scale and an f16 minimum each
// (one word): w = scale * q + minimum. Byte b of a group's 16 holds weight b in its low nibble and
// weight b + 16 in its high one, as GGUF stores them.
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;

// The four weights at flat position 4 * i: words 0..3 of a group give weights 0..15 and 16..31.
fn weight4(i: u32) -> vec4<f32> {
  let group = i >> 3u;
  let scale_min = unpack2x16float(scales[group]);
  let word = weights[group * 4u + (i & 3u)] >> (i & 4u);
  return scale_min.x * vec4<f32>(unpack4xU8(word & 0x0f0f0f0fu)) + scale_min.y;
}
