// cap * tanh(x / cap), element by element. The exponential is kept below e^88: what becomes of an infinity is up
// to the implementation.
fn soft_cap(x: vec4<f32>, cap: f32) -> vec4<f32> {
  return cap * (1.0 - 2.0 / (exp(min(2.0 / cap * x, vec4<f32>(88.0))) + 1.0));
}
