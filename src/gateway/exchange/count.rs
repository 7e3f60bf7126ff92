//! Counting tokens: what clients ask and are told, what upstreams are asked and tell.
//!
//! Sources: <https://docs.anthropic.com/en/api/messages-count-tokens>,
//! <https://ai.google.dev/api/tokens> (2026-11).

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::api::{ClientApi, upstream_side};
use crate::{
    domain::{
        chat::Request,
        failure::{Failure, FailureClass},
        provider::ApiFormat,
    },
    gateway::{
        dialect::openai_chat::ErrorObject,
        failure::classify,
        translate::{InvalidRequest, PathParams, Target, gemini},
    },
};

/// What Anthropic's method takes of a request for an answer.
const COUNTED_FIELDS: [&str; 10] = [
    "cache_control",
    "context_management",
    "mcp_servers",
    "messages",
    "model",
    "output_config",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Reads a client's question.
///
/// Errors: [`InvalidRequest`] when the prompt would be wrong everywhere.
pub(super) fn read_request(
    api: ClientApi,
    body: &[u8],
    addressed: &PathParams,
) -> Result<Request, InvalidRequest> {
    if api.dialect() == ClientApi::Gemini.dialect() {
        return gemini::read_count_request(body, addressed);
    }
    // It is a request for an answer, but for the limit that such a one must have.
    let fields: Result<Fields<'_>, _> = serde_json::from_slice(body);
    match fields {
        Ok(mut fields) if !fields.contains_key("max_tokens") => {
            let one = RawValue::from_string("1".to_owned()).expect("a number is JSON");
            fields.insert("max_tokens".into(), &one);
            api.side().read_request(&to_json(&fields), addressed)
        }
        _ => api.side().read_request(body, addressed),
    }
}

/// Writes the question for an upstream of this format.
pub(super) fn write_request(format: ApiFormat, request: &Request, target: &Target<'_>) -> Vec<u8> {
    let written = upstream_side(format).write_request(request, target).body;
    match format {
        ApiFormat::Anthropic => {
            let fields: Fields<'_> = serde_json::from_slice(&written).unwrap_or_default();
            let is_taken = |name: &str| COUNTED_FIELDS.contains(&name);
            let taken = fields.into_iter().filter(|(name, _)| is_taken(name));
            to_json(&taken.collect::<Fields<'_>>())
        }
        _ => gemini::count_request(&written, target.model),
    }
}

#[derive(Deserialize)]
struct Counted {
    #[serde(alias = "totalTokens")]
    input_tokens: Option<u64>,
}

/// Reads the number in the body of a 200.
///
/// Errors: the failure that an error object stands for, or one of the server's when there is none.
pub(super) fn read_answer(body: &[u8]) -> Result<u64, Failure> {
    let counted: Option<Counted> = serde_json::from_slice(body).ok();
    counted.and_then(|counted| counted.input_tokens).ok_or_else(|| match ErrorObject::parse(body) {
        Some(error) => classify(200, Some(error)),
        None => Failure::new(FailureClass::Server, "the answer holds no number of tokens"),
    })
}

/// Writes the number for a client.
pub(super) fn write_answer(api: ClientApi, tokens: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Messages {
        input_tokens: u64,
    }
    if api.dialect() == ClientApi::Gemini.dialect() {
        gemini::count_answer(tokens)
    } else {
        to_json(&Messages { input_tokens: tokens })
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("its keys are texts")
}
