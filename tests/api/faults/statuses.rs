//! Refusals with a status. Rate limits have a file of their own.

use serde_json::json;

use super::{
    super::support::script::{Answer, error, error_with_code, raw},
    cell::{Line, NOTHING, Sees::*, both, on},
    lines::{
        AUTH, AUTH_OF_HALF, AUTH_OF_ONE, MODEL_MISSING, OVERLOAD, PAYMENT, PAYMENT_OF_ONE, SERVER,
        WELL_THE_SECOND_TIME, stops_with,
    },
    settings::Setting::*,
};

fn coded(status: u16, code: &str) -> Answer {
    error_with_code(status, &json!(code))
}

/// Only where more is read, or where somebody has named a fallback that is not known to read no
/// more.
const TOO_LONG: &[Line] = &[
    on(Alone, Fails(400, "context_length_exceeded"), [1, 0], NOTHING),
    on(SecondKey, Fails(400, "context_length_exceeded"), [1, 0], NOTHING),
    on(SecondProvider, Fails(400, "context_length_exceeded"), [1, 0], NOTHING),
    on(EqualWindow, Fails(400, "context_length_exceeded"), [1, 0], NOTHING),
    on(LargerWindow, Backup, [1, 1], NOTHING),
    on(Fallback, Backup, [1, 1], NOTHING),
    on(EqualFallback, Fails(400, "context_length_exceeded"), [1, 0], NOTHING),
    on(LargerFallback, Backup, [1, 1], NOTHING),
];

faults! {
    status_400: [both(|| coded(400, "bad_thing").into(), stops_with!(400, "bad_thing"))];
    status_409: [both(|| coded(409, "bad_thing").into(), stops_with!(409, "bad_thing"))];
    status_413: [both(|| coded(413, "bad_thing").into(), stops_with!(413, "bad_thing"))];
    status_422: [both(|| coded(422, "bad_thing").into(), stops_with!(422, "bad_thing"))];
    a_prompt_that_is_too_long: [both(|| coded(400, "context_length_exceeded").into(), TOO_LONG)];
    a_refusal: [
        both(|| coded(400, "content_filter").into(), stops_with!(400, "content_filter")),
        both(|| coded(403, "content_filter").into(), stops_with!(400, "content_filter")),
    ];

    status_401: [
        both(|| error(401).into(), AUTH),
        both(|| error(401).into(), AUTH_OF_ONE).once(),
        both(|| error(401).into(), AUTH_OF_HALF).at(|number| number < 2),
    ];
    status_403: [
        both(|| error(403).into(), AUTH),
        both(|| error(403).into(), AUTH_OF_ONE).once(),
    ];
    status_402: [
        both(|| error(402).into(), PAYMENT),
        both(|| error(402).into(), PAYMENT_OF_ONE).once(),
    ];
    a_quota_that_is_used_up: [
        both(|| coded(429, "insufficient_quota").into(), PAYMENT),
        both(|| coded(429, "insufficient_quota").into(), PAYMENT_OF_ONE).once(),
    ];

    a_missing_model: [
        both(|| coded(404, "model_not_found").into(), MODEL_MISSING),
        both(|| coded(400, "model_not_supported").into(), MODEL_MISSING),
    ];
    a_path_that_is_not_known: [
        both(|| raw(404, r#"{"detail":"Not Found"}"#).into(), SERVER),
        both(|| raw(404, "<html>404</html>").header("content-type", "text/html").into(), SERVER),
    ];

    status_408: [both(|| error(408).into(), SERVER)];
    status_500: [both(|| error(500).into(), SERVER)];
    status_502: [both(|| error(502).into(), SERVER)];
    status_503: [both(|| error(503).into(), OVERLOAD)];
    status_504: [both(|| error(504).into(), SERVER)];
    status_529: [both(|| error(529).into(), OVERLOAD)];
    a_server_that_fails_once: [
        both(|| error(500).into(), WELL_THE_SECOND_TIME).once(),
        both(|| error(503).into(), WELL_THE_SECOND_TIME).once(),
    ];
}
