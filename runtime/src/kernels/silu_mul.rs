//! The gate of a SwiGLU feed-forward layer (Shazeer, 2020).

use super::activate;
use crate::Activation;

/// `out = gate / (1 + exp(-gate)) * up`, element-wise; all of one length.
pub(crate) fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert!(gate.len() == up.len() && gate.len() == out.len());
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = activate(f64::from(*gate), Activation::Silu) * up;
    }
}
