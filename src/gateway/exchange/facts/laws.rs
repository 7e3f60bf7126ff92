//! The law of the pass: what it finds in a body is what a reader of the whole body finds.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::chat::{
        Content, Dialect, OutputFormat, Part, Request, Role, Tool, Turn,
        arbitrary::{self, Vocabulary},
    },
    domain::provider::ApiFormat,
    gateway::{
        exchange::{ClientApi, upstream_side},
        translate::Target,
    },
};

/// Whoever asks, and the format whose upstreams are sent such bodies.
const DIALECTS: [(ClientApi, ApiFormat, Dialect); 5] = [
    (ClientApi::Chat, ApiFormat::Openai, Dialect::Chat),
    (ClientApi::Responses, ApiFormat::Responses, Dialect::Responses),
    (ClientApi::Messages, ApiFormat::Anthropic, Dialect::Messages),
    (ClientApi::Gemini, ApiFormat::Google, Dialect::Gemini),
    (ClientApi::OllamaChat, ApiFormat::Ollama, Dialect::Ollama),
];

fn model_name() -> ModelName {
    ModelName::parse("a-model").unwrap()
}

fn addressed(request: &Request) -> PathParams {
    PathParams { model: Some(model_name()), stream: Some(request.stream) }
}

fn written(format: ApiFormat, request: &Request) -> Vec<u8> {
    let model = model_name();
    let target = Target { model: &model, max_output_tokens: Some(4_096), asks_stream_usage: false };
    upstream_side(format).write_request(request, &target).body
}

fn read(api: ClientApi, body: &[u8], addressed: &PathParams) -> Facts {
    Facts::read(ClientCall::Generate(api), body, addressed)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)))
}

fn needs(request: &Request) -> Capabilities {
    let has = |wanted: fn(&Content) -> bool| {
        request.parts().any(|part| match &part.content {
            Content::ToolResult(result) => result.parts.iter().any(|part| wanted(&part.content)),
            content => wanted(content),
        })
    };
    let needed = [
        (Capability::Vision, has(|content| matches!(content, Content::Image { .. }))),
        (Capability::Audio, has(|content| matches!(content, Content::Audio(_)))),
        (Capability::Tools, !request.tools.is_empty()),
        (Capability::Json, request.output != OutputFormat::Text),
        (Capability::Streaming, request.stream),
    ];
    needed.into_iter().filter(|(_, is_needed)| *is_needed).map(|(which, _)| which).collect()
}

fn visible(text: &str) -> u64 {
    text.chars().filter(|c| *c > ' ').count() as u64
}

/// Characters and media.
fn size_of(part: &Part) -> (u64, u64) {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => (visible(text), 0),
        Content::Reasoning(thought) => (visible(&thought.text), 0),
        Content::ToolCall(call) => (visible(&call.input), 0),
        Content::ToolResult(result) => total(result.parts.iter().map(size_of)),
        Content::Image { .. } | Content::Document(_) | Content::Audio(_) | Content::Video(_) => {
            (0, 1)
        }
        Content::Opaque { .. } => (0, 0),
    }
}

fn total(sizes: impl Iterator<Item = (u64, u64)>) -> (u64, u64) {
    sizes.fold((0, 0), |(all, media), (more, another)| (all + more, media + another))
}

fn size(request: &Request) -> (u64, u64) {
    let (characters, media) = total(request.parts().map(size_of));
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Function(tool) => {
            visible(tool.description.as_deref().unwrap_or_default())
                + tool.parameters.as_ref().map_or(0, |json| visible(json.as_str()))
        }
        Tool::Custom { description, .. } => visible(description.as_deref().unwrap_or_default()),
        Tool::Opaque { .. } => 0,
    });
    (characters + tools.sum::<u64>(), media)
}

fn thoughts(request: &Request) -> u64 {
    let thoughts = request.parts().filter(|part| matches!(part.content, Content::Reasoning(_)));
    total(thoughts.map(size_of)).0
}

fn is_answered(request: &Request) -> bool {
    request.turns.iter().any(|turn| matches!(turn.role, Role::Assistant | Role::Tool))
}

fn opening(facts: &Facts, body: &[u8]) -> Vec<u8> {
    let told = facts.with_session(
        body,
        |_| None,
        |signal| match signal {
            SessionSignal::Opening(parts) => Some(parts.concat()),
            SessionSignal::Named { .. } => panic!("it was not named"),
        },
    );
    told.unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_pass_finds_what_a_reader_of_the_whole_body_finds(
        requests in [
            Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama,
        ].map(|dialect| arbitrary::request(Vocabulary::all(dialect))),
    ) {
        for ((api, format, _), request) in DIALECTS.into_iter().zip(requests) {
            let (body, addressed) = (written(format, &request), addressed(&request));
            // What has no place in the dialect may leave nothing to be said.
            let Ok(common) = api.side().read_request(&body, &addressed) else { continue };
            let facts = read(api, &body, &addressed);
            let text = String::from_utf8_lossy(&body);
            prop_assert_eq!(&facts.model, &common.model);
            prop_assert_eq!(facts.stream, common.stream);
            prop_assert_eq!(facts.needs(&body), needs(&common), "{}", text);
            prop_assert_eq!(facts.output_limit(&body), common.max_output_tokens, "{}", text);
            prop_assert_eq!(facts.is_continuation(), is_answered(&common), "{}", text);
            let found = (facts.found.characters, facts.found.media);
            let expected = size(&common);
            let results = common.parts().filter(|part| matches!(part.content, Content::ToolResult(_)));
            // Google's results of functions are objects, of which only the texts are counted.
            let around = if api == ClientApi::Gemini { 16 * results.count() as u64 } else { 0 };
            // Thoughts stand there twice where they are told in parts, and are counted at most once.
            let twice = if api == ClientApi::Chat { thoughts(&common) } else { 0 };
            prop_assert_eq!(found.1, expected.1, "{}", text);
            prop_assert!(
                found.0 + twice + around >= expected.0 && found.0 <= expected.0,
                "{:?} {:?} {}", found, expected, text
            );
        }
    }

    #[test]
    fn what_comes_later_does_not_change_how_a_conversation_begins(
        request in arbitrary::request(Vocabulary::least(Dialect::Chat)),
        more in "[a-z]{1,9}",
    ) {
        let is_in_front = |turn: &Turn| matches!(turn.role, Role::System | Role::Developer);
        let first = request.turns.iter().position(|turn| !is_in_front(turn)).unwrap();
        let begun = Request { turns: request.turns[..=first].to_vec(), ..request.clone() };
        let mut other = begun.clone();
        other.turns[first].parts = vec![Part::text(format!("{more} and other words"))];
        for (api, format, _) in DIALECTS {
            let of = |request: &Request| {
                let body = written(format, request);
                opening(&read(api, &body, &addressed(request)), &body)
            };
            prop_assert_eq!(of(&begun), of(&request), "{:?}", api);
            prop_assert_ne!(of(&begun), of(&other), "{:?}", api);
        }
    }

    /// Against a reader that looks at nothing but the grammar.
    #[test]
    fn what_is_no_json_is_refused_and_all_else_passes(
        json in r#"[\[\]{}:,"\\a0-9.eE+\-tnrulfs \n]{0,24}"#,
        value in prop::sample::select(vec![
            "1", "-0.5e+7", "01", "1.", ".5", "-", "1e", "tru", "true", "\"\\u00\"", "\"\\ud800\"",
            "\"\\x\"", "\"\t\"", "\"é\"", "[1,]", "{\"a\":1,}", "{\"a\"}", "[]", "nul", "null",
        ]),
    ) {
        for body in [format!("{{\"x\":{json}}}"), format!("{{\"x\" : {value} }} "), json] {
            let expected = serde_json::from_str::<&serde_json::value::RawValue>(&body).is_ok()
                && body.trim_ascii_start().starts_with('{');
            let passes = check(ClientCall::Generate(ClientApi::Chat), body.as_bytes(), &PathParams::default());
            let is_ambiguous = passes.as_ref().is_err_and(|error| error.param.is_some());
            prop_assert!(is_ambiguous || passes.is_ok() == expected, "{}: {:?}", body, passes);
        }
    }
}
