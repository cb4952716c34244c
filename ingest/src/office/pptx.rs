//! PPTX: a page for each slide, its title as heading, then its text, tables, charts, diagrams and notes.

use super::package::Package;
use super::shapes::{Place, shapes_of};
use crate::WarningCode;
use crate::archive::Fault;
use crate::compose::Composer;
use crate::xml::{Node, Xml};

pub(super) fn read(package: &Package<'_>, composer: &mut Composer<'_>) -> Result<(), Fault> {
    let path = package.main_part("ppt/presentation.xml");
    let source = package.part(&path)?;
    let relations = package.relations(&path);
    let mut xml = Xml::new(&source);
    let mut n_hidden = 0;
    while let Some(node) = xml.next()
        && !composer.is_full()
    {
        let Node::Open(e) = node else { continue };
        if e.name() != "sldId" {
            continue;
        }
        let id = e.prefixed_attr("r:id").unwrap_or_default();
        let Some(relation) = relations.iter().find(|r| r.id == id) else { continue };
        composer.page();
        let Some(slide) = package.optional(&relation.target) else { continue };
        let slide_relations = package.relations(&relation.target);
        let shapes = shapes_of(package, &slide, &slide_relations, Place::Body);
        if shapes.is_hidden {
            n_hidden += 1;
            continue;
        }
        shapes.write(composer);
        if let Some(notes) = package.related(&slide_relations, "notesSlide") {
            // Notes are sentences, not points.
            shapes_of(package, &notes, &[], Place::Free).write_body(composer);
        }
    }
    package.note(&xml);
    if n_hidden > 0 {
        composer.warn(WarningCode::Hidden, format!("hidden slides were left out ({n_hidden})"));
    }
    Ok(())
}
