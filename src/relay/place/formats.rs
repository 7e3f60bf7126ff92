//! A place that does not have the format it was asked in: the same request in its next one.

use std::{rc::Rc, sync::Arc};

use super::{Attempts, Place};
use crate::{
    actors::clock::steady,
    domain::failure::{Failure, FailureClass, WrongFormat},
    relay::retry::Remedy,
};

impl Attempts {
    /// Whether the provider does not have the format it was asked in, and that is for the pool to make
    /// good: it has guessed, or asked for what need not be there.
    pub(super) fn is_wrong_format(&self, place: &Place, failure: &Failure) -> bool {
        let Place { candidate, prepared, .. } = place;
        let Some(wrong) = failure.wrong_format.filter(|_| failure.rule.is_none()) else {
            return false;
        };
        // In the words of another format, but about a model: where the format is spoken, it is missing.
        let is_doubtful =
            failure.class == FailureClass::ModelMissing && wrong == WrongFormat::Everywhere;
        if is_doubtful && prepared.is_spoken(candidate) {
            return false;
        }
        prepared.has_choice() || !self.asks_for_answer()
    }

    /// The same request in the next format of the provider's, if there is one. That the one it was asked
    /// in is not there is nobody's fault; that none is there may be.
    pub(super) fn in_other_format(
        &self,
        place: &mut Place,
        failure: Arc<Failure>,
    ) -> (Arc<Failure>, Option<Remedy>) {
        self.note_wrong_format(place, &failure);
        if failure.class == FailureClass::ModelMissing {
            place.missing.get_or_insert_with(|| Arc::clone(&failure));
        }
        if let Some(other) = self.in_next_format(&place.candidate, &place.prepared) {
            place.prepared = Rc::new(other);
            return (failure, Some(Remedy::OtherFormat));
        }
        // Whoever knows the model has said more than whoever does not know the path.
        let failure = place.missing.clone().unwrap_or(failure);
        self.note_end_of_formats(place, &failure);
        (failure, Some(Remedy::Exhausted))
    }

    /// Keeps in mind that a format is not there. It was a wrong guess of the pool's: neither provider
    /// nor credential is to blame.
    fn note_wrong_format(&self, place: &Place, failure: &Failure) {
        let Place { candidate, prepared, .. } = place;
        if let Some(wrong) = failure.wrong_format
            && prepared.has_choice()
            && self.asks_for_answer()
        {
            let format = prepared.endpoint().format;
            candidate.vitals.note_absence_of(steady(), &candidate.model, format, wrong);
        }
        self.note_unblamed(place, failure);
    }

    /// None of its formats was there. That is the provider's fault when it was asked for an answer; it
    /// need not be able to count or to embed.
    fn note_end_of_formats(&self, place: &mut Place, failure: &Arc<Failure>) {
        if self.asks_for_answer() {
            place.failed(failure);
            self.relay().tell_blame(self.state.borrow().settlement.request_id(), place, failure);
        }
        self.note_last(place, failure);
    }
}
