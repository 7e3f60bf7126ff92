//! When an API refuses the token that a credential was exchanged for: once more with another one.

use crate::domain::failure::{Failure, FailureClass};

/// The tokens of one credential in one slot.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    is_renewed: bool,
}

impl Tokens {
    /// Whether a refused token may just have lost its worth: then another is got, once, and the
    /// credential is not to blame.
    pub fn renews(&mut self, failure: &Failure, has_token: bool) -> bool {
        let is_refused = failure.class == FailureClass::Auth && failure.status == Some(401);
        let renews = is_refused && failure.rule.is_none() && has_token && !self.is_renewed;
        self.is_renewed |= renews;
        renews
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rule::RuleAction;

    #[test]
    fn a_refused_token_is_replaced_once() {
        let refused = Failure { status: Some(401), ..Failure::new(FailureClass::Auth, "") };
        let mut tokens = Tokens::default();
        assert!(tokens.renews(&refused, true));
        assert!(!tokens.renews(&refused, true));
    }

    #[test]
    fn nothing_else_calls_for_another_token() {
        let auth = Failure::new(FailureClass::Auth, "");
        let mut tokens = Tokens::default();
        let rule = Some(RuleAction::Continue);
        for (failure, has_token) in [
            (Failure { status: Some(401), ..auth.clone() }, false),
            (Failure { status: Some(403), ..auth.clone() }, true),
            (Failure { status: Some(401), ..Failure::new(FailureClass::Payment, "") }, true),
            (Failure { status: Some(401), rule, ..auth }, true),
        ] {
            assert!(!tokens.renews(&failure, has_token), "{failure:?}");
        }
    }
}
