//! Streams of Responses that break off: the events of a client are numbered without a gap, and the last one
//! holds the response, as it was begun.

use serde_json::{Value, json};

use super::{
    resumed::upstream::{Words, events},
    *,
};
use crate::{
    domain::provider::ApiFormat,
    gateway::{
        exchange::{
            ClientApi,
            passed_log::TextKind::{Reasoning, Text},
            testing::{conversion, feed},
        },
        translate::ErrorView,
    },
};

const API: ClientApi = ClientApi::Responses;

/// What an upstream sends in the place of its next event.
const BREAKS: [&str; 4] = [
    "",
    "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\",\"sequence_number\":90}\n\n",
    "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":9,\"response\":{\"id\":\"first\",\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n",
    "data: {\"type\":\"response.outp\n\n",
];

/// What a client is sent of a stream that breaks off, and of its end.
fn broken(keeps_transcript: bool, begun: &str, wrong: &str) -> (Vec<u8>, Box<EventStream>) {
    let mut stream = conversion(API, ApiFormat::Responses, false).stream(keeps_transcript);
    let (sent, ending) = feed(&mut stream, format!("{begun}{wrong}").as_bytes(), 9);
    assert_eq!(ending.is_some(), !wrong.is_empty(), "{wrong}");
    assert_eq!(sent, begun.as_bytes());
    (sent, stream)
}

/// Ends a stream with an error of ours.
fn fail(format: ApiFormat, stream: &EventStream) -> String {
    let view = ErrorView {
        status: 502,
        message: "it broke off",
        kind: "api_error",
        param: None,
        code: Some("upstream_error"),
    };
    let mut last = Vec::new();
    let writer =
        conversion(API, format, false).closing_writer(stream).expect("its events are numbered");
    writer.borrow_mut().fail(&view, &mut last);
    String::from_utf8(last).unwrap()
}

fn data(sent: &str) -> Vec<Value> {
    let data = sent.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// Checks all that a client has been sent. `first`: the number that the upstream has begun with.
fn check(sent: &str, first: usize, output: &Value, way: &str) {
    let events = data(sent);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], first + at, "{way}: {sent}");
    }
    let [.., error, failed] = &*events else { panic!("{way}: {sent}") };
    assert_eq!((&error["type"], &failed["type"]), (&"error".into(), &"response.failed".into()));
    let response = &failed["response"];
    assert_eq!(
        (&response["id"], &response["created_at"], &response["model"], &response["status"]),
        (&"first".into(), &7.into(), &"of first".into(), &"failed".into()),
        "{way}"
    );
    assert_eq!(response["error"], json!({"code": "server_error", "message": "it broke off"}));
    assert_eq!(&response["output"], output, "{way}");
}

const SAID: [Words<'static>; 4] = [(Reasoning, "hm"), (Reasoning, "."), (Text, "on"), (Text, "e")];

/// The first events, and how many they are, up to each place where something may be expected.
fn places(said: &[Words<'_>]) -> Vec<String> {
    let events = events(ApiFormat::Responses, "first", said);
    (1..events.len()).map(|end| events[..end].concat()).collect()
}

fn items_done(begun: &str) -> Value {
    let events = data(begun);
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    done.map(|event| event["item"].clone()).collect()
}

#[test]
fn however_a_passed_stream_breaks_off_its_end_goes_on_with_its_numbers() {
    for begun in places(&SAID) {
        for wrong in BREAKS {
            let (sent, stream) = broken(true, &begun, wrong);
            let sent = String::from_utf8(sent).unwrap() + &fail(ApiFormat::Responses, &stream);
            check(&sent, 0, &items_done(&begun), &format!("{begun}{wrong}"));

            // Nobody was to go on with it: what was said is not kept.
            let (sent, stream) = broken(false, &begun, wrong);
            let sent = String::from_utf8(sent).unwrap() + &fail(ApiFormat::Responses, &stream);
            check(&sent, 0, &json!([]), &format!("{begun}{wrong}"));
        }
    }
}

#[test]
fn what_cannot_be_gone_on_with_ends_in_the_same_way() {
    let call = json!({"type": "response.output_item.added", "output_index": 0, "sequence_number": 2,
        "item": {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""}});
    let input = json!({"type": "response.function_call_arguments.delta", "output_index": 0,
        "item_id": "fc", "delta": "{}", "sequence_number": 3});
    let search = json!({"type": "response.output_item.added", "output_index": 0,
        "sequence_number": 2, "item": {"type": "web_search_call", "id": "ws"}});
    let foreign = json!({"type": "vendor.notice", "sequence_number": 2});
    let begun = &places(&SAID)[1];
    for events in [vec![call, input], vec![search], vec![foreign]] {
        let more = events.iter().map(|event| format!("data: {event}\n\n"));
        let more = more.collect::<Vec<_>>().concat();
        for wrong in BREAKS {
            let (sent, stream) = broken(true, &format!("{begun}{more}"), wrong);
            let sent = String::from_utf8(sent).unwrap() + &fail(ApiFormat::Responses, &stream);
            check(&sent, 0, &json!([]), &format!("{more}{wrong}"));
        }
    }
}

#[test]
fn the_numbers_of_an_upstream_are_gone_on_with_whatever_they_are() {
    let numbered = |first: usize, begun: &str| -> String {
        let numbered = data(begun).into_iter().enumerate().map(|(at, mut event)| {
            event["sequence_number"] = (first + at).into();
            format!("data: {event}\n\n")
        });
        numbered.collect()
    };
    for begun in places(&SAID) {
        let begun = numbered(40, &begun);
        let (sent, stream) = broken(true, &begun, "");
        let sent = String::from_utf8(sent).unwrap() + &fail(ApiFormat::Responses, &stream);
        check(&sent, 40, &items_done(&begun), &begun);
    }
    // One that does not number its events has them counted.
    let begun = numbered(0, &places(&SAID)[5]).replace("sequence_number", "x");
    let (_, stream) = broken(true, &begun, "");
    assert_eq!(data(&fail(ApiFormat::Responses, &stream))[0]["sequence_number"], 6);
}

#[test]
fn a_stream_that_was_gone_on_with_breaks_off_in_the_same_way() {
    for (begun, wrong) in places(&SAID).iter().flat_map(|begun| BREAKS.map(|it| (begun, it))) {
        let (sent, stream) = broken(true, begun, wrong);
        let Some(transcript) = stream.transcript() else { panic!("it is lost: {begun}") };
        for format in [ApiFormat::Responses, ApiFormat::Openai, ApiFormat::Anthropic] {
            let mut resumed = conversion(API, format, false).resuming(&transcript).unwrap();
            let again = events(format, "second", &[&SAID[..], &[(Text, " two")]].concat());
            let at = again.iter().position(|event| event.contains(" two")).unwrap();
            let (more, ending) = feed(&mut resumed, again[..=at].concat().as_bytes(), 100);
            assert!(ending.is_none() && resumed.is_proved(), "{format:?} {begun}");
            let sent = [&sent[..], &more, fail(format, &resumed).as_bytes()].concat();
            let sent = String::from_utf8(sent).unwrap();
            let way = format!("{format:?} after {wrong}");
            check(&sent, 0, &items_done(&sent), &way);
        }
    }
}

#[test]
fn other_dialects_have_one_event_for_every_error() {
    for (api, format) in [
        (ClientApi::Chat, ApiFormat::Openai),
        (ClientApi::Messages, ApiFormat::Anthropic),
        (ClientApi::Gemini, ApiFormat::Google),
        (ClientApi::OllamaChat, ApiFormat::Ollama),
    ] {
        let conversion = conversion(api, format, false);
        assert!(conversion.closing_writer(&conversion.stream(true)).is_none(), "{api:?}");
    }
}
