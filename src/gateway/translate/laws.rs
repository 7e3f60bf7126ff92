//! What every dialect keeps of any conversation when it speaks with itself. What dialects keep for one
//! another is tested over their fixtures, in `tests/translation`.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::{
    ClientSide, EventOutcome, Framing, PathParams, ResponseContext, Target, UpstreamSide, Written,
    chat::Chat, gemini::Gemini, messages::Messages, ollama::OllamaChat, responses::Responses,
};
use crate::{
    domain::{
        chat::{
            Answer, Assembly, Content, Delta, Dialect, Losses, Part, Request, Role, StopReason,
            ToolChoice, Turn,
            arbitrary::{self, Vocabulary},
        },
        id::ModelName,
        time::Timestamp,
    },
    gateway::stream::{lines, sse},
};

trait Spoken: ClientSide + UpstreamSide {}
impl<T: ClientSide + UpstreamSide> Spoken for T {}

const DIALECTS: [(Dialect, &dyn Spoken); 5] = [
    (Dialect::Chat, &Chat),
    (Dialect::Responses, &Responses),
    (Dialect::Messages, &Messages),
    (Dialect::Gemini, &Gemini),
    (Dialect::Ollama, &OllamaChat),
];

/// What all of them can say in their own words.
fn vocabulary(dialect: Dialect) -> Vocabulary {
    Vocabulary {
        reasoning: true,
        unsigned: true,
        call_ids: true,
        images: true,
        json_mode: dialect != Dialect::Messages,
        schemas: true,
        top_k: !matches!(dialect, Dialect::Chat | Dialect::Responses),
        cache_reads: dialect != Dialect::Ollama,
        ..Vocabulary::least(dialect)
    }
}

fn model() -> ModelName {
    ModelName::parse("a-model").unwrap()
}

/// Whatever the dialect asks for beside the texts: white space may be added and left out.
fn words(text: &str) -> String {
    text.split_whitespace().collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// What was said, in order of its kinds.
#[derive(Debug, Default, PartialEq)]
struct Spoke {
    text: String,
    thoughts: String,
    calls: Vec<(String, Value)>,
    /// The number of the call, and the words.
    results: Vec<(Option<usize>, String)>,
    images: usize,
}

fn said<'p>(parts: impl IntoIterator<Item = &'p Part>) -> Spoke {
    let mut said = Spoke::default();
    let mut ids = Vec::new();
    for part in parts {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) => said.text += &words(text),
            Content::Reasoning(thought) => said.thoughts += &words(&thought.text),
            Content::ToolCall(call) => {
                ids.push(call.id.clone());
                said.calls.push((call.name.clone(), json(&call.input)));
            }
            Content::ToolResult(result) => {
                let call = ids.iter().rposition(|id| *id == result.call_id);
                let texts = self::said(&result.parts).text;
                said.results.push((call, texts));
            }
            Content::Image { .. } => said.images += 1,
            Content::Document(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::Opaque { .. } => {}
        }
    }
    said
}

fn said_in(answer: &Answer) -> Vec<(Spoke, StopReason)> {
    answer.choices.iter().map(|choice| (said(&choice.parts), choice.stop.clone())).collect()
}

/// The parts of a side, instructions aside: where they stand may change.
fn said_by(request: &Request, roles: &[Role]) -> Spoke {
    let is_of_them = |turn: &&Turn| roles.contains(&turn.role);
    said(request.turns.iter().filter(is_of_them).flat_map(|turn| &turn.parts))
}

fn asking() -> Request {
    Request { stream: true, wants_stream_usage: true, ..Request::new(model(), Vec::new()) }
}

fn shown(request: &Request) -> ResponseContext<'_> {
    let created = Timestamp::from_millis(1_800_000_000_000);
    ResponseContext { id: "0law0", created, model: &request.model, request }
}

/// The bytes of a stream that says this.
fn streamed(dialect: &dyn Spoken, deltas: &[Delta<'_>]) -> Vec<u8> {
    let request = asking();
    let mut writer = dialect.stream_writer(&shown(&request));
    let mut out = Vec::new();
    let mut usage = None;
    for delta in deltas {
        if let Delta::Usage(told) = delta {
            usage = Some(*told);
        }
        writer.write(delta.clone(), &mut out);
    }
    writer.finish(usage.unwrap_or_default(), &mut out);
    out
}

fn heard(dialect: &dyn Spoken, stream: Vec<u8>) -> Answer {
    let mut events: Vec<Vec<u8>> = Vec::new();
    let stream = Bytes::from(stream);
    match dialect.framing() {
        Framing::Sse => {
            let mut framer = sse::Framer::new(sse::MAX_EVENT_BYTES);
            let frames = framer.feed(stream);
            let buffer = frames.buffer().clone();
            frames.for_each(|event| events.push(event.unwrap().data(&buffer).to_vec()));
        }
        Framing::Lines => {
            let mut framer = lines::Framer::new(sse::MAX_EVENT_BYTES);
            let frames = framer.feed(stream);
            let buffer = frames.buffer().clone();
            frames.for_each(|event| events.push(event.unwrap().data(&buffer).to_vec()));
        }
    }
    let mut reader = dialect.stream_reader();
    let mut assembly = Assembly::new(1 << 20);
    for event in events {
        let said = reader.read(&event, &mut |delta| assembly.add(delta).unwrap()).unwrap();
        assert!(!matches!(said, EventOutcome::Failed(_)), "{said:?}");
    }
    assembly.finish().expect("the stream says how it ends")
}

fn check_answer(answer: &Answer, arrived: &Answer) {
    assert_eq!(said_in(arrived), said_in(answer));
    let told = answer.usage.unwrap_or_default();
    let usage = arrived.usage.unwrap_or_default();
    assert_eq!((usage.prompt(), usage.tokens.output), (told.prompt(), told.tokens.output));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_answer_comes_back_from_its_own_dialect(
        answers in DIALECTS.map(|(dialect, _)| arbitrary::answer(vocabulary(dialect))),
    ) {
        let request = asking();
        for ((_, spoken), answer) in DIALECTS.iter().zip(&answers) {
            let body = spoken.write_answer(answer, &shown(&request), &mut Losses::default());
            check_answer(answer, &spoken.read_answer(&body).unwrap());
        }
    }

    #[test]
    fn a_stream_comes_back_from_its_own_dialect(
        streams in DIALECTS.map(|(dialect, _)| arbitrary::deltas(vocabulary(dialect))),
    ) {
        for ((_, spoken), (answer, deltas)) in DIALECTS.iter().zip(&streams) {
            check_answer(answer, &heard(*spoken, streamed(*spoken, deltas)));
        }
    }

    #[test]
    fn a_request_comes_back_from_its_own_dialect(
        requests in DIALECTS.map(|(dialect, _)| arbitrary::request(vocabulary(dialect))),
    ) {
        for ((dialect, spoken), request) in DIALECTS.iter().zip(&requests) {
            let model = model();
            let target = Target { model: &model, max_output_tokens: None, asks_stream_usage: false };
            let Written { body, losses } = spoken.write_request(request, &target);
            let drops_thoughts = losses.iter().any(|name| name == "reasoning");
            let addressed = match dialect {
                Dialect::Gemini => PathParams { model: Some(model.clone()), stream: Some(request.stream) },
                _ => PathParams::default(),
            };
            let arrived = spoken.read_request(&body, &addressed).unwrap();
            for roles in [
                &[Role::System, Role::Developer][..],
                &[Role::User],
                &[Role::Assistant, Role::Tool],
            ] {
                let [before, after] = [request, &arrived].map(|request| {
                    let mut said = said_by(request, roles);
                    if drops_thoughts {
                        said.thoughts.clear();
                    }
                    said
                });
                prop_assert_eq!(after, before, "{:?}", dialect);
            }
            // Where a choice cannot be said, only the chosen tools are.
            let can_be_any = matches!(request.tool_choice, None | Some(ToolChoice::Auto));
            if can_be_any {
                prop_assert_eq!(arrived.tools.len(), request.tools.len());
            }
            prop_assert_eq!(arrived.stream, request.stream);
        }
    }
}
