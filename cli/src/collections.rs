//! `footnote collections`: documents under common names.

use std::process::ExitCode;

use assistant::{Access, Contents, Library};

use crate::error::{Error, Result};
use crate::library_args::{CollectionsArgs, CollectionsCommand, KbArgs};
use crate::{docs, output, setup};

pub async fn run(args: &CollectionsArgs) -> Result<ExitCode> {
    match &args.command {
        CollectionsCommand::List { kb } => {
            let library = setup::library(&kb.kb, Access::ReadOnly).await?;
            tell(kb, &library)?;
        }
        CollectionsCommand::Create { kb, name } => {
            change(kb, |library| Ok(library.create_collection(name).map(drop)?)).await?;
        }
        CollectionsCommand::Rename { kb, name, to } => {
            change(kb, |library| {
                let id = id(library, name)?;
                Ok(library.rename_collection(id, to)?)
            })
            .await?;
        }
        CollectionsCommand::Delete { kb, name, with_documents } => {
            let contents = if *with_documents { Contents::Delete } else { Contents::Keep };
            change(kb, |library| {
                let id = id(library, name)?;
                Ok(library.delete_collection(id, contents).map(drop)?)
            })
            .await?;
        }
        CollectionsCommand::Move { kb, to, names } => {
            change(kb, |library| {
                let to = to.as_ref().map(|name| id(library, name)).transpose()?;
                Ok(library.move_documents(&docs::ids(library, names)?, to)?)
            })
            .await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Changes the collections, and lists what there is then.
async fn change(kb: &KbArgs, change: impl FnOnce(&mut Library) -> Result<()>) -> Result<()> {
    let mut library = setup::library(&kb.kb, Access::ReadWrite).await?;
    change(&mut library)?;
    tell(kb, &library)
}

fn tell(kb: &KbArgs, library: &Library) -> Result<()> {
    let collections = library.collections();
    if kb.json {
        return output::json(&collections);
    }
    for collection in &collections {
        output::line(&format!("{:6}  {}", collection.n_documents, collection.name));
    }
    Ok(())
}

fn id(library: &Library, name: &str) -> Result<u64> {
    let found = library.collections().into_iter().find(|collection| collection.name == name.trim());
    found.map(|collection| collection.id.0).ok_or_else(|| Error::NoCollection { name: name.to_owned() })
}
