// Tiles in f16: half the workgroup memory, and products two at a time. Products of four are summed in
// f16, everything beyond in f32. Activations are divided by 16 so that such a sum stays finite up to
// 10^6; what is lost below is 16 * 2^-25, half a millionth.
enable f16;
alias elem = f16;
const NARROWING: f32 = 16.0;
const HIGHEST: vec4<f32> = vec4<f32>(65504.0);

fn narrow(x: vec4<f32>) -> vec4<elem> {
  return vec4<elem>(clamp(x / NARROWING, -HIGHEST, HIGHEST));
}
