//! A stream on its way from an upstream to a client, whatever the two speak.

use bytes::Bytes;

use super::{
    common_transcript::{CommonTranscript, SharedWriter},
    event_stream::EventStream,
};
use crate::{
    domain::{chat::Losses, usage::UsedTokens},
    gateway::{
        dialect::openai_chat::DONE_EVENT,
        stream::{
            chat_stream::{ChatStream, Output, StreamEnd},
            transcript,
        },
        tokens::PartialUsage,
    },
};

/// One stream. Feed it what comes, send what it gives.
pub enum Passage {
    /// Chunks of Chat Completions, passed on as they came.
    Chat(Box<ChatStream>),
    /// Any other pair.
    Events(Box<EventStream>),
}

/// What a client has been sent, so that another stream can go on where this one broke off.
#[derive(Clone)]
pub enum Transcript {
    Chat(Box<transcript::Transcript>),
    Common(CommonTranscript),
}

/// How a stream ended that its upstream ended well.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The answer is whole. The bytes are what is still to be sent of it.
    Whole(Bytes),
    /// The answer is not whole.
    Cut,
}

impl Transcript {
    /// Whether another stream may go on in the place of the one this is of.
    pub fn can_resume(&self) -> bool {
        match self {
            Self::Chat(transcript) => transcript.can_resume(),
            Self::Common(transcript) => transcript.can_resume(),
        }
    }
}

impl Passage {
    /// Takes the next bytes of the upstream's body.
    pub fn feed(&mut self, input: Bytes) -> Output {
        match self {
            Self::Chat(stream) => stream.feed(input),
            Self::Events(stream) => stream.feed(input),
        }
    }

    /// The upstream's body has ended well.
    pub fn end(&mut self) -> Ended {
        match self {
            Self::Chat(stream) => match stream.end() {
                StreamEnd::Complete | StreamEnd::CompleteWithoutDone => {
                    Ended::Whole(Bytes::from_static(DONE_EVENT))
                }
                StreamEnd::Cut => Ended::Cut,
            },
            Self::Events(stream) => stream.end().map_or(Ended::Cut, Ended::Whole),
        }
    }

    /// Whether the candidate has proved itself: a first content event was seen, or the end of an answer
    /// without content. One that resumes an answer must first have repeated all of it.
    pub fn is_proved(&self) -> bool {
        match self {
            Self::Chat(stream) => stream.progress().proved,
            Self::Events(stream) => stream.is_proved(),
        }
    }

    /// What the event held that has ended it with an error, if one has.
    pub fn error(&self) -> Option<&[u8]> {
        match self {
            Self::Chat(stream) => stream.error(),
            Self::Events(stream) => stream.error(),
        }
    }

    /// Events that could not be read and were dropped.
    pub fn dropped(&self) -> u64 {
        match self {
            Self::Chat(stream) => stream.progress().dropped,
            Self::Events(stream) => stream.seen().dropped,
        }
    }

    /// What the upstream reported last; at the end of an answer that is written anew what was counted
    /// here, if it reported nothing.
    pub fn usage(&self) -> Option<UsedTokens> {
        match self {
            Self::Chat(stream) => stream.progress().usage.map(Into::into),
            Self::Events(stream) => stream.seen().usage.map(Into::into),
        }
    }

    /// What was used if nothing more comes.
    pub fn partial_usage(&self) -> PartialUsage {
        match self {
            Self::Chat(stream) => stream.progress().partial_usage(),
            Self::Events(stream) => stream.seen().partial_usage(),
        }
    }

    /// What has been sent, if it was kept.
    pub fn transcript(&self) -> Option<Transcript> {
        match self {
            Self::Chat(stream) => {
                stream.transcript().map(|kept| Transcript::Chat(Box::new(kept.clone())))
            }
            Self::Events(stream) => stream.transcript().cloned().map(Transcript::Common),
        }
    }

    /// Whether another stream could go on with it now.
    pub fn can_resume(&self) -> bool {
        match self {
            Self::Chat(stream) => {
                stream.transcript().is_some_and(transcript::Transcript::can_resume)
            }
            Self::Events(stream) => stream.transcript().is_some_and(CommonTranscript::can_resume),
        }
    }

    /// Who writes it, where it is written anew.
    pub fn writer(&self) -> Option<SharedWriter> {
        match self {
            Self::Chat(_) => None,
            Self::Events(stream) => stream.writer(),
        }
    }

    /// What of the answer could not be said up to now.
    pub fn losses(&self) -> Losses {
        match self {
            Self::Chat(_) => Losses::default(),
            Self::Events(stream) => stream.losses(),
        }
    }
}
