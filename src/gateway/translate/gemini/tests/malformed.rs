//! What is wrong in every way: told, and never a panic.

use super::{fixture, model, with_shown};
use crate::{
    domain::{chat::Losses, failure::FailureClass},
    gateway::translate::{
        ClientSide, EventOutcome, PathParams, UpstreamSide,
        gemini::{Cloudcode, Gemini},
    },
};

fn refused(body: &str) -> (String, String) {
    let addressed = PathParams { model: Some(model("m")), stream: None };
    let error = Gemini.read_request(body.as_bytes(), &addressed).expect_err(body);
    (error.param.unwrap_or_default().into_owned(), error.message)
}

fn param(body: &str) -> String {
    refused(body).0
}

#[test]
fn a_wrong_field_is_told_with_its_path() {
    let around = |rest: &str| format!(r#"{{"contents":[{{"parts":[{{"text":"x"}}]}}],{rest}}}"#);
    for (rest, path) in [
        (r#""generationConfig":7"#, "generationConfig"),
        (r#""generationConfig":{"temperature":"hot"}"#, "generationConfig.temperature"),
        (r#""generationConfig":{"topK":1.5}"#, "generationConfig.topK"),
        (r#""generationConfig":{"max_output_tokens":-1}"#, "generationConfig.maxOutputTokens"),
        (r#""generationConfig":{"candidateCount":0}"#, "generationConfig.candidateCount"),
        (r#""generationConfig":{"stopSequences":"x"}"#, "generationConfig.stopSequences"),
        (
            r#""generationConfig":{"responseLogprobs":true,"logprobs":99}"#,
            "generationConfig.logprobs",
        ),
        (
            r#""generationConfig":{"thinkingConfig":{"thinkingLevel":"vast"}}"#,
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (
            r#""generationConfig":{"thinkingConfig":{"thinkingBudget":-2}}"#,
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        (r#""generationConfig":{"responseJsonSchema":[]}"#, "generationConfig.responseJsonSchema"),
        (
            r#""generationConfig":{"responseSchema":{"items":3}}"#,
            "generationConfig.responseSchema.items",
        ),
        (r#""tools":{}"#, "tools"),
        (r#""tools":[7]"#, "tools[0]"),
        (r#""tools":[{"functionDeclarations":[{}]}]"#, "tools[0].functionDeclarations[0].name"),
        (
            r#""toolConfig":{"functionCallingConfig":{"mode":"SOME"}}"#,
            "toolConfig.functionCallingConfig.mode",
        ),
        (r#""labels":[]"#, "labels"),
        (r#""systemInstruction":7"#, "systemInstruction"),
    ] {
        assert_eq!(param(&around(rest)), path, "{rest}");
    }
}

#[test]
fn a_wrong_content_is_told_with_its_place() {
    let with = |part: &str| {
        format!(r#"{{"contents":[{{"role":"model","parts":[{{"text":"x"}},{part}]}}]}}"#)
    };
    for (part, path) in [
        ("7", "contents[0].parts[1]"),
        (r#"{"text":7}"#, "contents[0].parts[1].text"),
        (r#"{"functionCall":{}}"#, "contents[0].parts[1].functionCall.name"),
        (r#"{"functionCall":{"name":"f","args":[]}}"#, "contents[0].parts[1].functionCall.args"),
        (
            r#"{"functionResponse":{"name":"f","response":"x"}}"#,
            "contents[0].parts[1].functionResponse.response",
        ),
        (r#"{"inlineData":{"data":7}}"#, "contents[0].parts[1].inlineData.data"),
        (r#"{"fileData":{}}"#, "contents[0].parts[1].fileData.fileUri"),
    ] {
        assert_eq!(param(&with(part)), path, "{part}");
    }
    for (body, path) in [
        ("{}", "contents"),
        (r#"{"contents":null}"#, "contents"),
        (r#"{"contents":[]}"#, "contents"),
        (r#"{"contents":{}}"#, "contents"),
        (r#"{"contents":[{"parts":[]},{"parts":[{"text":""}]}]}"#, "contents"),
        (r#"{"contents":["x"]}"#, "contents[0]"),
        (r#"{"contents":[{"role":"robot"}]}"#, "contents[0].role"),
        (r#"{"contents":[{"parts":{}}]}"#, "contents[0].parts"),
        (
            r#"{"contents":[{"parts":[{"functionCall":{"name":"f"}}]}]}"#,
            "contents[0].parts[0].functionCall",
        ),
        ("[]", ""),
        ("", ""),
        ("{\"contents\":", ""),
    ] {
        assert_eq!(param(body), path, "{body}");
    }
}

#[test]
fn a_model_must_be_named_somewhere() {
    let body = |model: &str| format!(r#"{{{model}"contents":[{{"parts":[{{"text":"x"}}]}}]}}"#);
    let read = |text: &str| Gemini.read_request(body(text).as_bytes(), &PathParams::default());
    for model in ["", r#""model":"","#, r#""model":"models/","#, r#""model":7,"#] {
        assert_eq!(read(model).unwrap_err().param.as_deref(), Some("model"), "{model}");
    }
    assert_eq!(read(r#""model":"models/a","#).unwrap().model.as_str(), "a");
}

#[test]
fn a_200_that_is_no_answer_is_the_servers_failure() {
    for body in [
        "",
        "{",
        "[]",
        "{}",
        "null",
        "<html>",
        r#"{"candidates":[]}"#,
        r#"{"candidates":{}}"#,
        r#"{"candidates":[7]}"#,
        r#"{"promptFeedback":{}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":7}]}}]}"#,
    ] {
        for failure in [
            Gemini.read_answer(body.as_bytes()).expect_err(body),
            Cloudcode { project: None }.read_answer(body.as_bytes()).expect_err(body),
        ] {
            assert_eq!(
                (failure.class, failure.status),
                (FailureClass::Server, Some(200)),
                "{body}"
            );
        }
    }
    assert!(Gemini.read_answer(b"{\"candidates\":[\"\xff\"]}").is_err());
}

#[test]
fn an_event_that_says_nothing_known_is_dropped() {
    let mut reader = Gemini.stream_reader();
    for foreign in ["{}", r#"{"ping":1}"#] {
        let read = reader.read(foreign.as_bytes(), &mut |_| panic!("{foreign}"));
        assert_eq!(read, Ok(EventOutcome::Foreign), "{foreign}");
    }
    for data in ["", "x", "7", "[]", r#"{"candidates":7}"#, "{"] {
        assert!(reader.read(data.as_bytes(), &mut |_| panic!("{data}")).is_err(), "{data}");
    }
    assert!(reader.read(b"\xff", &mut |_| ()).is_err());
}

#[test]
fn an_answer_with_odd_parts_is_read_as_far_as_it_goes() {
    let body = r#"{"candidates":[
        {"index":4000000000,"content":{"parts":[{"text":"x"}]}},
        {"content":{"parts":[{},{"functionCall":{}},{"inlineData":{}},{"fileData":{}},
            {"novel":1},{"text":null,"thoughtSignature":""}]},"finishReason":null,
            "groundingMetadata":[],"citationMetadata":7,"logprobsResult":"x"}],
        "usageMetadata":"many"}"#;
    let answer = Gemini.read_answer(body.as_bytes()).unwrap();
    assert_eq!((answer.choices.len(), answer.usage), (1, None));
    assert_eq!(answer.losses.to_string(), "content.part, n");
    let mut losses = Losses::default();
    with_shown(|shown| Gemini.write_answer(&answer, shown, &mut losses));
}

#[test]
fn sources_beyond_the_text_have_no_place() {
    let support =
        r#"{"segment":{"startIndex":1,"endIndex":999},"groundingChunkIndices":[0,7,4294967295]}"#;
    let body = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"ä"}}]}},"groundingMetadata":
            {{"groundingChunks":[{{"web":{{"uri":"u"}}}}],"groundingSupports":[{}]}}}}]}}"#,
        [support; 400].join(",")
    );
    let answer = Gemini.read_answer(body.as_bytes()).unwrap();
    let crate::domain::chat::Content::Text { citations, .. } = &answer.choices[0].parts[0].content
    else {
        panic!()
    };
    assert_eq!(citations.len(), 256);
    assert!(citations.iter().all(|citation| citation.place.is_none()));
    assert_eq!(answer.losses.to_string(), "citations");
}

#[test]
fn requests_and_answers_cut_anywhere_are_refused() {
    let addressed = PathParams { model: Some(model("m")), stream: None };
    let request = fixture("requests/thinking_tools.json");
    let request = request.trim_ascii_end();
    let answer = fixture("answers/thinking_tools.json");
    let answer = answer.trim_ascii_end();
    for end in 0..request.len() {
        assert!(Gemini.read_request(&request[..end], &addressed).is_err());
    }
    for end in 0..answer.len() {
        assert!(Gemini.read_answer(&answer[..end]).is_err());
    }
}

#[test]
fn a_body_that_is_nested_without_end_does_no_harm() {
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let addressed = PathParams { model: Some(model("m")), stream: None };
    let body = format!(r#"{{"contents":[{{"parts":[{{"text":"x"}}]}}],"novel":{deep}}}"#);
    let _ = Gemini.read_request(body.as_bytes(), &addressed);
    let body = format!(r#"{{"candidates":[{{"groundingMetadata":{deep}}}]}}"#);
    let _ = Gemini.read_answer(body.as_bytes());
}
