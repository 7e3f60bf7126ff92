//! Requests that come while everyone is cooling: they wait for the first cooldown that ends in time,
//! and else are told when to come back.

use super::{
    super::support::script::{Step, error, error_with_code},
    cell::{Line, NOTHING, Sees::*, both, cools, on},
    settings::{Setting::*, short_deadline},
};

fn limited_for(seconds: u32) -> Step {
    error(429).header("retry-after", seconds.to_string()).into()
}

fn model_missing() -> Step {
    error_with_code(404, &"model_not_found".into()).into()
}

const LIMITED: &[Line] = &[on(
    Alone,
    Fails(429, "rate_limited"),
    [1, 0],
    &[cools("credential_model", "rate_limit", 60)],
)
.times(2)];

const UNPAID: &[Line] = &[on(
    Alone,
    Fails(429, "insufficient_quota"),
    [1, 0],
    &[cools("credential", "payment", 1_800)],
)
.times(2)];

const REJECTED: &[Line] = &[
    on(Alone, Fails(502, "upstream_auth"), [1, 0], &[cools("credential", "auth", 1_800)])
        .times(2)
        .then(COOLING),
    on(SecondKey, Fails(502, "upstream_auth"), [2, 0], &[cools("provider", "auth", 10)])
        .times(2)
        .then(COOLING),
];

/// A model that is missing is not there either when its cooldown is over: there is nothing to come
/// back for.
const MISSING: &[Line] = &[on(
    Alone,
    Fails(404, "model_not_found"),
    [1, 0],
    &[cools("provider_model", "model_missing", 3_600)],
)
.times(2)];

const FAILING: &[Line] =
    &[on(Alone, Fails(502, "upstream_error"), [3, 0], &[cools("provider_model", "server", 10)])
        .times(3)
        .then(COOLING)];

const COOLING: super::cell::Sees = Fails(503, "providers_cooling");

/// Who is refused waits until the cooldown is over, as the next request would.
const LIMITED_FOR_A_WHILE: &[Line] = &[on(Alone, Acme, [2, 0], NOTHING)];

/// Five failures cool for five seconds, and the request after them waits.
const OVERLOADED_FOR_A_WHILE: &[Line] =
    &[on(Alone, Fails(503, "overloaded"), [6, 0], NOTHING).times(4).then(Acme)];

faults! {
    a_cooldown_that_ends_too_late_is_told: [
        both(|| limited_for(60), LIMITED).with(short_deadline),
        both(|| error(402).into(), UNPAID).with(short_deadline),
        both(|| error(401).into(), REJECTED).with(short_deadline),
        both(|| error(500).into(), FAILING).with(short_deadline),
    ];
    a_missing_model_that_is_asked_for_again: [both(model_missing, MISSING).with(short_deadline)];
    a_cooldown_that_ends_in_time_is_waited_for: [
        both(|| limited_for(4), LIMITED_FOR_A_WHILE).once(),
        both(|| error(503).into(), OVERLOADED_FOR_A_WHILE).at(|number| number < 5),
    ];
}
