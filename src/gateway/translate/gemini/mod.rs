//! Gemini `generateContent`, its streams in both forms, and the envelope Cloud Code has around it.
//!
//! Source: <https://ai.google.dev/api/generate-content> (read 2026-11).

mod answer_in;
mod answer_out;
mod base64;
mod calls;
mod citations_in;
mod citations_out;
mod cloudcode;
mod compact;
mod count;
mod error;
mod fields;
mod logprobs;
mod media;
mod pairing;
mod parts_out;
mod request_in;
mod request_out;
mod results;
mod schema;
mod signatures;
mod stops;
mod stream_in;
mod stream_out;
#[cfg(test)]
mod tests;
mod thinking;
mod tools_in;
mod tools_out;
mod turns_in;
mod turns_out;
mod usage;

use self::stream_out::Form;
pub use self::{
    cloudcode::Cloudcode,
    count::{count_answer, count_request, read_count_request},
};
use super::{
    ClientSide, ErrorView, InvalidRequest, PathParams, ReadStream, ResponseContext, Target,
    UpstreamSide, WriteStream, Written,
};
use crate::domain::{
    chat::{Answer, Losses, Request},
    failure::Failure,
};

/// What keeps a stream of either form open.
///
/// No comment: the SDK for Python reads each line without `data:` as JSON, and fails. It passes over
/// empty lines, as those for JavaScript and Go do; and between the elements of a list, and before it,
/// white space says nothing.
///
/// Source: `_iter_response_stream` in <https://github.com/googleapis/python-genai> `_api_client.py`,
/// `processStreamResponse` in <https://github.com/googleapis/js-genai> `_api_client.ts` (read 2026-11).
const KEEP_ALIVE: &[u8] = b"\n\n";

/// `generateContent`, and `streamGenerateContent` with `alt=sse`.
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

/// `generateContent`, and `streamGenerateContent` without `alt`: its stream is a JSON list.
#[derive(Debug, Clone, Copy)]
pub struct GeminiArray;

impl ClientSide for Gemini {
    fn read_request(&self, body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
        request_in::read(body, addressed)
    }

    fn write_answer(
        &self,
        answer: &Answer,
        shown: &ResponseContext<'_>,
        losses: &mut Losses,
    ) -> Vec<u8> {
        answer_out::write(answer, shown, losses)
    }

    fn stream_writer(&self, shown: &ResponseContext<'_>) -> Box<dyn WriteStream> {
        Box::new(stream_out::Writer::new(Form::Events, shown))
    }

    fn error_body(&self, error: &ErrorView<'_>) -> Vec<u8> {
        let mut body = Vec::new();
        error::write(error, &mut body);
        body
    }

    fn error_event(&self, error: &ErrorView<'_>) -> Vec<u8> {
        stream_out::error_alone(Form::Events, error)
    }

    fn keep_alive(&self) -> &'static [u8] {
        KEEP_ALIVE
    }
}

impl ClientSide for GeminiArray {
    fn read_request(&self, body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
        request_in::read(body, addressed)
    }

    fn write_answer(
        &self,
        answer: &Answer,
        shown: &ResponseContext<'_>,
        losses: &mut Losses,
    ) -> Vec<u8> {
        answer_out::write(answer, shown, losses)
    }

    fn stream_type(&self) -> &'static str {
        "application/json"
    }

    fn stream_writer(&self, shown: &ResponseContext<'_>) -> Box<dyn WriteStream> {
        Box::new(stream_out::Writer::new(Form::List, shown))
    }

    fn error_body(&self, error: &ErrorView<'_>) -> Vec<u8> {
        Gemini.error_body(error)
    }

    fn error_event(&self, error: &ErrorView<'_>) -> Vec<u8> {
        stream_out::error_alone(Form::List, error)
    }

    fn keep_alive(&self) -> &'static [u8] {
        KEEP_ALIVE
    }
}

impl UpstreamSide for Gemini {
    fn write_request(&self, request: &Request, target: &Target<'_>) -> Written {
        request_out::write(request, target)
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, Failure> {
        answer_in::read(body)
    }

    /// As `gemini-pro` was known to: `"finishReason": "STOP"` in each chunk.
    fn may_end_each_event(&self) -> bool {
        true
    }

    fn stream_reader(&self) -> Box<dyn ReadStream> {
        Box::new(stream_in::Reader::default())
    }
}
