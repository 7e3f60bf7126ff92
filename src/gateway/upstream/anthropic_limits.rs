//! The windows of a Claude account: five hours, seven days, and those of single models.

use std::time::Duration;

use http::header::HeaderMap;

use crate::{
    domain::{failure::MAX_HINT, time::Timestamp},
    gateway::times::instant,
};

/// What all their headers begin with.
pub const UNIFIED: &str = "anthropic-ratelimit-unified-";

/// What the windows say about a refused request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectedWindows {
    /// Whether the whole account is limited, and not only the model asked for.
    pub account_wide: bool,
    /// Until the last of the rejected windows opens, at most [`MAX_HINT`]. `None`: none says so.
    pub reset: Option<Duration>,
}

/// Reads the windows that have rejected a request. `None`: no window did.
///
/// Accounts with a subscription are told `…-status` and `…-reset` (seconds of the epoch) for the
/// account and for each of its windows, with every answer. A window that is `allowed`, or
/// `allowed_warning`, does not count. The account is limited when it is said to be, or its window of
/// five hours or of seven days is; unless both are said to be open and another window, such as
/// `7d_oi`, is the one that is shut: that is a limit of some models. `overage-status` is about paid
/// use beyond the windows, and is `rejected` for all who have not bought any.
///
/// Sources, read 2026-11: <https://github.com/lidge-jun/opencodex/pull/3809>;
/// <https://github.com/router-for-me/CLIProxyAPI/pull/5033> for the windows of models.
pub fn rejected_windows(headers: &HeaderMap, now: Timestamp) -> Option<RejectedWindows> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let mut account_rejected = false;
    let mut shared_rejected = false;
    let mut model_rejected = false;
    let mut reset: Option<Duration> = None;
    for (name, value) in headers {
        let Some(prefix) = name.as_str().strip_suffix("status") else { continue };
        let Some(window) = prefix.strip_prefix(UNIFIED) else { continue };
        if value.as_bytes().trim_ascii() != b"rejected" {
            continue;
        }
        match window {
            "" => account_rejected = true,
            "5h-" | "7d-" => shared_rejected = true,
            _ if window.starts_with(|c: char| c.is_ascii_digit()) => model_rejected = true,
            _ => continue,
        }
        let opens = text(&format!("{prefix}reset")).and_then(instant).map(|at| at.since(now));
        reset = reset.max(opens.filter(|wait| !wait.is_zero()));
    }
    if !(account_rejected || shared_rejected || model_rejected) {
        return None;
    }
    let is_open = |window: &str| {
        text(&format!("{UNIFIED}{window}-status"))
            .is_some_and(|status| matches!(status, "allowed" | "allowed_warning"))
    };
    let is_of_a_model = model_rejected && is_open("5h") && is_open("7d");
    let account_wide = shared_rejected || !is_of_a_model;
    Some(RejectedWindows { account_wide, reset: reset.map(|wait| wait.min(MAX_HINT)) })
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    /// Thu, 01 Jan 2026 00:00:00 GMT.
    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    /// `(account_wide, seconds to the reset)`
    fn windows(headers: &[(&str, &str)]) -> Option<(bool, Option<u64>)> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let name = format!("{UNIFIED}{name}");
                (HeaderName::try_from(name).unwrap(), value.parse().unwrap())
            })
            .collect();
        let windows = rejected_windows(&headers, NOW)?;
        Some((windows.account_wide, windows.reset.map(|wait| wait.as_secs())))
    }

    const ACCOUNT: (&str, &str) = ("status", "rejected");
    const FIVE_HOURS: (&str, &str) = ("5h-status", "rejected");
    const FIVE_HOURS_OPEN: (&str, &str) = ("5h-status", "allowed");
    const SEVEN_DAYS_OPEN: (&str, &str) = ("7d-status", "allowed_warning");
    const MODELS: (&str, &str) = ("7d_oi-status", "rejected");

    #[test]
    fn a_rejected_window_of_the_account_limits_the_account() {
        assert_eq!(windows(&[ACCOUNT]), Some((true, None)));
        assert_eq!(windows(&[FIVE_HOURS]), Some((true, None)));
        assert_eq!(windows(&[("7d-status", "rejected"), FIVE_HOURS_OPEN]), Some((true, None)));
        assert_eq!(windows(&[MODELS, FIVE_HOURS, SEVEN_DAYS_OPEN]), Some((true, None)));
    }

    #[test]
    fn a_window_of_models_limits_them_only_when_the_others_are_said_to_be_open() {
        let open = [ACCOUNT, MODELS, FIVE_HOURS_OPEN, SEVEN_DAYS_OPEN];
        assert_eq!(windows(&open), Some((false, None)));
        assert_eq!(windows(&open[1..]), Some((false, None)));
        assert_eq!(windows(&open[..3]), Some((true, None)), "nothing is known of seven days");
        assert_eq!(windows(&[ACCOUNT, FIVE_HOURS_OPEN, SEVEN_DAYS_OPEN]), Some((true, None)));
    }

    #[test]
    fn what_is_open_and_what_is_about_paid_use_rejects_nothing() {
        assert_eq!(windows(&[]), None);
        assert_eq!(windows(&[("status", "allowed"), FIVE_HOURS_OPEN, SEVEN_DAYS_OPEN]), None);
        assert_eq!(
            windows(&[("overage-status", "rejected"), ("overage-reset", "1767225660")]),
            None
        );
    }

    #[test]
    fn the_last_reset_of_the_rejected_windows_counts_and_is_bounded() {
        let resets = [
            FIVE_HOURS,
            ("5h-reset", "1767225660"),
            ACCOUNT,
            ("reset", "1767225630"),
            SEVEN_DAYS_OPEN,
            ("7d-reset", "1767229200"),
        ];
        assert_eq!(windows(&resets), Some((true, Some(60))));
        assert_eq!(windows(&[FIVE_HOURS, ("5h-reset", "1767225599")]), Some((true, None)));
        assert_eq!(windows(&[FIVE_HOURS, ("5h-reset", "soon")]), Some((true, None)));
        let week = [("7d-status", "rejected"), ("7d-reset", "1767830400")];
        assert_eq!(windows(&week), Some((true, Some(MAX_HINT.as_secs()))));
    }
}
