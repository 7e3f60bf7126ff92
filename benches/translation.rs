//! What it costs to translate: a request, a whole answer, and a stream event by event. The last line
//! of each stream tells its allocations per event; a stream that is passed on untranslated is the
//! yardstick.

#![allow(clippy::unwrap_used, reason = "what is built here is known to be well formed")]

#[path = "../tests/translation/dialects.rs"]
#[allow(dead_code, reason = "not all of it is needed here")]
mod dialects;

use std::{alloc::System, hint::black_box, rc::Rc};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dialects::{ALL, Spoken, asking, model, shown, target};
use providerpool::{
    domain::chat::{
        Answer, CallKind, Choice, Content, Delta, Dialect, FunctionTool, Json, Losses, Part,
        Reasoning, Request, Role, StopReason, Tool, ToolCall, Turn, Usage, deltas_of,
    },
    domain::{id::RequestId, provider::ApiFormat, time::Timestamp, usage::TokenUsage},
    gateway::{
        exchange::{ClientApi, ClientCall, ClientRequest, Conversion},
        stream::{
            lines,
            sse::{self, MAX_EVENT_BYTES},
        },
        translate::{EventOutcome, Framing, PathParams},
    },
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// The system's allocator, counted. The program has a faster one, so that times are rather too long.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Who asks, and who answers.
const PAIRS: [(Dialect, Dialect); 6] = [
    (Dialect::Chat, Dialect::Messages),
    (Dialect::Messages, Dialect::Chat),
    (Dialect::Chat, Dialect::Gemini),
    (Dialect::Responses, Dialect::Chat),
    (Dialect::Gemini, Dialect::Responses),
    (Dialect::Messages, Dialect::Ollama),
];

/// Characters of one event, as models stream them.
const PIECE: usize = 12;

/// What a read from a socket gives at most.
const READ: usize = 16 * 1024;

fn of(dialect: Dialect) -> &'static Spoken {
    ALL.iter().find(|spoken| spoken.dialect == dialect).expect("every dialect is spoken")
}

fn prose(words: usize) -> String {
    "The \"quick\" brown fox,\nnaïve as ever, jumps. "
        .split_inclusive(' ')
        .cycle()
        .take(words)
        .collect()
}

/// A conversation of an agent: long instructions, ten tools, twenty rounds of calls.
fn request() -> Request {
    let schema = r#"{"type":"object","properties":{"path":{"type":"string","description":"Which file."},"line":{"type":"integer"}},"required":["path"]}"#;
    let tools = (0..10).map(|number| {
        Tool::Function(FunctionTool {
            name: format!("tool_{number}"),
            description: Some(prose(40)),
            parameters: Json::parse(schema),
            strict: None,
            cache: None,
        })
    });
    let mut turns = vec![Turn::new(Role::System, vec![Part::text(prose(1_000))])];
    for round in 0..20 {
        let id = format!("call_{round}");
        let said = vec![Part::text(prose(40)), Content::ToolCall(call(&id)).into()];
        turns.push(Turn::new(Role::User, vec![Part::text(prose(40))]));
        turns.push(Turn::new(Role::Assistant, said));
        let result = providerpool::domain::chat::ToolResult {
            call_id: id,
            name: None,
            kind: CallKind::Function,
            parts: vec![Part::text(prose(300))],
            is_error: false,
        };
        turns.push(Turn::new(Role::Tool, vec![Content::ToolResult(result).into()]));
    }
    turns.push(Turn::new(Role::User, vec![Part::text(prose(40))]));
    Request {
        tools: tools.collect(),
        max_output_tokens: Some(8_000),
        ..Request::new(model(), turns)
    }
}

fn call(id: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "tool_1".to_owned(),
        kind: CallKind::Function,
        input: format!(r#"{{"path":"src/main.rs","text":{:?}}}"#, prose(30)),
        signature: None,
    }
}

/// Thoughts, a text of 4 KB and a call.
fn answer() -> Answer {
    let thought = Reasoning { text: prose(100), ..Reasoning::default() };
    let parts = vec![
        Content::Reasoning(thought).into(),
        Part::text(prose(600)),
        Content::ToolCall(call("call_1")).into(),
    ];
    let tokens = TokenUsage { input: 9_000, output: 1_000, ..TokenUsage::default() };
    Answer {
        id: Some("answer".to_owned()),
        model: Some("a-model".to_owned()),
        choices: vec![Choice { parts, stop: StopReason::ToolCalls, logprobs: None }],
        usage: Some(Usage { tokens, ..Usage::default() }),
        ..Answer::default()
    }
}

/// The answer as an upstream of this dialect streams it, and the number of its deltas.
fn stream(dialect: &Spoken) -> (Vec<u8>, u32) {
    let (answer, request) = (answer(), asking());
    let mut writer = dialect.client.stream_writer(&shown(&request));
    let (mut out, mut deltas) = (Vec::new(), 0);
    for delta in deltas_of(&answer) {
        for piece in pieces(delta) {
            writer.write(piece, &mut out);
            deltas += 1;
        }
    }
    writer.finish(answer.usage.unwrap(), &mut out);
    (out, deltas)
}

fn pieces(delta: Delta<'_>) -> Vec<Delta<'_>> {
    let (Delta::Text { text, .. } | Delta::Reasoning { text, .. } | Delta::CallInput { text, .. }) =
        &delta
    else {
        return vec![delta];
    };
    let letters: Vec<char> = text.chars().collect();
    let texts = letters.chunks(PIECE).map(|piece| piece.iter().collect::<String>());
    texts
        .map(|piece| match delta.clone().into_owned() {
            Delta::Text { choice, .. } => Delta::Text { choice, text: piece.into() },
            Delta::Reasoning { choice, is_summary, .. } => {
                Delta::Reasoning { choice, text: piece.into(), is_summary }
            }
            Delta::CallInput { choice, number, .. } => {
                Delta::CallInput { choice, number, text: piece.into() }
            }
            other => other,
        })
        .collect()
}

/// Reads a stream of `upstream` in pieces as sockets give them and writes what `client` gets.
fn translate(upstream: &Spoken, client: &Spoken, request: &Request, input: &Bytes) -> usize {
    let mut reader = upstream.upstream.stream_reader();
    let mut writer = client.client.stream_writer(&shown(request));
    let mut sse = sse::Framer::new(MAX_EVENT_BYTES);
    let mut lines = lines::Framer::new(MAX_EVENT_BYTES);
    let (mut out, mut sent) = (Vec::new(), 0);
    let mut usage = Usage::default();
    for start in (0..input.len()).step_by(READ) {
        let piece = input.slice(start..input.len().min(start + READ));
        out.clear();
        let mut read = |data: &[u8]| {
            let said = reader.read(data, &mut |delta| {
                if let Delta::Usage(told) = &delta {
                    usage = *told;
                }
                writer.write(delta, &mut out);
            });
            assert!(matches!(said, Ok(EventOutcome::More | EventOutcome::Done)));
        };
        match upstream.upstream.framing() {
            Framing::Sse => {
                let frames = sse.feed(piece);
                let buffer = frames.buffer().clone();
                frames.for_each(|event| read(event.unwrap().data(&buffer)));
            }
            Framing::Lines => {
                let frames = lines.feed(piece);
                let buffer = frames.buffer().clone();
                frames.for_each(|event| read(event.unwrap().data(&buffer)));
            }
        }
        sent += out.len();
    }
    out.clear();
    writer.finish(usage, &mut out);
    sent + out.len()
}

fn pass(input: &Bytes) -> usize {
    let body = Bytes::from_static(br#"{"model":"m","stream":true,"messages":[]}"#);
    let asked = ClientCall::Generate(ClientApi::Chat);
    let request = ClientRequest::parse(asked, body, &PathParams::default()).unwrap();
    let (id, at) = (RequestId::generate(), Timestamp::from_millis(0));
    let pair = Conversion::new(
        Rc::new(request),
        ApiFormat::Openai,
        model(),
        id,
        at,
        false,
        MAX_EVENT_BYTES,
    );
    let mut stream = pair.stream(true);
    let pieces = (0..input.len()).step_by(READ);
    pieces.map(|at| stream.feed(input.slice(at..input.len().min(at + READ))).forward.len()).sum()
}

fn tell_allocations(name: &str, events: u32, run: impl FnOnce() -> usize) {
    let region = Region::new(ALLOCATOR);
    black_box(run());
    let stats = region.change();
    let per_event = |amount: usize| f64::from(u32::try_from(amount).unwrap()) / f64::from(events);
    let count = per_event(stats.allocations + stats.reallocations);
    let bytes = per_event(stats.bytes_allocated);
    println!("{name}: {count:.2} allocations and {bytes:.0} bytes per event, {events} events");
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let asked = request();
    for (client, upstream) in PAIRS.map(|(client, upstream)| (of(client), of(upstream))) {
        let body = client.upstream.write_request(&asked, &target(&model())).body;
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("{} to {}", client.name(), upstream.name()), |bencher| {
            bencher.iter(|| {
                let request = client.read_request(black_box(&body)).unwrap();
                upstream.upstream.write_request(&request, &target(&model())).body.len()
            });
        });
    }
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer");
    let request = asking();
    for (client, upstream) in PAIRS.map(|(client, upstream)| (of(client), of(upstream))) {
        let mut losses = Losses::default();
        let body = upstream.client.write_answer(&answer(), &shown(&request), &mut losses);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("{} for {}", upstream.name(), client.name()), |bencher| {
            bencher.iter(|| {
                let answer = upstream.upstream.read_answer(black_box(&body)).unwrap();
                client.client.write_answer(&answer, &shown(&request), &mut Losses::default()).len()
            });
        });
    }
    group.finish();
}

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stream");
    let (passed, events) = stream(of(Dialect::Chat));
    let passed = Bytes::from(passed);
    tell_allocations("chat as it is", events, || pass(&passed));
    group.throughput(Throughput::Bytes(passed.len() as u64));
    group.bench_function("chat as it is", |bencher| bencher.iter(|| pass(black_box(&passed))));
    let request = asking();
    for (client, upstream) in PAIRS.map(|(client, upstream)| (of(client), of(upstream))) {
        let name = format!("{} for {}", upstream.name(), client.name());
        let (input, events) = stream(upstream);
        let input = Bytes::from(input);
        tell_allocations(&name, events, || translate(upstream, client, &request, &input));
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| translate(upstream, client, &request, black_box(&input)));
        });
    }
    group.finish();
}

criterion_group!(benches, requests, answers, streams);
criterion_main!(benches);
