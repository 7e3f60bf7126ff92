//! A client's API and an upstream's format, for one attempt: what the answer becomes.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;

use super::{
    api::{ClientApi, upstream_side},
    client_call::ClientCall,
    client_request::ClientRequest,
    count,
    custom_tools::CustomCalls,
    envelope::Envelope,
    estimate::Estimate,
    event_pattern::EventPattern,
    event_stream::{EventStream, Way},
    passed::{Look, Passed},
    passed_log::PassedLog,
    transcript::{Repetition, Sent, SharedWriter, Transcript, WrittenTranscript},
    written::{Extras, Written},
};
use crate::{
    domain::{
        chat::{Choice, Content, Dialect, Losses, MAX_CALLS},
        failure::{Failure, FailureClass},
        id::{ModelName, RequestId},
        provider::ApiFormat,
        time::Timestamp,
        usage::{TokenUsage, UsedTokens},
    },
    gateway::{
        dialect::openai_chat::{self, DONE_EVENT},
        mended::{in_utf8, mended},
        stream::halves::Halves,
        translate::{
            ResponseContext, WriteStream, embeddings::EmbeddingApi, part_order::PartOrder,
            responses::naming_previous,
        },
    },
};

/// Between a client and the upstream of one attempt: answers and streams pass through it, as they came or
/// translated.
pub struct Conversion {
    request: Rc<ClientRequest>,
    format: ApiFormat,
    /// The upstream's name of the model.
    model: ModelName,
    /// Makes ids: see [`ResponseContext::id`].
    id: RequestId,
    created: Timestamp,
    strips_usage: bool,
    max_event_bytes: usize,
}

/// A complete good answer, as the client gets it.
pub struct WholeAnswer {
    pub body: Bytes,
    /// Absent when the upstream reported none that can be read, and nobody has counted.
    pub usage: Option<UsedTokens>,
    pub losses: Losses,
}

/// The answer to a question for a number of tokens. To count uses none.
pub fn counted(api: ClientApi, tokens: u64) -> WholeAnswer {
    let body = count::write_answer(api, tokens).into();
    WholeAnswer { body, usage: Some(TokenUsage::default().into()), losses: Losses::default() }
}

/// Whether there are calls that nobody could answer, or more of them than a stream may have.
fn has_lost_calls(choice: &Choice) -> bool {
    let mut names = choice.parts.iter().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some(&call.name),
        _ => None,
    });
    names.clone().count() > MAX_CALLS || names.any(String::is_empty)
}

/// What the last event of a Messages stream is.
const MESSAGE_STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

impl Conversion {
    /// `strips_usage`: the pool asked for usage and the client did not. `max_event_bytes`: the largest event
    /// of a stream.
    pub fn new(
        request: Rc<ClientRequest>,
        format: ApiFormat,
        model: ModelName,
        id: RequestId,
        created: Timestamp,
        strips_usage: bool,
        max_event_bytes: usize,
    ) -> Self {
        Self { request, format, model, id, created, strips_usage, max_event_bytes }
    }

    /// What is around the client's own dialect, where the upstream speaks it.
    fn spoken(&self) -> Option<Envelope> {
        self.request.api().spoken_by(self.format)
    }

    /// Whether chunks of Chat Completions pass as they come.
    fn is_plain_chat(&self) -> bool {
        self.spoken().is_some() && self.format.dialect() == Dialect::Chat
    }

    /// Takes the body of a 200.
    ///
    /// Errors: the failure that an error object stands for, or one of the server's when the body is
    /// no answer.
    pub fn whole(&self, body: Bytes) -> Result<WholeAnswer, Failure> {
        let body = in_utf8(body);
        match self.request.asked() {
            ClientCall::Generate(api) => self.whole_answer(api, body),
            ClientCall::TokenCount(api) => {
                let tokens = count::read_answer(&body)?;
                Ok(counted(api, tokens))
            }
            ClientCall::Embeddings(api) => self.vectors(api, body),
        }
    }

    fn vectors(&self, api: EmbeddingApi, body: Bytes) -> Result<WholeAnswer, Failure> {
        let upstream = EmbeddingApi::of_upstream(self.format.dialect()).unwrap_or(api);
        let request = self.request.embedding().expect("vectors were asked for");
        let answer = upstream.read_answer(&body, request.inputs.len())?;
        let usage = answer.usage.map(Into::into);
        let mut losses = Losses::default();
        let is_plain = matches!(api, EmbeddingApi::OpenAi | EmbeddingApi::Ollama);
        let body = if is_plain && upstream == api {
            api.recoded(&body, request.encoding).map_or(body, Bytes::from)
        } else {
            api.write_answer(&answer, request, &mut losses).into()
        };
        Ok(WholeAnswer { body, usage, losses })
    }

    fn whole_answer(&self, api: ClientApi, body: Bytes) -> Result<WholeAnswer, Failure> {
        let losses = Losses::default();
        if self.is_plain_chat() {
            let usage = openai_chat::WholeAnswer::parse(&body)?.usage.map(Into::into);
            return Ok(WholeAnswer { body, usage, losses });
        }
        let mended = mended(&body);
        let mut answer =
            upstream_side(self.format).read_answer(mended.as_deref().unwrap_or(&body))?;
        if let Some(envelope) = self.spoken() {
            let usage = answer.usage.map(Into::into);
            let previous = self.request.continues();
            let named = previous.and_then(|previous| naming_previous(&body, previous));
            let body = named.map_or_else(|| envelope.unwrap(body), Bytes::from);
            return Ok(WholeAnswer { body, usage, losses });
        }
        if answer.has_unread || answer.choices.iter().any(has_lost_calls) {
            let what = "text or a call of the answer is of an unknown shape";
            return Err(Failure { status: Some(200), ..Failure::new(FailureClass::Server, what) });
        }
        if answer.usage.is_none() {
            answer.usage = Some(self.estimate().of_answer(&answer));
        }
        let usage = answer.usage.map(Into::into);
        if let Some(calls) = self.custom_calls() {
            calls.turn_back(&mut answer);
        }
        let mut losses = answer.losses.clone();
        let body = self.shown(|shown| api.side().write_answer(&answer, shown, &mut losses));
        Ok(WholeAnswer { body: body.into(), usage, losses })
    }

    /// A stream that begins. `keeps_transcript`: another one may have to resume it.
    pub fn stream(&self, keeps_transcript: bool) -> Box<EventStream> {
        let upstream = upstream_side(self.format);
        let way = match self.spoken() {
            Some(envelope) => Way::Passed(Passed {
                look: if self.is_plain_chat() {
                    Look::Chunks { strips_usage: self.strips_usage }
                } else {
                    Look::Events(upstream.stream_reader())
                },
                pattern: EventPattern::default(),
                envelope,
                closing: self.closing(),
                previous: self.request.continues().map(str::to_owned),
                log: self.log(keeps_transcript),
                next_number: 0,
            }),
            None => {
                let writer = Rc::new(RefCell::new(self.writer()));
                self.written(WrittenTranscript::new(writer), keeps_transcript, None)
            }
        };
        Box::new(EventStream::new(upstream, self.max_event_bytes, way))
    }

    /// What is kept of what passes. An error names what it ends in some dialects: see
    /// [`closing_writer`](Self::closing_writer).
    fn log(&self, keeps_transcript: bool) -> Option<PassedLog> {
        match self.request.api() {
            _ if keeps_transcript => Some(PassedLog::default()),
            ClientApi::Responses => Some(PassedLog::of_first_event()),
            _ => None,
        }
    }

    /// Who writes the error that ends a stream. `None`: no more has to be known for that than its dialect.
    pub fn closing_writer(&self, stream: &EventStream) -> Option<SharedWriter> {
        let passed = match &stream.events.way {
            Way::Written(written) => return Some(Rc::clone(&written.transcript.writer)),
            Way::Passed(passed) => passed,
        };
        // Its events have numbers, and the last one holds the response.
        if self.request.api() != ClientApi::Responses || self.request.common().is_err() {
            return None;
        }
        let entries = passed.log.as_ref()?.entries();
        let after = |entries| {
            let reader = self.request.api().native_reader()?;
            WrittenTranscript::of_passed(entries, passed.next_number, reader, self.writer())
        };
        // What cannot be gone on with can be named.
        let known = after(entries).or_else(|| after(entries.get(..1)?))?;
        Some(known.writer)
    }

    /// What an upstream of the client's own dialect leaves out that does not end its stream as that does.
    fn closing(&self) -> &'static [u8] {
        match self.format.dialect() {
            Dialect::Chat => DONE_EVENT,
            Dialect::Messages => MESSAGE_STOP,
            Dialect::Responses | Dialect::Gemini | Dialect::Ollama => b"",
        }
    }

    /// A stream that goes on where another one broke off: it writes nothing until it has repeated all of
    /// `transcript`. `None`: it cannot.
    pub fn resuming(&self, transcript: &Transcript) -> Option<Box<EventStream>> {
        self.request.common().ok()?;
        let sent = match &transcript.0 {
            Sent::Written(sent) => sent.clone(),
            Sent::Passed(log, next_number) => {
                let reader = self.request.api().native_reader()?;
                let writer = self.writer();
                WrittenTranscript::of_passed(log.entries(), *next_number, reader, writer)?
            }
        };
        if !sent.can_resume() {
            return None;
        }
        let repetition = (!sent.is_empty()).then(Repetition::default);
        let way = self.written(sent, true, repetition);
        Some(Box::new(EventStream::new(upstream_side(self.format), self.max_event_bytes, way)))
    }

    fn written(
        &self,
        transcript: WrittenTranscript,
        keeps_transcript: bool,
        repetition: Option<Repetition>,
    ) -> Way {
        let reader = upstream_side(self.format).stream_reader();
        let extras = Extras { estimate: self.estimate(), custom_calls: self.custom_calls() };
        let (halves, order) = (Halves::default(), PartOrder::default());
        let written =
            Written { reader, transcript, keeps_transcript, repetition, extras, halves, order };
        Way::Written(Box::new(written))
    }

    fn writer(&self) -> Box<dyn WriteStream> {
        self.shown(|shown| self.request.api().side().stream_writer(shown))
    }

    fn shown<T>(&self, show: impl FnOnce(&ResponseContext<'_>) -> T) -> T {
        let request = self.request.common().expect("it was translated before it was sent");
        let id = self.id.as_plain();
        show(&ResponseContext { id: &id, created: self.created, model: &self.model, request })
    }

    fn custom_calls(&self) -> Option<CustomCalls> {
        CustomCalls::of(self.request.common().ok()?, self.format)
    }

    fn estimate(&self) -> Estimate {
        Estimate::of(Rc::clone(&self.request))
    }
}
