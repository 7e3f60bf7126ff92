//! Times as vendors write them in headers and error objects: numbers, spans and instants.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// A number of seconds, decimals allowed. What is negative or no number is nothing.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    // Rust also reads `inf`, `nan` and `1e9` as numbers; no server means them.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// A span as Go and protobuf write it: numbers with units, such as `6m0s`, `34.5s` or `579ms`.
pub(super) fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut whole = Duration::ZERO;
    while !rest.is_empty() {
        let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_of_number(c))?);
        let (unit, after) = after.split_at(after.find(is_of_number).unwrap_or(after.len()));
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?;
        whole = whole.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty()).then_some(whole)
}

/// An instant: RFC 3339, an HTTP date, or seconds or milliseconds of the epoch, told apart by size.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    const YEAR_33658: Duration = Duration::from_secs(1_000_000_000_000);

    let epoch = Timestamp::from_millis(0);
    if let Some(number) = seconds(text) {
        return match number {
            span if is_span(span) => None,
            seconds if seconds < YEAR_33658 => Some(epoch.plus(seconds)),
            millis => Some(epoch.plus(millis / 1000)),
        };
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_millis(instant.as_millisecond()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(epoch.plus(date.duration_since(std::time::UNIX_EPOCH).ok()?))
}

/// How long to wait, from any form: a number of seconds, a span, or an instant. Zero when that is
/// over.
pub(super) fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    seconds(text)
        .filter(|number| is_span(*number))
        .or_else(|| span(text))
        .or_else(|| Some(instant(text)?.since(now)))
}

/// Whether a number of seconds is from now, and not since the epoch: nobody is told to wait for 31
/// years.
fn is_span(number: Duration) -> bool {
    const YEAR_2001: Duration = Duration::from_secs(1_000_000_000);
    number < YEAR_2001
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thu, 01 Jan 2026 00:00:00 GMT.
    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn millis(text: &str) -> Option<u128> {
        wait(text, NOW).map(|wait| wait.as_millis())
    }

    #[test]
    fn every_form_of_a_wait_is_read() {
        let table = [
            ("12", 12_000),
            ("0.5", 500),
            ("1s", 1_000),
            ("34.5s", 34_500),
            ("6m0s", 360_000),
            ("1h2m3.5s", 3_723_500),
            ("161h39m41.300432511s", 581_981_300),
            ("1d", 86_400_000),
            ("373.801628ms", 373),
            ("1500us", 1),
            ("1767225630", 30_000),
            ("1767225630000", 30_000),
            ("2026-01-01T00:00:07Z", 7_000),
            ("2026-01-01T01:00:07+01:00", 7_000),
            ("Thu, 01 Jan 2026 00:01:00 GMT", 60_000),
            ("Wed, 01 Jan 2025 00:00:00 GMT", 0),
        ];
        for (text, expected) in table {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_wait() {
        for text in ["", "s", "-1", "1x", "m1s", "soon", "inf", "nan", "1e3", "1.2.3", "é5s", "5é"]
        {
            assert_eq!(millis(text), None, "{text}");
        }
        assert_eq!(millis("99999999999999999999999999"), None);
    }
}
