//! PDF.

use crate::{Document, Hint, Limits, Refusal, Warning};

pub(crate) fn read(
    _bytes: &[u8],
    hint: &Hint,
    _limits: &Limits,
) -> Result<(Document, Vec<Warning>), Refusal> {
    Err(Refusal::Unreadable {
        name: hint.name.to_owned(),
        reason: "PDF support is being built".to_owned(),
    })
}
