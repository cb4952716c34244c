//! Which kernel variants the GPU tier runs: those that it is asked for or that a trial found faster, and
//! of these the ones that pass the self-test.

use crate::gpu::{Gpu, VariantSet};
use crate::runtime::AnyExecutor;
use crate::self_test::test_variant;
use crate::trial::Trial;
use crate::{
    Error, KernelChoice, KernelPolicy, KernelReport, KernelTrial, KernelVariant, RejectedKernel, Result,
    Runtime,
};

/// A variant is used when it takes at most this share of the time without it: less may be noise, and
/// the plain kernel is the safer one.
const MAX_TIME_SHARE: f64 = 0.92;

/// Tests, measures where `policy` says so, and sets the device's variants. `None` on the CPU tier.
///
/// # Errors
/// [`Error::DeviceLost`]. A variant that fails otherwise is rejected.
pub(crate) async fn choose_kernels(runtime: &Runtime, policy: &KernelPolicy) -> Result<Option<KernelReport>> {
    let executor = runtime.executor();
    let AnyExecutor::Gpu(gpu) = &*executor else { return Ok(None) };
    let start_ms = platform::now_ms();
    let device = gpu.kernels_key();
    let (wanted, is_measured) = wanted(policy, &device, gpu.is_software());
    let mut passed = VariantSet::default();
    let mut rejected = vec![];
    for variant in wanted {
        match test(runtime, gpu, variant).await? {
            Ok(()) => passed = passed.with(variant),
            Err(reason) => rejected.push(RejectedKernel { variant, reason }),
        }
    }
    let mut trials = vec![];
    if is_measured {
        passed = faster(runtime, gpu, passed, &mut trials).await?;
    }
    gpu.use_variants(passed);
    let choice = KernelChoice { device, variants: passed.to_vec() };
    let took_ms = platform::now_ms() - start_ms;
    Ok(Some(KernelReport { choice, rejected, trials, took_ms }))
}

/// The variants that come into question, and whether they have to be measured.
fn wanted(policy: &KernelPolicy, device: &str, is_software: bool) -> (Vec<KernelVariant>, bool) {
    match policy {
        KernelPolicy::Forced(variants) => (variants.clone(), false),
        KernelPolicy::Remembered(choice) if choice.device == device => (choice.variants.clone(), false),
        _ if is_software => (vec![], false),
        KernelPolicy::Remembered(_) | KernelPolicy::Measure => (KernelVariant::ALL.to_vec(), true),
    }
}

/// Whether the device offers `variant` and computes rightly with it, or what is wrong.
async fn test(
    runtime: &Runtime,
    gpu: &Gpu,
    variant: KernelVariant,
) -> Result<std::result::Result<(), String>> {
    if let Err(reason) = gpu.offers(variant) {
        return Ok(Err(reason));
    }
    // Tiles in f16 come in both sizes, whichever is chosen later.
    let sets: &[&[KernelVariant]] = match variant {
        KernelVariant::HalfTiles => &[&[variant], &[variant, KernelVariant::WideTiles]],
        _ => &[&[variant]],
    };
    for set in sets {
        gpu.use_variants(set.iter().copied().collect());
        let tested = test_variant(runtime, variant).await;
        gpu.use_variants(VariantSet::default());
        match tested {
            Ok(test) if test.passed => {}
            Ok(test) => return Ok(Err(format!("{} is wrong (error {:e})", test.worst, test.max_error))),
            Err(error @ Error::DeviceLost { .. }) => return Err(error),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Ok(()))
}

/// Those of `candidates` that are faster, each beside those before it.
async fn faster(
    runtime: &Runtime,
    gpu: &Gpu,
    candidates: VariantSet,
    trials: &mut Vec<KernelTrial>,
) -> Result<VariantSet> {
    let mut chosen = VariantSet::default();
    for variant in candidates.to_vec() {
        let trial = Trial::prepare(runtime, variant).await?;
        let [plain_ms, variant_ms] = trial.compare(gpu, [chosen, chosen.with(variant)]).await?;
        trials.push(KernelTrial { variant, plain_ms, variant_ms });
        if variant_ms < MAX_TIME_SHARE * plain_ms {
            chosen = chosen.with(variant);
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_taken_over_on_the_same_device_only() {
        let variants = vec![KernelVariant::WideTiles];
        let choice = KernelChoice { device: "a".into(), variants: variants.clone() };
        let remembered = KernelPolicy::Remembered(choice);
        let all = KernelVariant::ALL.to_vec();
        assert_eq!(wanted(&remembered, "a", false), (variants.clone(), false));
        assert_eq!(wanted(&remembered, "b", false), (all.clone(), true), "another device is measured");
        assert_eq!(wanted(&remembered, "b", true), (vec![], false), "but no software adapter");
        assert_eq!(wanted(&KernelPolicy::Measure, "a", false), (all, true));
        assert_eq!(wanted(&KernelPolicy::Forced(variants.clone()), "a", true), (variants, false));
    }
}
