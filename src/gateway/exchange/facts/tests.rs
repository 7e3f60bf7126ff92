use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::gateway::{exchange::ClientApi, translate::embeddings::EmbeddingApi};

const CHAT: ClientCall = ClientCall::Generate(ClientApi::Chat);
const SYSTEM: &str = r#"{"role":"system","content":"be brief"}"#;
const USER: &str = r#"{"role":"user","content":"hi"}"#;
const ASSISTANT: &str = r#"{"role":"assistant","content":"hello"}"#;
const MORE: &str = r#"{"role":"user","content":"and \"role\":\"assistant\"?"}"#;

fn parsed(asked: ClientCall, body: &str) -> Result<Facts, InvalidRequest> {
    Facts::read(asked, body.as_bytes(), &PathParams::default())
}

fn read(asked: ClientCall, body: &str) -> Facts {
    parsed(asked, body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn needs(asked: ClientCall, body: &str) -> Vec<&'static str> {
    read(asked, body).needs(body.as_bytes()).iter().map(Capability::as_str).collect()
}

fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","messages":[{USER}],{fields}}}"#)
}

fn saying(content: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#)
}

fn talk(messages: &[&str]) -> String {
    format!(r#"{{"messages":[ {} ],"model":"m"}}"#, messages.join(" , "))
}

fn tokens(body: &str) -> u64 {
    read(CHAT, body).prompt_tokens(body.as_bytes())
}

/// A body of each API that is good but for its model, and what must be in it.
const BODIES: [(ClientCall, &str, &str); 9] = [
    (CHAT, r#""messages":[{}]"#, "messages"),
    (ClientCall::Generate(ClientApi::Completions), r#""prompt":"hi""#, "prompt"),
    (ClientCall::Generate(ClientApi::Responses), r#""input":[{}]"#, "input"),
    (ClientCall::Generate(ClientApi::Messages), r#""max_tokens":9,"messages":[{}]"#, "messages"),
    (ClientCall::TokenCount(ClientApi::Messages), r#""messages":[{}]"#, "messages"),
    (ClientCall::Generate(ClientApi::Gemini), r#""contents":[{}]"#, "contents"),
    (ClientCall::TokenCount(ClientApi::Gemini), r#""contents":[{}]"#, "contents"),
    (ClientCall::Generate(ClientApi::OllamaChat), r#""messages":[{}]"#, "messages"),
    (ClientCall::Generate(ClientApi::OllamaGenerate), r#""prompt":"hi""#, "prompt"),
];

#[test]
fn bad_bodies_are_refused_in_every_dialect_with_the_parameter_at_fault() {
    for (asked, good, must) in BODIES {
        let within = |fields: &str| format!("{{{fields}}}");
        read(asked, &within(&format!(r#""model":"m",{good}"#)));
        let mut cases = vec![
            (String::new(), None),
            ("nonsense".to_owned(), None),
            ("[]".to_owned(), None),
            ("\"text\"".to_owned(), None),
            (format!(r#"{{"model":"m",{good}}} x"#), None),
            (format!(r#"{{"model":"m",{good}"#), None),
            (format!(r#"{{"model":"m",{good},}}"#), None),
            (format!(r#"{{"model":"m",{good},"x":"\q"}}"#), None),
            (format!(r#"{{"model":"m","model":"n",{good}}}"#), Some("model")),
            (format!(r#"{{"model":"m","mod\u0065l":"n",{good}}}"#), Some("model")),
            (within(good), Some("model")),
            (format!(r#"{{"model":null,{good}}}"#), Some("model")),
            (format!(r#"{{"model":7,{good}}}"#), Some("model")),
            (format!(r#"{{"model":" ",{good}}}"#), Some("model")),
            (format!(r#"{{"model":"a\nb",{good}}}"#), Some("model")),
            (format!(r#"{{"model":["\\"],{good}}}"#), Some("model")),
            (format!(r#"{{"model":"m",{good},"stream":"yes"}}"#), Some("stream")),
            (r#"{"model":"m"}"#.to_owned(), Some(must)),
            (format!(r#"{{"model":"m","{must}":null}}"#), Some(must)),
        ];
        if good.ends_with("[{}]") {
            cases.push((format!(r#"{{"model":"m","{must}":{{}}}}"#), Some(must)));
            cases.push((format!(r#"{{"model":"m","{must}":[ ]}}"#), Some(must)));
        }
        for (body, param) in cases {
            let error = parsed(asked, &body).err().unwrap_or_else(|| panic!("{asked:?}: {body}"));
            assert_eq!(error.param.as_deref(), param, "{asked:?} {body}: {error}");
        }
        let no_text = [b"{\"model\":\"m\",\"x\":\"\xff\"}".as_slice()].concat();
        let error = Facts::read(asked, &no_text, &PathParams::default()).err().unwrap();
        assert_eq!(error.message, "the body is not valid UTF-8");
    }
    for (asked, body, param) in [
        (CHAT, with(r#""stream_options":1"#), "stream_options"),
        (CHAT, with(r#""stream_options":{"include_usage":1}"#), "stream_options"),
        (BODIES[3].0, talk(&[USER]), "max_tokens"),
        (BODIES[3].0, with(r#""max_tokens":"many""#), "max_tokens"),
        (BODIES[3].0, with(r#""max_tokens":-1"#), "max_tokens"),
        (BODIES[2].0, r#"{"model":"m","input":"x","background":true}"#.to_owned(), "background"),
        (BODIES[2].0, r#"{"model":"m","input":"x","prompt":{"id":"p"}}"#.to_owned(), "prompt"),
    ] {
        assert_eq!(parsed(asked, &body).err().unwrap().param.as_deref(), Some(param), "{body}");
    }
    read(BODIES[2].0, r#"{"model":"m","previous_response_id":"resp_1"}"#);
}

#[test]
fn what_routing_needs_is_found_in_any_order() {
    let body =
        r#" {"messages":[{}],"stream_options":{"include_usage":true},"stream":true,"model":"m"} "#;
    let facts = read(CHAT, body);
    assert_eq!((facts.model.as_str(), facts.stream), ("m", true));
    assert!(!read(CHAT, &with(r#""stream":null"#)).stream);
    assert!(read(ClientCall::Generate(ClientApi::OllamaChat), &talk(&[USER])).stream);
}

#[test]
fn what_is_asked_for_must_be_there() {
    for (fields, expected) in [
        (r#""tools":[{"type":"function"}]"#, "tools"),
        (r#""functions":[ {} ]"#, "tools"),
        (r#""response_format":{"type":"json_object"}"#, "json"),
        (r#""response_format":{"json_schema":{"type":"x"},"type":"json_schema"}"#, "json"),
        (r#""stream":true"#, "streaming"),
    ] {
        assert_eq!(needs(CHAT, &with(fields)), [expected], "{fields}");
    }
    let image = r#"[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]"#;
    assert_eq!(needs(CHAT, &saying(image)), ["vision"]);
    let sound = r#"[{ "input_audio" : {"data":"AAAA","format":"wav"}, "type":"input\u005faudio"}]"#;
    assert_eq!(needs(CHAT, &saying(sound)), ["audio"]);
    let gemini = r#"{"model":"m","contents":[{"parts":[{"inline_data":{"mime_type":"image/png"}}]}],
        "generation_config":{"response_mime_type":"application/json"}}"#;
    assert_eq!(needs(ClientCall::Generate(ClientApi::Gemini), gemini), ["vision", "json"]);
}

#[test]
fn what_is_empty_or_refused_or_only_spoken_of_is_not_needed() {
    for fields in [
        r#""tools":null"#,
        r#""tools":[ ]"#,
        r#""functions":[]"#,
        r#""response_format":{"type":"text"}"#,
        r#""response_format":{"type":7}"#,
        r#""response_format":"json_object""#,
        // Who cannot think is asked without.
        r#""reasoning_effort":"high""#,
        r#""stream":false"#,
        r#""metadata":{"type":"image_url"}"#,
    ] {
        assert!(needs(CHAT, &with(fields)).is_empty(), "{fields}");
    }
    for content in [
        r#""image_url""#,
        r#""say \"type\": \"image_url\"""#,
        r#"[{"type":"text","text":"input_audio"},{"type":"text","text":":"}]"#,
    ] {
        assert!(needs(CHAT, &saying(content)).is_empty(), "{content}");
    }
}

#[test]
fn an_estimate_grows_with_the_prompt_and_stays_below_it() {
    let english = "The quick brown fox jumps over the lazy dog. ".repeat(100);
    let said = tokens(&saying(&format!("\"{english}\"")));
    // Ten tokens to a sentence, whichever tokenizer.
    assert!((500..1000).contains(&said), "{said}");
    let tool = |tool: &str| with(&format!(r#""tools":[{{"function":{tool}}}]"#));
    assert!(tokens(&tool(&format!(r#"{{"description":"{english}"}}"#))) >= 500);
    assert!(tokens(&tool(&format!(r#"{{"parameters":{{"description":"{english}"}}}}"#))) >= 500);
}

#[test]
fn the_same_text_is_estimated_alike_however_it_is_written() {
    let plain = tokens(&saying(&format!("\"{}\"", "привет ".repeat(100))));
    let escaped = r"\u043f\u0440\u0438\u0432\u0435\u0442\u0020\n".repeat(100);
    assert_eq!(tokens(&saying(&format!("\"{escaped}\""))), plain);
    assert_eq!(tokens(&saying(&format!("\"{}\"", "привет     ".repeat(100)))), plain);
}

#[test]
fn media_are_not_counted_by_their_bytes() {
    let data = "A".repeat(100_000);
    let url = format!(r#"{{"url":"data:image/png;base64,{data}"}}"#);
    let image = saying(&format!(r#"[{{"type":"image_url","image_url":{url}}}]"#));
    let sound = format!(r#"{{"data":"{data}","format":"wav"}}"#);
    let sound = saying(&format!(r#"[{{"type":"input_audio","input_audio":{sound}}}]"#));
    assert_eq!((tokens(&image), tokens(&sound)), (TOKENS_PER_MEDIUM, TOKENS_PER_MEDIUM));
}

#[test]
fn the_longest_answer_allowed_is_added() {
    let bare = tokens(&with(r#""n":1"#));
    for (fields, added) in [
        (r#""max_tokens":1000"#, 1000),
        (r#""max_completion_tokens":7"#, 7),
        (r#""max_tokens":8,"max_completion_tokens":9.0"#, 9),
        (r#""max_tokens":null"#, 0),
        (r#""max_tokens":-1"#, 0),
        (r#""max_tokens":1.5"#, 0),
        (r#""max_tokens":"many""#, 0),
    ] {
        assert_eq!(tokens(&with(fields)), bare + added, "{fields}");
    }
    assert_eq!(tokens(&with(r#""max_tokens":18446744073709551615"#)), u64::MAX);
}

/// The signal's kind and text; `opening` for an opening.
fn signal(
    asked: ClientCall,
    body: &str,
    headers: &[(&str, &'static str)],
) -> Option<(String, String)> {
    signals(asked, body, headers).into_iter().next()
}

/// All of them, the most telling first.
fn signals(
    asked: ClientCall,
    body: &str,
    headers: &[(&str, &'static str)],
) -> Vec<(String, String)> {
    let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, id)| *id);
    let mut all = Vec::new();
    read(asked, body).with_session(body.as_bytes(), header, |signal| {
        all.push(match signal {
            SessionSignal::Named { kind, id } => (kind.to_owned(), id.to_owned()),
            SessionSignal::Opening(texts) => {
                ("opening".to_owned(), String::from_utf8_lossy(&texts.concat()).into_owned())
            }
        });
        None::<()>
    });
    all
}

#[test]
fn a_session_has_all_the_names_it_is_given_and_its_beginning_is_none_beside_them() {
    let kinds = |fields: &str, headers: &[(&str, &'static str)]| -> Vec<String> {
        signals(CHAT, &with(fields), headers).into_iter().map(|(kind, _)| kind).collect()
    };
    let two = r#""conversation":{"id":"c"},"prompt_cache_key":"p""#;
    assert_eq!(kinds(two, &[]), ["body.prompt_cache_key", "body.conversation"]);
    let header = [("session_id", "s")];
    assert_eq!(kinds(two, &header), ["session_id", "body.prompt_cache_key", "body.conversation"]);
    // Who it is for tells nothing beside a name, unless it speaks of a session.
    let person = r#""prompt_cache_key":"p","metadata":{"user_id":"u"},"user":"v""#;
    assert_eq!(kinds(person, &[]), ["body.prompt_cache_key"]);
    let session = r#""prompt_cache_key":"p","metadata":{"user_id":"u_session_1"}"#;
    assert_eq!(kinds(session, &[]), ["body.prompt_cache_key", "body.metadata.user_id"]);
}

fn opening(messages: &[&str]) -> Option<String> {
    let (kind, text) = signal(CHAT, &talk(messages), &[])?;
    assert_eq!(kind, "opening");
    Some(text)
}

#[test]
fn headers_come_first_and_then_the_body_in_order() {
    let fields = [
        (r#""prompt_cache_key":"p""#, "body.prompt_cache_key", "p"),
        (r#""session_id":"s""#, "body.session_id", "s"),
        (r#""conversation":{"x":1,"id":"c"}"#, "body.conversation", "c"),
        (r#""conversation_id":"d""#, "body.conversation_id", "d"),
        (r#""metadata":{"user_id":"u","session_id":"t"}"#, "body.metadata.user_id", "u"),
    ];
    for from in 0..fields.len() {
        let all: Vec<_> = fields[from..].iter().rev().map(|(json, _, _)| *json).collect();
        let all = with(&all.join(","));
        let found = signal(CHAT, &all, &[]).unwrap();
        assert_eq!(found, (fields[from].1.into(), fields[from].2.into()));
        for header in 0..SESSION_HEADERS.len() {
            let headers: Vec<_> =
                SESSION_HEADERS[header..].iter().map(|name| (*name, *name)).collect();
            let found = signal(CHAT, &all, &headers).unwrap();
            assert_eq!(found, (SESSION_HEADERS[header].into(), SESSION_HEADERS[header].into()));
        }
    }
    let text = signal(CHAT, &with(r#""conversation":"c2""#), &[]).unwrap();
    assert_eq!(text, ("body.conversation".into(), "c2".into()));
    let session = signal(CHAT, &with(r#""metadata":{"session_id":"t"}"#), &[]).unwrap();
    assert_eq!(session, ("body.metadata.session_id".into(), "t".into()));
    let messages = ClientCall::Generate(ClientApi::Messages);
    let named = with(r#""max_tokens":9,"metadata":{"user_id":"user_1_session_2"}"#);
    assert_eq!(signal(messages, &named, &[]).unwrap().1, "user_1_session_2");
}

#[test]
fn what_is_no_id_is_passed_over() {
    for fields in [
        r#""prompt_cache_key":" ""#,
        r#""prompt_cache_key":7"#,
        r#""prompt_cache_key":null"#,
        r#""prompt_cache_key":"a\nb""#,
        r#""prompt_cache_key":"\u0020""#,
        r#""conversation":{},"metadata":"x""#,
        r#""conversation":[],"metadata":{"user_id":{}}"#,
        r#""conversation":{"id":null},"metadata":[]"#,
    ] {
        let body = with(&format!(r#"{fields},"conversation_id":"next""#));
        let found = signal(CHAT, &body, &[("session-id", "\u{7}")]).unwrap();
        assert_eq!(found.1, "next", "{fields}");
    }
    let long = with(&format!(r#""session_id":"{}","conversation_id":"c""#, "x".repeat(257)));
    assert_eq!(signal(CHAT, &long, &[]).unwrap().1, "c");
    let escaped = with(r#""session_id":"{\"a\":1}""#);
    assert_eq!(signal(CHAT, &escaped, &[]).unwrap().1, r#"{\"a\":1}"#);
}

#[test]
fn a_person_and_an_id_of_one_request_are_no_session() {
    let headers = [("x-client-request-id", "r"), ("idempotency-key", "i"), ("x-request-id", "q")];
    let opening = ("opening".to_owned(), USER.to_owned());
    assert_eq!(signal(CHAT, &with(r#""user":"someone""#), &headers).unwrap(), opening);
    let body = with(r#""max_tokens":9,"metadata":{"user_id":"someone"}"#);
    assert_eq!(
        signal(ClientCall::Generate(ClientApi::Messages), &body, &headers).unwrap(),
        opening
    );
}

#[test]
fn more_turns_do_not_change_the_opening() {
    for first in [&[SYSTEM, USER][..], &[USER], &[SYSTEM, SYSTEM, USER], &[SYSTEM], &[ASSISTANT]] {
        let expected = opening(first).unwrap();
        assert!(expected.ends_with(first[first.len() - 1]));
        for more in [&[ASSISTANT][..], &[ASSISTANT, MORE], &[ASSISTANT, MORE, ASSISTANT, USER]] {
            assert_eq!(opening(&[first, more].concat()).unwrap(), expected);
        }
    }
    assert_ne!(opening(&[SYSTEM, USER]), opening(&[SYSTEM, MORE]));
    assert_ne!(opening(&[SYSTEM, USER]), opening(&[USER]));
}

#[test]
fn instructions_beside_a_conversation_are_part_of_its_opening() {
    for (api, before, first) in [
        (ClientApi::Responses, "instructions", r#""input":"hi""#),
        (ClientApi::Messages, "system", r#""max_tokens":9,"messages":[{}]"#),
        (ClientApi::OllamaGenerate, "system", r#""prompt":"hi""#),
    ] {
        let of = |system: &str| {
            let body = format!(r#"{{{first},"model":"m","{before}":"{system}"}}"#);
            signal(ClientCall::Generate(api), &body, &[]).unwrap()
        };
        assert_eq!(of("be brief"), of("be brief"));
        assert_ne!(of("be brief"), of("be long"), "{api:?}");
    }
}

#[test]
fn long_openings_are_bounded_and_still_told_apart() {
    let system = format!(r#"{{"role":"system","content":"{}"}}"#, "s".repeat(100_000));
    let one = opening(&[&system, USER]).unwrap();
    assert_eq!(one.len(), MAX_OPENING_BYTES);
    assert_ne!(Some(one), opening(&[&system, MORE]));
}

#[test]
fn a_conversation_goes_on_once_someone_has_answered() {
    let is_continuation = |messages: &[&str]| read(CHAT, &talk(messages)).is_continuation();
    assert!(!is_continuation(&[SYSTEM, USER]));
    assert!(!is_continuation(&[MORE, r#"{"role":"user","content":"assistant"}"#]));
    assert!(is_continuation(&[SYSTEM, USER, ASSISTANT]));
    assert!(is_continuation(&[USER, r#"{"content":"4", "r\u006fle" : "tool"}"#]));
}

fn edited(asked: ClientCall, body: &str, edit: impl FnOnce(&Facts, &mut Edits<'_>)) -> String {
    let facts = read(asked, body);
    let mut edits = facts.edits(body.as_bytes());
    edit(&facts, &mut edits);
    let bytes = edits.apply(&Bytes::copy_from_slice(body.as_bytes()));
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn renamed(body: &str, model: &str) -> String {
    let model = ModelName::parse(model).unwrap();
    edited(CHAT, body, |_, edits| edits.rename(&model))
}

#[test]
fn only_the_name_of_the_model_changes() {
    let body = "{ \"b\" : 1e400 , \"model\"\t:\"a\\u0062\", \"messages\":[ {\"x\":\"\\ud800\"} ],\
                \"n\":123456789012345678901234567890, \"é\":\"\\u00e9\" }\n";
    assert_eq!(renamed(body, "q\"uote"), body.replace("\"a\\u0062\"", "\"q\\\"uote\""));
    let body = Bytes::from_static(br#"{"model":"m","messages":[{}],"stream":true}"#);
    let facts = Facts::read(CHAT, &body, &PathParams::default()).unwrap();
    let mut edits = facts.edits(&body);
    edits.rename(&facts.model);
    assert_eq!(edits.apply(&body).as_ptr(), body.as_ptr(), "the same name copies nothing");
}

#[test]
fn what_says_how_to_think_is_taken_out_and_nothing_else() {
    const THINKING: &str = r#""reasoning_effort":"high""#;
    let (messages, gemini) =
        (ClientCall::Generate(ClientApi::Messages), ClientCall::Generate(ClientApi::Gemini));
    for (asked, body, expected) in [
        (CHAT, with(&format!("{THINKING},\"n\" : 1")), with("\"n\" : 1")),
        (CHAT, with(&format!("\"n\" : 1 , {THINKING}, \"thinking\":{{}} ")), with("\"n\" : 1 ")),
        (
            CHAT,
            format!(
                r#"{{ {THINKING} ,"thinking":{{}}, "model":"m","reasoning":1,"messages":[1]}}"#
            ),
            r#"{ "model":"m","messages":[1]}"#.to_owned(),
        ),
        (
            messages,
            with(
                r#""thinking":{"type":"enabled"},"max_tokens":9,"output_config":{"effort":"low","x":1.50}"#,
            ),
            with(r#""max_tokens":9,"output_config":{"x":1.50}"#),
        ),
        (
            gemini,
            r#"{"model":"m","contents":[1],"generation_config":{"thinking_config":{},"topK":1}}"#
                .to_owned(),
            r#"{"model":"m","contents":[1],"generation_config":{"topK":1}}"#.to_owned(),
        ),
    ] {
        assert_eq!(edited(asked, &body, Facts::without_thinking), expected);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn all_but_the_rewritten_fields_survives(
        extra in prop::collection::btree_map("[a-z\"\\\\é{]{1,6}", any_json(), 0..6),
        asked in "[a-z\"\\\\é/]{1,10}", upstream in "[a-z\"\\\\é/]{1,10}",
        thinks in any::<bool>(), is_first in any::<bool>(), pretty in any::<bool>(),
    ) {
        let mut value = json!(extra);
        value["model"] = json!(asked);
        value["messages"] = json!([extra]);
        value["reasoning_effort"] = json!("high");
        value["thinking"] = json!({});
        let body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let name = ModelName::parse(&upstream).unwrap();
        let after = edited(CHAT, &body.unwrap(), |facts, edits| {
            edits.rename(&name);
            if is_first {
                edits.put_first("\"first\":1");
            }
            if !thinks {
                facts.without_thinking(edits);
            }
        });
        value["model"] = json!(upstream);
        if is_first {
            value["first"] = json!(1);
        }
        if !thinks {
            let words = [
                "reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget",
                "include_reasoning",
            ];
            for word in words {
                value.as_object_mut().unwrap().remove(word);
            }
        }
        prop_assert_eq!(serde_json::from_str::<Value>(&after).unwrap(), value);
    }
}

#[test]
fn every_api_has_its_words() {
    let embeddings = ClientCall::Embeddings(EmbeddingApi::Ollama);
    assert!(parsed(embeddings, r#"{"model":"m","options":[]}"#).is_err());
    assert!(parsed(embeddings, r#"{"model":"m","options":{}}"#).is_ok());
}
