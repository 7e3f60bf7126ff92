//! What tests of streams ask with.

use std::rc::Rc;

use bytes::Bytes;
use serde_json::json;

use super::{ClientApi, ClientCall, ClientRequest, Conversion, Ending, EventStream};
use crate::{
    domain::{
        id::{ModelName, RequestId},
        provider::ApiFormat,
        time::Timestamp,
    },
    gateway::{stream::sse::MAX_EVENT_BYTES, translate::PathParams},
};

/// One attempt at a streamed answer of a client of `api` by an upstream of `format`. `strips_usage`: see
/// [`Conversion::new`].
pub fn conversion(api: ClientApi, format: ApiFormat, strips_usage: bool) -> Conversion {
    let turns = json!([{"role": "user", "content": "hi"}]);
    let body = match api {
        ClientApi::Gemini | ClientApi::GeminiArray => {
            json!({"contents": [{"parts": [{"text": "hi"}]}]})
        }
        ClientApi::Responses => json!({"model": "m", "stream": true, "input": "hi"}),
        ClientApi::Completions | ClientApi::OllamaGenerate => {
            json!({"model": "m", "stream": true, "prompt": "hi"})
        }
        _ => json!({"model": "m", "stream": true, "max_tokens": 9, "messages": turns}),
    };
    let addressed = PathParams { model: ModelName::parse("m").ok(), stream: Some(true) };
    let body = Bytes::from(body.to_string());
    let request = ClientRequest::parse(ClientCall::Generate(api), body, &addressed).unwrap();
    let model = ModelName::parse("upstream-m").unwrap();
    let id = RequestId::parse("req_00000000000000000000000000000001").unwrap();
    let at = Timestamp::from_millis(0);
    Conversion::new(Rc::new(request), format, model, id, at, strips_usage, MAX_EVENT_BYTES)
}

/// All that a stream sends of what comes in such pieces, and how it ends by its own word.
pub fn feed(stream: &mut EventStream, input: &[u8], piece: usize) -> (Vec<u8>, Option<Ending>) {
    let mut sent = Vec::new();
    for piece in input.chunks(piece.max(1)) {
        let output = stream.feed(Bytes::copy_from_slice(piece));
        sent.extend_from_slice(&output.forward);
        if output.ending.is_some() {
            return (sent, output.ending);
        }
    }
    (sent, None)
}
