//! Which kernel variants a device offers, and a set of them.

use super::device::Device;
use crate::KernelVariant;

/// A set of variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct VariantSet(u32);

impl VariantSet {
    /// Whether `variant` is in the set.
    pub(crate) fn has(self, variant: KernelVariant) -> bool {
        self.0 & (1 << variant as u32) != 0
    }

    /// The set with `variant`.
    #[must_use]
    pub(crate) fn with(self, variant: KernelVariant) -> Self {
        Self(self.0 | 1 << variant as u32)
    }

    /// The members, in the order of [`KernelVariant::ALL`].
    pub(crate) fn to_vec(self) -> Vec<KernelVariant> {
        KernelVariant::ALL.into_iter().filter(|variant| self.has(*variant)).collect()
    }
}

impl FromIterator<KernelVariant> for VariantSet {
    fn from_iter<I: IntoIterator<Item = KernelVariant>>(variants: I) -> Self {
        variants.into_iter().fold(Self::default(), Self::with)
    }
}

/// Whether `device` can be asked for `variant`, or why not.
pub(super) fn offers(device: &Device, variant: KernelVariant) -> Result<(), String> {
    let features = device.device.features();
    let missing = match variant {
        KernelVariant::HalfTiles if !features.contains(wgpu::Features::SHADER_F16) => "f16 arithmetic",
        KernelVariant::Subgroups if !features.contains(wgpu::Features::SUBGROUP) => "subgroups",
        _ => return Ok(()),
    };
    Err(format!("the adapter does not offer {missing}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_its_members() {
        let some = [KernelVariant::WideTiles, KernelVariant::Subgroups];
        let set: VariantSet = some.into_iter().collect();
        assert_eq!(set.to_vec(), some);
        assert!(!set.has(KernelVariant::HalfTiles) && set.with(KernelVariant::HalfTiles) != set);
        assert_eq!(VariantSet::default().to_vec(), []);
    }
}
