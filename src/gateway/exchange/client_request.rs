//! What a client sent, read as deep as it is needed.

use std::{borrow::Cow, cell::OnceCell, rc::Rc};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    address::is_served,
    api::{ClientApi, upstream_side},
    asked::Asked,
    common_facts, count,
    custom_tools::as_functions,
    model_fields, unambiguous,
};
use crate::{
    domain::{
        chat::{Losses, Request},
        embedding::EmbeddingRequest,
        failure::{Failure, FailureClass, Reason},
        id::{KeyId, ModelName},
        model::{Capabilities, ModelFacts},
        provider::ApiFormat,
        session::{SessionKey, SessionSignal},
    },
    gateway::{
        dialect::openai_chat::{ChatRequest, RequestError, rewrite},
        translate::{
            Addressed, InvalidRequest, Target, Written,
            embeddings::EmbeddingApi,
            responses::{previous_response_id, with_history},
        },
    },
};

/// Headers of Anthropic's clients that say what their body means.
const FORWARDED: [&str; 2] = ["anthropic-version", "anthropic-beta"];

/// Longest value of such a header.
const MAX_FORWARDED_BYTES: usize = 4096;

/// A client's request.
pub struct ClientRequest {
    asked: Asked,
    body: Bytes,
    /// Of Chat Completions only what routing needs is read at first.
    chat: Option<ChatRequest>,
    common: OnceCell<Result<Rc<Request>, InvalidRequest>>,
    /// What is to be turned into vectors, where that is asked for.
    embedding: Option<EmbeddingRequest>,
    /// Headers of the client's that its own dialect's upstreams understand.
    forwarded: Vec<(&'static str, String)>,
}

/// A request as it goes to an upstream.
pub struct ForUpstream {
    pub body: Bytes,
    /// What of it the upstream's dialect cannot say.
    pub losses: Losses,
}

impl From<RequestError> for InvalidRequest {
    fn from(error: RequestError) -> Self {
        Self { message: error.message, param: error.param.map(Into::into) }
    }
}

impl ClientRequest {
    /// Whether a body could be read as one request by one reader and as another by another: see
    /// [`parse`](Self::parse), which refuses it.
    pub fn is_ambiguous(asked: Asked, body: &[u8]) -> bool {
        unambiguous::check(asked, body, &Addressed::default()).is_err()
    }

    /// Errors: [`InvalidRequest`] when it would be wrong everywhere, or be another request to another
    /// reader.
    pub fn parse(asked: Asked, body: Bytes, addressed: &Addressed) -> Result<Self, InvalidRequest> {
        unambiguous::check(asked, &body, addressed)?;
        let (mut chat, mut embedding) = (None, None);
        let common = OnceCell::new();
        match asked {
            Asked::Answer(ClientApi::Chat) => chat = Some(ChatRequest::parse(&body)?),
            Asked::Answer(api) => {
                let continues = api == ClientApi::Responses && continues_an_answer(&body);
                let request = if continues {
                    // What came before is not here; where it goes may know it.
                    api.side().read_request(&with_history(&body, &[]), addressed)?
                } else {
                    api.side().read_request(&body, addressed)?
                };
                let _ = common.set(Ok(Rc::new(request)));
            }
            Asked::TokenCount(api) => {
                let request = count::read_request(api, &body, addressed)?;
                let _ = common.set(Ok(Rc::new(request)));
            }
            Asked::Embeddings(api) => embedding = Some(api.read_request(&body, addressed)?),
        }
        Ok(Self { asked, body, chat, common, embedding, forwarded: Vec::new() })
    }

    /// Keeps those of the client's headers that go on to upstreams of its dialect. `header` reads one.
    pub fn with_headers<'h>(mut self, header: impl Fn(&str) -> Option<&'h str>) -> Self {
        if self.api() == ClientApi::Messages {
            let kept =
                FORWARDED.into_iter().filter_map(|name| Some((name, header(name)?.to_owned())));
            self.forwarded = kept.filter(|(_, value)| value.len() <= MAX_FORWARDED_BYTES).collect();
        }
        self
    }

    /// The client's headers that an upstream of this format understands.
    pub fn forwarded(&self, format: ApiFormat) -> &[(&'static str, String)] {
        if self.api().spoken_by(format).is_some() { &self.forwarded } else { &[] }
    }

    /// Told that its conversation was put back into it: `continues` is the answer it has named.
    pub fn continuing(mut self, continues: Option<String>) -> Self {
        if let Some(Ok(request)) = self.common.get_mut() {
            Rc::make_mut(request).continues = continues;
        }
        self
    }

    pub fn asked(&self) -> Asked {
        self.asked
    }

    /// Whether the client has not asked for the answer to be forgotten.
    pub fn may_be_kept(&self) -> bool {
        self.common().is_ok_and(|request| request.store != Some(false))
    }

    /// Whether it continues an answer that only an upstream can know.
    pub fn continues_elsewhere(&self) -> bool {
        self.asked == Asked::Answer(ClientApi::Responses) && continues_an_answer(&self.body)
    }

    /// Which formats it could be asked in.
    pub fn open_formats(&self) -> impl Fn(ApiFormat) -> bool + use<> {
        let operation = self.asked.operation();
        let only_there = self.continues_elsewhere();
        move |format| {
            is_served(format, operation) && (!only_there || format == ApiFormat::Responses)
        }
    }

    /// The answer whose conversation was put back into it.
    pub(super) fn continues(&self) -> Option<&str> {
        self.common().ok()?.continues.as_deref()
    }

    /// The API whose errors the client reads.
    pub fn api(&self) -> ClientApi {
        self.asked.api()
    }

    pub(super) fn embedding(&self) -> Option<&EmbeddingRequest> {
        self.embedding.as_ref()
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// It in the common form.
    ///
    /// Errors: as [`parse`](Self::parse), for what was not read there.
    pub fn common(&self) -> Result<&Rc<Request>, &InvalidRequest> {
        let read =
            || self.api().side().read_request(&self.body, &Addressed::default()).map(Rc::new);
        self.common.get_or_init(read).as_ref()
    }

    /// What is said of it by whichever form it was read into when it came.
    fn told<T>(
        &self,
        chat: impl FnOnce(&ChatRequest) -> T,
        embedding: impl FnOnce(&EmbeddingRequest) -> T,
        common: impl FnOnce(&Request) -> T,
    ) -> T {
        match (&self.chat, &self.embedding) {
            (Some(request), _) => chat(request),
            (None, Some(request)) => embedding(request),
            (None, None) => common(self.common().expect("it was read when the request came")),
        }
    }

    pub fn model(&self) -> &ModelName {
        match (&self.chat, &self.embedding) {
            (Some(request), _) => &request.model,
            (None, Some(request)) => &request.model,
            (None, None) => &self.common().expect("it was read when the request came").model,
        }
    }

    /// A field, by its path, with which an upstream may pick another model than those that `allows`
    /// lets pass. `None`: there is none. [`model`](Self::model) itself is not looked at.
    pub fn find_forbidden(&self, allows: impl Fn(&ModelName) -> bool) -> Option<String> {
        let allows = |name: &str| ModelName::parse(name).is_ok_and(|name| allows(&name));
        model_fields::find_forbidden(&self.body, &allows)
    }

    pub fn is_streamed(&self) -> bool {
        self.told(|chat| chat.stream, |_| false, |request| request.stream)
    }

    /// What a model must be able to do. To count a prompt it need not be able to answer it.
    pub fn needs(&self) -> Capabilities {
        if matches!(self.asked, Asked::TokenCount(_)) {
            return Capabilities::NONE;
        }
        self.told(|chat| chat.needs(&self.body), |_| Capabilities::NONE, common_facts::needs)
    }

    /// So many tokens the prompt has at least.
    pub fn prompt_tokens(&self) -> u64 {
        self.told(|chat| chat.estimated_tokens(&self.body), |_| 0, common_facts::prompt_tokens)
    }

    /// The session it belongs to, and whether its client has named it. `header` reads a header.
    pub fn session<'h>(
        &self,
        caller: &KeyId,
        header: impl Fn(&str) -> Option<&'h str>,
    ) -> Option<(SessionKey, bool)> {
        self.with_session_signal(header, |signal| {
            let is_named = matches!(signal, SessionSignal::Named { .. });
            (SessionKey::new(caller, self.model(), signal), is_named)
        })
    }

    /// Finds what tells the session, if something does. `header` reads a header.
    pub fn with_session_signal<'h, T>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        then: impl FnOnce(SessionSignal<'_>) -> T,
    ) -> Option<T> {
        if self.embedding.is_some() {
            return None;
        }
        match &self.chat {
            // Of both only one is ever borrowed from, and the shorter life is enough.
            Some(chat) => chat.session_signal(&self.body, |name| header(name)).map(then),
            None => {
                let request = self.common().expect("it was read when the request came");
                common_facts::with_session(request, header, then)
            }
        }
    }

    /// Whether someone has answered in this conversation already.
    pub fn is_continuation(&self) -> bool {
        self.told(|chat| chat.is_continuation(&self.body), |_| false, common_facts::is_continuation)
    }

    /// Whether the pool asks for usage where the client did not, and so keeps the report to itself.
    pub fn strips_usage(&self, asks_usage: bool) -> bool {
        asks_usage && self.chat.as_ref().is_some_and(ChatRequest::may_ask_usage)
    }

    /// It as an upstream of this format gets it. `facts`: what is known of the model.
    ///
    /// Errors: [`FailureClass::ClientFault`] when it cannot be read, or cannot be asked there.
    pub fn for_upstream(
        &self,
        format: ApiFormat,
        target: &Target<'_>,
        facts: &ModelFacts,
    ) -> Result<ForUpstream, Failure> {
        match self.asked {
            Asked::Answer(api) => {
                if let Some(envelope) = api.spoken_by(format) {
                    let body = match &self.chat {
                        Some(chat) => {
                            rewrite(&self.body, chat, target.model, target.asks_stream_usage)
                        }
                        // Gemini's clients name the model in the path, and so do we, or around it. One
                        // that stands in the body too is the same.
                        None if api == ClientApi::Gemini => envelope
                            .wrap(&with_googles_model(&self.body, target.model), target.model),
                        None => with_model(&self.body, target.model),
                    };
                    return Ok(ForUpstream { body, losses: Losses::default() });
                }
                let request = self.common().map_err(at_fault)?;
                let fitted = common_facts::fitted(request, facts);
                let request = fitted.as_ref().unwrap_or(request);
                let functions = as_functions(request, format);
                let request = functions.as_ref().unwrap_or(request);
                let max_output_tokens = common_facts::output_limit(request, facts);
                let target = Target { max_output_tokens, ..*target };
                Ok(upstream_side(format).write_request(request, &target).into())
            }
            Asked::TokenCount(api) => {
                let body = match (api, format) {
                    (ClientApi::Messages, ApiFormat::Anthropic) => {
                        with_model(&self.body, target.model)
                    }
                    _ => {
                        let request = self.common().map_err(at_fault)?;
                        count::write_request(format, request, target).into()
                    }
                };
                Ok(ForUpstream { body, losses: Losses::default() })
            }
            Asked::Embeddings(api) => {
                let upstream = EmbeddingApi::of_upstream(format.dialect());
                let is_plain = matches!(api, EmbeddingApi::OpenAi | EmbeddingApi::Ollama);
                if is_plain && upstream == Some(api) {
                    let body = with_model(&self.body, target.model);
                    return Ok(ForUpstream { body, losses: Losses::default() });
                }
                let (Some(upstream), Some(request)) = (upstream, &self.embedding) else {
                    return Err(at_fault(&InvalidRequest::new("there are no embeddings there")));
                };
                let written = upstream.write_request(request, target.model);
                Ok(written.map_err(|invalid| at_fault(&invalid))?.into())
            }
        }
    }
}

impl From<Written> for ForUpstream {
    fn from(written: Written) -> Self {
        Self { body: written.body.into(), losses: written.losses }
    }
}

/// Whether the body of a Responses request names an answer that it continues.
fn continues_an_answer(body: &[u8]) -> bool {
    previous_response_id(body).is_some()
}

fn at_fault(invalid: &InvalidRequest) -> Failure {
    let reason = Reason {
        message: invalid.message.clone(),
        kind: Some("invalid_request_error".into()),
        code: Some("invalid_request".into()),
        param: invalid.param.as_ref().map(ToString::to_string),
    };
    let failure = Failure::new(FailureClass::ClientFault, "the request cannot be translated");
    Failure { status: Some(400), reason: Some(Box::new(reason)), ..failure }
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

/// The body byte for byte, but for the model's name, where it has one.
fn with_model(body: &Bytes, model: &ModelName) -> Bytes {
    renamed(body, |_| Cow::Borrowed(model.as_str()))
}

/// The same where Google's API may name a model with what such names begin with.
fn with_googles_model(body: &Bytes, model: &ModelName) -> Bytes {
    renamed(body, |written| {
        let is_full = written.starts_with("\"models/") && !model.as_str().starts_with("models/");
        let prefix = if is_full { "models/" } else { "" };
        format!("{prefix}{model}").into()
    })
}

/// `name` is given the name as it is written.
fn renamed<'m>(body: &Bytes, name: impl FnOnce(&str) -> Cow<'m, str>) -> Bytes {
    let Ok(Named { model: Some(written) }) = serde_json::from_slice(body) else {
        return body.clone();
    };
    let start = written.get().as_ptr() as usize - body.as_ptr() as usize;
    let end = start + written.get().len();
    let name = serde_json::to_vec(&name(written.get())).expect("a text is always JSON");
    if body[start..end] == name {
        return body.clone();
    }
    [&body[..start], &name, &body[end..]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_models_name_changes_in_a_body_that_is_passed_on() {
        let model = ModelName::parse("vendor/fast").unwrap();
        let body = Bytes::from_static(br#"{ "x" : [1.0] , "model":"m\u0061", "y":"model" }"#);
        let expected = r#"{ "x" : [1.0] , "model":"vendor/fast", "y":"model" }"#;
        assert_eq!(with_model(&body, &model), expected);
        let same = Bytes::from_static(br#"{"model":"vendor/fast"}"#);
        assert_eq!(with_model(&same, &model).as_ptr(), same.as_ptr());
    }
}
