//! Rate limits, with every form of hint.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{
    super::support::script::{Answer, Step, error, raw},
    cell::{Cools, Line, Sees::*, both, cools, on},
    settings::Setting::*,
};

const HOUR: Duration = Duration::from_hours(1);

/// The other key and the other provider are asked at once; the hint says for how long not to come
/// back, and the client is told.
macro_rules! hinted {
    ($cools:expr) => {{
        const ONE: &[Cools] = &[$cools];
        const TWO: &[Cools] = &[$cools, $cools];
        const LINES: &[Line] = &[
            on(Alone, Fails(429, "rate_limited"), [1, 0], ONE),
            on(SecondKey, Fails(429, "rate_limited"), [2, 0], TWO),
            on(SecondProvider, Backup, [1, 1], ONE),
            on(Fallback, Backup, [1, 1], ONE),
            on(SecondProvider, Backup, [1, 2], ONE).times(2),
        ];
        LINES
    }};
}

/// One of two keys is limited.
const LIMITED_ONE: &[Line] = &[on(SecondKey, Acme, [2, 0], &[limited(77)])];

const fn limited(seconds: i64) -> Cools {
    cools("credential_model", "rate_limit", seconds)
}

fn hint(name: &str, value: &str) -> Step {
    error(429).header(name, value).into()
}

fn an_hour_ahead() -> SystemTime {
    SystemTime::now() + HOUR
}

fn http_date() -> Step {
    hint("retry-after", &httpdate::fmt_http_date(an_hour_ahead()))
}

fn timestamp() -> String {
    jiff::Timestamp::try_from(an_hour_ahead()).unwrap().to_string()
}

fn google(delay: &str) -> Answer {
    let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay});
    let error =
        json!({"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED", "details": [info]});
    raw(429, json!({ "error": error }).to_string())
}

/// Nobody says for how long: a second, then two, both of which are waited for, then four. Other keys
/// come first. Another model comes last.
const WITHOUT_HINT: &[Line] = &[
    on(Alone, Fails(429, "rate_limited"), [3, 0], &[limited(4)]),
    on(SecondProvider, Backup, [1, 1], &[limited(1)]),
    on(Fallback, Backup, [3, 1], &[limited(4)]),
];

const WITHOUT_HINT_OF_ONE: &[Line] = &[on(SecondKey, Acme, [2, 0], &[limited(1)])];

/// A limit that is over soon is waited for where there is nobody else for this model, twice.
const SHORT: &[Line] = &[
    on(Alone, Fails(429, "rate_limited"), [3, 0], &[limited(1)]),
    // The limits of two keys do not end at the same moment, and who comes back finds one or both.
    on(SecondKey, Fails(429, "rate_limited"), [4, 0], &[limited(1), limited(1)]).at_most([6, 0]),
    on(SecondProvider, Backup, [1, 1], &[limited(1)]),
    on(Fallback, Backup, [3, 1], &[limited(1)]),
];

/// The limit is over when it is asked again. With another provider nobody waits.
const SHORT_ONCE: &[Line] = &[
    on(Alone, Acme, [2, 0], &[]),
    on(SecondKey, Acme, [2, 0], &[limited(3)]),
    on(SecondProvider, Backup, [1, 1], &[limited(3)]),
    on(Fallback, Acme, [2, 0], &[]),
];

const OVER_AT_ONCE: &[Line] = &[on(Alone, Acme, [2, 0], &[]), on(Fallback, Acme, [2, 0], &[])];

faults! {
    retry_after_in_seconds: [
        both(|| hint("retry-after", "77"), hinted!(limited(77))),
        both(|| hint("retry-after", "77"), LIMITED_ONE).once(),
    ];
    retry_after_in_milliseconds: [both(|| hint("retry-after-ms", "90000"), hinted!(limited(90)))];
    retry_after_as_a_date: [both(http_date, hinted!(limited(3_600).or_less()))];
    retry_after_is_capped_at_a_day: [
        both(|| hint("retry-after", "99999999"), hinted!(limited(86_400))),
    ];
    x_ratelimit_reset_requests: [
        both(|| hint("x-ratelimit-reset-requests", "2m3s"), hinted!(limited(123))),
    ];
    anthropic_ratelimit_requests_reset: [
        both(|| hint("anthropic-ratelimit-requests-reset", &timestamp()), hinted!(limited(3_600).or_less())),
    ];
    google_retry_info: [both(|| google("47s").into(), hinted!(limited(47)))];
    a_limit_of_the_whole_account: [
        both(account_wide, hinted!(cools("credential", "rate_limit", 60))),
    ];

    without_a_hint: [
        both(|| error(429).into(), WITHOUT_HINT),
        both(|| error(429).into(), WITHOUT_HINT_OF_ONE).once(),
        both(|| error(429).into(), OVER_AT_ONCE).once(),
    ];
    a_short_limit: [
        both(|| hint("retry-after", "1"), SHORT),
        both(|| hint("retry-after-ms", "50"), OVER_AT_ONCE).once(),
    ];
    /// Three seconds are still waited for, however they are drawn out.
    a_limit_of_three_seconds: [both(|| hint("retry-after", "3"), SHORT_ONCE).once()];
}

fn account_wide() -> Step {
    let error = json!({"type": "usage_limit_reached", "message": "no", "resets_in_seconds": 60});
    raw(429, json!({ "error": error }).to_string()).into()
}
