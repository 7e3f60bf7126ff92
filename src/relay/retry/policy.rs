//! What follows from a failed attempt: one row for each failure class, and two exceptions to them all.

use std::time::Duration;

use crate::domain::failure::{Failure, FailureClass};

/// Where a request goes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nowhere: no other attempt can help, or none may be made.
    Stop,
    /// Once more to the same candidate after a short pause, if the retry budget allows; then on.
    Repeat,
    /// To the same candidate with another credential, then to other candidates.
    OtherCredential,
    /// To other candidates.
    OtherCandidate,
    /// To candidates that read more, or to a fallback somebody has named.
    LargerWindow,
}

/// Where the request need not go again. Nothing of it outlasts the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulesOut {
    /// Nobody: it says when it is over, and its cooldown keeps the request away until then.
    Nobody,
    /// This model of the provider.
    Model,
    /// Every model of the provider, but for those that say when they pass: it takes nobody without a key,
    /// or cannot be reached.
    Provider,
}

/// Which candidate may go on with a stream that ended so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    Never,
    /// Another candidate.
    Elsewhere,
    /// Another candidate or, when no other is left, the one it broke off at.
    Anywhere,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub next: Next,
    pub rules_out: RulesOut,
    pub resume: Resume,
    /// How soon it passes where the provider does not say: of several failures the client is told the
    /// one that passes soonest.
    pub passes_after: Duration,
}

/// The policy for one failure: that of its class, but for what the operator's rules and a credential's
/// own proxy change.
pub fn policy(failure: &Failure) -> Policy {
    let row = row(failure.class);
    let hinted = failure.retry_after.unwrap_or(row.passes_after);
    let row = Policy { passes_after: hinted, ..row };
    // What keeps nobody away, and what a rule is about, is not known to be over in a moment.
    let outlasting = match row.rules_out {
        RulesOut::Nobody => RulesOut::Model,
        other => other,
    };
    if let Some(action) = failure.rule {
        let (next, resume) = if action.stops() {
            (Next::Stop, Resume::Never)
        } else {
            (Next::OtherCredential, Resume::Elsewhere)
        };
        return Policy { next, rules_out: outlasting, resume, ..row };
    }
    if failure.by_proxy {
        return Policy { next: Next::OtherCredential, resume: Resume::Never, ..row };
    }
    // To ask once more in a moment what has said when to come back would be in vain.
    let row = match row.next {
        Next::Repeat if says_later(failure) => {
            Policy { next: Next::OtherCandidate, rules_out: RulesOut::Nobody, ..row }
        }
        _ if says_later(failure) => Policy { rules_out: RulesOut::Nobody, ..row },
        _ => row,
    };
    if failure.is_aside { Policy { rules_out: outlasting, ..row } } else { row }
}

/// How soon a failure passes, where nothing else is known.
pub fn passes_after(failure: &Failure) -> Duration {
    policy(failure).passes_after
}

/// Whether a failure passes by itself at a time that is known: a rate limit, or what says so. Whoever has
/// nobody else to ask waits for it, as the next request would.
pub fn tells_when(failure: &Failure) -> bool {
    is_limit(failure) || !failure.is_aside && says_later(failure)
}

/// Whether a failure is a limit that keeps everyone away until it is over.
pub fn is_limit(failure: &Failure) -> bool {
    failure.class == FailureClass::RateLimit && failure.rule.is_none() && !failure.is_aside
}

/// Whether a failure is the credential's, whatever model it is used for.
pub fn is_of_credential(failure: &Failure) -> bool {
    let is_of_model = failure.class == FailureClass::RateLimit && failure.rule.is_none();
    !is_of_model && !tells_when(failure)
}

/// Whether a server, or whoever counts what is paid for, says when to come back.
fn says_later(failure: &Failure) -> bool {
    let may_say = matches!(
        failure.class,
        FailureClass::Overload | FailureClass::Server | FailureClass::Payment
    );
    let is_its_own = failure.rule.is_none() && !failure.by_proxy;
    may_say && is_its_own && failure.retry_after.is_some_and(|hint| !hint.is_zero())
}

const NEVER: Duration = Duration::MAX;
const HALF_HOUR: Duration = Duration::from_mins(30);
const SECONDS: Duration = Duration::from_secs(10);

const fn row(class: FailureClass) -> Policy {
    use FailureClass as C;
    use Next::{LargerWindow, OtherCandidate, OtherCredential, Repeat, Stop};
    use Resume::{Anywhere, Elsewhere, Never};
    use RulesOut::{Model, Nobody, Provider};
    let (next, rules_out, resume, passes_after) = match class {
        C::ClientFault | C::Refusal | C::Cancelled => (Stop, Nobody, Never, NEVER),
        C::ContextTooLong => (LargerWindow, Model, Never, NEVER),
        C::Auth => (OtherCredential, Provider, Elsewhere, HALF_HOUR),
        C::Payment => (OtherCredential, Model, Elsewhere, HALF_HOUR),
        C::RateLimit => (OtherCredential, Nobody, Elsewhere, Duration::from_secs(1)),
        C::Overload | C::Server => (Repeat, Model, Anywhere, SECONDS),
        C::Connect => (Repeat, Provider, Never, SECONDS),
        C::Silent => (OtherCandidate, Model, Never, SECONDS),
        C::Stalled => (OtherCandidate, Model, Elsewhere, SECONDS),
        C::Cut => (OtherCandidate, Model, Anywhere, SECONDS),
        C::ModelMissing => (OtherCandidate, Model, Elsewhere, NEVER),
    };
    Policy { next, rules_out, resume, passes_after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rule::RuleAction;

    fn next(class: FailureClass) -> Next {
        policy(&Failure::new(class, "")).next
    }

    /// The table as it is documented: what is next, what is not asked again, who may go on with a stream,
    /// and after how many seconds it passes.
    #[test]
    fn each_class_has_the_row_that_is_documented() {
        use Next::{LargerWindow, OtherCandidate, OtherCredential, Repeat, Stop};
        use Resume::{Anywhere, Elsewhere, Never};
        use RulesOut::{Model, Nobody, Provider};
        let rows = [
            (FailureClass::ClientFault, Stop, Nobody, Never, None),
            (FailureClass::ContextTooLong, LargerWindow, Model, Never, None),
            (FailureClass::Refusal, Stop, Nobody, Never, None),
            (FailureClass::Auth, OtherCredential, Provider, Elsewhere, Some(1_800)),
            (FailureClass::Payment, OtherCredential, Model, Elsewhere, Some(1_800)),
            (FailureClass::RateLimit, OtherCredential, Nobody, Elsewhere, Some(1)),
            (FailureClass::Overload, Repeat, Model, Anywhere, Some(10)),
            (FailureClass::Server, Repeat, Model, Anywhere, Some(10)),
            (FailureClass::Connect, Repeat, Provider, Never, Some(10)),
            (FailureClass::Silent, OtherCandidate, Model, Never, Some(10)),
            (FailureClass::Stalled, OtherCandidate, Model, Elsewhere, Some(10)),
            (FailureClass::Cut, OtherCandidate, Model, Anywhere, Some(10)),
            (FailureClass::ModelMissing, OtherCandidate, Model, Elsewhere, None),
            (FailureClass::Cancelled, Stop, Nobody, Never, None),
        ];
        assert_eq!(rows.len(), FailureClass::ALL.len());
        for (class, next, rules_out, resume, seconds) in rows {
            let passes_after = seconds.map_or(Duration::MAX, Duration::from_secs);
            let expected = Policy { next, rules_out, resume, passes_after };
            assert_eq!(policy(&Failure::new(class, "")), expected, "{class:?}");
        }
    }

    // A rule about a class that rules nobody out rules the model out; a wider one stays as wide.
    #[test]
    fn what_a_rule_is_about_is_not_over_in_a_moment() {
        let rules_out = |class| {
            let rule = Some(RuleAction::Continue);
            policy(&Failure { rule, ..Failure::new(class, "") }).rules_out
        };
        assert_eq!(rules_out(FailureClass::RateLimit), RulesOut::Model);
        assert_eq!(rules_out(FailureClass::Server), RulesOut::Model);
        assert_eq!(rules_out(FailureClass::Auth), RulesOut::Provider);
    }

    #[test]
    fn who_says_when_to_come_back_is_not_asked_before_and_may_be_then() {
        let hinted = |millis| {
            let retry_after = Some(Duration::from_millis(millis));
            policy(&Failure { retry_after, ..Failure::new(FailureClass::Server, "") })
        };
        let (next, rules_out) = (|ms| hinted(ms).next, |ms| hinted(ms).rules_out);
        assert_eq!((next(0), next(1)), (Next::Repeat, Next::OtherCandidate));
        assert_eq!((rules_out(0), rules_out(1)), (RulesOut::Model, RulesOut::Nobody));
        // Only who would be asked again is left for it.
        let retry_after = Some(Duration::from_mins(1));
        let limited = Failure { retry_after, ..Failure::new(FailureClass::RateLimit, "") };
        assert_eq!(policy(&limited).next, Next::OtherCredential);
        let unpaid = Failure { retry_after, ..Failure::new(FailureClass::Payment, "") };
        let Policy { next, rules_out, .. } = policy(&unpaid);
        assert_eq!((next, rules_out), (Next::OtherCredential, RulesOut::Nobody));
        assert_eq!(passes_after(&unpaid), Duration::from_mins(1));
        let proxy = Failure { by_proxy: true, ..Failure::new(FailureClass::Overload, "") };
        assert_eq!(policy(&proxy).resume, Resume::Never);
    }

    #[test]
    fn limits_and_what_says_later_pass_at_a_time_that_is_known() {
        let (soon, later) = (Duration::ZERO, Duration::from_millis(1));
        for class in FailureClass::ALL {
            let failed = |retry_after| Failure { retry_after, ..Failure::new(class, "") };
            let is_limit = class == FailureClass::RateLimit;
            let may_say = matches!(
                class,
                FailureClass::Overload | FailureClass::Server | FailureClass::Payment
            );
            assert_eq!(tells_when(&failed(None)), is_limit, "{class:?}");
            assert_eq!(tells_when(&failed(Some(soon))), is_limit, "{class:?}");
            assert_eq!(tells_when(&failed(Some(later))), is_limit || may_say, "{class:?}");
            let by_proxy = Failure { by_proxy: true, ..failed(Some(later)) };
            assert_eq!(tells_when(&by_proxy), is_limit, "{class:?}");
            let ruled = Failure { rule: Some(RuleAction::Continue), ..failed(Some(later)) };
            assert!(!tells_when(&ruled), "{class:?}");
            let aside = Failure { is_aside: true, ..failed(Some(later)) };
            assert!(!tells_when(&aside), "{class:?}");
            assert_ne!(policy(&aside).rules_out, RulesOut::Nobody, "{class:?}");
            assert_eq!(policy(&aside).next, policy(&failed(Some(later))).next, "{class:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_request_is_never_routed_around() {
        for class in [FailureClass::ClientFault, FailureClass::Refusal, FailureClass::Cancelled] {
            assert_eq!(next(class), Next::Stop);
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_goes_to_the_next_key() {
        for class in [FailureClass::Auth, FailureClass::Payment, FailureClass::RateLimit] {
            assert_eq!(next(class), Next::OtherCredential);
        }
    }

    #[test]
    fn a_failing_server_is_asked_once_more_unless_it_says_when_to_come_back() {
        assert_eq!(next(FailureClass::Connect), Next::Repeat);
        for class in [FailureClass::Server, FailureClass::Overload] {
            assert_eq!(next(class), Next::Repeat);
            let hinted = |millis| {
                let retry_after = Some(Duration::from_millis(millis));
                policy(&Failure { retry_after, ..Failure::new(class, "") }).next
            };
            assert_eq!(hinted(0), Next::Repeat);
            assert_eq!(hinted(20_000), Next::OtherCandidate);
        }
    }

    #[test]
    fn what_was_silent_or_stalled_is_not_asked_again() {
        for class in [FailureClass::Silent, FailureClass::Stalled, FailureClass::Cut] {
            assert_eq!(next(class), Next::OtherCandidate);
        }
        assert_ne!(row(FailureClass::Stalled).resume, Resume::Anywhere);
    }

    #[test]
    fn a_rule_of_the_provider_comes_before_the_class() {
        for class in FailureClass::ALL {
            let ruled = |action| policy(&Failure { rule: Some(action), ..Failure::new(class, "") });
            assert_eq!(ruled(RuleAction::Stop).next, Next::Stop);
            assert_eq!(ruled(RuleAction::StopAndCooldown).next, Next::Stop);
            assert_eq!(ruled(RuleAction::Continue).next, Next::OtherCredential);
            assert_eq!(ruled(RuleAction::ContinueAndCooldown).next, Next::OtherCredential);
            assert_eq!(ruled(RuleAction::Stop).resume, Resume::Never);
            // Who says to go on means the stream as well.
            assert_eq!(ruled(RuleAction::Continue).resume, Resume::Elsewhere);
        }
    }

    #[test]
    fn what_fails_at_a_proxy_goes_to_the_next_key() {
        let failure = Failure { by_proxy: true, ..Failure::new(FailureClass::Connect, "") };
        assert_eq!(policy(&failure).next, Next::OtherCredential);
    }

    #[test]
    fn a_hint_says_when_a_failure_passes() {
        let retry_after = Some(Duration::from_secs(7));
        let limited = Failure { retry_after, ..Failure::new(FailureClass::RateLimit, "") };
        assert_eq!(policy(&limited).passes_after, Duration::from_secs(7));
        assert!(row(FailureClass::RateLimit).passes_after < row(FailureClass::Auth).passes_after);
    }
}
