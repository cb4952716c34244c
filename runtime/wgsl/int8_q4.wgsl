// Scale and minimum of a group.
fn scale_min(group: u32) -> vec2<f32> {
  return unpack2x16float(scales[group]);
}

// Weights 16 * half .. 16 * half + 15 of a group as bytes: the low or the high nibbles.
fn bytes16(group: u32, half: u32) -> vec4<u32> {
  let at = 4u * group;
  let words = vec4<u32>(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]);
  return (words >> vec4<u32>(4u * half)) & vec4<u32>(0x0f0f0f0fu);
}
