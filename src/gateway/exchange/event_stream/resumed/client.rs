//! A stream as a strict client reads it: all of it must be of one answer.

use serde_json::Value;

use crate::gateway::exchange::ClientApi;

/// What a client has in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    pub text: String,
    pub thoughts: String,
}

impl Received {
    /// Dialects that have thoughts in one text put a break between those of several parts.
    pub fn without_breaks(&self) -> Self {
        Self { text: self.text.clone(), thoughts: self.thoughts.replace('\n', "") }
    }
}

/// Reads a complete stream. Fails when it is not one.
pub fn received(api: ClientApi, sent: &[u8], way: &str) -> Received {
    let sent = std::str::from_utf8(sent).unwrap();
    match api {
        ClientApi::Chat => chat(sent, way),
        ClientApi::Messages => messages(&events(sent), way),
        ClientApi::Responses => responses(&events(sent), way),
        ClientApi::Gemini => gemini(&events(sent), way),
        ClientApi::OllamaChat => ollama(sent, way),
        other => panic!("nothing passes to {other:?}"),
    }
}

fn events(sent: &str) -> Vec<Value> {
    let data = sent.split_terminator("\n\n").map(|event| {
        let data = event.lines().find_map(|line| line.strip_prefix("data: "));
        let data: Value = serde_json::from_str(data.unwrap()).unwrap();
        if let Some(name) = event.lines().find_map(|line| line.strip_prefix("event: ")) {
            assert_eq!(data["type"], name);
        }
        data
    });
    data.collect()
}

fn str_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn chat(sent: &str, way: &str) -> Received {
    let sent = sent.strip_suffix("data: [DONE]\n\n").unwrap_or_else(|| panic!("no end: {way}"));
    let (mut received, mut roles, mut ends) = (Received::default(), 0, 0);
    for chunk in events(sent) {
        assert_eq!((&chunk["id"], &chunk["created"]), (&"first".into(), &7.into()), "{way}");
        assert_eq!(chunk["model"], "of first", "{way}");
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        roles += usize::from(delta["role"].is_string());
        ends += usize::from(choice["finish_reason"].is_string());
        received.text += str_of(&delta["content"]);
        received.thoughts += str_of(&delta["reasoning_content"]);
    }
    assert_eq!((roles, ends), (1, 1), "{way}");
    received
}

fn messages(events: &[Value], way: &str) -> Received {
    let mut received = Received::default();
    let (mut open, mut next) = (None, 0);
    for event in events {
        match str_of(&event["type"]) {
            "content_block_start" => {
                assert!(open.is_none() && event["index"] == next, "{way}");
                open = event["content_block"]["type"].as_str();
            }
            "content_block_delta" => {
                assert_eq!(event["index"], next, "{way}");
                let delta = &event["delta"];
                match (str_of(&delta["type"]), open) {
                    ("text_delta", Some("text")) => received.text += str_of(&delta["text"]),
                    ("thinking_delta", Some("thinking")) => {
                        received.thoughts += str_of(&delta["thinking"]);
                    }
                    ("signature_delta", Some("thinking")) => {}
                    odd => panic!("{odd:?}: {way}"),
                }
            }
            "content_block_stop" => {
                assert!(open.take().is_some() && event["index"] == next, "{way}");
                next += 1;
            }
            "message_start" | "message_delta" | "message_stop" => assert_eq!(open, None, "{way}"),
            "ping" => {}
            other => panic!("{other}: {way}"),
        }
    }
    let times = |kind| events.iter().filter(|event| event["type"] == kind).count();
    let once = ["message_start", "message_delta", "message_stop"].map(times);
    assert_eq!(once, [1; 3], "{way}");
    assert_eq!(events.last().unwrap()["type"], "message_stop", "{way}");
    received
}

fn gemini(events: &[Value], way: &str) -> Received {
    let mut received = Received::default();
    let mut ends = 0;
    for event in events {
        assert_eq!(event["responseId"], "first", "{way}");
        assert_eq!(event["modelVersion"], "of first", "{way}");
        let candidate = &event["candidates"][0];
        ends += usize::from(candidate["finishReason"].is_string());
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            if part["thought"] == true {
                received.thoughts += str_of(&part["text"]);
            } else {
                received.text += str_of(&part["text"]);
            }
        }
    }
    let last = events.last().unwrap();
    assert_eq!((ends, &last["candidates"][0]["finishReason"]), (1, &"STOP".into()), "{way}");
    received
}

fn ollama(sent: &str, way: &str) -> Received {
    let mut received = Received::default();
    let lines: Vec<Value> = sent.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ends = lines.iter().filter(|line| line["done"] == true).count();
    assert_eq!((ends, &lines.last().unwrap()["done"]), (1, &true.into()), "{way}");
    for line in &lines {
        received.text += str_of(&line["message"]["content"]);
        received.thoughts += str_of(&line["message"]["thinking"]);
    }
    received
}

/// Checks what the SDKs hold to: numbers, places and ids, and that what is done repeats what was said.
fn responses(events: &[Value], way: &str) -> Received {
    let mut received = Received::default();
    let (mut item, mut parts) = (Value::Null, Vec::<(String, String, bool)>::new());
    let mut done: Vec<(String, String)> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{way}");
        let kind = str_of(&event["type"]);
        if kind.starts_with("response.output_item.") {
            assert_eq!(event["output_index"], done.len(), "{way}");
        } else if event["item_id"].is_string() {
            assert_eq!(
                (&event["output_index"], &event["item_id"]),
                (&done.len().into(), &item["id"]),
                "{way}"
            );
        }
        let index = event.get("content_index").or_else(|| event.get("summary_index"));
        match kind {
            "response.created" | "response.in_progress" => {}
            "response.output_item.added" => {
                assert!(item.is_null(), "{way}");
                (item, parts) = (event["item"].clone(), Vec::new());
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                assert_eq!(index, Some(&parts.len().into()), "{way}");
                assert!(parts.iter().all(|(.., is_done)| *is_done), "{way}");
                parts.push((str_of(&event["part"]["type"]).to_owned(), String::new(), false));
            }
            _ if kind.ends_with("_text.delta") => {
                assert_eq!(index, Some(&(parts.len() - 1).into()), "{way}");
                let words = str_of(&event["delta"]);
                let (of, text, is_done) = parts.last_mut().unwrap();
                assert!(kind.contains(&**of) && !*is_done, "{kind} in {of}: {way}");
                text.push_str(words);
                let all =
                    if of == "output_text" { &mut received.text } else { &mut received.thoughts };
                all.push_str(words);
            }
            _ if kind.ends_with("_text.done") => {
                assert_eq!(str_of(&event["text"]), parts.last().unwrap().1, "{way}");
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                let (of, text, is_done) = parts.last_mut().unwrap();
                assert_eq!(
                    (&event["part"]["type"], str_of(&event["part"]["text"])),
                    (&(**of).into(), &**text),
                    "{way}"
                );
                assert!(!std::mem::replace(is_done, true), "{way}");
            }
            "response.output_item.done" => {
                assert_eq!(
                    (&event["item"]["id"], &event["item"]["type"]),
                    (&item["id"], &item["type"]),
                    "{way}"
                );
                assert!(parts.iter().all(|(.., is_done)| *is_done), "{way}");
                let text = parts.iter().map(|(_, text, _)| &**text).collect();
                done.push((str_of(&item["id"]).to_owned(), text));
                item = Value::Null;
            }
            "response.completed" => {
                assert!(item.is_null() && number == events.len() - 1, "{way}");
                let response = &event["response"];
                assert_eq!(
                    (&response["id"], &response["created_at"]),
                    (&"first".into(), &7.into()),
                    "{way}"
                );
                assert_eq!(response["model"], "of first", "{way}");
                let output = response["output"].as_array().unwrap().iter().map(|item| {
                    let parts = item.get("content").or_else(|| item.get("summary"));
                    let parts = parts.unwrap().as_array().unwrap().iter();
                    let text = parts.map(|part| str_of(&part["text"])).collect::<String>();
                    (str_of(&item["id"]).to_owned(), text)
                });
                assert_eq!(output.collect::<Vec<_>>(), done, "{way}");
            }
            other => panic!("{other}: {way}"),
        }
    }
    assert_eq!(events.last().unwrap()["type"], "response.completed", "{way}");
    received
}
