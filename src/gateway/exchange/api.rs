//! Which API a client speaks, and which of the upstream's is its own.

use bytes::Bytes;

use super::{client_call::ClientCall, client_request::ClientRequest, envelope::Envelope};
use crate::{
    domain::{chat::Dialect, id::ModelName, provider::ApiFormat, time::Timestamp},
    gateway::translate::{
        ClientSide, ReadStream, UpstreamSide,
        chat::Chat,
        completions::Completions,
        gemini::{Cloudcode, Gemini, GeminiArray},
        messages::Messages,
        ollama::{self, LoadCall, OllamaApi, OllamaChat, OllamaGenerate},
        responses::Responses,
    },
};

/// An API in which a client asks for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientApi {
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI's legacy Completions.
    Completions,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Gemini, a stream of events.
    Gemini,
    /// Gemini, a stream that is one JSON list.
    GeminiArray,
    /// Ollama's chat.
    OllamaChat,
    /// Ollama's generate.
    OllamaGenerate,
}

impl ClientApi {
    pub const ALL: [Self; 8] = [
        Self::Chat,
        Self::Completions,
        Self::Responses,
        Self::Messages,
        Self::Gemini,
        Self::GeminiArray,
        Self::OllamaChat,
        Self::OllamaGenerate,
    ];

    /// The dialect whose words it uses.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Completions => Dialect::Chat,
            Self::Responses => Dialect::Responses,
            Self::Messages => Dialect::Messages,
            Self::Gemini | Self::GeminiArray => Dialect::Gemini,
            Self::OllamaChat | Self::OllamaGenerate => Dialect::Ollama,
        }
    }

    pub fn side(self) -> &'static dyn ClientSide {
        match self {
            Self::Chat => &Chat,
            Self::Completions => &Completions,
            Self::Responses => &Responses,
            Self::Messages => &Messages,
            Self::Gemini => &Gemini,
            Self::GeminiArray => &GeminiArray,
            Self::OllamaChat => &OllamaChat,
            Self::OllamaGenerate => &OllamaGenerate,
        }
    }

    /// What keeps a silent stream of such a client open.
    pub fn keep_alive(self, model: &ModelName, now: Timestamp) -> Bytes {
        match self {
            Self::OllamaChat => ollama::empty_line(OllamaApi::Chat, model, now).into(),
            Self::OllamaGenerate => ollama::empty_line(OllamaApi::Generate, model, now).into(),
            _ => Bytes::from_static(self.side().keep_alive()),
        }
    }

    /// The answer to what needs no model: Ollama's clients ask for models to be loaded and let go, and
    /// a pool has nothing to load.
    pub fn answer_without_model(self, body: &[u8], now: Timestamp) -> Option<Bytes> {
        let api = match self {
            Self::OllamaChat => OllamaApi::Chat,
            Self::OllamaGenerate => OllamaApi::Generate,
            _ => return None,
        };
        let call = LoadCall::find(api, body)?;
        // What may be another call to another reader is refused by who reads it.
        let is_clear = !ClientRequest::is_ambiguous(ClientCall::Generate(self), body);
        is_clear.then(|| call.answer(now).into())
    }

    /// Reads again what has passed to such a client as it came. `None`: nothing does.
    pub(super) fn native_reader(self) -> Option<Box<dyn ReadStream>> {
        Some(
            upstream_side(match self {
                Self::Chat => ApiFormat::Openai,
                Self::Responses => ApiFormat::Responses,
                Self::Messages => ApiFormat::Anthropic,
                // It reads both what stands in the envelope and what stands bare.
                Self::Gemini => ApiFormat::Cloudcode,
                Self::OllamaChat => ApiFormat::Ollama,
                Self::Completions | Self::GeminiArray | Self::OllamaGenerate => return None,
            })
            .stream_reader(),
        )
    }

    /// What there is around what an upstream of this format answers, where that is otherwise, byte for
    /// byte, what such a client reads. `None`: it is something else.
    pub(super) fn spoken_by(self, format: ApiFormat) -> Option<Envelope> {
        let is_spoken = match self {
            Self::Chat => matches!(format, ApiFormat::Openai | ApiFormat::Copilot),
            Self::Responses => format == ApiFormat::Responses,
            Self::Messages => format == ApiFormat::Anthropic,
            Self::Gemini => matches!(format, ApiFormat::Google | ApiFormat::Cloudcode),
            Self::OllamaChat => format == ApiFormat::Ollama,
            Self::Completions | Self::GeminiArray | Self::OllamaGenerate => false,
        };
        let is_enveloped = format == ApiFormat::Cloudcode;
        is_spoken.then_some(if is_enveloped { Envelope::Cloudcode } else { Envelope::None })
    }
}

/// What an upstream of this format speaks.
pub fn upstream_side(format: ApiFormat) -> &'static dyn UpstreamSide {
    match format {
        ApiFormat::Openai | ApiFormat::Copilot => &Chat,
        ApiFormat::Responses => &Responses,
        ApiFormat::Anthropic => &Messages,
        ApiFormat::Google => &Gemini,
        ApiFormat::Cloudcode => &Cloudcode { project: None },
        ApiFormat::Ollama => &OllamaChat,
    }
}
