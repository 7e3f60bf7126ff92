//! Between the bytes of each dialect and the common form of [`domain::chat`](crate::domain::chat).
//!
//! One folder a dialect. Its [`ClientSide`] reads what clients send and writes what they get; its
//! [`UpstreamSide`] writes what upstreams get and reads what they answer. Wire types are those of
//! [`dialect`](super::dialect). Nothing here knows which pair of dialects it serves: what a dialect
//! cannot say is noted in [`Losses`] by the one that would have to say it.

mod call_ids;
pub mod chat;
pub mod completions;
mod effort;
pub mod embeddings;
mod fields;
pub mod gemini;
mod input_scan;
#[cfg(test)]
mod laws;
pub mod messages;
pub mod model_list;
pub mod ollama;
pub mod part_order;
pub mod responses;
mod said_text;
mod tier;

use std::borrow::Cow;

use thiserror::Error;

use super::stream::sse::KEEP_ALIVE;
use crate::domain::{
    chat::{Answer, Delta, Losses, Request, Usage},
    failure::Failure,
    id::ModelName,
    time::Timestamp,
};

/// A client's request that is refused before anyone is asked: it would be wrong everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// For people.
    pub message: String,
    /// The parameter it is about, by its path.
    pub param: Option<Cow<'static, str>>,
}

impl InvalidRequest {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), param: None }
    }

    pub fn about(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(param.into()) }
    }
}

/// Parameters that a dialect has in the path of a request and not in its body.
#[derive(Debug, Clone, Default)]
pub struct PathParams {
    pub model: Option<ModelName>,
    pub stream: Option<bool>,
}

/// Whom a request is written for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The upstream's name of the model.
    pub model: &'a ModelName,
    /// Most tokens the model can generate, where that is known. For dialects that must say a limit.
    pub max_output_tokens: Option<u64>,
    /// Whether to ask for the usage of a stream, where that has to be asked for.
    pub asks_stream_usage: bool,
}

/// A request in an upstream's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub body: Vec<u8>,
    /// What the dialect cannot say, those that the reader noted included.
    pub losses: Losses,
}

/// What the writer of an answer has to know of its request.
#[derive(Debug, Clone, Copy)]
pub struct ResponseContext<'a> {
    /// Makes ids of answers, messages and items: letters and digits, another for each request.
    pub id: &'a str,
    pub created: Timestamp,
    /// The model, where the upstream does not say who has answered.
    pub model: &'a ModelName,
    /// What was asked for, for those who repeat it in the answer.
    pub request: &'a Request,
}

/// An error as a client is shown it. It becomes the dialect's own object.
#[derive(Debug, Clone, Copy)]
pub struct ErrorView<'a> {
    /// The status it has, or would have were it not within a stream.
    pub status: u16,
    pub message: &'a str,
    /// OpenAI's word for the kind of error, such as `invalid_request_error`.
    pub kind: &'a str,
    pub param: Option<&'a str>,
    pub code: Option<&'a str>,
}

/// How the events of a stream stand in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// A JSON value a line.
    Lines,
}

/// What an answer holds beside text, which decides by which word its end is told.
#[derive(Debug, Clone, Copy, Default)]
struct OutputKinds {
    calls: bool,
    refusal: bool,
}

/// What an event means for the stream, beside its deltas.
#[derive(Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// There is more to come.
    More,
    /// The same, and it says nothing of the answer: it keeps the stream open, or says again what is known.
    Idle,
    /// The same, and it was nothing of the dialect's: its client may know it all the same.
    Foreign,
    /// It was the terminal event.
    Done,
    /// The same, and something of the answer in it was not handed on.
    DoneInPart,
    /// It was an error.
    Failed(Box<Failure>),
}

/// The data of an event is nothing that this dialect has. It is dropped, and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the event is not of this dialect")]
pub struct Unparsable;

/// Reads one stream of an upstream. Keeps no more than it needs to tell the next event's meaning.
pub trait ReadStream {
    /// Reads the data of one event and hands on what it adds. A dialect without a terminal event
    /// never says [`EventOutcome::Done`]: then a clean end after the last [`Delta::Stop`] is the end.
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<EventOutcome, Unparsable>;

    /// The number of the event that was read last, where its dialect numbers them.
    fn number(&self) -> Option<u64> {
        None
    }

    /// Takes note of words that go on with the text of the first choice that was read last, and were handed
    /// on without reading their event.
    fn skip(&mut self, words: &str, are_thoughts: bool) {
        _ = (words, are_thoughts);
    }

    /// What was used, from the JSON in which an event tells it. `None`: that cannot be read by itself.
    fn usage(&self, json: &str) -> Option<Usage> {
        _ = json;
        None
    }

    /// What could not be put into the common form up to now.
    fn losses(&self) -> &Losses;
}

/// Writes one stream to a client, one part after another: see [`part_order`]. Holds back only what its dialect
/// says at the end.
pub trait WriteStream {
    /// Writes the events that say this, if there are any to be said already.
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>);

    /// Writes the rest of a complete answer: what was held back, the usage, the terminal event.
    fn finish(&mut self, usage: Usage, out: &mut Vec<u8>);

    /// Takes over the names and numbers of an event that its client has been sent as it came, so that what
    /// is written from here on goes on with it. What the event says has just been written, to nobody.
    /// `false`: it cannot. Only where events pass to such clients at all.
    fn adopt(&mut self, data: &[u8]) -> bool {
        _ = data;
        false
    }

    /// All has been taken over that was sent. The next event has this number, where events have one.
    fn adopted(&mut self, next_number: u64) {
        _ = next_number;
    }

    /// What comes from here on is said by another stream, which has repeated all that was said before. It may
    /// call by another name what it goes on with.
    fn resumed(&mut self) {}

    /// Writes the event that ends a stream with an error. Nothing may follow it.
    fn fail(&mut self, error: &ErrorView<'_>, out: &mut Vec<u8>);

    /// What could not be said up to now.
    fn losses(&self) -> &Losses;
}

/// What an upstream speaks. Its streams are server-sent events unless it says otherwise.
pub trait UpstreamSide: Sync {
    /// Writes a request.
    fn write_request(&self, request: &Request, target: &Target<'_>) -> Written;

    /// Reads the body of a 200, all of it.
    ///
    /// Errors: the failure that an error object stands for, or one of the server's when it is no
    /// answer.
    fn read_answer(&self, body: &[u8]) -> Result<Answer, Failure>;

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// Whether some servers give a reason to end with each event of a stream, the last one or not.
    fn may_end_each_event(&self) -> bool {
        false
    }

    fn stream_reader(&self) -> Box<dyn ReadStream>;
}

/// What a client speaks. Its streams are server-sent events unless it says otherwise.
pub trait ClientSide: Sync {
    /// Reads a request. What it cannot put into the common form is in its losses; fields that nobody
    /// knows are losses too.
    ///
    /// Errors: [`InvalidRequest`] when it would be wrong everywhere.
    fn read_request(&self, body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest>;

    /// Writes a whole answer. What cannot be said is added to `losses`. An answer without usage is
    /// given one by the caller first.
    fn write_answer(
        &self,
        answer: &Answer,
        shown: &ResponseContext<'_>,
        losses: &mut Losses,
    ) -> Vec<u8>;

    /// The media type of a stream.
    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn stream_writer(&self, shown: &ResponseContext<'_>) -> Box<dyn WriteStream>;

    /// Writes the body of an error response.
    fn error_body(&self, error: &ErrorView<'_>) -> Vec<u8>;

    /// Writes the event that ends with an error a stream to which no [`WriteStream`] has written.
    fn error_event(&self, error: &ErrorView<'_>) -> Vec<u8>;

    /// What keeps a silent stream open and says nothing. Empty where the dialect has no such thing.
    fn keep_alive(&self) -> &'static [u8] {
        KEEP_ALIVE
    }
}
