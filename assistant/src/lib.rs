//! assistant.
