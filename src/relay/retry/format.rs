//! When a provider does not have the format it was asked in: the same request in its next one.

use std::sync::Arc;

use crate::domain::failure::{Failure, FailureClass, WrongFormat};

/// What is known of the format that an attempt was asked in.
#[derive(Debug, Clone, Copy, Default)]
pub struct FormatFacts {
    /// Whether it need not be there: the pool has guessed it, or has asked for what not everybody has.
    pub may_be_absent: bool,
    /// Whether it is known to be spoken there.
    pub is_spoken: bool,
}

/// Whether a provider does not have the format it was asked in, and that is for the pool to make good.
pub(super) fn is_absent(failure: &Failure, facts: FormatFacts) -> bool {
    let Some(wrong) = failure.wrong_format.filter(|_| failure.rule.is_none()) else {
        return false;
    };
    // In the words of another format, but about a model: where the format is spoken, it is missing.
    let is_doubtful =
        failure.class == FailureClass::ModelMissing && wrong == WrongFormat::Everywhere;
    facts.may_be_absent && !(is_doubtful && facts.is_spoken)
}

/// What a candidate has said in the formats it does not have.
#[derive(Debug, Default)]
pub(super) struct FormatsAsked {
    /// That its model is missing.
    missing: Option<Arc<Failure>>,
}

impl FormatsAsked {
    pub fn note(&mut self, failure: &Arc<Failure>) {
        if failure.class == FailureClass::ModelMissing {
            self.missing.get_or_insert_with(|| Arc::clone(failure));
        }
    }

    /// What it comes to that none of them is there. Whoever knows the model has said more than whoever
    /// does not know the path.
    pub fn verdict(&mut self, last: Arc<Failure>) -> Arc<Failure> {
        self.missing.take().unwrap_or(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rule::RuleAction;

    fn wrong(class: FailureClass, wrong: WrongFormat) -> Failure {
        Failure { wrong_format: Some(wrong), ..Failure::new(class, "") }
    }

    #[test]
    fn a_format_is_absent_where_it_may_be_and_the_provider_says_so() {
        use FailureClass::{ClientFault, ModelMissing};
        use WrongFormat::{Everywhere, ForModel};
        let guessed = FormatFacts { may_be_absent: true, is_spoken: false };
        let spoken = FormatFacts { is_spoken: true, ..guessed };
        for facts in [guessed, spoken] {
            assert!(is_absent(&wrong(ClientFault, Everywhere), facts));
            assert!(is_absent(&wrong(ModelMissing, ForModel), facts));
            assert!(!is_absent(&Failure::new(ClientFault, ""), facts));
        }
        assert!(is_absent(&wrong(ModelMissing, Everywhere), guessed));
        assert!(!is_absent(&wrong(ModelMissing, Everywhere), spoken), "the model is missing");
        assert!(!is_absent(&wrong(ClientFault, Everywhere), FormatFacts::default()));
        let rule = Some(RuleAction::Stop);
        let ruled = Failure { rule, ..wrong(ClientFault, Everywhere) };
        assert!(!is_absent(&ruled, guessed), "the operator's rule comes first");
    }

    #[test]
    fn who_knew_the_model_in_one_of_the_formats_is_believed() {
        let missing = Arc::new(wrong(FailureClass::ModelMissing, WrongFormat::ForModel));
        let path = Arc::new(wrong(FailureClass::ClientFault, WrongFormat::Everywhere));
        let mut asked = FormatsAsked::default();
        asked.note(&missing);
        asked.note(&path);
        assert_eq!(asked.verdict(Arc::clone(&path)), missing);
        let mut asked = FormatsAsked::default();
        asked.note(&path);
        assert_eq!(asked.verdict(Arc::clone(&path)), path);
    }
}
