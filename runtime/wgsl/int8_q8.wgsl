// Scale and minimum of a group.
fn scale_min(group: u32) -> vec2<f32> {
  return vec2<f32>(group_scale(group), 0.0);
}

// Weights 16 * half .. 16 * half + 15 of a group as bytes.
fn bytes16(group: u32, half: u32) -> vec4<u32> {
  let at = 8u * group + 4u * half;
  return vec4<u32>(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]);
}
