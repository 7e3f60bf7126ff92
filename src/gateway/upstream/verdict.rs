//! What a refusal means, its head and its body taken together.

use http::header::{CONTENT_TYPE, HeaderMap};

use super::{
    anthropic_limits::rejected_windows, response::MAX_ERROR_BYTES, retry_after::retry_after,
};
use crate::{
    domain::{
        failure::{Failure, FailureClass, MAX_HINT},
        rule::FailureRule,
        time::Timestamp,
    },
    gateway::{
        dialect::openai_chat::ErrorObject,
        failure::{challenge, classify, worded_wait},
    },
};

/// The failure that an answer with an error status stands for. `body` is as much of it as was read.
///
/// The class is that of the upstream's own words; the first of the operator's `rules` that fits
/// only says what it leads to.
pub fn judge(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    rules: &[FailureRule],
    now: Timestamp,
) -> Failure {
    let mut failure = if is_challenge(headers, body) {
        challenge(status)
    } else {
        classify(status, ErrorObject::parse(body).map(|error| error.seen_at(now)))
    };
    let is_rate_limited = failure.class == FailureClass::RateLimit;
    failure.retry_after = retry_after(headers, failure.retry_after, is_rate_limited, now);
    if is_rate_limited {
        if let Some(windows) = rejected_windows(headers, now) {
            failure.account_wide |= windows.account_wide;
            failure.retry_after = windows.reset.or(failure.retry_after);
        }
        let worded = || Some(worded_wait(&failure.reason.as_ref()?.message)?.min(MAX_HINT));
        failure.retry_after = failure.retry_after.or_else(worded);
    }
    if !rules.is_empty() {
        let text = String::from_utf8_lossy(body);
        let message = failure.reason.as_ref().map(|reason| reason.message.as_str());
        let rule = rules.iter().find(|rule| rule.fits(status, &text, message));
        failure.rule = rule.map(FailureRule::action);
    }
    failure
}

/// The failure of an answer that began well and holds an error, as the operator's `rules` would have
/// it. `error` is the body, or the event, that it stands in.
///
/// Such an error has no status of its own: a rule is about it when its status is the one that stands
/// in the error object, or 200.
pub fn ruled_inside(failure: Failure, error: &[u8], rules: &[FailureRule]) -> Failure {
    if rules.is_empty() || error.len() > MAX_ERROR_BYTES {
        return failure;
    }
    let Some(object) = ErrorObject::parse(error) else { return failure };
    let text = String::from_utf8_lossy(error);
    let fits = |rule: &&FailureRule| {
        let statuses = [Some(200), object.status];
        statuses
            .into_iter()
            .flatten()
            .any(|status| rule.fits(status, &text, Some(&object.reason.message)))
    };
    let rule = rules.iter().find(fits).map(FailureRule::action);
    Failure { rule, ..failure }
}

/// Whether Cloudflare answers in the upstream's place and wants a person to prove themselves: it
/// says so in a header, and in pages behind proxies that drop it, by the path of its script. The
/// text is looked for in pages only; an API's error that quotes one is an API's error.
fn is_challenge(headers: &HeaderMap, body: &[u8]) -> bool {
    const SCRIPT: &[u8] = b"challenge-platform";

    headers.get("cf-mitigated").is_some_and(|value| value == "challenge")
        || (is_page(headers) && memchr::memmem::find(body, SCRIPT).is_some())
}

/// Whether an answer says that it is a page for people.
pub fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    kind.is_some_and(|kind| {
        kind.starts_with(b"text/html") || kind.starts_with(b"application/xhtml+xml")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::HeaderName;

    use super::*;
    use crate::domain::rule::{RuleAction, RuleText};

    /// Thu, 01 Jan 2026 00:00:00 GMT.
    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn judged(status: u16, headers: &[(&'static str, &str)], body: &str) -> Failure {
        judge(status, &head(headers), body.as_bytes(), &[], NOW)
    }

    fn head(headers: &[(&'static str, &str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn rule(status: u16, contains: &[&str], action: RuleAction) -> FailureRule {
        let contains = contains.iter().map(ToString::to_string).collect();
        FailureRule::parse(RuleText { status, contains, matches: vec![], action }).unwrap()
    }

    #[test]
    fn the_first_rule_that_fits_counts_and_the_class_stays() {
        let rules = [
            rule(400, &["plan"], RuleAction::Stop),
            rule(403, &["other"], RuleAction::Stop),
            rule(403, &["plan"], RuleAction::ContinueAndCooldown),
            rule(403, &[], RuleAction::Continue),
        ];
        let judged = |body: &[u8]| judge(403, &HeaderMap::new(), body, &rules, NOW);
        let failure = judged(br#"{"error":{"message":"not in your plan"}}"#);
        assert_eq!(failure.class, FailureClass::Auth);
        assert_eq!(failure.rule, Some(RuleAction::ContinueAndCooldown));
        assert_eq!(judged(b"\xff not text, your plan").rule, Some(RuleAction::ContinueAndCooldown));
        assert_eq!(judged(b"").rule, Some(RuleAction::Continue));
        assert_eq!(judge(404, &HeaderMap::new(), b"plan", &rules, NOW).rule, None);
    }

    #[test]
    fn a_rule_fits_an_error_inside_an_answer_by_the_status_in_it_or_by_200() {
        let failure = || Failure::new(FailureClass::Payment, "upstream answered 200");
        let judged = |rules: &[FailureRule], error: &str| {
            ruled_inside(failure(), error.as_bytes(), rules).rule
        };
        let rules = [
            rule(402, &["plan"], RuleAction::Stop),
            rule(200, &["plan"], RuleAction::Continue),
            rule(403, &[], RuleAction::StopAndCooldown),
        ];
        let with_code = |code| format!(r#"{{"error":{{"code":{code},"message":"your plan"}}}}"#);
        assert_eq!(judged(&rules, &with_code(402)), Some(RuleAction::Stop));
        assert_eq!(judged(&rules, &with_code(429)), Some(RuleAction::Continue));
        assert_eq!(judged(&rules[2..], &with_code(402)), None);
        assert_eq!(judged(&rules, "your plan"), None, "that is no error");
        assert_eq!(judged(&rules, r#"{"choices":"your plan"}"#), None, "that is no error");
    }

    #[test]
    fn a_challenge_is_an_overload_and_says_nothing_about_the_key() {
        let page = [("content-type", "text/html; charset=UTF-8")];
        let script = r#"<html><script src="/cdn-cgi/challenge-platform/h/g/orchestrate">"#;
        for status in [403, 503, 429] {
            let by_header = judged(status, &[("cf-mitigated", "challenge")], "");
            assert_eq!(by_header.class, FailureClass::Overload, "{status}");
            assert_eq!(judged(status, &page, script).class, FailureClass::Overload, "{status}");
        }
        assert_eq!(judged(403, &page, "<html>Forbidden").class, FailureClass::Auth);
        let quoted = r#"{"error":{"message":"challenge-platform"}}"#;
        let json = [("content-type", "application/json")];
        assert_eq!(judged(403, &json, quoted).class, FailureClass::Auth);
    }

    #[test]
    fn rejected_windows_limit_the_account_and_their_reset_is_the_hint() {
        let headers = [
            ("anthropic-ratelimit-unified-status", "rejected"),
            ("anthropic-ratelimit-unified-5h-status", "rejected"),
            ("anthropic-ratelimit-unified-5h-reset", "1767229200"),
            ("anthropic-ratelimit-unified-7d-status", "allowed"),
            ("anthropic-ratelimit-unified-7d-reset", "1767240000"),
            ("retry-after", "7"),
        ];
        let failure =
            judged(429, &headers, r#"{"type":"error","error":{"type":"rate_limit_error"}}"#);
        assert_eq!((failure.class, failure.account_wide), (FailureClass::RateLimit, true));
        assert_eq!(failure.retry_after, Some(Duration::from_hours(1)));
        let without_reset = [headers[0], headers[5]];
        assert_eq!(judged(429, &without_reset, "").retry_after, Some(Duration::from_secs(7)));
        let other = judged(400, &headers, "");
        assert!(!other.account_wide, "the account's state does not make a bad request good");
    }

    #[test]
    fn a_reset_in_the_body_counts_above_the_vague_ones_of_headers() {
        let body = r#"{"error":{"type":"usage_limit_reached","resets_at":1767225690}}"#;
        let failure = judged(403, &[("x-ratelimit-reset", "5")], body);
        assert!(failure.account_wide);
        assert_eq!(failure.retry_after, Some(Duration::from_secs(90)));
    }

    #[test]
    fn a_message_names_a_wait_only_where_nothing_else_does() {
        let body =
            r#"{"error":{"message":"Please try again in 1.2s.","code":"rate_limit_exceeded"}}"#;
        assert_eq!(judged(429, &[], body).retry_after, Some(Duration::from_millis(1_200)));
        let reset = [("x-ratelimit-reset-tokens", "3s")];
        assert_eq!(judged(429, &reset, body).retry_after, Some(Duration::from_secs(3)));
        let bare = r#"{"error":{"message":"Please try again in 1.2s."}}"#;
        assert_eq!(judged(500, &[], bare).retry_after, None);
    }
}
