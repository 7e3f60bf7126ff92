//! Ollama: `/api/chat` for both sides, `/api/generate` for clients.
//!
//! What this dialect has no place for, on either side: signatures (its stock clients keep no field that
//! they do not know), a choice of tools, pictures by address, documents, sound, several answers.
//! Calls have had ids only since 2025 and Python's client drops them; the reader of requests makes
//! them from the place of a call, and finds the call of a result by its name and the order.

mod answer_in;
mod answer_out;
mod arguments;
mod error;
mod generate_in;
mod images;
mod lines;
mod load;
mod messages_in;
mod messages_out;
mod open_calls;
mod request_in;
mod request_out;
mod settings_in;
mod stream_in;
mod stream_out;
#[cfg(test)]
mod tests;

pub use self::load::LoadCall;
use self::{
    lines::{Lines, Says},
    stream_in::Reader,
    stream_out::Writer,
};
use super::{
    ClientSide, ErrorView, Framing, InvalidRequest, PathParams, ReadStream, ResponseContext,
    Target, UpstreamSide, WriteStream, Written,
};
use crate::domain::{
    chat::{Answer, Losses, Request},
    failure::Failure,
    id::ModelName,
    time::Timestamp,
};

/// Which of the two APIs a client has called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OllamaApi {
    /// `/api/chat`: messages.
    Chat,
    /// `/api/generate`: one prompt.
    Generate,
}

/// The media type of a stream.
const STREAM_TYPE: &str = "application/x-ndjson";

/// Most calls of one message that are taken.
const MAX_CALLS: usize = 1_024;

/// `/api/chat`.
#[derive(Debug, Clone, Copy)]
pub struct OllamaChat;

/// `/api/generate`, as a conversation of one prompt.
#[derive(Debug, Clone, Copy)]
pub struct OllamaGenerate;

/// A line that says nothing yet, to keep a stream open.
pub fn empty_line(api: OllamaApi, model: &ModelName, now: Timestamp) -> Vec<u8> {
    let mut line = Vec::new();
    Lines::new(api, model.as_str(), now).add(&Says::default(), None, &mut line);
    line
}

impl UpstreamSide for OllamaChat {
    fn write_request(&self, request: &Request, target: &Target<'_>) -> Written {
        request_out::write(request, target)
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, Failure> {
        answer_in::read(body)
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn stream_reader(&self) -> Box<dyn ReadStream> {
        Box::new(Reader::default())
    }
}

impl ClientSide for OllamaChat {
    /// Errors: [`InvalidRequest`], also for a request without messages, which asks for no answer: see
    /// [`LoadCall`].
    fn read_request(&self, body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
        request_in::read(body, addressed)
    }

    fn write_answer(
        &self,
        answer: &Answer,
        shown: &ResponseContext<'_>,
        losses: &mut Losses,
    ) -> Vec<u8> {
        answer_out::write(OllamaApi::Chat, answer, shown, losses)
    }

    fn stream_type(&self) -> &'static str {
        STREAM_TYPE
    }

    fn stream_writer(&self, shown: &ResponseContext<'_>) -> Box<dyn WriteStream> {
        Box::new(Writer::new(OllamaApi::Chat, shown))
    }

    fn error_body(&self, error: &ErrorView<'_>) -> Vec<u8> {
        error::body(error)
    }

    fn error_event(&self, error: &ErrorView<'_>) -> Vec<u8> {
        error::event(error)
    }

    /// Nothing: an empty line would stop Python's client, and one that says nothing needs the model's
    /// name and the time.
    fn keep_alive(&self) -> &'static [u8] {
        b""
    }
}

impl ClientSide for OllamaGenerate {
    /// Errors: [`InvalidRequest`], also for a request without a prompt, which asks for no answer: see
    /// [`LoadCall`].
    fn read_request(&self, body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
        generate_in::read(body, addressed)
    }

    fn write_answer(
        &self,
        answer: &Answer,
        shown: &ResponseContext<'_>,
        losses: &mut Losses,
    ) -> Vec<u8> {
        answer_out::write(OllamaApi::Generate, answer, shown, losses)
    }

    fn stream_type(&self) -> &'static str {
        STREAM_TYPE
    }

    fn stream_writer(&self, shown: &ResponseContext<'_>) -> Box<dyn WriteStream> {
        Box::new(Writer::new(OllamaApi::Generate, shown))
    }

    fn error_body(&self, error: &ErrorView<'_>) -> Vec<u8> {
        error::body(error)
    }

    fn error_event(&self, error: &ErrorView<'_>) -> Vec<u8> {
        error::event(error)
    }

    fn keep_alive(&self) -> &'static [u8] {
        b""
    }
}
