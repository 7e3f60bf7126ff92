//! Errors: one text, whatever the kind.

use serde_json::to_vec;

use crate::gateway::{dialect::ollama::ErrorLine, translate::ErrorView};

pub(super) fn body(error: &ErrorView<'_>) -> Vec<u8> {
    to_vec(&ErrorLine { error: error.message }).expect("texts are always JSON")
}

/// The line that ends a stream.
pub(super) fn event(error: &ErrorView<'_>) -> Vec<u8> {
    let mut line = body(error);
    line.push(b'\n');
    line
}
