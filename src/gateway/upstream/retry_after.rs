//! How long an upstream asks to be left alone.

use std::time::Duration;

use http::header::{HeaderMap, HeaderValue};

use super::anthropic_limits::UNIFIED;
use crate::{
    domain::{failure::MAX_HINT, time::Timestamp},
    gateway::times::{seconds, wait},
};

/// Reads the hint of a refusal, at most [`MAX_HINT`]. `from_body` is what the error object says.
/// `is_rate_limited`: whether the resets of rate limits say anything about this refusal. Some
/// servers send them with every answer.
///
/// The first of these that makes sense counts, from the most exact to the vaguest:
/// `retry-after-ms` and `x-ms-retry-after-ms`; `retry-after`, in seconds or as a date; the body; the
/// resets of `anthropic-ratelimit-*`, `x-ratelimit-*` and `ratelimit-*`. A time that is over, or
/// none, is no hint.
///
/// Sources, read 2026-11: RFC 9110 §10.2.3 for `retry-after`, which some send as RFC 3339;
/// <https://github.com/Azure/azure-sdk-for-rust/pull/1517> for Azure's milliseconds, and
/// <https://learn.microsoft.com/en-us/answers/questions/5625878> for its resets in whole seconds;
/// <https://platform.openai.com/docs/guides/rate-limits> for resets as
/// spans; <https://docs.claude.com/en/api/rate-limits> for resets as instants;
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/06/> for
/// `ratelimit-reset`. Others send epochs.
pub fn retry_after(
    headers: &HeaderMap,
    from_body: Option<Duration>,
    is_rate_limited: bool,
    now: Timestamp,
) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = |name: &str| Some(seconds(text(name)?)? / 1000).filter(is_a_wait);
    millis("retry-after-ms")
        .or_else(|| millis("x-ms-retry-after-ms"))
        .or_else(|| wait(text("retry-after")?, now).filter(is_a_wait))
        .or_else(|| from_body.filter(is_a_wait))
        .or_else(|| from_resets(headers, now).filter(|_| is_rate_limited))
        .map(|wait| wait.min(MAX_HINT))
}

fn is_a_wait(wait: &Duration) -> bool {
    !wait.is_zero()
}

/// The wait until the limits that were hit are open again.
///
/// Limits come in pairs, so many remaining and a time of reset. Of those that are used up the last
/// to reset counts. When none is, this request was larger than what was left of one of them, and
/// the first reset is the first chance.
fn from_resets(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let mut used_up: Option<Duration> = None;
    let mut others: Option<Duration> = None;
    for (name, value) in headers {
        let Some(remaining) = remaining_beside(name.as_str()) else { continue };
        let Some(wait) = value.to_str().ok().and_then(|text| wait(text.trim(), now)) else {
            continue;
        };
        if wait.is_zero() {
            continue;
        }
        if headers.get(remaining).is_some_and(is_nought) {
            used_up = Some(used_up.map_or(wait, |longest| longest.max(wait)));
        } else {
            others = Some(others.map_or(wait, |shortest| shortest.min(wait)));
        }
    }
    used_up.or(others)
}

/// The name of the header that says how much remains of the limit whose reset `name` gives. The
/// windows of a Claude account say no amount, and are read by themselves.
fn remaining_beside(name: &str) -> Option<String> {
    let is_reset = name.starts_with("x-ratelimit-reset")
        || name == "ratelimit-reset"
        || (name.starts_with("anthropic-ratelimit-")
            && !name.starts_with(UNIFIED)
            && name.ends_with("-reset"));
    is_reset.then(|| name.replace("-reset", "-remaining"))
}

fn is_nought(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| text.trim().parse() == Ok(0_u64))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    /// Thu, 01 Jan 2026 00:00:00 GMT.
    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn hint(headers: &[(&'static str, &str)]) -> Option<u128> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        retry_after(&headers, None, true, NOW).map(|wait| wait.as_millis())
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        assert_eq!(hint(&[("retry-after-ms", "250")]), Some(250));
        assert_eq!(hint(&[("retry-after", "3")]), Some(3_000));
        assert_eq!(hint(&[("retry-after", " 0.5 ")]), Some(500));
        assert_eq!(hint(&[("retry-after", "Thu, 01 Jan 2026 00:01:00 GMT")]), Some(60_000));
        assert_eq!(hint(&[("retry-after", "2026-01-01T00:01:00Z")]), Some(60_000));
        assert_eq!(hint(&[("x-ms-retry-after-ms", "250")]), Some(250));
    }

    #[test]
    fn resets_are_read_in_all_their_forms() {
        let reset = |value: &str| hint(&[("x-ratelimit-reset-tokens", value)]);
        assert_eq!(reset("1s"), Some(1_000));
        assert_eq!(reset("6m0s"), Some(360_000));
        assert_eq!(reset("20ms"), Some(20));
        assert_eq!(reset("1h2m3.5s"), Some(3_723_500));
        assert_eq!(reset("1d"), Some(86_400_000));
        assert_eq!(reset("12"), Some(12_000));
        assert_eq!(reset("1767225630"), Some(30_000));
        assert_eq!(reset("1767225630000"), Some(30_000));
        assert_eq!(hint(&[("x-ratelimit-reset", "1767225601")]), Some(1_000));
        assert_eq!(hint(&[("ratelimit-reset", "9")]), Some(9_000));
        let unified = [("anthropic-ratelimit-unified-5h-reset", "1767225630")];
        assert_eq!(hint(&unified), None, "a window that may be open");
        let rfc3339 = [("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:07Z")];
        assert_eq!(hint(&rfc3339), Some(7_000));
    }

    #[test]
    fn nonsense_is_no_hint() {
        for nonsense in [
            "",
            "-1",
            "0",
            "soon",
            "inf",
            "nan",
            "1e3",
            "1.2.3",
            "Wed, 01 Jan 2025 00:00:00 GMT",
            "99999999999999999999999999",
        ] {
            assert_eq!(hint(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        for nonsense in ["", "s", "5", "0s", "1x", "m1s", "2025-01-01T00:00:00Z", "1767225599"] {
            let seen = hint(&[("x-ratelimit-reset-requests", nonsense)]);
            assert_eq!(seen, (nonsense == "5").then_some(5_000), "{nonsense}");
        }
    }

    #[test]
    fn a_hint_has_a_bound() {
        assert_eq!(hint(&[("retry-after", "99999999")]), Some(MAX_HINT.as_millis()));
        assert_eq!(hint(&[("x-ratelimit-reset-tokens", "9999h")]), Some(MAX_HINT.as_millis()));
    }

    #[test]
    fn the_more_exact_hint_wins_and_nonsense_gives_way() {
        let all = [
            ("retry-after-ms", "1500"),
            ("retry-after", "2"),
            ("anthropic-ratelimit-tokens-reset", "2026-01-01T00:00:09Z"),
        ];
        assert_eq!(hint(&all), Some(1_500));
        assert_eq!(hint(&all[1..]), Some(2_000));
        assert_eq!(hint(&all[2..]), Some(9_000));
        assert_eq!(hint(&[("retry-after-ms", "x"), ("retry-after", "2")]), Some(2_000));
        let body = Some(Duration::from_secs(4));
        assert_eq!(retry_after(&HeaderMap::new(), body, false, NOW), body);
    }

    #[test]
    fn of_the_limits_used_up_the_last_to_reset_counts() {
        let both = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "6m0s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "2s"),
        ];
        assert_eq!(hint(&both), Some(360_000));
        let one = [both[1], both[2], both[3], ("x-ratelimit-remaining-requests", "9")];
        assert_eq!(hint(&one), Some(2_000));
        let none = [both[1], both[3]];
        assert_eq!(hint(&none), Some(2_000));
    }
}
