//! Office Open XML (ECMA-376): documents, presentations and workbooks, packages of XML parts.
//!
//! What an ordinary view hides is not read: deleted text of tracked changes, hidden runs, slides,
//! sheets, rows and columns. Notes and comments are read, after the paragraph they belong to.
//! Headers and footers are not, since they repeat.

mod docx;
mod figures;
mod formats;
mod package;
mod pptx;
mod shapes;
mod styles;
mod xlsx;

use crate::archive::Archive;
use crate::compose::Composer;
use crate::{Document, Hint, Kind, Limits, Refusal, Warning};
use package::Package;

/// Reads a package of the given kind.
pub(crate) fn read(
    archive: Archive<'_>,
    kind: Kind,
    hint: &Hint,
    limits: &Limits,
) -> Result<(Document, Vec<Warning>), Refusal> {
    let mut composer = Composer::new(hint, limits);
    let package = Package::new(archive);
    composer.about = package.about();
    let outcome = match kind {
        Kind::Pptx => pptx::read(&package, &mut composer),
        Kind::Xlsx => xlsx::read(&package, &mut composer),
        _ => docx::read(&package, &mut composer),
    };
    outcome.map_err(|fault| Refusal::Unreadable {
        name: hint.name.to_owned(),
        reason: fault.reason().to_owned(),
    })?;
    if package.is_damaged() {
        composer.warn_of_damage();
    }
    composer.finish(kind)
}
