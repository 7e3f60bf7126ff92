//! Going on with a stream that broke off: another attempt is made, and continued only if it says again
//! all that the client has.

use std::{rc::Rc, sync::Arc};

use super::{
    commit::{CommittedStream, commit_resumed},
    dispatch::Dispatch,
    retry::Event,
    run::Winner,
};
use crate::{domain::failure::Failure, gateway::exchange::Transcript};

impl Dispatch {
    /// Goes on with a stream that ended with a failure. `transcript`: what has been sent of it, if it
    /// can be compared. `None`: it cannot be gone on with.
    pub(super) async fn resume(
        self: Rc<Self>,
        transcript: Option<Transcript>,
        failure: Arc<Failure>,
    ) -> Option<Winner<CommittedStream>> {
        let is_kept = transcript.is_some() && !self.relay().gate.is_draining();
        let resumed = self
            .drive(Event::Broken { failure, is_kept }, &async |relay, request, conversion| {
                match &transcript {
                    Some(transcript) => {
                        commit_resumed(relay, request, conversion, transcript).await
                    }
                    None => Ok(None),
                }
            })
            .await;
        resumed.ok()
    }
}
