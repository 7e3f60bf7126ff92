use std::{fs, path::PathBuf, sync::LazyLock};

use serde_json::{Value, json};

use super::Completions;
use crate::{
    domain::{
        chat::{
            Answer, CallKind, Choice, Content, Delta, Losses, Part, Request, Role, StopReason,
            TokenLogprob, ToolCall, TopLogprob, Usage,
        },
        id::ModelName,
        time::Timestamp,
        usage::TokenUsage,
    },
    gateway::translate::{ClientSide, InvalidRequest, PathParams, ResponseContext},
};

fn fixture(name: &str) -> Request {
    let root =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/completions/requests");
    let body = fs::read(root.join(format!("{name}.json"))).expect(name);
    Completions.read_request(&body, &PathParams::default()).expect(name)
}

fn read(fields: &str) -> Result<Request, InvalidRequest> {
    let body = format!(r#"{{"model":"m",{fields}}}"#);
    Completions.read_request(body.as_bytes(), &PathParams::default())
}

static MODEL: LazyLock<ModelName> = LazyLock::new(|| ModelName::parse("asked").unwrap());

fn shown(request: &Request) -> ResponseContext<'_> {
    ResponseContext {
        id: "01",
        created: Timestamp::from_millis(1_763_776_800_000),
        model: &MODEL,
        request,
    }
}

fn token(token: &str, logprob: f64, top: &[(&str, f64)]) -> TokenLogprob {
    let top = top.iter().map(|(token, logprob)| TopLogprob {
        token: (*token).into(),
        logprob: *logprob,
        bytes: None,
    });
    TokenLogprob { token: token.into(), logprob, bytes: None, top: top.collect() }
}

#[test]
fn a_prompt_is_what_a_user_says() {
    let plain = fixture("plain");
    assert_eq!(plain.turns.len(), 1);
    assert_eq!(plain.turns[0].role, Role::User);
    assert_eq!(plain.turns[0].parts, [Part::text("Say this is a test")]);
    assert_eq!(plain.max_output_tokens, Some(16), "the documented default");
    let full = fixture("sampling");
    assert_eq!(full.turns[0].parts, [Part::text("Once upon a time")]);
    assert_eq!((full.max_output_tokens, full.choices, full.logprobs), (Some(64), Some(2), Some(2)));
    assert_eq!(full.stop, ["\n"]);
    assert!(full.stream && full.wants_stream_usage && full.losses.is_empty());
    assert_eq!(fixture("lost").losses.to_string(), "best_of, echo, logit_bias");
}

#[test]
fn what_would_mean_something_else_is_refused() {
    for (fields, param) in [
        (r#""x":1"#, "prompt"),
        (r#""prompt":null"#, "prompt"),
        (r#""prompt":7"#, "prompt"),
        (r#""prompt":[]"#, "prompt"),
        (r#""prompt":["a","b"]"#, "prompt"),
        (r#""prompt":[1,2]"#, "prompt"),
        (r#""prompt":[[1,2]]"#, "prompt"),
        (r#""prompt":"a","suffix":"b""#, "suffix"),
        (r#""prompt":"a","logprobs":true"#, "logprobs"),
        (r#""prompt":"a","max_tokens":"b""#, "max_tokens"),
    ] {
        assert_eq!(read(fields).expect_err(fields).param.as_deref(), Some(param), "{fields}");
    }
    let several = read(r#""prompt":["a","b"]"#).unwrap_err().message;
    assert!(several.contains("one at a time"), "{several}");
    assert!(read(r#""prompt":[[1]]"#).unwrap_err().message.contains("tokens"));
}

#[test]
fn an_answer_is_its_text_in_the_legacy_shape() {
    let call = ToolCall {
        id: "a".into(),
        name: "f".into(),
        kind: CallKind::Function,
        input: "{}".into(),
        signature: None,
    };
    let parts = vec![
        Part::text("Hé "),
        Part::text("you"),
        Content::Refusal("no".into()).into(),
        Content::ToolCall(call).into(),
    ];
    let logprobs =
        Some(vec![token("Hé ", -0.5, &[("Hé ", -0.5), ("Ho", -1.0)]), token("you", -0.25, &[])]);
    let tokens = TokenUsage { input: 3, output: 2, ..TokenUsage::default() };
    let answer = Answer {
        choices: vec![Choice { parts, stop: StopReason::ToolCalls, logprobs }],
        usage: Some(Usage { tokens, ..Usage::default() }),
        ..Answer::default()
    };
    let mut losses = Losses::default();
    let request = fixture("plain");
    let bytes = Completions.write_answer(&answer, &shown(&request), &mut losses);
    let written: Value = serde_json::from_slice(&bytes).unwrap();
    let expected = json!({
        "id": "cmpl-01", "object": "text_completion", "created": 1_763_776_800, "model": "asked",
        "choices": [{
            "text": "Hé you", "index": 0, "finish_reason": "stop",
            "logprobs": {
                "tokens": ["Hé ", "you"], "token_logprobs": [-0.5, -0.25],
                "top_logprobs": [{"Hé ": -0.5, "Ho": -1.0}, {}], "text_offset": [0, 3],
            },
        }],
        "usage": {
            "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {},
        },
    });
    assert_eq!(written, expected);
    assert_eq!(losses.to_string(), "content.tool_call, refusal");
}

#[test]
fn a_stream_is_written_exactly() {
    let request = fixture("sampling");
    let mut writer = Completions.stream_writer(&shown(&request));
    let mut out = Vec::new();
    let tokens = vec![token("Hi", -0.5, &[])];
    for delta in [
        Delta::Begin { id: None, model: Some("other".into()) },
        Delta::Reasoning { choice: 0, text: "hm".into(), is_summary: false },
        Delta::Text { choice: 0, text: "Hi".into() },
        Delta::Logprobs { choice: 0, tokens },
        Delta::Text { choice: 1, text: "Ho".into() },
        Delta::Stop { choice: 0, reason: StopReason::MaxTokens },
    ] {
        writer.write(delta, &mut out);
    }
    writer.finish(Usage::default(), &mut out);
    let head = r#"data: {"id":"cmpl-01","object":"text_completion","created":1763776800,"model":"other","choices":["#;
    let stream = String::from_utf8(out).unwrap();
    let events: Vec<_> = stream
        .split_terminator("\n\n")
        .map(|event| event.strip_prefix(head).unwrap_or(event))
        .collect();
    let expected = [
        r#"{"text":"Hi","index":0,"logprobs":null,"finish_reason":null}]}"#,
        r#"{"text":"","index":0,"logprobs":{"tokens":["Hi"],"token_logprobs":[-0.5],"top_logprobs":null,"text_offset":[0]},"finish_reason":null}]}"#,
        r#"{"text":"Ho","index":1,"logprobs":null,"finish_reason":null}]}"#,
        r#"{"text":"","index":0,"logprobs":null,"finish_reason":"length"}]}"#,
        r#"{"text":"","index":1,"logprobs":null,"finish_reason":"stop"}]}"#,
        r#"],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{}}}"#,
        "data: [DONE]",
    ];
    assert_eq!(events, expected);
    assert_eq!(writer.losses().to_string(), "reasoning");
}
