//! Errors of ours: OpenAI's object, and the event that ends a stream.

use std::borrow::Cow;

use serde::Serialize;

use crate::gateway::{
    dialect::{
        openai_chat::{self, error_body},
        responses::{ResponseError, write_named},
    },
    translate::ErrorView,
};

fn object<'a>(error: &ErrorView<'a>) -> openai_chat::ErrorView<'a> {
    let ErrorView { message, kind, param, code, .. } = *error;
    openai_chat::ErrorView { message, kind, param, code }
}

pub(super) fn body(error: &ErrorView<'_>) -> Vec<u8> {
    error_body(object(error)).into()
}

/// The event `error`. Its fields stand at the top, as the reference has it, and in an `error` object,
/// as the API sends it: the SDKs raise an exception only for that.
///
/// Sources: <https://developers.openai.com/api/reference/resources/responses/streaming-events> and
/// `Stream.__stream__` of openai-python (2026-11).
#[derive(Serialize)]
struct ErrorEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    code: Option<&'a str>,
    message: &'a str,
    param: Option<&'a str>,
    error: openai_chat::ErrorView<'a>,
}

pub(super) fn event(error: &ErrorView<'_>, sequence_number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_event(error, sequence_number, &mut out);
    out
}

pub(super) fn write_event(error: &ErrorView<'_>, sequence_number: u64, out: &mut Vec<u8>) {
    let ErrorView { message, param, code, .. } = *error;
    let object = object(error);
    let event = ErrorEvent { kind: "error", sequence_number, code, message, param, error: object };
    write_named(event.kind, &event, out);
}

/// The error of a response that has failed. Codex tells by its code whether to try again: the API's own
/// words for what is told otherwise elsewhere.
pub(super) fn of_response<'a>(error: &ErrorView<'a>) -> ResponseError<'a> {
    let code = match (error.code, error.status) {
        (Some("rate_limited"), _) | (None, 429) => "rate_limit_exceeded",
        (Some("overloaded"), _) => "server_is_overloaded",
        (Some("upstream_error"), _) => "server_error",
        (Some(code), _) => code,
        (None, 400..=499) => "invalid_prompt",
        (None, _) => "server_error",
    };
    ResponseError { code: Cow::Borrowed(code), message: error.message }
}
