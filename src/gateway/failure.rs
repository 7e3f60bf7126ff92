//! What an upstream's refusal means: a status and a typed error object become a failure class.
//!
//! Typed facts count first: the status, and the exact words of an error object. A message is read for a
//! class only by a table of fixed wordings, where those say no more than that something is wrong; of some
//! the length of a wait is read, as the last resort.

mod abnormal_finish;
mod error_codes;
mod shape;
mod worded_wait;
mod wordings;
mod wrong_format;

pub use self::{
    abnormal_finish::AbnormalFinish, shape::shape_of, worded_wait::worded_wait,
    wrong_format::in_format,
};
use self::{
    error_codes::{class_of, is_account_wide, status_of},
    wordings::class_of_message,
};
use super::dialect::openai_chat::ErrorObject;
use crate::domain::failure::{Failure, FailureClass, MAX_HINT};

/// The failure that a status and the error object of its body stand for. `status` is 200 for an
/// error inside an answer that had begun well.
///
/// An exact word wins over the status: `insufficient_quota` comes with 429, a key that Google does
/// not know comes with 400. Where neither says more than that a request or a server failed, one of the
/// fixed wordings may. A hint in the headers is the caller's to add. Inside an answer there are none, so
/// that the wait a message names counts.
pub fn classify(status: u16, error: Option<ErrorObject>) -> Failure {
    let (class, detail) = match &error {
        Some(error) if error.is_flagged => (FailureClass::Refusal, "moderation"),
        Some(error) if error.is_daily_quota => (FailureClass::Payment, "quota of the day"),
        // A word that is not known is the upstream's text, and stays out of logs.
        Some(error) => error
            .words()
            .find_map(|word| Some((class_of(word, status)?, word)))
            .unwrap_or_else(|| (class_of_status(status, Some(error)), "")),
        None => (class_of_status(status, None), ""),
    };
    let worded = match (class, &error) {
        (FailureClass::ClientFault | FailureClass::Server, Some(error)) => {
            class_of_message(&error.reason.message)
        }
        _ => None,
    };
    let (class, detail) = worded.map_or((class, detail), |class| (class, class.as_str()));
    let is_rate_limited = class == FailureClass::RateLimit;
    let is_inside = (200..300).contains(&status);
    let what = if is_inside {
        "the upstream sent an error inside its answer".to_owned()
    } else {
        format!("upstream answered {status}")
    };
    let detail = if detail.is_empty() { what } else { format!("{what} ({detail})") };
    // The delay that comes with a quota of the day is that of a minute's.
    let wait = error.as_ref().filter(|error| !error.is_daily_quota).and_then(|error| {
        let worded = || worded_wait(&error.reason.message);
        error.wait.or_else(|| (is_inside && is_rate_limited).then(worded).flatten())
    });
    Failure {
        status: Some(status),
        retry_after: wait.map(|wait| wait.min(MAX_HINT)),
        names_model: class == FailureClass::ModelMissing
            && error.as_ref().is_some_and(|error| names_model(error, status)),
        account_wide: is_rate_limited
            && error.as_ref().is_some_and(|error| error.words().any(is_account_wide)),
        reason: error.map(|e| Box::new(e.reason)).filter(|reason| !reason.message.is_empty()),
        ..Failure::new(class, detail)
    }
}

/// The failure that a page of Cloudflare's instead of an answer stands for.
///
/// It takes the place of a 403, a 503 or a 429, and says nothing about the credential: whoever calls
/// from this address with this client is to prove to be a person. So it is neither an authentication
/// failure, which would cool the key, nor a rate limit. It passes by itself, mostly soon, which is
/// what an overload does: once more, then another provider, and the provider cools for seconds.
///
/// Source: <https://developers.cloudflare.com/cloudflare-challenges/challenge-types/challenge-pages/detect-response>
/// (2026-11).
pub fn challenge(status: u16) -> Failure {
    let detail = format!("upstream answered {status} (a challenge of Cloudflare)");
    Failure { status: Some(status), ..Failure::new(FailureClass::Overload, detail) }
}

fn class_of_status(status: u16, error: Option<&ErrorObject>) -> FailureClass {
    match status {
        401 | 403 => FailureClass::Auth,
        402 => FailureClass::Payment,
        404 | 410 if error.is_some_and(speaks_of_a_missing_thing) => FailureClass::ModelMissing,
        // Path and method are ours, and a proxy's credentials are the operator's: where these are
        // wrong the client cannot help, and another provider may.
        404 | 405 | 407 | 408 | 410 => FailureClass::Server,
        429 => FailureClass::RateLimit,
        503 | 529 => FailureClass::Overload,
        400..500 => FailureClass::ClientFault,
        200..300 => class_inside_an_answer(error),
        _ => FailureClass::Server,
    }
}

/// An error inside an answer has no status of its own, except in its object, or in the word for it.
fn class_inside_an_answer(error: Option<&ErrorObject>) -> FailureClass {
    let Some(error) = error else { return FailureClass::Server };
    match error.status.or_else(|| error.words().find_map(status_of)) {
        Some(status) => class_of_status(status, Some(error)),
        None => FailureClass::Server,
    }
}

/// Whether the error of a 404 or 410 comes from an API that knows the path and not the model. A server
/// that does not know the path answers with a page, a bare `detail`, or words about the address.
///
/// In doubt a model is missing: that spares this model there, while a server's failures would in
/// the end cool all models of the provider because of one misspelt name.
fn speaks_of_a_missing_thing(error: &ErrorObject) -> bool {
    error.reason.param.as_deref() == Some("model")
        || error.words().any(|word| {
            matches!(word, "404" | "not_found" | "not_found_error" | "NotFoundError" | "NOT_FOUND")
        })
}

/// Whether an error says itself that it is about the model. That of a path which is not there may come
/// with the same status and type.
///
/// Source: <https://docs.claude.com/en/api/errors> (2026-11): `not_found_error` with `model: NAME`.
fn names_model(error: &ErrorObject, status: u16) -> bool {
    error.reason.param.as_deref() == Some("model")
        || error.reason.message.starts_with("model: ")
        || error.words().any(|word| class_of(word, status) == Some(FailureClass::ModelMissing))
}

#[cfg(test)]
mod tests {
    use super::{FailureClass::*, *};

    fn class(status: u16, body: &str) -> FailureClass {
        classify(status, ErrorObject::parse(body.as_bytes())).class
    }

    fn with_code(status: u16, code: &str) -> FailureClass {
        class(status, &format!(r#"{{"error":{{"message":"m","type":"t","code":"{code}"}}}}"#))
    }

    fn with_type(status: u16, kind: &str) -> FailureClass {
        class(status, &format!(r#"{{"error":{{"message":"m","type":"{kind}","code":null}}}}"#))
    }

    #[test]
    fn a_status_alone_has_a_class() {
        let table = [
            (301, Server),
            (304, Server),
            (400, ClientFault),
            (401, Auth),
            (402, Payment),
            (403, Auth),
            (404, Server),
            (405, Server),
            (407, Server),
            (408, Server),
            (409, ClientFault),
            (410, Server),
            (413, ClientFault),
            (418, ClientFault),
            (422, ClientFault),
            (429, RateLimit),
            (500, Server),
            (501, Server),
            (502, Server),
            (503, Overload),
            (504, Server),
            (529, Overload),
            (599, Server),
            (999, Server),
        ];
        for (status, expected) in table {
            for body in ["", "<html>404 model_not_found</html>", "{}", "{\"error\":"] {
                assert_eq!(class(status, body), expected, "{status} {body}");
            }
        }
    }

    #[test]
    fn an_exact_word_wins_over_the_status() {
        assert_eq!(with_code(400, "context_length_exceeded"), ContextTooLong);
        assert_eq!(with_code(400, "content_filter"), Refusal);
        assert_eq!(with_code(403, "content_policy_violation"), Refusal);
        assert_eq!(with_code(429, "insufficient_quota"), Payment);
        assert_eq!(with_code(400, "billing_hard_limit_reached"), Payment);
        assert_eq!(with_code(400, "model_not_supported"), ModelMissing);
        assert_eq!(with_code(404, "model_not_found"), ModelMissing);
        assert_eq!(with_code(403, "rate_limit_exceeded"), RateLimit);
        assert_eq!(with_code(400, "invalid_api_key"), Auth);
        assert_eq!(with_type(529, "overloaded_error"), Overload);
        assert_eq!(with_type(429, "engine_overloaded_error"), Overload);
        assert_eq!(with_type(400, "invalid_request_error"), ClientFault);
    }

    #[test]
    fn a_word_for_a_fault_of_the_request_wins_over_any_status_but_a_servers() {
        for code in ["cyber_policy", "string_above_max_length", "previous_response_not_found"] {
            for status in [200, 400, 401, 403, 404, 413, 429] {
                assert_eq!(with_code(status, code), ClientFault, "{status} {code}");
            }
            assert_eq!(with_code(500, code), Server, "{code}");
            assert_eq!(with_code(503, code), Overload, "{code}");
        }
    }

    #[test]
    fn a_dead_grant_is_an_authentication_failure_in_both_its_shapes() {
        for status in [400, 401] {
            assert_eq!(with_code(status, "invalid_grant"), Auth);
            assert_eq!(class(status, r#"{"error":"invalid_grant"}"#), Auth);
        }
        assert_eq!(class(400, r#"{"error":"the text says invalid_grant"}"#), ClientFault);
    }

    #[test]
    fn a_used_up_plan_is_a_rate_limit_of_the_account_whatever_the_status() {
        let body =
            r#"{"error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":90}}"#;
        for status in [200, 403, 404, 429, 503] {
            let failure = classify(status, ErrorObject::parse(body.as_bytes()));
            assert_eq!((failure.class, failure.account_wide), (RateLimit, true), "{status}");
            assert_eq!(failure.retry_after.unwrap().as_secs(), 90);
        }
        let other = classify(429, ErrorObject::parse(br#"{"error":{"type":"rate_limit_error"}}"#));
        assert!(!other.account_wide);
    }

    #[test]
    fn inside_an_answer_a_message_may_name_the_wait_of_a_rate_limit() {
        let wait = |status, code: &str| {
            let body =
                format!(r#"{{"error":{{"message":"Please try again in 1.2s.","code":"{code}"}}}}"#);
            classify(status, ErrorObject::parse(body.as_bytes())).retry_after
        };
        assert_eq!(wait(200, "rate_limit_exceeded").unwrap().as_millis(), 1_200);
        assert_eq!(wait(200, "server_error"), None);
        assert_eq!(wait(429, "rate_limit_exceeded"), None, "headers come first");
    }

    #[test]
    fn a_challenge_is_never_an_authentication_failure() {
        let failure = challenge(403);
        assert_eq!((failure.class, failure.status), (Overload, Some(403)));
    }

    #[test]
    fn a_fixed_wording_counts_where_nothing_typed_says_more() {
        let too_long = "prompt is too long: 200049 tokens > 200000 maximum";
        for (status, kind, expected) in [
            (400, "invalid_request_error", ContextTooLong),
            (413, "some_error", ContextTooLong),
            (422, "some_error", ContextTooLong),
            (500, "server_error", ContextTooLong),
            (200, "invalid_request_error", ContextTooLong),
            (200, "some_error", ContextTooLong),
            (401, "authentication_error", Auth),
            (429, "rate_limit_error", RateLimit),
            (400, "content_filter", Refusal),
            (503, "some_error", Overload),
        ] {
            let body = format!(r#"{{"error":{{"type":"{kind}","message":"{too_long}"}}}}"#);
            assert_eq!(class(status, &body), expected, "{status} {kind}");
        }
        let body = r#"{"error":"the input length exceeds the context length"}"#;
        let failure = classify(400, ErrorObject::parse(body.as_bytes()));
        assert_eq!(failure.detail, "upstream answered 400 (context_too_long)");
    }

    #[test]
    fn other_words_in_a_message_count_for_nothing() {
        let body = r#"{"error":{"message":"insufficient_quota model_not_found content_filter"}}"#;
        assert_eq!(class(400, body), ClientFault);
        assert_eq!(class(500, body), Server);
    }

    #[test]
    fn a_404_is_a_missing_model_only_when_the_api_itself_says_so() {
        assert_eq!(with_type(404, "not_found_error"), ModelMissing);
        assert_eq!(class(404, r#"{"error":{"message":"No endpoints","code":404}}"#), ModelMissing);
        assert_eq!(class(404, r#"{"error":{"message":"m","param":"model"}}"#), ModelMissing);
        assert_eq!(class(404, r#"{"object":"error","type":"NotFoundError"}"#), ModelMissing);
        assert_eq!(class(404, r#"{"detail":"Not Found"}"#), Server);
        assert_eq!(with_type(404, "invalid_request_error"), Server);
    }

    #[test]
    fn a_key_that_google_does_not_know_is_not_the_clients_fault() {
        let body = r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT",
            "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#;
        assert_eq!(class(400, body), Auth);
    }

    #[test]
    fn moderation_is_a_refusal_and_a_quota_of_the_day_a_matter_of_payment() {
        let flagged = r#"{"error":{"code":403,"metadata":{"flagged_input":"y"}}}"#;
        assert_eq!(class(403, flagged), Refusal);
        let daily = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
            {"violations":[{"quotaId":"RequestsPerDay"}]},{"retryDelay":"58s"}]}}"#;
        let failure = classify(429, ErrorObject::parse(daily.as_bytes()));
        assert_eq!((failure.class, failure.retry_after), (Payment, None));
    }

    #[test]
    fn an_error_inside_an_answer_is_judged_by_its_object() {
        assert_eq!(class(200, r#"{"error":{"code":429,"message":"m"}}"#), RateLimit);
        assert_eq!(class(200, r#"{"error":{"code":502,"message":"m"}}"#), Server);
        assert_eq!(class(200, r#"{"error":{"code":"server_error","message":"m"}}"#), Server);
        assert_eq!(with_type(200, "invalid_request_error"), ClientFault);
        assert_eq!(with_type(200, "overloaded_error"), Overload);
        assert_eq!(with_type(200, "BadRequestError"), ClientFault);
        assert_eq!(with_type(200, "not_found_error"), ModelMissing);
        assert_eq!(with_type(200, "api_error"), Server);
        assert_eq!(class(200, r#"{"error":{"status":"INVALID_ARGUMENT"}}"#), ClientFault);
        assert_eq!(class(200, r#"{"error":"m"}"#), Server);
        assert_eq!(class(200, r#"{"error":"m","status":429}"#), RateLimit);
        assert_eq!(class(200, r#"{"error":{"message":"m","status":529}}"#), Overload);
        assert_eq!(class(200, r#"{"error":{"message":"m"},"status_code":401}"#), Auth);
        let failure = classify(200, ErrorObject::parse(br#"{"error":{"code":"slow_down"}}"#));
        assert_eq!(failure.detail, "the upstream sent an error inside its answer (slow_down)");
    }

    #[test]
    fn the_upstreams_words_are_the_reason_and_its_message_not_in_the_detail() {
        let body = r#"{"error":{"message":"secret words","code":"bad"}}"#;
        let failure = classify(400, ErrorObject::parse(body.as_bytes()));
        assert_eq!(failure.reason.unwrap().message, "secret words");
        assert_eq!(failure.detail, "upstream answered 400");
        assert_eq!(failure.status, Some(400));
        let known =
            classify(429, ErrorObject::parse(br#"{"error":{"code":"insufficient_quota"}}"#));
        assert_eq!(known.detail, "upstream answered 429 (insufficient_quota)");
    }
}
