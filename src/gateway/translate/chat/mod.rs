//! OpenAI Chat Completions, for clients and for upstreams, with what compatible servers add to it.

mod answer_in;
mod answer_out;
mod calls_in;
mod chunks_out;
mod details;
pub(super) mod error;
pub(super) mod fields_in;
pub(super) mod finish;
mod media;
mod messages_in;
mod messages_out;
mod parts_in;
mod parts_out;
mod request_in;
mod request_out;
mod stream_choice;
mod stream_in;
mod stream_out;
#[cfg(test)]
mod tests;
mod thinking;
mod tools_in;
mod tools_out;

pub(super) use parts_out::note as note_content;

use super::{
    ClientSide, ErrorView, InvalidRequest, PathParams, ReadStream, ResponseContext, Target,
    UpstreamSide, WriteStream, Written,
};
use crate::domain::{
    chat::{Answer, Losses, Request},
    failure::Failure,
};

/// `/v1/chat/completions`.
#[derive(Debug, Clone, Copy)]
pub struct Chat;

impl ClientSide for Chat {
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
        error::event(error)
    }
}

impl UpstreamSide for Chat {
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
