//! An attempt at who does not have the format it was asked in: the same request in its next one. What a
//! failure says of formats is for `retry::format` to judge.

use std::{rc::Rc, sync::Arc};

use super::{Attempt, Dispatch};
use crate::{actors::clock::steady, domain::failure::Failure, relay::retry::FormatFacts};

impl Dispatch {
    /// What is known of the format that a place was asked in.
    pub(super) fn format_facts(&self, attempt: &Attempt) -> FormatFacts {
        let Attempt { candidate, prepared, .. } = attempt;
        FormatFacts {
            may_be_absent: prepared.has_choice() || !self.asks_for_answer(),
            is_spoken: prepared.is_spoken(candidate),
        }
    }

    /// Makes the request ready in the next format of the provider's. Says whether there is one.
    pub(in crate::relay) fn turn_to_next_format(&self, attempt: &mut Attempt) -> bool {
        let Some(other) = self.in_next_format(&attempt.candidate, &attempt.prepared) else {
            return false;
        };
        attempt.prepared = Rc::new(other);
        true
    }

    /// Keeps in mind that a format is not there. It was a wrong guess of the pool's: neither provider
    /// nor credential is to blame.
    pub(super) fn note_wrong_format(&self, attempt: &Attempt, failure: &Failure) {
        let Attempt { candidate, prepared, .. } = attempt;
        if let Some(wrong) = failure.wrong_format
            && prepared.has_choice()
            && self.asks_for_answer()
        {
            let format = prepared.endpoint().format;
            candidate.stats.note_absence_of(steady(), &candidate.model, format, wrong);
        }
        self.note_unblamed(attempt, failure);
    }

    /// None of its formats was there. That is the provider's fault when it was asked for an answer; it
    /// need not be able to count or to embed.
    pub(super) fn note_end_of_formats(&self, attempt: &mut Attempt, failure: &Arc<Failure>) {
        if self.asks_for_answer() {
            attempt.failed(failure);
            self.relay().tell_blame(self.state.borrow().settlement.request_id(), attempt, failure);
        }
        self.note_last(attempt, failure);
    }
}
