//! `footnote conversations`: questions and answers that were kept.

use std::process::ExitCode;

use assistant::{Access, Library, Role};

use crate::error::Result;
use crate::library_args::{ConversationsArgs, ConversationsCommand, KbArgs};
use crate::{output, setup, when};

pub async fn run(args: &ConversationsArgs) -> Result<ExitCode> {
    match &args.command {
        ConversationsCommand::List { kb } => {
            let library = setup::library(&kb.kb, Access::ReadOnly).await?;
            list(kb, &library)?;
        }
        ConversationsCommand::Show { kb, id } => show(kb, *id).await?,
        ConversationsCommand::Rename { kb, id, title } => {
            let mut library = setup::library(&kb.kb, Access::ReadWrite).await?;
            library.rename_conversation(*id, title)?;
            list(kb, &library)?;
        }
        ConversationsCommand::Delete { kb, id } => {
            let mut library = setup::library(&kb.kb, Access::ReadWrite).await?;
            if !library.delete_conversation(*id)? {
                // Tells in the store's words that there is none.
                library.messages(*id)?;
            }
            list(kb, &library)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(kb: &KbArgs, library: &Library) -> Result<()> {
    let conversations = library.conversations()?;
    if kb.json {
        return output::json(&conversations);
    }
    for listed in &conversations {
        let changed = when::told(listed.changed_unix_ms);
        output::line(&format!(
            "{:4}  {changed}  {:4} messages  {}",
            listed.id.0, listed.n_messages, listed.title
        ));
    }
    Ok(())
}

async fn show(kb: &KbArgs, id: u64) -> Result<()> {
    let messages = setup::library(&kb.kb, Access::ReadOnly).await?.messages(id)?;
    if kb.json {
        return output::json(&messages);
    }
    for message in &messages {
        let mark = if message.role == Role::Question { "> " } else { "" };
        output::line(&format!("{mark}{}\n", message.text));
    }
    Ok(())
}
