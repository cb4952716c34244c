//! Conversations: questions and answers that are kept, in their order.

use cozo::DataValue;
use serde::{Deserialize, Serialize};

use crate::collections::{MAX_NAME_CHARS, checked_name};
use crate::engine::Params;
use crate::failure::Failure;
use crate::schema::{self, Transaction};
use crate::values::{Columns, int};
use crate::{Db, Error, Result};

/// Text and details of one message together. An answer with its quotes has some 10 kB.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Messages of one conversation: at 10 kB each 100 MB.
pub const MAX_CONVERSATION_MESSAGES: u32 = 10_000;

/// Names a conversation for as long as it is stored; never given out twice in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(pub u64);

/// A line of the list of conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The conversation.
    pub id: ConversationId,
    /// What it is called.
    pub title: String,
    /// When it was begun, in milliseconds since 1970 (UTC).
    pub created_unix_ms: i64,
    /// When it was last added to.
    pub changed_unix_ms: i64,
    /// Messages in it.
    pub n_messages: u32,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The user.
    Question,
    /// The assistant.
    Answer,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Answer => "answer",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Question, Self::Answer].into_iter().find(|role| role.as_str() == text)
    }
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub text: String,
    /// What belongs to it, such as the quotes and citations of an answer; any JSON.
    pub details: serde_json::Value,
    /// When, in milliseconds since 1970 (UTC).
    pub created_unix_ms: i64,
}

impl Db {
    /// All conversations, the last changed first.
    pub fn conversations(&self) -> Result<Vec<Conversation>> {
        let rows = self.engine.read(schema::CONVERSATIONS, Params::new())?;
        let listed = rows.iter().map(|row| Ok(conversation(row)?)).collect::<Result<Vec<_>>>();
        let mut listed = listed?;
        listed.sort_by_key(|listed| std::cmp::Reverse((listed.changed_unix_ms, listed.id)));
        Ok(listed)
    }

    /// The messages of a conversation, first to last.
    ///
    /// # Errors
    /// `UnknownConversation`, `Corrupt`, `Io`.
    pub fn messages(&self, id: ConversationId) -> Result<Vec<Message>> {
        self.conversation(id)?;
        let params = Params::from([("conversation".to_owned(), int(id.0))]);
        let rows = self.engine.read(schema::MESSAGES, params)?;
        rows.iter().map(|row| Ok(message(row)?)).collect()
    }

    /// Begins a conversation.
    ///
    /// # Errors
    /// `BadName` for a title that is empty or too long; `ReadOnly`, `Full`, `Io`.
    pub fn create_conversation(&mut self, title: &str, now_unix_ms: i64) -> Result<ConversationId> {
        self.refresh()?;
        let conversation = Conversation {
            id: ConversationId(self.catalog.next_conversation),
            title: checked_title(title)?,
            created_unix_ms: now_unix_ms,
            changed_unix_ms: now_unix_ms,
            n_messages: 0,
        };
        self.put_conversation(&conversation, &[])?;
        Ok(conversation.id)
    }

    /// Adds messages to the end of a conversation, all or none of them.
    ///
    /// # Errors
    /// `UnknownConversation`, `BadMessage` for one that is too large or too many; `ReadOnly`, `Full`,
    /// `Io`.
    pub fn append_messages(&mut self, id: ConversationId, messages: &[Message]) -> Result<()> {
        self.refresh()?;
        let mut conversation = self.conversation(id)?;
        if let Some(last) = messages.last() {
            conversation.changed_unix_ms = last.created_unix_ms;
        }
        self.put_conversation(&conversation, messages)
    }

    /// Gives a conversation another title.
    ///
    /// # Errors
    /// `UnknownConversation`, `BadName`; `ReadOnly`, `Full`, `Io`.
    pub fn rename_conversation(&mut self, id: ConversationId, title: &str) -> Result<()> {
        self.refresh()?;
        let title = checked_title(title)?;
        let conversation = Conversation { title, ..self.conversation(id)? };
        self.put_conversation(&conversation, &[])
    }

    /// Deletes a conversation with its messages; `false` when there is none of that id.
    ///
    /// # Errors
    /// `ReadOnly`, `Full`, `Io`.
    pub fn delete_conversation(&mut self, id: ConversationId) -> Result<bool> {
        self.refresh()?;
        let conversation = match self.conversation(id) {
            Ok(conversation) => conversation,
            Err(Error::UnknownConversation { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut transaction = Transaction::default();
        transaction.rm("conversation", "id", [vec![int(id.0)]]);
        let messages = (0..conversation.n_messages).map(|idx| vec![int(id.0), int(idx.into())]);
        transaction.rm("message", "conversation, idx", messages);
        self.commit(transaction)?;
        self.catalog.n_conversations -= 1;
        Ok(true)
    }

    fn conversation(&self, id: ConversationId) -> Result<Conversation> {
        let params = Params::from([("id".to_owned(), int(id.0))]);
        let rows = self.engine.read(schema::CONVERSATION, params)?;
        let row = rows.first().ok_or(Error::UnknownConversation { id })?;
        Ok(conversation(row)?)
    }

    /// Writes a conversation's line, with messages behind those that it has.
    pub(crate) fn put_conversation(
        &mut self,
        conversation: &Conversation,
        messages: &[Message],
    ) -> Result<()> {
        let first_idx = conversation.n_messages;
        let n_messages = u32::try_from(messages.len()).ok().and_then(|n_new| first_idx.checked_add(n_new));
        let n_messages = n_messages.filter(|&n| n <= MAX_CONVERSATION_MESSAGES).ok_or_else(|| {
            let reason = format!("a conversation has at most {MAX_CONVERSATION_MESSAGES}; begin another one");
            Error::BadMessage { reason }
        })?;
        let id = conversation.id;
        let mut transaction = Transaction::default();
        let row = vec![
            int(id.0),
            DataValue::from(conversation.title.as_str()),
            DataValue::from(conversation.created_unix_ms),
            DataValue::from(conversation.changed_unix_ms),
            int(n_messages.into()),
        ];
        transaction.put("conversation", "id => title, created_unix_ms, changed_unix_ms, n_messages", [row]);
        let rows = (first_idx..).zip(messages).map(|(idx, message)| message_row(id, idx, message));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        transaction.put("message", "conversation, idx => role, text, details, created_unix_ms", rows);
        let is_new = id.0 >= self.catalog.next_conversation;
        if is_new {
            transaction.set_counter("next_conversation", id.0 + 1);
        }
        self.commit(transaction)?;
        if is_new {
            self.catalog.next_conversation = id.0 + 1;
            self.catalog.n_conversations += 1;
        }
        Ok(())
    }
}

fn checked_title(title: &str) -> Result<String> {
    checked_name(title, "a conversation's title", MAX_NAME_CHARS)
}

fn message_row(id: ConversationId, idx: u32, message: &Message) -> Result<Vec<DataValue>> {
    let details = message.details.to_string();
    if message.text.len() + details.len() > MAX_MESSAGE_BYTES {
        let reason = format!("it is larger than {} MiB", MAX_MESSAGE_BYTES >> 20);
        return Err(Error::BadMessage { reason });
    }
    Ok(vec![
        int(id.0),
        int(idx.into()),
        DataValue::from(message.role.as_str()),
        DataValue::from(message.text.as_str()),
        DataValue::from(details),
        DataValue::from(message.created_unix_ms),
    ])
}

fn conversation(row: &[DataValue]) -> std::result::Result<Conversation, Failure> {
    let mut columns = Columns::of(row);
    Ok(Conversation {
        id: ConversationId(columns.number()?),
        title: columns.text()?.to_owned(),
        created_unix_ms: columns.number()?,
        changed_unix_ms: columns.number()?,
        n_messages: columns.number()?,
    })
}

fn message(row: &[DataValue]) -> std::result::Result<Message, Failure> {
    let mut columns = Columns::of(row);
    columns.number::<u32>()?;
    let role = Role::parse(columns.text()?);
    Ok(Message {
        role: role.ok_or_else(|| Failure::corrupt("a message is of nobody"))?,
        text: columns.text()?.to_owned(),
        details: columns.json()?,
        created_unix_ms: columns.number()?,
    })
}
