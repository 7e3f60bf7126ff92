//! Who speaks which dialect. The only list of them in these tests and in `fuzz/`.

use providerpool::{
    domain::{
        chat::{Dialect, Request, Role, Turn},
        id::ModelName,
        time::Timestamp,
    },
    gateway::translate::{
        ClientSide, InvalidRequest, PathParams, ResponseContext, Target, UpstreamSide, chat::Chat,
        gemini::Gemini, messages::Messages, ollama::OllamaChat, responses::Responses,
    },
};

/// Both sides of a dialect.
#[derive(Clone, Copy)]
pub struct Spoken {
    pub dialect: Dialect,
    pub client: &'static dyn ClientSide,
    pub upstream: &'static dyn UpstreamSide,
}

pub static ALL: [Spoken; 5] = [
    Spoken { dialect: Dialect::Chat, client: &Chat, upstream: &Chat },
    Spoken { dialect: Dialect::Responses, client: &Responses, upstream: &Responses },
    Spoken { dialect: Dialect::Messages, client: &Messages, upstream: &Messages },
    Spoken { dialect: Dialect::Gemini, client: &Gemini, upstream: &Gemini },
    Spoken { dialect: Dialect::Ollama, client: &OllamaChat, upstream: &OllamaChat },
];

impl Spoken {
    pub fn name(&self) -> &'static str {
        self.dialect.as_str()
    }

    /// Reads a request. Where the path names the model and the stream, it names [`model`] and none.
    pub fn read_request(&self, body: &[u8]) -> Result<Request, InvalidRequest> {
        let addressed = match self.dialect {
            Dialect::Gemini => PathParams { model: Some(model()), stream: Some(false) },
            _ => PathParams::default(),
        };
        self.client.read_request(body, &addressed)
    }
}

pub fn model() -> ModelName {
    ModelName::parse("a-model").expect("it is a name")
}

pub fn target(model: &ModelName) -> Target<'_> {
    Target { model, max_output_tokens: Some(32_000), asks_stream_usage: true }
}

/// A request whose answer is told with all there is to tell, streamed or not.
pub fn asking() -> Request {
    let turns = vec![Turn::new(Role::User, Vec::new())];
    Request {
        stream: true,
        wants_stream_usage: true,
        logprobs: Some(5),
        ..Request::new(model(), turns)
    }
}

pub fn shown(request: &Request) -> ResponseContext<'_> {
    let created = Timestamp::from_millis(1_800_000_000_000);
    ResponseContext { id: "0golden0", created, model: &request.model, request }
}
