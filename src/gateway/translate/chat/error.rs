//! Errors of ours in OpenAI's object.

use crate::gateway::{
    dialect::openai_chat::{self, error_body, error_event},
    translate::ErrorView,
};

fn shown<'a>(error: &ErrorView<'a>) -> openai_chat::ErrorView<'a> {
    let ErrorView { message, kind, param, code, .. } = *error;
    openai_chat::ErrorView { message, kind, param, code }
}

pub(in crate::gateway::translate) fn body(error: &ErrorView<'_>) -> Vec<u8> {
    error_body(shown(error)).into()
}

/// The event that ends a stream with an error.
pub(in crate::gateway::translate) fn event(error: &ErrorView<'_>) -> Vec<u8> {
    error_event(shown(error)).into()
}
