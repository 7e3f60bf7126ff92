//! One long conversation of an agent, as each API is asked to go on with it.

use bytes::Bytes;
use providerpool::{
    domain::{
        chat::{
            CallKind, Content, FunctionTool, Json, Part, Request, Role, Tool, ToolCall, ToolResult,
            Turn,
        },
        id::ModelName,
        provider::ApiFormat,
    },
    gateway::{
        exchange::{ClientApi, ClientCall, upstream_side},
        translate::{PathParams, Target},
    },
};

/// Who asks, and the format whose upstreams are asked so.
pub const APIS: [(&str, ClientApi, ApiFormat); 5] = [
    ("chat", ClientApi::Chat, ApiFormat::Openai),
    ("responses", ClientApi::Responses, ApiFormat::Responses),
    ("messages", ClientApi::Messages, ApiFormat::Anthropic),
    ("gemini", ClientApi::Gemini, ApiFormat::Google),
    ("ollama", ClientApi::OllamaChat, ApiFormat::Ollama),
];

/// Its body is some 600 KB long.
const ROUNDS: usize = 100;

fn model() -> ModelName {
    ModelName::parse("a-model").unwrap()
}

fn prose(words: usize) -> String {
    let line = "let \"quick\" = brown(fox);\nnaïve as ever, it jumps. ";
    line.split_inclusive(' ').cycle().take(words).collect()
}

fn request() -> Request {
    let mut turns = vec![Turn::new(Role::System, vec![Part::text(prose(2_000))])];
    for round in 0..ROUNDS {
        let id = format!("call_{round}");
        let call = ToolCall {
            id: id.clone(),
            name: "read_file".to_owned(),
            kind: CallKind::Function,
            input: format!(r#"{{"path":"src/main.rs","text":{:?}}}"#, prose(40)),
            signature: None,
        };
        let result = ToolResult {
            call_id: id,
            name: None,
            kind: CallKind::Function,
            parts: vec![Part::text(prose(800))],
            is_error: false,
        };
        turns.push(Turn::new(Role::User, vec![Part::text(prose(60))]));
        let said = vec![Part::text(prose(60)), Content::ToolCall(call).into()];
        turns.push(Turn::new(Role::Assistant, said));
        turns.push(Turn::new(Role::Tool, vec![Content::ToolResult(result).into()]));
    }
    turns.push(Turn::new(Role::User, vec![Part::text(prose(60))]));
    let schema = r#"{"type":"object","properties":{"path":{"type":"string"}}}"#;
    let tool = Tool::Function(FunctionTool {
        name: "read_file".to_owned(),
        description: Some(prose(40)),
        parameters: Json::parse(schema),
        strict: None,
        cache: None,
    });
    let (tools, max_output_tokens) = (vec![tool], Some(8_000));
    Request { tools, max_output_tokens, ..Request::new(model(), turns) }
}

/// What a client sends, and what its path says.
pub fn asked(api: ClientApi, format: ApiFormat) -> (ClientCall, Bytes, PathParams) {
    let model = model();
    let target = Target { model: &model, max_output_tokens: None, asks_stream_usage: false };
    let body = upstream_side(format).write_request(&request(), &target).body.into();
    let in_path = api == ClientApi::Gemini;
    let addressed = PathParams { model: in_path.then_some(model), stream: Some(false) };
    (ClientCall::Generate(api), body, addressed)
}
