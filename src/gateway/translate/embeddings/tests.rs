//! Fixtures there and back, across APIs, and what must not break it.

use std::fs;

use serde_json::{Value, json};

use super::{EmbeddingApi::*, *};
use crate::domain::embedding::Encoding;

const ALL: [EmbeddingApi; 5] = [OpenAi, GeminiOne, GeminiBatch, Ollama, OllamaLegacy];

fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/embeddings");
    fs::read(format!("{folder}/{name}.json")).expect(name)
}

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn read(api: EmbeddingApi, name: &str) -> EmbeddingRequest {
    api.read_request(&fixture(name), &PathParams::default()).expect(name)
}

fn write(api: EmbeddingApi, request: &EmbeddingRequest) -> (Value, String) {
    let written = api.write_request(request, &request.model).unwrap();
    (parse(&written.body), written.losses.to_string())
}

const REQUESTS: [(EmbeddingApi, &str); 6] = [
    (OpenAi, "openai_request"),
    (OpenAi, "openai_tokens_request"),
    (GeminiOne, "gemini_one_request"),
    (GeminiBatch, "gemini_batch_request"),
    (Ollama, "ollama_request"),
    (OllamaLegacy, "ollama_legacy_request"),
];

#[test]
fn every_request_comes_back_as_it_was() {
    for (api, name) in REQUESTS {
        let (written, losses) = write(api, &read(api, name));
        let mut expected = parse(&fixture(name));
        if expected["encoding_format"] == "float" {
            expected.as_object_mut().unwrap().remove("encoding_format");
        }
        assert_eq!((written, losses.as_str()), (expected, "lossless"), "{name}");
    }
}

#[test]
fn an_answer_in_the_wrong_encoding_is_recoded_and_nothing_else_of_it_changed() {
    let floats =
        r#"{"object":"list", "x":1e2,"data":[{"embedding":[1.0, -0.5],"index":0,"y":[2.5]}]}"#;
    let base64 =
        r#"{"object":"list", "x":1e2,"data":[{"embedding":"AACAPwAAAL8=","index":0,"y":[2.5]}]}"#;
    let recoded = |body: &str, encoding| {
        let recoded = OpenAi.recoded(body.as_bytes(), encoding);
        recoded.map(|bytes| String::from_utf8(bytes).unwrap())
    };
    assert_eq!(recoded(floats, Encoding::Base64).as_deref(), Some(base64));
    let compact = floats.replace("1.0, -0.5", "1.0,-0.5");
    assert_eq!(recoded(base64, Encoding::Float), Some(compact));
    for (as_asked, encoding) in [(floats, Encoding::Float), (base64, Encoding::Base64)] {
        assert_eq!(recoded(as_asked, encoding), None);
    }
}

#[test]
fn every_answer_comes_back_as_it_was() {
    for (api, name, inputs) in [
        (OpenAi, "openai_answer", 2),
        (OpenAi, "openai_base64_answer", 2),
        (GeminiOne, "gemini_one_answer", 1),
        (GeminiBatch, "gemini_batch_answer", 2),
        (Ollama, "ollama_answer", 2),
        (OllamaLegacy, "ollama_legacy_answer", 1),
    ] {
        let answer = api.read_answer(&fixture(name), inputs).expect(name);
        let mut request = read(OpenAi, "openai_request");
        if name == "openai_base64_answer" {
            request.encoding = Encoding::Base64;
        }
        let mut losses = Losses::default();
        let written = parse(&api.write_answer(&answer, &request, &mut losses));
        assert!(losses.is_empty());
        let mut expected = parse(&fixture(name));
        if api == Ollama {
            expected["total_duration"] = 0.into();
            expected["load_duration"] = 0.into();
        }
        if api == OllamaLegacy {
            // What was made of numbers of 32 bits is written as such.
            expected = json!({"embedding": [0.567_040_4_f32, 0.009_260_175_f32, 0.231_787_44_f32]});
        }
        assert_eq!(written.to_string(), narrowed(expected).to_string(), "{name}");
    }
}

/// The same with all its decimals as numbers of 32 bits have them.
fn narrowed(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let number: f32 = number.to_string().parse().unwrap();
            serde_json::from_str(&serde_json::to_string(&number).unwrap()).unwrap()
        }
        Value::Array(list) => list.into_iter().map(narrowed).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, narrowed(value))).collect()
        }
        other => other,
    }
}

#[test]
fn both_ways_to_write_numbers_are_one_answer() {
    let floats = OpenAi.read_answer(&fixture("openai_answer"), 2).unwrap();
    assert_eq!(floats, OpenAi.read_answer(&fixture("openai_base64_answer"), 2).unwrap());
    assert_eq!(floats.vectors[1], [0.25, -0.5, 1.0]);
    assert_eq!(floats.usage, Some(usage_of(10)));
}

#[test]
fn a_request_goes_to_every_other_api() {
    let request = read(OpenAi, "openai_request");
    assert_eq!(
        write(Ollama, &request),
        (
            json!({"model": "text-embedding-3-small", "dimensions": 3,
                "input": ["The food was delicious.", "The waiter was slow."]}),
            "user".to_owned()
        )
    );
    let part = |text: &str| {
        json!({"model": "models/text-embedding-3-small", "content": {"parts": [{"text": text}]},
            "outputDimensionality": 3})
    };
    assert_eq!(
        write(GeminiBatch, &request),
        (
            json!({"requests": [part("The food was delicious."), part("The waiter was slow.")]}),
            "user".to_owned()
        )
    );
    let from_google = read(GeminiOne, "gemini_one_request");
    assert_eq!(from_google.inputs[0].task.as_deref(), Some("RETRIEVAL_DOCUMENT"));
    assert_eq!(
        write(OpenAi, &from_google),
        (
            json!({"model": "gemini-embedding-001", "input": "The food was delicious.",
                "dimensions": 3}),
            "task_type, title".to_owned()
        )
    );
    assert_eq!(write(OllamaLegacy, &from_google).1, "dimensions, task_type, title");
}

#[test]
fn what_an_api_cannot_be_asked_for_is_refused() {
    let tokens = read(OpenAi, "openai_tokens_request");
    for api in [GeminiOne, GeminiBatch, Ollama, OllamaLegacy] {
        let error = api.write_request(&tokens, &tokens.model).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("input"));
    }
    let two = read(OpenAi, "openai_request");
    for api in [GeminiOne, OllamaLegacy] {
        assert!(api.write_request(&two, &two.model).is_err());
    }
    let mut mixed = two;
    mixed.inputs.extend(tokens.inputs);
    assert!(OpenAi.write_request(&mixed, &mixed.model).is_err());
}

#[test]
fn what_is_said_loosely_is_read() {
    let body = br#"{"content":{"parts":[{"text":"a"},{"text":"b"}],"role":"user"},
        "embedContentConfig":{"task_type":"CLUSTERING","outputDimensionality":8,"autoTruncate":true}}"#;
    let addressed = PathParams { model: ModelName::parse("m").ok(), stream: None };
    let request = GeminiOne.read_request(body, &addressed).unwrap();
    let mut input = EmbeddingInput::text("a\nb");
    input.task = Some("CLUSTERING".into());
    assert_eq!((request.inputs, request.dimensions), (vec![input], Some(8)));
    assert_eq!(request.losses.to_string(), "embedContentConfig.autoTruncate");
    let body = br#"{"model":"m","input":"x","truncate":true,"dimensions":0,"options":{"num_ctx":9},
        "keep_alive":"5m"}"#;
    let request = Ollama.read_request(body, &PathParams::default()).unwrap();
    assert_eq!(request.losses.to_string(), "keep_alive, options.num_ctx");
    let body = br#"{"requests":[
        {"model":"models/m","content":{"parts":[{"text":"a"}]},"outputDimensionality":8},
        {"model":"models/m","content":{"parts":[{"text":"b"}]},"outputDimensionality":9}]}"#;
    let request = GeminiBatch.read_request(body, &PathParams::default()).unwrap();
    assert_eq!(request.model.as_str(), "m");
    assert_eq!(request.losses.to_string(), "requests.outputDimensionality");
}

#[test]
fn a_wrong_request_is_refused_with_the_path_of_what_is_wrong() {
    let table = [
        (OpenAi, r#"{"input":"x"}"#, "model"),
        (OpenAi, r#"{"model":"m"}"#, "input"),
        (OpenAi, r#"{"model":"m","input":""}"#, "input"),
        (OpenAi, r#"{"model":"m","input":[]}"#, "input"),
        (OpenAi, r#"{"model":"m","input":["a",""]}"#, "input"),
        (OpenAi, r#"{"model":"m","input":[[]]}"#, "input"),
        (OpenAi, r#"{"model":"m","input":[-1]}"#, "input"),
        (OpenAi, r#"{"model":"m","input":"x","dimensions":0}"#, "dimensions"),
        (OpenAi, r#"{"model":"m","input":"x","encoding_format":"int8"}"#, "encoding_format"),
        (GeminiOne, r#"{"model":"m"}"#, "content"),
        (GeminiOne, r#"{"model":"m","content":{"parts":[{"inlineData":{}}]}}"#, "content.parts"),
        (GeminiOne, r#"{"model":"m","content":{"parts":[7]}}"#, "content.parts[0]"),
        (GeminiBatch, r#"{"requests":[]}"#, "requests"),
        (GeminiBatch, r#"{"requests":[{"model":"m"}]}"#, "requests[0].content"),
        (GeminiBatch, r#"{"requests":[{"content":{"parts":[{"text":"a"}]}}]}"#, "model"),
        (Ollama, r#"{"model":"m","input":[7]}"#, "input"),
        (Ollama, r#"{"model":"m"}"#, "input"),
        (OllamaLegacy, r#"{"model":"m","prompt":""}"#, "prompt"),
    ];
    for (api, body, param) in table {
        let error = api.read_request(body.as_bytes(), &PathParams::default()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn an_answer_without_one_good_vector_for_each_input_is_a_failure() {
    let class =
        |api: EmbeddingApi, body: &str| api.read_answer(body.as_bytes(), 1).expect_err(body).class;
    for body in [
        "",
        "{}",
        "[]",
        r#"{"data":[]}"#,
        r#"{"data":[{"embedding":[]}]}"#,
        r#"{"data":[{"embedding":[1]},{"embedding":[2]}]}"#,
        r#"{"data":[{"embedding":[1e39]}]}"#,
        r#"{"data":[{"embedding":"AADAfw=="}]}"#,
        r#"{"data":[{"embedding":"AA"}]}"#,
        r#"{"data":[{"index":1,"embedding":[1]}]}"#,
    ] {
        assert_eq!(class(OpenAi, body), FailureClass::Server, "{body}");
    }
    let limited = r#"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#;
    for api in ALL {
        assert_eq!(class(api, limited), FailureClass::RateLimit);
    }
    let swapped = r#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#;
    let answer = OpenAi.read_answer(swapped.as_bytes(), 2).unwrap();
    assert_eq!((answer.vectors, answer.usage), (vec![vec![1.0], vec![2.0]], None));
}

#[test]
fn an_answer_without_usage_is_still_one_for_stock_clients() {
    let answer = EmbeddingAnswer { vectors: vec![vec![1.0]], ..EmbeddingAnswer::default() };
    let request = read(OpenAi, "openai_request");
    let mut losses = Losses::default();
    let openai = parse(&OpenAi.write_answer(&answer, &request, &mut losses));
    assert_eq!(openai["model"], "text-embedding-3-small");
    assert_eq!(openai["usage"], json!({"prompt_tokens": 0, "total_tokens": 0, "estimated": true}));
    let gemini = parse(&GeminiOne.write_answer(&answer, &request, &mut losses));
    assert_eq!(gemini, json!({"embedding": {"values": [1.0]}}));
    assert!(losses.is_empty());
}

#[test]
fn a_spoilt_body_is_read_or_refused() {
    for (api, name) in REQUESTS {
        let body = fixture(name);
        for end in 0..body.len() {
            assert!(
                api.read_request(&body[..end], &PathParams::default()).is_err()
                    || end + 1 == body.len()
            );
            let _ = api.read_answer(&body[..end], 1);
        }
    }
    for dialect in Dialect::ALL {
        assert_eq!(EmbeddingApi::of_upstream(dialect).is_none(), dialect == Dialect::Messages);
    }
}
