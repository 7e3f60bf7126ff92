//! Anthropic Messages to and from the common form.

mod answer_in;
mod answer_out;
mod blocks_in;
mod blocks_out;
mod citations;
mod documents_in;
mod own_block;
mod request_in;
mod request_out;
mod stop;
mod stream_in;
mod stream_out;
#[cfg(test)]
mod tests;
mod thinking_out;
mod tools_in;
mod tools_out;
mod turns_in;
mod turns_out;

use self::{stream_in::StreamReader, stream_out::StreamWriter};
use super::{
    ClientSide, ErrorView, InvalidRequest, PathParams, ReadStream, ResponseContext, Target,
    UpstreamSide, WriteStream, Written,
};
use crate::{
    domain::{
        chat::{Answer, Losses, Request},
        failure::Failure,
    },
    gateway::dialect::messages,
};

/// [`Dialect::Messages`](crate::domain::chat::Dialect::Messages).
#[derive(Debug, Clone, Copy)]
pub struct Messages;

impl ClientSide for Messages {
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
        Box::new(StreamWriter::new(shown))
    }

    fn error_body(&self, error: &ErrorView<'_>) -> Vec<u8> {
        messages::error_body(error.status, error.message)
    }

    fn error_event(&self, error: &ErrorView<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        messages::error_event(error.status, error.message, &mut out);
        out
    }

    fn keep_alive(&self) -> &'static [u8] {
        messages::PING
    }
}

impl UpstreamSide for Messages {
    fn write_request(&self, request: &Request, target: &Target<'_>) -> Written {
        request_out::write(request, target)
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, Failure> {
        answer_in::read(body)
    }

    fn stream_reader(&self) -> Box<dyn ReadStream> {
        Box::new(StreamReader::default())
    }
}
