//! What a client sent, read as deep as it is needed.

use std::{cell::OnceCell, rc::Rc};

use bytes::Bytes;

use super::{
    address::is_served,
    api::{ClientApi, upstream_side},
    client_call::ClientCall,
    count,
    custom_tools::as_functions,
    envelope::Envelope,
    facts::{self, Facts},
    fit, model_fields,
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
        mended::mended,
        tokens::count_prompt,
        translate::{
            InvalidRequest, PathParams, Target, Written,
            embeddings::EmbeddingApi,
            responses::{PREVIOUS, with_history},
        },
    },
};

/// Headers of Anthropic's clients that say what their body means.
const FORWARDED: [&str; 2] = ["anthropic-version", "anthropic-beta"];

/// Longest value of such a header.
const MAX_FORWARDED_BYTES: usize = 4096;

/// A client's request.
pub struct ClientRequest {
    asked: ClientCall,
    addressed: PathParams,
    body: Bytes,
    /// What routing needs, which is all that is read at first.
    facts: Facts,
    /// The answer whose conversation was put back into it.
    continues: Option<String>,
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

/// Asks for the usage of a stream of Chat Completions.
const ASK_USAGE: &str = r#""stream_options":{"include_usage":true}"#;

impl ClientRequest {
    /// Whether a body could be read as one request by one reader and as another by another: see
    /// [`parse`](Self::parse), which refuses it.
    pub fn is_ambiguous(asked: ClientCall, body: &[u8]) -> bool {
        facts::check(asked, body, &PathParams::default()).is_err()
    }

    /// Errors: [`InvalidRequest`] when it would be wrong everywhere, or be another request to another
    /// reader. What only a translation has to understand is told by [`for_upstream`](Self::for_upstream).
    pub fn parse(
        asked: ClientCall,
        body: Bytes,
        addressed: &PathParams,
    ) -> Result<Self, InvalidRequest> {
        let facts = Facts::read(asked, &body, addressed)?;
        let embedding = match asked {
            ClientCall::Embeddings(api) => Some(api.read_request(&body, addressed)?),
            ClientCall::Generate(_) | ClientCall::TokenCount(_) => None,
        };
        let (addressed, continues, forwarded) = (addressed.clone(), None, Vec::new());
        let common = OnceCell::new();
        Ok(Self { asked, addressed, body, facts, continues, common, embedding, forwarded })
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
        self.continues = continues;
        self
    }

    pub fn asked(&self) -> ClientCall {
        self.asked
    }

    /// Whether the client has not asked for the answer to be forgotten.
    pub fn may_be_kept(&self) -> bool {
        self.facts.said(&self.body).find(&["store"]) != Some(b"false")
    }

    /// Whether it continues an answer that only an upstream can know.
    pub fn continues_elsewhere(&self) -> bool {
        let previous = || self.facts.said(&self.body).text(&[PREVIOUS]);
        self.asked == ClientCall::Generate(ClientApi::Responses)
            && previous().is_some_and(|previous| !previous.is_empty())
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
        self.continues.as_deref()
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

    /// It in the common form, read when it is first asked for.
    ///
    /// Errors: [`InvalidRequest`] when it cannot be understood as deep as that.
    pub fn common(&self) -> Result<&Rc<Request>, &InvalidRequest> {
        self.common.get_or_init(|| self.read_common().map(Rc::new)).as_ref()
    }

    fn read_common(&self) -> Result<Request, InvalidRequest> {
        let mended = mended(&self.body).map(Bytes::from);
        let body = mended.as_ref().unwrap_or(&self.body);
        let mut request = match self.asked {
            ClientCall::TokenCount(api) => count::read_request(api, body, &self.addressed)?,
            // What came before is not here; where it goes may know it.
            _ if self.continues_elsewhere() => {
                let body = with_history(body, &[]);
                self.api().side().read_request(&body, &self.addressed)?
            }
            _ => self.api().side().read_request(body, &self.addressed)?,
        };
        request.continues.clone_from(&self.continues);
        Ok(request)
    }

    /// Counts the tokens of its prompt. That takes some time, and is for a thread that nobody waits for.
    /// `None`: the prompt cannot be understood.
    pub fn prompt_count(&self, api: ClientApi) -> impl FnOnce() -> Option<u64> + Send + use<> {
        let (body, addressed) = (self.body.clone(), self.addressed.clone());
        move || count::read_request(api, &body, &addressed).ok().map(|it| count_prompt(&it))
    }

    pub fn model(&self) -> &ModelName {
        &self.facts.model
    }

    /// A field, by its path, with which an upstream may pick another model than those that `allows`
    /// lets pass. `None`: there is none. [`model`](Self::model) itself is not looked at.
    pub fn find_forbidden(&self, allows: impl Fn(&ModelName) -> bool) -> Option<String> {
        let allows = |name: &str| ModelName::parse(name).is_ok_and(|name| allows(&name));
        model_fields::find_forbidden(self.facts.said(&self.body).all(), &allows)
    }

    pub fn is_streamed(&self) -> bool {
        self.facts.stream && self.embedding.is_none()
    }

    /// What a model must be able to do. To count a prompt it need not be able to answer it.
    pub fn needs(&self) -> Capabilities {
        match self.asked {
            ClientCall::Generate(_) => self.facts.needs(&self.body),
            ClientCall::TokenCount(_) | ClientCall::Embeddings(_) => Capabilities::NONE,
        }
    }

    /// So many tokens the prompt and the longest answer allowed have at least.
    pub fn prompt_tokens(&self) -> u64 {
        self.facts.prompt_tokens(&self.body)
    }

    /// The session it belongs to, by all of its names, the most telling first, and whether its client has
    /// named it. Empty: nothing tells. `header` reads a header.
    pub fn session<'h>(
        &self,
        caller: &KeyId,
        header: impl Fn(&str) -> Option<&'h str>,
    ) -> (Vec<SessionKey>, bool) {
        let (mut keys, mut is_named) = (Vec::new(), false);
        self.with_session_signals(header, |signal| {
            is_named |= matches!(signal, SessionSignal::Named { .. });
            keys.push(SessionKey::new(caller, self.model(), signal));
            None::<()>
        });
        (keys, is_named)
    }

    /// Tells what names the session, the most telling first, until `then` has something for it.
    /// `header` reads a header.
    pub fn with_session_signals<'h, T>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        then: impl FnMut(SessionSignal<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.asked {
            ClientCall::Embeddings(_) => None,
            _ => self.facts.with_session(&self.body, header, then),
        }
    }

    /// Whether someone has answered in this conversation already.
    pub fn is_continuation(&self) -> bool {
        self.facts.is_continuation()
    }

    /// Whether the pool asks for usage where the client did not, and so keeps the report to itself.
    pub fn strips_usage(&self, asks_usage: bool) -> bool {
        asks_usage
            && self.facts.stream
            && self.asked == ClientCall::Generate(ClientApi::Chat)
            && !self.facts.said(&self.body).has("stream_options")
    }

    /// The body as it came, for an upstream of its own dialect: but for the model's name, for what the
    /// model is known not to be able to do, and for a longer answer than it can give.
    fn passed_on(
        &self,
        envelope: Envelope,
        target: &Target<'_>,
        facts: &ModelFacts,
    ) -> ForUpstream {
        let mut losses = Losses::default();
        let mut edits = self.facts.edits(&self.body);
        edits.rename(target.model);
        if self.strips_usage(target.asks_stream_usage) {
            edits.put_first(ASK_USAGE);
        }
        if fit::cannot_think(facts)
            && self.facts.speaks_of_thinking(&self.body)
            && self.common().is_ok_and(|request| fit::thinks_in_vain(request, facts))
        {
            self.facts.without_thinking(&mut edits);
            losses.note("thinking");
        }
        if let (ClientCall::Generate(_), Some(most)) = (self.asked, facts.output_tokens)
            && self.facts.limit_output(&self.body, &mut edits, most)
        {
            losses.note("max_output_tokens");
        }
        ForUpstream { body: envelope.wrap(&edits.apply(&self.body), target.model), losses }
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
            ClientCall::Generate(api) => {
                if let Some(envelope) = api.spoken_by(format) {
                    return Ok(self.passed_on(envelope, target, facts));
                }
                let request = self.common().map_err(at_fault)?;
                let fitted = fit::fitted(request, facts);
                let request = fitted.as_ref().unwrap_or(request);
                let functions = as_functions(request, format);
                let request = functions.as_ref().unwrap_or(request);
                let max_output_tokens = fit::output_limit(request, facts, self.prompt_tokens());
                let target = Target { max_output_tokens, ..*target };
                Ok(upstream_side(format).write_request(request, &target).into())
            }
            ClientCall::TokenCount(ClientApi::Messages) if format == ApiFormat::Anthropic => {
                Ok(self.passed_on(Envelope::None, target, facts))
            }
            ClientCall::TokenCount(_) => {
                let request = self.common().map_err(at_fault)?;
                let body = count::write_request(format, request, target).into();
                Ok(ForUpstream { body, losses: Losses::default() })
            }
            ClientCall::Embeddings(api) => {
                let upstream = EmbeddingApi::of_upstream(format.dialect());
                let is_plain = matches!(api, EmbeddingApi::OpenAi | EmbeddingApi::Ollama);
                if is_plain && upstream == Some(api) {
                    return Ok(self.passed_on(Envelope::None, target, facts));
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
