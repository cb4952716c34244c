//! What went wrong, in the shape that clients expect.

use serde_json::{Value, json};

/// An error of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP's status: 4xx where the request is at fault.
    pub status: u16,
    /// What to do, for people.
    pub message: String,
    /// The parameter at fault.
    pub param: Option<String>,
    /// A word for programs.
    pub code: Option<&'static str>,
}

impl Failure {
    /// A parameter that makes no sense, or asks for what is not done here.
    pub fn of(param: &str, message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), param: Some(param.into()), code: None }
    }

    /// A request that cannot be read.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), param: None, code: None }
    }

    /// A model that is not here.
    pub fn no_model(name: &str, reason: &str) -> Self {
        let message = format!("The model `{name}` cannot be used: {reason}");
        Self { status: 404, message, param: Some("model".into()), code: Some("model_not_found") }
    }

    /// A path that is not served.
    pub fn no_path(path: &str) -> Self {
        let message = format!(
            "There is no `{path}` here; there are /v1/models, /v1/chat/completions and /v1/embeddings"
        );
        Self { status: 404, message, param: None, code: Some("unknown_url") }
    }

    /// Something that is no fault of the request.
    pub fn of_server(message: impl Into<String>) -> Self {
        Self { status: 500, message: message.into(), param: None, code: None }
    }

    /// The body of the answer.
    pub fn to_json(&self) -> Value {
        let kind = if self.status < 500 { "invalid_request_error" } else { "server_error" };
        let Self { message, param, code, .. } = self;
        json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<generator::Error> for Failure {
    fn from(error: generator::Error) -> Self {
        let message = error.to_string();
        match error {
            generator::Error::PromptTooLong { .. } => Self {
                status: 400,
                message,
                param: Some("messages".into()),
                code: Some("context_length_exceeded"),
            },
            generator::Error::PromptEmpty
            | generator::Error::NoChatTemplate
            | generator::Error::ChatTemplate { .. } => Self::of("messages", message),
            generator::Error::Constraint { .. } | generator::Error::ConstraintStuck => {
                Self::of("response_format", message)
            }
            _ => Self::of_server(message),
        }
    }
}

impl From<embedder::Error> for Failure {
    fn from(error: embedder::Error) -> Self {
        Self::of_server(error.to_string())
    }
}
