use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{
    answer_of, asking, events, fixture, fixtures, laid_out, read_stream, shown, usage_of,
};
use crate::{
    domain::{
        chat::{
            CallKind, Content, Delta, Dialect, Json, Losses, Part, ReasoningSignature, StopReason,
            TokenLogprob, Usage,
        },
        failure::FailureClass,
    },
    gateway::translate::{
        ClientSide as _, ErrorView, EventOutcome, Unparsable, UpstreamSide as _,
        responses::Responses,
    },
};

/// What a client gets of these deltas.
fn written(deltas: &[Delta<'_>], usage: Usage) -> (Vec<u8>, String) {
    let request = asking();
    let mut writer = Responses.stream_writer(&shown(&request));
    let mut out = Vec::new();
    for delta in deltas {
        writer.write(delta.clone(), &mut out);
    }
    writer.finish(usage, &mut out);
    (out, writer.losses().to_string())
}

fn of(case: &str) -> (Vec<Delta<'static>>, EventOutcome) {
    read_stream(&mut *Responses.stream_reader(), &fixture("streams", case))
}

fn kinds(stream: &[u8]) -> Vec<String> {
    let kind = |event: &String| {
        let json: Value = serde_json::from_str(event).unwrap();
        json["type"].as_str().unwrap().to_owned()
    };
    events(stream).iter().map(kind).collect()
}

#[test]
fn every_stream_says_what_the_whole_answer_says() {
    for (case, stream) in fixtures("streams") {
        let (deltas, said) = read_stream(&mut *Responses.stream_reader(), &stream);
        if matches!(&*case, "error" | "failed") {
            assert!(matches!(said, EventOutcome::Failed(_)), "{case}");
            continue;
        }
        assert_eq!(said, EventOutcome::Done, "{case}");
        let whole = Responses.read_answer(&fixture("answers", &case)).unwrap();
        assert_eq!(laid_out(answer_of(&deltas)), laid_out(whole), "{case}");
    }
}

#[test]
fn every_stream_comes_back_with_the_same_events_in_the_same_order() {
    for (case, stream) in fixtures("streams") {
        let (deltas, said) = read_stream(&mut *Responses.stream_reader(), &stream);
        if said != EventOutcome::Done {
            continue;
        }
        let answer = answer_of(&deltas);
        let (out, losses) = written(&deltas, usage_of(&answer));
        assert_eq!(losses, "lossless", "{case}");
        let mut expected = kinds(&stream);
        // How a search gets on is not told, and tokens are told when the text is done.
        expected.retain(|kind| !kind.contains("web_search_call"));
        assert_eq!(kinds(&out), expected, "{case}");
        let (again, said) = read_stream(&mut *Responses.stream_reader(), &out);
        assert_eq!(said, EventOutcome::Done, "{case}");
        let mut again = answer_of(&again);
        assert_eq!(again.id.as_deref(), Some("resp_abc"));
        again.id = answer.id.clone();
        assert_eq!(again, answer, "{case}");
    }
}

#[test]
fn the_last_event_has_the_answer_as_a_whole_would() {
    for (case, stream) in fixtures("streams") {
        let (deltas, said) = read_stream(&mut *Responses.stream_reader(), &stream);
        if said != EventOutcome::Done {
            continue;
        }
        let answer = answer_of(&deltas);
        let (out, _) = written(&deltas, usage_of(&answer));
        let last: Value = serde_json::from_str(events(&out).last().unwrap()).unwrap();
        let request = asking();
        let whole = Responses.write_answer(&answer, &shown(&request), &mut Losses::default());
        let mut whole: Value = serde_json::from_slice(&whole).unwrap();
        let mut streamed = last["response"].clone();
        // In a stream the last item alone is known to be cut.
        if case == "max_tokens" || case == "filtered" {
            assert_eq!(streamed["output"][0]["status"], "incomplete");
        }
        for json in [&mut whole, &mut streamed] {
            json["output"].as_array_mut().unwrap().retain(|item| item["type"] != "reasoning");
        }
        assert_eq!(streamed, whole, "{case}");
    }
}

#[test]
fn every_event_is_numbered_and_names_its_place() {
    let (deltas, _) = of("parallel_tools");
    let (out, _) = written(&deltas, Usage::default());
    for (number, event) in events(&out).iter().enumerate() {
        let json: Value = serde_json::from_str(event).unwrap();
        assert_eq!(json["sequence_number"], number);
        let kind = json["type"].as_str().unwrap();
        if kind.contains(".delta") || kind.contains("_part.") || kind.contains("arguments") {
            assert!(json["item_id"].is_string() && json["output_index"].is_u64(), "{event}");
        }
    }
    let text = String::from_utf8(out).unwrap();
    for block in text.split_terminator("\n\n") {
        let (name, data) = block.split_once('\n').unwrap();
        let json: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), json["type"].as_str());
    }
}

#[test]
fn a_plain_answer_has_exactly_these_events() {
    let deltas = [
        Delta::Begin { id: None, model: Some("gpt".into()) },
        Delta::Text { choice: 0, text: "Hi\n".into() },
        Delta::Stop { choice: 0, reason: StopReason::Finished },
    ];
    let (out, _) = written(&deltas, Usage::default());
    let all = events(&out);
    assert_eq!(all.len(), 9);
    assert_eq!(
        all[2..8],
        [
            r#"{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"type":"message","id":"msg_abc_0","status":"in_progress","role":"assistant","content":[]}}"#,
            r#"{"type":"response.content_part.added","sequence_number":3,"output_index":0,"item_id":"msg_abc_0","content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}"#,
            r#"{"type":"response.output_text.delta","sequence_number":4,"output_index":0,"item_id":"msg_abc_0","content_index":0,"delta":"Hi\n","logprobs":[]}"#,
            r#"{"type":"response.output_text.done","sequence_number":5,"output_index":0,"item_id":"msg_abc_0","content_index":0,"text":"Hi\n","logprobs":[]}"#,
            r#"{"type":"response.content_part.done","sequence_number":6,"output_index":0,"item_id":"msg_abc_0","content_index":0,"part":{"type":"output_text","text":"Hi\n","annotations":[],"logprobs":[]}}"#,
            r#"{"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"type":"message","id":"msg_abc_0","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi\n","annotations":[],"logprobs":[]}]}}"#,
        ]
    );
    let first: Value = serde_json::from_str(&all[0]).unwrap();
    assert_eq!(
        (&first["response"]["model"], &first["response"]["usage"]),
        (&"gpt".into(), &Value::Null)
    );
}

#[test]
fn calls_may_grow_side_by_side() {
    let begin = |number, id: &'static str| Delta::CallBegin {
        choice: 0,
        number,
        id: id.into(),
        name: "f".into(),
        kind: CallKind::Function,
        signature: None,
    };
    let more =
        |number, text: &'static str| Delta::CallInput { choice: 0, number, text: text.into() };
    let deltas = [
        begin(0, "a"),
        more(0, "{\"x\""),
        begin(1, ""),
        more(1, "{}"),
        more(0, ":1}"),
        Delta::Stop { choice: 0, reason: StopReason::ToolCalls },
    ];
    let (out, losses) = written(&deltas, Usage::default());
    assert_eq!(losses, "lossless");
    let last: Value = serde_json::from_str(events(&out).last().unwrap()).unwrap();
    let output = &last["response"]["output"];
    assert_eq!(output[0]["arguments"], "{\"x\":1}");
    assert_eq!(
        (&output[1]["call_id"], &output[1]["arguments"]),
        (&"call_abc_1".into(), &"{}".into())
    );
}

#[test]
fn a_signature_of_a_call_has_an_item_of_its_own_before_it() {
    let signature = ReasoningSignature::new(Dialect::Gemini, "AbC");
    let deltas = [
        Delta::CallBegin {
            choice: 0,
            number: 0,
            id: "a".into(),
            name: "f".into(),
            kind: CallKind::Custom,
            signature: Some(signature),
        },
        Delta::Break { choice: 0 },
    ];
    let (out, _) = written(&deltas, Usage::default());
    let last: Value = serde_json::from_str(events(&out).last().unwrap()).unwrap();
    assert_eq!(last["response"]["output"][0]["encrypted_content"], "pp1.gemini.AbC");
    assert_eq!(last["response"]["output"][1]["type"], "custom_tool_call");
}

#[test]
fn a_failure_ends_a_stream_as_the_api_does() {
    let request = asking();
    let view = ErrorView {
        status: 429,
        message: "slow down",
        kind: "rate_limit_error",
        param: None,
        code: Some("rate_limit_exceeded"),
    };
    let mut writer = Responses.stream_writer(&shown(&request));
    let mut out = Vec::new();
    writer.write(Delta::Text { choice: 0, text: "Hi".into() }, &mut out);
    writer.fail(&view, &mut out);
    let kinds = kinds(&out);
    assert_eq!(kinds[kinds.len() - 2..], ["error", "response.failed"]);
    let (_, said) = {
        let cut = out.windows(20).rposition(|w| w == b"event: response.fail").unwrap();
        read_stream(&mut *Responses.stream_reader(), &out[..cut])
    };
    let EventOutcome::Failed(failure) = said else { panic!("{said:?}") };
    assert_eq!(failure.class, FailureClass::RateLimit);
    let last: Value = serde_json::from_str(events(&out).last().unwrap()).unwrap();
    assert_eq!(
        last["response"]["error"],
        json!({"code": "rate_limit_exceeded", "message": "slow down"})
    );
    let mut out = Vec::new();
    Responses.stream_writer(&shown(&request)).fail(&view, &mut out);
    assert_eq!(out, Responses.error_event(&view));
}

#[test]
fn what_comes_without_deltas_is_read_when_it_is_done() {
    let message = r#"{"type":"message","content":[{"type":"output_text","text":"hi"}]}"#;
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let done = |n, item: &str| {
        format!(r#"{{"type":"response.output_item.done","output_index":{n},"item":{item}}}"#)
    };
    let end = format!(
        r#"{{"type":"response.completed","response":{{"id":"r","output":[{message},{call}]}}}}"#
    );
    for all in [vec![done(0, message), done(1, call), end.clone()], vec![end]] {
        let mut reader = Responses.stream_reader();
        let mut deltas = Vec::new();
        for event in &all {
            reader.read(event.as_bytes(), &mut |delta| deltas.push(delta.into_owned())).unwrap();
        }
        let answer = answer_of(&deltas);
        assert_eq!(answer.choices[0].parts[0], Part::text("hi"));
        assert_eq!(
            (answer.choices[0].parts.len(), &answer.choices[0].stop),
            (2, &StopReason::ToolCalls)
        );
    }
}

#[test]
fn what_is_no_event_is_unparsable_and_unknown_events_are_passed_over() {
    let mut reader = Responses.stream_reader();
    let mut read = |data: &str| {
        let mut count = 0;
        let said = reader.read(data.as_bytes(), &mut |_| count += 1);
        assert_eq!(count, 0, "{data}");
        said
    };
    for odd in ["", "7", "[]", "{}", "{", "\"x\"", r#"{"type":7}"#] {
        assert_eq!(read(odd), Err(Unparsable), "{odd}");
    }
    for unknown in [
        r#"{"type":"response.web_search_call.searching","item_id":"x"}"#,
        r#"{"type":"response.shell_call_output_content.delta","delta":{"stdout":"x"}}"#,
        r#"{"type":"response.output_text.delta","delta":null}"#,
        r#"{"type":"response.output_item.added"}"#,
        r#"{"type":"response.output_item.done","item":7}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":99,"delta":"x"}"#,
    ] {
        assert_eq!(read(unknown), Ok(EventOutcome::More), "{unknown}");
    }
    for idle in ["[DONE]", r#"{"type":"keepalive","sequence_number":3}"#] {
        assert_eq!(read(idle), Ok(EventOutcome::Idle), "{idle}");
    }
    assert_eq!(read(r#"{"type":"vendor.notice","x":1}"#), Ok(EventOutcome::Foreign));
    for failed in [
        r#"{"error":{"message":"m","code":"server_error"}}"#,
        r#"{"type":"error","code":"server_error","message":"m","param":null}"#,
        r#"{"type":"response.failed","response":{"error":null}}"#,
        r#"{"type":"response.completed","response":{"status":"cancelled"}}"#,
    ] {
        assert!(
            matches!(reader.read(failed.as_bytes(), &mut |_| ()), Ok(EventOutcome::Failed(_))),
            "{failed}"
        );
    }
}

#[test]
fn parts_of_others_are_told_and_ours_kept() {
    let whole = |by| {
        let json = Json::parse("{\n\"type\":\"web_search_call\",\"id\":\"ws_1\"}").unwrap();
        let own = Content::Opaque { by, kind: "web_search_call".into(), json };
        Delta::Whole { choice: 0, part: Box::new(own.into()) }
    };
    let (out, losses) =
        written(&[whole(Dialect::Responses), whole(Dialect::Gemini)], Usage::default());
    assert_eq!(losses, "content.web_search_call");
    let last: Value = serde_json::from_str(events(&out).last().unwrap()).unwrap();
    assert_eq!(last["response"]["output"], json!([{"type": "web_search_call", "id": "ws_1"}]));
}

fn delta() -> impl Strategy<Value = Delta<'static>> {
    let text = "[a-z\"\\\\\n é🙂]{0,6}";
    let number = 0_u32..3;
    prop_oneof![
        4 => text.prop_map(|text| Delta::Text { choice: 0, text: text.into() }),
        2 => (text, any::<bool>()).prop_map(|(text, is_summary)| {
            Delta::Reasoning { choice: 0, text: text.into(), is_summary }
        }),
        1 => any::<bool>().prop_map(|is_redacted| Delta::ReasoningSignature {
            choice: 0,
            signature: ReasoningSignature::new(Dialect::Messages, "AbC="),
            is_redacted,
        }),
        1 => text.prop_map(|text| Delta::Refusal { choice: 0, text: text.into() }),
        2 => (number.clone(), any::<bool>()).prop_map(|(number, is_custom)| Delta::CallBegin {
            choice: 0,
            number,
            id: "c".into(),
            name: "f".into(),
            kind: if is_custom { CallKind::Custom } else { CallKind::Function },
            signature: None,
        }),
        2 => (number, text).prop_map(|(number, text)| {
            Delta::CallInput { choice: 0, number, text: text.into() }
        }),
        1 => Just(Delta::Break { choice: 0 }),
        1 => Just(Delta::Citation { choice: 0, citation: Box::default() }),
        1 => Just(Delta::Logprobs { choice: 1, tokens: Vec::<TokenLogprob>::new() }),
    ]
}

proptest! {
    #[test]
    fn any_deltas_make_a_stream_whose_items_open_and_close_once(
        deltas in proptest::collection::vec(delta(), 0..30)
    ) {
        let (out, _) = written(&deltas, Usage::default());
        let mut open = std::collections::BTreeSet::new();
        let mut items = 0;
        for (number, event) in events(&out).iter().enumerate() {
            let json: Value = serde_json::from_str(event).unwrap();
            prop_assert_eq!(&json["sequence_number"], number);
            let place = json["output_index"].as_u64();
            match json["type"].as_str().unwrap() {
                "response.output_item.added" => {
                    prop_assert_eq!(place, Some(items));
                    items += 1;
                    open.insert(place);
                }
                "response.output_item.done" => prop_assert!(open.remove(&place)),
                "response.completed" => {
                    prop_assert!(open.is_empty());
                    let output = json["response"]["output"].as_array().unwrap();
                    prop_assert_eq!(output.len() as u64, items);
                }
                "response.created" | "response.in_progress" => (),
                _ => prop_assert!(open.contains(&place), "{}", event),
            }
        }
        let (_, said) = read_stream(&mut *Responses.stream_reader(), &out);
        prop_assert_eq!(said, EventOutcome::Done);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(cut in 0_usize..4_000, byte in any::<u8>()) {
        for case in ["thinking_tools", "citations"] {
            let mut stream = fixture("streams", case);
            let at = cut % stream.len();
            stream[at] = byte;
            let mut reader = Responses.stream_reader();
            for block in stream.split(|byte| *byte == b'\n') {
                let _ = reader.read(block, &mut |_| ());
                let _ = reader.read(block.strip_prefix(b"data: ").unwrap_or(block), &mut |_| ());
            }
            let mut answer = fixture("answers", case);
            let at = cut % answer.len();
            answer[at] = byte;
            let _ = Responses.read_answer(&answer);
        }
    }
}
