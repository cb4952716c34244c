// Tiles in f32.
alias elem = f32;
const NARROWING: f32 = 1.0;

fn narrow(x: vec4<f32>) -> vec4<elem> {
  return x;
}
