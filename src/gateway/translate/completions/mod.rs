//! The legacy Completions, for clients only: a prompt goes upstream as what a user says, and of the
//! answer only the text comes back.

mod answer_out;
mod logprobs;
mod request_in;
mod stream_out;
#[cfg(test)]
mod tests;

use super::{
    ClientSide, ErrorView, InvalidRequest, PathParams, ResponseContext, WriteStream, chat::error,
};
use crate::domain::chat::{Answer, Losses, Request};

/// `/v1/completions`.
#[derive(Debug, Clone, Copy)]
pub struct Completions;

impl ClientSide for Completions {
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
