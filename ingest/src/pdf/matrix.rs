//! Affine maps of the plane, as the format writes them.

use super::fonts::numbers;
use pdf_extract::{Dictionary, Document};

/// `[a b c d e f]`: (x, y) goes to (a x + c y + e, b x + d y + f).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix(pub(super) [f64; 6]);

impl Matrix {
    pub(super) const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    pub(super) fn moved(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    /// The matrix under `key`, or the identity.
    pub(super) fn of(doc: &Document, dict: &Dictionary, key: &[u8]) -> Self {
        let given = numbers(doc, dict, key, 6).and_then(|m| <[f64; 6]>::try_from(m).ok());
        given.map_or(Self::IDENTITY, Self)
    }

    /// This map, then `next`.
    pub(super) fn then(&self, next: &Self) -> Self {
        let ([a, b, c, d, e, f], [na, nb, nc, nd, ne, nf]) = (self.0, next.0);
        Self([
            a * na + b * nc,
            a * nb + b * nd,
            c * na + d * nc,
            c * nb + d * nd,
            e * na + f * nc + ne,
            e * nb + f * nd + nf,
        ])
    }

    pub(super) fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, e, f] = self.0;
        (a * x + c * y + e, b * x + d * y + f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_follow_each_other() {
        let turned = Matrix([0.0, 1.0, -1.0, 0.0, 0.0, 0.0]);
        let map = Matrix::moved(2.0, 0.0).then(&turned);
        assert_eq!(map.apply(1.0, 5.0), turned.apply(3.0, 5.0));
        assert_eq!(map.then(&Matrix::IDENTITY), map);
    }
}
