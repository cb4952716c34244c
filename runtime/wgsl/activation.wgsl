// What `linear` applies to its output. The numbers equal `Activation` in Rust.
const ACTIVATION_GELU: u32 = 1u;
const ACTIVATION_SILU: u32 = 2u;
const ACTIVATION_TANH: u32 = 3u;
const ACTIVATION_GELU_TANH: u32 = 4u;

// Error function after Abramowitz and Stegun 7.1.26, |error| < 1.5e-7.
fn erf(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return sign(x) * (1.0 - poly * exp(-a * a));
}

// Kept below e^88: what becomes of an infinity is up to the implementation.
fn silu(x: f32) -> f32 {
  return x / (1.0 + exp(min(-x, 88.0)));
}

// Kept below e^88, too.
fn hyperbolic_tangent(x: f32) -> f32 {
  return 1.0 - 2.0 / (exp(min(2.0 * x, 88.0)) + 1.0);
}

// x times the logistic function of 2 sqrt(2/pi) (x + .044715 x^3); kept below e^88, too.
fn gelu_tanh(x: f32) -> f32 {
  return x / (1.0 + exp(min(-x * (1.5957691 + 0.07135482 * x * x), 88.0)));
}

fn activate(x: f32, activation: u32) -> f32 {
  switch activation {
    case ACTIVATION_GELU: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
    case ACTIVATION_SILU: { return silu(x); }
    case ACTIVATION_GELU_TANH: { return gelu_tanh(x); }
    case ACTIVATION_TANH: { return hyperbolic_tangent(x); }
    default: { return x; }
  }
}
