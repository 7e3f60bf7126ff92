//! Whether a refusal says that the upstream does not have the format it was asked in.

use super::shape::shape_of;
use crate::domain::{
    failure::{Failure, FailureClass, WrongFormat},
    format_evidence::{Family, Shape},
    provider::ApiFormat,
};

/// The failure with what it says of the format. `body` is what it was read from.
///
/// A path that is not there is answered with 404, 405 or 410, by whoever stands there. An error in
/// the format's own shape comes from an API that knows the path, mostly: then it is a word about the
/// model, and about nothing else.
pub fn in_format(failure: Failure, format: ApiFormat, body: &[u8], is_page: bool) -> Failure {
    let Some(status) = failure.status else { return failure };
    if says_so(&failure, body) {
        return Failure { wrong_format: Some(WrongFormat::ForModel), ..failure };
    }
    if !matches!(status, 404 | 405 | 410) {
        return failure;
    }
    let own = Family::of(format);
    let errors = match shape_of(body, is_page) {
        Shape::Error { family, .. } => Some(family),
        _ => None,
    };
    let wrong_format = match (failure.class, errors) {
        // It answers paths that it does not know in plain text.
        (FailureClass::Server, Some(Family::Ollama)) if own == Some(Family::Ollama) => {
            return Failure { class: FailureClass::ModelMissing, ..failure };
        }
        (FailureClass::Server, family) if family.is_some() && family == own => {
            Some(WrongFormat::ForModel)
        }
        (FailureClass::Server, _) => {
            let detail =
                format!("{} (a path it does not have: is its base_url right?)", failure.detail);
            return Failure { detail, wrong_format: Some(WrongFormat::Everywhere), ..failure };
        }
        // Others write theirs as OpenAI does; nobody writes them as these two do.
        (FailureClass::ModelMissing, Some(Family::Anthropic | Family::Google)) if errors != own => {
            Some(WrongFormat::Everywhere)
        }
        _ => None,
    };
    Failure { wrong_format, ..failure }
}

/// Whether it says in typed words that the model is there, and answers in another format.
///
/// Sources, read 2026-11: Copilot <https://github.com/farion1231/cc-switch/issues/1681>; OpenAI, whose
/// 404 names the parameter `model` and has no code, while that for an unknown model has
/// `model_not_found`, <https://github.com/egoist/chatwise-releases/issues/1256>.
fn says_so(failure: &Failure, body: &[u8]) -> bool {
    let Some(reason) = &failure.reason else { return false };
    if reason.code.as_deref() == Some("unsupported_api_for_model") {
        return true;
    }
    failure.status == Some(404)
        && reason.kind.as_deref() == Some("invalid_request_error")
        && reason.param.as_deref() == Some("model")
        && reason.code.is_none()
        && matches!(shape_of(body, false), Shape::Error { family: Family::Openai, .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{dialect::openai_chat::ErrorObject, failure::classify};

    fn told(status: u16, format: ApiFormat, body: &str) -> (FailureClass, Option<WrongFormat>) {
        let failure = classify(status, ErrorObject::parse(body.as_bytes()));
        let failure = in_format(failure, format, body.as_bytes(), body.starts_with("<html"));
        (failure.class, failure.wrong_format)
    }

    #[test]
    fn a_path_that_is_not_there_is_told_from_a_model_that_is_not() {
        use ApiFormat::*;
        use FailureClass::*;
        use WrongFormat::*;
        let (anthropics, googles) = (
            r#"{"type":"error","error":{"type":"not_found_error","message":"m"}}"#,
            r#"{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}"#,
        );
        let unknown_url = r#"{"error":{"message":"Invalid URL (POST /v1/x)","type":"invalid_request_error","param":null,"code":null}}"#;
        let unknown_model = r#"{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
        for (status, format, body, class, wrong) in [
            (404, Openai, "404 page not found", Server, Some(Everywhere)),
            (404, Openai, "", Server, Some(Everywhere)),
            (404, Openai, "<html>", Server, Some(Everywhere)),
            (404, Openai, r#"{"detail":"Not Found"}"#, Server, Some(Everywhere)),
            (405, Anthropic, r#"{"detail":"Method Not Allowed"}"#, Server, Some(Everywhere)),
            (410, Responses, "", Server, Some(Everywhere)),
            (404, Anthropic, unknown_url, Server, Some(Everywhere)),
            (404, Openai, unknown_url, Server, Some(ForModel)),
            (404, Openai, unknown_model, ModelMissing, None),
            (404, Anthropic, unknown_model, ModelMissing, None),
            (404, Openai, anthropics, ModelMissing, Some(Everywhere)),
            (404, Anthropic, anthropics, ModelMissing, None),
            (404, Responses, googles, ModelMissing, Some(Everywhere)),
            (404, Google, googles, ModelMissing, None),
            (404, Ollama, r#"{"error":"model 'x' not found"}"#, ModelMissing, None),
            (404, Openai, r#"{"error":"not found"}"#, Server, Some(Everywhere)),
            (404, Ollama, "404 page not found", Server, Some(Everywhere)),
            (400, Openai, "", ClientFault, None),
            (401, Openai, anthropics, Auth, None),
            (500, Openai, "404", Server, None),
        ] {
            assert_eq!(told(status, format, body), (class, wrong), "{status} {format:?} {body}");
        }
    }

    #[test]
    fn a_model_that_answers_elsewhere_is_named_by_typed_words_alone() {
        let with = |status, fields: &str| {
            told(status, ApiFormat::Openai, &format!(r#"{{"error":{{"message":"m",{fields}}}}}"#)).1
        };
        let openais = r#""type":"invalid_request_error","param":"model","code":null"#;
        assert_eq!(with(404, openais), Some(WrongFormat::ForModel));
        assert_eq!(with(400, openais), None);
        let copilots = r#""code":"unsupported_api_for_model""#;
        assert_eq!(with(400, copilots), Some(WrongFormat::ForModel));
        let coded = r#""type":"invalid_request_error","param":"model","code":"model_not_found""#;
        assert_eq!(with(404, coded), None);
        let worded = r#""message":"only supported in v1/responses","type":"x""#;
        assert_eq!(with(400, worded), None);
    }
}
