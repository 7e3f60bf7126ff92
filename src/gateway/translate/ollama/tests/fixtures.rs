//! Every fixture, there and back.

use super::*;

/// What comes back of a request that had no ids for its calls has some.
fn without_ids(mut request: Value) -> Value {
    for message in request["messages"].as_array_mut().unwrap() {
        let message = message.as_object_mut().unwrap();
        message.remove("tool_call_id");
        if let Some(calls) = message.get_mut("tool_calls") {
            for call in calls.as_array_mut().unwrap() {
                call.as_object_mut().unwrap().remove("id");
            }
        }
    }
    request
}

#[test]
fn every_request_comes_back_as_it_was() {
    for (name, body) in fixtures("requests") {
        let written = write_chat(&read_chat(&body));
        let (mut before, mut after) = (json(&body), json(&written.body));
        match name.as_str() {
            "own_options" => {
                assert_eq!(
                    written.losses.to_string(),
                    "keep_alive, options.mirostat, options.num_ctx, options.num_gpu, truncate"
                );
                assert_eq!(after["options"], serde_json::json!({"temperature": 0.0}));
                assert_eq!(after["stream"], true, "it is the default");
                continue;
            }
            "tool_result" => (before, after) = (without_ids(before), without_ids(after)),
            _ => (),
        }
        assert_eq!(after, before, "{name}");
        assert!(written.losses.is_empty(), "{name}: {}", written.losses);
    }
}

/// Takes out what nobody but the server knows.
fn without_times(mut answer: Value) -> Value {
    let fields = answer.as_object_mut().unwrap();
    for name in
        ["created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"]
    {
        assert!(fields.remove(name).is_some(), "{name}");
    }
    fields.entry("prompt_eval_count").or_insert(0.into());
    answer
}

#[test]
fn every_answer_comes_back_as_it_was() {
    for (name, body) in fixtures("answers") {
        if name == "error" {
            continue;
        }
        let answer = OllamaChat.read_answer(&body).expect(&name);
        let mut losses = answer.losses.clone();
        let request = any_request();
        let written = OllamaChat.write_answer(&answer, &shown(&request), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses}");
        assert_eq!(without_times(json(&written)), without_times(json(&body)), "{name}");
    }
}

#[test]
fn every_stream_says_what_the_whole_answer_says() {
    for (name, stream) in fixtures("streams") {
        if name == "error" {
            continue;
        }
        let mut folded = Folded::default();
        let said = feed(&mut *OllamaChat.stream_reader(), &stream, &mut |delta| folded.add(delta));
        assert_eq!(said, Some(EventOutcome::Done), "{name}");
        assert_eq!(folded.0, OllamaChat.read_answer(&fixture("answers", &name)).unwrap(), "{name}");
    }
}

#[test]
fn what_is_written_of_a_stream_reads_back_as_the_stream() {
    for (name, stream) in fixtures("streams") {
        if name == "error" {
            continue;
        }
        let request = any_request();
        let mut writer = OllamaChat.stream_writer(&shown(&request));
        let mut usage = Usage::default();
        let mut out = Vec::new();
        feed(&mut *OllamaChat.stream_reader(), &stream, &mut |delta| {
            if let Delta::Usage(told) = &delta {
                usage = *told;
            }
            writer.write(delta, &mut out);
        });
        writer.finish(usage, &mut out);
        assert!(writer.losses().is_empty(), "{name}: {}", writer.losses());
        assert_eq!(deltas(&out), deltas(&stream), "{name}");
    }
}

#[test]
fn every_prompt_is_read() {
    for (name, body) in fixtures("generate") {
        OllamaGenerate.read_request(&body, &PathParams::default()).expect(&name);
    }
}
