//! `countTokens`: a request that is only counted.
//!
//! Source: <https://ai.google.dev/api/tokens> (read 2026-11).

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{fields, request_in};
use crate::{
    domain::{chat::Request, id::ModelName},
    gateway::translate::{InvalidRequest, PathParams},
};

/// Reads what is to be counted: contents, or a whole request under `generateContentRequest`.
///
/// Errors: [`InvalidRequest`] when it would be wrong everywhere.
pub fn read_count_request(body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
    let mut fields = fields::of_body(body)?;
    match fields.object("generateContentRequest")? {
        Some(whole) => request_in::read_fields(whole, addressed),
        None => request_in::read_fields(fields, addressed),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    generate_content_request: Named<'a>,
}

#[derive(Serialize)]
struct Named<'a> {
    model: String,
    #[serde(flatten)]
    request: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

/// The question how many tokens a written request has, instructions and tools included.
pub fn count_request(written: &[u8], model: &ModelName) -> Vec<u8> {
    let request = serde_json::from_slice(written).unwrap_or_default();
    let name = model.as_str().trim_start_matches("models/");
    let named = Named { model: format!("models/{name}"), request };
    serde_json::to_vec(&Question { generate_content_request: named })
        .expect("what was JSON is JSON again")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    total_tokens: u64,
}

/// The answer that says how many tokens there are.
pub fn count_answer(total_tokens: u64) -> Vec<u8> {
    serde_json::to_vec(&Count { total_tokens }).expect("a number is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_counted_alone_and_within_a_request() {
        let addressed =
            PathParams { model: Some(ModelName::parse("gemini-2.5-flash").unwrap()), stream: None };
        let contents = r#""contents":[{"parts":[{"text":"hi"}]}]"#;
        let alone = read_count_request(format!("{{{contents}}}").as_bytes(), &addressed).unwrap();
        let body = format!(
            r#"{{"generateContentRequest":{{"model":"models/x",{contents},
                "systemInstruction":{{"parts":[{{"text":"be brief"}}]}}}}}}"#
        );
        let within = read_count_request(body.as_bytes(), &PathParams::default()).unwrap();
        assert_eq!(within.model.as_str(), "x");
        assert_eq!((alone.turns.len(), within.turns.len()), (1, 2));
        assert_eq!(alone.turns[0], within.turns[1]);
        let wrong = br#"{"generateContentRequest":{"model":"x","contents":[7]}}"#;
        let error = read_count_request(wrong, &PathParams::default()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("generateContentRequest.contents[0]"));
    }

    #[test]
    fn a_whole_request_is_put_into_the_question() {
        let model = ModelName::parse("gemini-2.5-flash").unwrap();
        let question = count_request(br#"{"contents":[],"tools":[1.50]}"#, &model);
        let expected = r#"{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[],"tools":[1.50]}}"#;
        assert_eq!(String::from_utf8(question).unwrap(), expected);
    }

    #[test]
    fn the_answer_is_a_number() {
        assert_eq!(count_answer(31), br#"{"totalTokens":31}"#);
    }
}
