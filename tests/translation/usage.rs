//! Tokens add up: the classes are disjoint, and together they are what the wire says.

use providerpool::domain::chat::{Dialect, Usage};
use serde_json::Value;

use crate::{
    dialects::{ALL, Spoken},
    fixtures::{cases, good},
    streaming::{events, hear},
};

/// Prompt and output as the wire counts them.
///
/// Sources: the usage objects in the reference of each API (read 2026-11). Anthropic's three counts
/// of the prompt are disjoint; those of OpenAI and Google contain what was cached, and Google's of the
/// output leaves thoughts out.
fn on_the_wire(dialect: Dialect, answer: &Value) -> Option<(u64, u64)> {
    let count = |object: &Value, names: &[&str]| -> u64 {
        names.iter().filter_map(|name| object[name].as_u64()).sum()
    };
    let (object, prompt, output): (&Value, &[&str], &[&str]) = match dialect {
        Dialect::Chat => (&answer["usage"], &["prompt_tokens"], &["completion_tokens"]),
        Dialect::Responses => (&answer["usage"], &["input_tokens"], &["output_tokens"]),
        Dialect::Messages => (
            &answer["usage"],
            &["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"],
            &["output_tokens"],
        ),
        Dialect::Gemini => (
            &answer["usageMetadata"],
            &["promptTokenCount", "toolUsePromptTokenCount"],
            &["candidatesTokenCount", "thoughtsTokenCount"],
        ),
        Dialect::Ollama => (answer, &["prompt_eval_count"], &["eval_count"]),
    };
    let is_told = prompt.iter().chain(output).any(|name| object[name].is_u64());
    is_told.then(|| (count(object, prompt), count(object, output)))
}

fn check(name: &str, usage: Option<Usage>, wire: Option<(u64, u64)>) {
    let Some((prompt, output)) = wire else {
        assert_eq!(usage, None, "{name}: nothing is told");
        return;
    };
    let usage = usage.unwrap_or_else(|| panic!("{name}: usage is told and not read"));
    assert_eq!((usage.prompt(), usage.tokens.output), (prompt, output), "{name}");
    assert_eq!(usage.tokens.total(), prompt + output, "{name}");
    assert!(usage.reasoning.unwrap_or(0) <= output, "{name}: more thoughts than output");
    assert!(!usage.is_estimated, "{name}");
}

fn each_answer(dialect: &Spoken, mut check: impl FnMut(&str, Option<(u64, u64)>, &[u8])) {
    for case in good(dialect, "answers") {
        let name = format!("{} {}", dialect.name(), case.name);
        let wire = on_the_wire(dialect.dialect, &serde_json::from_slice(&case.bytes).unwrap());
        check(&name, wire, &case.bytes);
    }
}

#[test]
fn the_classes_of_tokens_add_up_to_what_the_wire_says() {
    for dialect in &ALL {
        each_answer(dialect, |name, wire, body| {
            check(name, dialect.upstream.read_answer(body).unwrap().usage, wire);
        });
    }
}

#[test]
fn a_stream_tells_the_usage_of_its_answer() {
    for dialect in &ALL {
        let streams = cases(dialect, "streams");
        each_answer(dialect, |name, wire, _| {
            let stream = streams.iter().find(|case| name.ends_with(&format!(" {}", case.name)));
            let events = events(dialect.upstream.framing(), [&stream.unwrap().bytes[..]]).unwrap();
            check(name, hear(dialect.upstream, &events).usage(), wire);
        });
    }
}
