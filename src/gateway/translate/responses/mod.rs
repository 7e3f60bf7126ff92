//! OpenAI Responses, for clients (Codex, the OpenAI SDKs) and for upstreams.
//!
//! What a conversation is built on (`previous_response_id`) is no part of the common form: it is put
//! into the body by [`with_history`] before the body is read.

mod answer_in;
mod answer_out;
mod citations;
mod content_in;
mod content_out;
mod deltas;
mod echo;
mod error;
mod history;
mod items_in;
mod items_out;
mod media;
mod namespaces;
mod open_items;
mod output_in;
mod request_in;
mod request_out;
mod signatures;
mod stop;
mod stream_in;
mod stream_out;
#[cfg(test)]
mod tests;
mod thinking;
mod tools_in;
mod tools_out;

pub use history::{PREVIOUS, history_of, naming_previous, previous_response_id, with_history};

use super::{
    ClientSide, ErrorView, InvalidRequest, PathParams, ReadStream, ResponseContext, Target,
    UpstreamSide, WriteStream, Written,
};
use crate::domain::{
    chat::{Answer, Losses, Request},
    failure::Failure,
};

/// `/v1/responses`.
#[derive(Debug, Clone, Copy)]
pub struct Responses;

impl ClientSide for Responses {
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
        Box::new(stream_out::Writer::new(shown))
    }

    fn error_body(&self, error: &ErrorView<'_>) -> Vec<u8> {
        error::body(error)
    }

    fn error_event(&self, error: &ErrorView<'_>) -> Vec<u8> {
        error::event(error, 0)
    }
}

impl UpstreamSide for Responses {
    fn write_request(&self, request: &Request, target: &Target<'_>) -> Written {
        request_out::write(request, target)
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, Failure> {
        answer_in::read(body)
    }

    fn stream_reader(&self) -> Box<dyn ReadStream> {
        Box::new(stream_in::Reader::default())
    }
}
