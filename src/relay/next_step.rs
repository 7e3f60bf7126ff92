//! What happens after a failed attempt: the table of failure classes.

use crate::domain::failure::{Failure, FailureClass};

/// Where a request goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Nowhere: no other attempt can help, or none may be made.
    Stop,
    /// Once more to the same place after a short wait, if the retry budget allows; else on.
    Repeat,
    OtherCredential,
    OtherProvider,
    /// To a model that reads more, or to a fallback somebody has named.
    LargerWindow,
}

/// The next step after a failure. `repeated`: this place has been tried again already. A rule of the
/// provider's comes before the class.
pub fn next_step(failure: &Failure, repeated: bool) -> NextStep {
    if let Some(action) = failure.rule {
        return if action.stops() { NextStep::Stop } else { NextStep::OtherCredential };
    }
    if failure.by_proxy {
        return NextStep::OtherCredential;
    }
    match failure.class {
        FailureClass::ClientFault | FailureClass::Refusal | FailureClass::Cancelled => {
            NextStep::Stop
        }
        FailureClass::ContextTooLong => NextStep::LargerWindow,
        FailureClass::Auth | FailureClass::Payment | FailureClass::RateLimit => {
            NextStep::OtherCredential
        }
        FailureClass::Overload | FailureClass::Server | FailureClass::Connect if !repeated => {
            NextStep::Repeat
        }
        // A candidate that stayed silent or broke off is never tried twice.
        FailureClass::Overload
        | FailureClass::Server
        | FailureClass::Connect
        | FailureClass::Silent
        | FailureClass::Stalled
        | FailureClass::Cut
        | FailureClass::ModelMissing => NextStep::OtherProvider,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rule::RuleAction;

    fn step(class: FailureClass, repeated: bool) -> NextStep {
        next_step(&Failure::new(class, ""), repeated)
    }

    #[test]
    fn what_is_wrong_with_the_request_is_never_routed_around() {
        for class in [FailureClass::ClientFault, FailureClass::Refusal] {
            assert_eq!(step(class, false), NextStep::Stop);
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_goes_only_where_there_is_more_room() {
        assert_eq!(step(FailureClass::ContextTooLong, false), NextStep::LargerWindow);
    }

    #[test]
    fn what_is_wrong_with_a_key_goes_to_the_next_key() {
        for class in [FailureClass::Auth, FailureClass::Payment, FailureClass::RateLimit] {
            assert_eq!(step(class, false), NextStep::OtherCredential);
        }
    }

    #[test]
    fn a_failing_server_is_tried_once_more_and_then_left() {
        for class in [FailureClass::Server, FailureClass::Overload, FailureClass::Connect] {
            assert_eq!(step(class, false), NextStep::Repeat);
            assert_eq!(step(class, true), NextStep::OtherProvider);
        }
    }

    #[test]
    fn a_silent_candidate_is_never_tried_twice() {
        for class in [FailureClass::Silent, FailureClass::Stalled, FailureClass::Cut] {
            assert_eq!(step(class, false), NextStep::OtherProvider);
        }
    }

    #[test]
    fn a_rule_of_the_provider_comes_before_the_class() {
        for class in FailureClass::ALL {
            let ruled = |action| {
                next_step(&Failure { rule: Some(action), ..Failure::new(class, "") }, false)
            };
            assert_eq!(ruled(RuleAction::Stop), NextStep::Stop);
            assert_eq!(ruled(RuleAction::StopAndCooldown), NextStep::Stop);
            assert_eq!(ruled(RuleAction::Continue), NextStep::OtherCredential);
            assert_eq!(ruled(RuleAction::ContinueAndCooldown), NextStep::OtherCredential);
        }
    }
}
