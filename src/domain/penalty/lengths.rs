//! How long each class of failure costs, and whom.

use super::*;
use crate::domain::cooldown::CooldownBook;

const START: Timestamp = Timestamp::from_millis(1_000_000);
const HALF_HOUR: Duration = Duration::from_mins(30);

fn acme() -> ProviderId {
    ProviderId::parse("acme").unwrap()
}

fn whole() -> CooldownScope {
    CooldownScope::Credential(acme(), "key_1".into())
}

fn penalty(class: FailureClass, hint: Option<Duration>) -> Option<(CooldownScope, Length)> {
    let failure = Failure { retry_after: hint, ..Failure::new(class, "no") };
    credential_penalty(&acme(), &"key_1".into(), &ModelName::parse("m").unwrap(), &failure)
}

#[test]
fn a_credential_that_is_not_accepted_cools_for_half_an_hour_whatever_the_hint() {
    for hint in [None, Some(Duration::from_secs(1)), Some(MAX_HINT)] {
        assert_eq!(penalty(FailureClass::Auth, hint), Some((whole(), Length::Fixed(HALF_HOUR))));
    }
}

#[test]
fn an_empty_account_cools_until_it_is_filled_or_for_half_an_hour() {
    assert_eq!(penalty(FailureClass::Payment, None), Some((whole(), Length::Fixed(HALF_HOUR))));
    let hours = Duration::from_hours(5);
    let until_filled = penalty(FailureClass::Payment, Some(hours));
    assert_eq!(until_filled, Some((whole(), Length::Fixed(hours))));
}

#[test]
fn a_limit_without_a_hint_doubles_from_a_second_to_half_an_hour() {
    let mut book = CooldownBook::default();
    let mut now = START;
    let mut lengths = Vec::new();
    for _ in 0..13 {
        let (scope, length) = penalty(FailureClass::RateLimit, None).unwrap();
        book.impose(now, scope.clone(), length, (FailureClass::RateLimit, Some(429)), 0.0);
        let until = book.active(now, &scope).unwrap().until;
        lengths.push(until.since(now).as_secs());
        now = until;
    }
    assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800, 1800]);
}

#[test]
fn a_hint_is_believed_for_a_day_at_most() {
    for class in [FailureClass::Payment, FailureClass::RateLimit] {
        let (_, length) = penalty(class, Some(Duration::MAX)).unwrap();
        assert_eq!(length, Length::Fixed(MAX_HINT), "{class:?}");
    }
}

#[test]
fn for_a_failing_server_and_a_bad_request_no_credential_pays() {
    let blamed = [FailureClass::Auth, FailureClass::Payment, FailureClass::RateLimit];
    for class in FailureClass::ALL.into_iter().filter(|class| !blamed.contains(class)) {
        assert_eq!(penalty(class, Some(Duration::from_secs(9))), None, "{class:?}");
    }
}
