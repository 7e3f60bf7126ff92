//! Whatever comes, nothing panics, and mistakes are told with their paths.

use serde_json::Value;

use super::{
    super::super::{ClientSide, PathParams, UpstreamSide},
    streams::events,
    *,
};

/// The value with each of its inner values in turn replaced by something odd.
fn mutations(value: &Value, odd: &Value) -> Vec<Value> {
    let mut all = vec![odd.clone()];
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                for mutated in mutations(inner, odd) {
                    let mut copy = fields.clone();
                    copy.insert(name.clone(), mutated);
                    all.push(Value::Object(copy));
                }
            }
        }
        Value::Array(values) => {
            for (n, inner) in values.iter().enumerate() {
                for mutated in mutations(inner, odd) {
                    let mut copy = values.clone();
                    copy[n] = mutated;
                    all.push(Value::Array(copy));
                }
            }
        }
        _ => (),
    }
    all
}

fn odd_values() -> Vec<Value> {
    ["null", "true", "-7", "1e300", r#""x""#, "[]", "{}", r#"[{"type":"text"}]"#]
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

#[test]
fn no_request_makes_anything_panic() {
    let target_model = model("claude-sonnet-4-5");
    for (_, body) in fixtures("requests") {
        for odd in odd_values() {
            for mutated in mutations(&super::json(&body), &odd) {
                let bytes = mutated.to_string();
                let read = Messages.read_request(bytes.as_bytes(), &PathParams::default());
                if let Ok(request) = read {
                    let written = Messages.write_request(&request, &target(&target_model));
                    super::json(written.body);
                }
            }
        }
    }
}

#[test]
fn a_request_that_is_cut_is_invalid_wherever_it_is_cut() {
    let body = fixture("requests", "tool_result");
    let end = body.trim_ascii_end().len();
    for cut in 0..end {
        assert!(Messages.read_request(&body[..cut], &PathParams::default()).is_err(), "{cut}");
    }
}

#[test]
fn no_answer_and_no_event_makes_anything_panic() {
    for (_, body) in fixtures("answers") {
        for odd in odd_values() {
            for mutated in mutations(&super::json(&body), &odd) {
                if let Ok(answer) = Messages.read_answer(mutated.to_string().as_bytes()) {
                    let mut losses = Losses::default();
                    Messages.write_answer(&answer, &shown(&a_request()), &mut losses);
                }
            }
        }
    }
    for (_, stream) in fixtures("streams") {
        for event in events(&stream) {
            for odd in odd_values() {
                let mut reader = Messages.stream_reader();
                let mut writer = Messages.stream_writer(&shown(&a_request()));
                let mut out = Vec::new();
                for mutated in mutations(&super::json(&event), &odd) {
                    let data = mutated.to_string();
                    let _ =
                        reader.read(data.as_bytes(), &mut |delta| writer.write(delta, &mut out));
                }
            }
        }
    }
}

#[test]
fn what_is_no_event_is_unparsable() {
    let mut reader = Messages.stream_reader();
    for bad in [
        "",
        "x",
        "7",
        "[]",
        "null",
        "{",
        "{}",
        "[DONE]",
        r#"{"type":7}"#,
        r#"{"type":"content_block_delta"}"#,
        r#"{"type":"content_block_start"}"#,
        r#"{"type":"message_start","message":7}"#,
    ] {
        assert!(reader.read(bad.as_bytes(), &mut |_| panic!("{bad}")).is_err(), "{bad}");
    }
    assert!(reader.read(b"{\"type\":\"\xff\"}", &mut |_| ()).is_err());
}

#[test]
fn deep_nesting_is_no_recursion() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let result = r#"{"type":"tool_result","tool_use_id":"t","content":["#;
    let nested = format!("{}{}", result.repeat(5_000), "]}".repeat(5_000));
    for content in [&deep, &format!("[{nested}]")] {
        let body = format!(
            r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":{content}}}]}}"#
        );
        if let Ok(request) = Messages.read_request(body.as_bytes(), &PathParams::default()) {
            Messages.write_request(&request, &target(&model("m")));
        }
    }
}

#[test]
fn mistakes_of_clients_are_told_with_their_paths() {
    let hello = r#""messages":[{"role":"user","content":"x"}]"#;
    let with = |messages: &str| format!(r#"{{"model":"m","max_tokens":1,"messages":{messages}}}"#);
    let block = |block: &str| with(&format!(r#"[{{"role":"user","content":[{block}]}}]"#));
    for (body, param) in [
        (format!(r#"{{"max_tokens":1,{hello}}}"#), "model"),
        (format!(r#"{{"model":"","max_tokens":1,{hello}}}"#), "model"),
        (format!(r#"{{"model":"m",{hello}}}"#), "max_tokens"),
        (format!(r#"{{"model":"m","max_tokens":-1,{hello}}}"#), "max_tokens"),
        (format!(r#"{{"model":"m","max_tokens":"9",{hello}}}"#), "max_tokens"),
        (r#"{"model":"m","max_tokens":1}"#.into(), "messages"),
        (with("[]"), "messages"),
        (with("{}"), "messages"),
        (with("[7]"), "messages.0"),
        (with(r#"[{"content":"x"}]"#), "messages.0.role"),
        (with(r#"[{"role":"robot","content":"x"}]"#), "messages.0.role"),
        (with(r#"[{"role":"user"}]"#), "messages.0.content"),
        (with(r#"[{"role":"user","content":7}]"#), "messages.0.content"),
        (block("{}"), "messages.0.content.0.type"),
        (block(r#"{"type":"text"}"#), "messages.0.content.0.text"),
        (block(r#"{"type":"image"}"#), "messages.0.content.0.source"),
        (block(r#"{"type":"image","source":{"type":"x"}}"#), "messages.0.content.0.source.type"),
        (block(r#"{"type":"image","source":{"type":"url"}}"#), "messages.0.content.0.source.url"),
        (
            block(
                r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":7}]}"#,
            ),
            "messages.0.content.0.content.0.text",
        ),
        (
            format!(r#"{{"model":"m","max_tokens":1,{hello},"tools":[{{"name":"f"}}]}}"#),
            "tools.0.input_schema",
        ),
        (
            format!(r#"{{"model":"m","max_tokens":1,{hello},"tool_choice":{{"type":"tool"}}}}"#),
            "tool_choice.name",
        ),
        (
            format!(r#"{{"model":"m","max_tokens":1,{hello},"thinking":{{"type":"enabled"}}}}"#),
            "thinking.budget_tokens",
        ),
        (format!(r#"{{"model":"m","max_tokens":1,{hello},"temperature":"hot"}}"#), "temperature"),
    ] {
        let invalid =
            Messages.read_request(body.as_bytes(), &PathParams::default()).expect_err(&body);
        assert_eq!(invalid.param.as_deref(), Some(param), "{body}");
        assert!(invalid.message.contains(param), "{}", invalid.message);
    }
}
