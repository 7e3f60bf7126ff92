//! What happens after a failed attempt: the table of failure classes.

use crate::domain::failure::FailureClass;

/// Where a request goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Nowhere: no other attempt can help, or none may be made.
    Stop,
    /// Once more to the same place after a short wait, if the retry budget allows; else on.
    Repeat,
    OtherCredential,
    OtherProvider,
}

/// The next step after a failure of this class. `repeated`: this place has been tried again already.
pub fn next_step(class: FailureClass, repeated: bool) -> NextStep {
    match class {
        FailureClass::ClientFault
        | FailureClass::ContextTooLong
        | FailureClass::Refusal
        | FailureClass::Cancelled => NextStep::Stop,
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

    #[test]
    fn what_is_wrong_with_the_request_is_never_routed_around() {
        for class in
            [FailureClass::ClientFault, FailureClass::ContextTooLong, FailureClass::Refusal]
        {
            assert_eq!(next_step(class, false), NextStep::Stop);
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_goes_to_the_next_key() {
        for class in [FailureClass::Auth, FailureClass::Payment, FailureClass::RateLimit] {
            assert_eq!(next_step(class, false), NextStep::OtherCredential);
        }
    }

    #[test]
    fn a_failing_server_is_tried_once_more_and_then_left() {
        for class in [FailureClass::Server, FailureClass::Overload, FailureClass::Connect] {
            assert_eq!(next_step(class, false), NextStep::Repeat);
            assert_eq!(next_step(class, true), NextStep::OtherProvider);
        }
    }

    #[test]
    fn a_silent_candidate_is_never_tried_twice() {
        for class in [FailureClass::Silent, FailureClass::Stalled, FailureClass::Cut] {
            assert_eq!(next_step(class, false), NextStep::OtherProvider);
        }
    }
}
