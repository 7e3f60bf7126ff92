//! How long an upstream asks to be left alone.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};

use crate::domain::{failure::MAX_HINT, time::Timestamp};

/// Reads the hint of a refusal, at most [`MAX_HINT`]. `from_body` is what the error object says.
/// `is_rate_limited`: whether the resets of rate limits say anything about this refusal. Some
/// servers send them with every answer.
///
/// The first of these that makes sense counts, from the most exact to the vaguest:
/// `retry-after-ms`; `retry-after`, in seconds or as a date; the body; the resets of
/// `anthropic-ratelimit-*` and of `x-ratelimit-*`. A time that is over, or none, is no hint.
///
/// Sources, read 2026-11: RFC 9110 §10.2.3 for `retry-after`;
/// <https://platform.openai.com/docs/guides/rate-limits> for resets as spans;
/// <https://docs.claude.com/en/api/rate-limits> for resets as instants. Others send epochs.
pub fn retry_after(
    headers: &HeaderMap,
    from_body: Option<Duration>,
    is_rate_limited: bool,
    now: Timestamp,
) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = || Some(seconds(text("retry-after-ms")?)? / 1000);
    let plain = || {
        let text = text("retry-after")?;
        seconds(text).or_else(|| from_http_date(text, now))
    };
    millis()
        .filter(is_a_wait)
        .or_else(|| plain().filter(is_a_wait))
        .or_else(|| from_body.filter(is_a_wait))
        .or_else(|| from_resets(headers, now).filter(|_| is_rate_limited))
        .map(|wait| wait.min(MAX_HINT))
}

fn is_a_wait(wait: &Duration) -> bool {
    !wait.is_zero()
}

/// A number of seconds, decimals allowed. What is negative or no number is nothing.
fn seconds(text: &str) -> Option<Duration> {
    // Rust also reads `inf`, `nan` and `1e9` as numbers; no server means them.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

fn from_http_date(text: &str, now: Timestamp) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(0).plus(since_epoch).since(now))
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
        let Some(wait) = value.to_str().ok().and_then(|text| reset(text.trim(), now)) else {
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

/// The name of the header that says how much remains of the limit whose reset `name` gives.
fn remaining_beside(name: &str) -> Option<String> {
    let is_reset = name.starts_with("x-ratelimit-reset")
        || (name.starts_with("anthropic-ratelimit-") && name.ends_with("-reset"));
    is_reset.then(|| name.replace("-reset", "-remaining"))
}

fn is_nought(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| text.trim().parse() == Ok(0_u64))
}

/// A reset in any of its forms: a span such as `6m0s`, an RFC 3339 instant, or a number: seconds
/// from now, or an instant in seconds or milliseconds of the epoch, told apart by their size.
fn reset(text: &str, now: Timestamp) -> Option<Duration> {
    const YEAR_2001: Duration = Duration::from_secs(1_000_000_000);
    const YEAR_33658: Duration = Duration::from_secs(1_000_000_000_000);

    if let Some(number) = seconds(text) {
        let since_epoch = match number {
            number if number < YEAR_2001 => return Some(number),
            number if number < YEAR_33658 => number,
            millis => millis / 1000,
        };
        return Some(Timestamp::from_millis(0).plus(since_epoch).since(now));
    }
    if let Some(span) = span(text) {
        return Some(span);
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(instant.as_millisecond()).since(now))
}

/// A span as Go writes it: numbers with the units `d`, `h`, `m`, `s`, `ms`, largest first.
fn span(mut text: &str) -> Option<Duration> {
    let mut whole = Duration::ZERO;
    while !text.is_empty() {
        let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, rest) =
            rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?;
        whole = whole.checked_add(part)?;
        text = rest;
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

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
            "Thu, 01 Jan 2025 00:00:00 GMT",
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
