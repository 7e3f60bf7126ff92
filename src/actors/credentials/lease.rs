//! A credential for one attempt, and what is given back when it is over.

use std::sync::Arc;

use secrecy::SecretString;

use super::directory::{Held, Slot};
use crate::domain::{
    cooldown::TrialPass,
    credential::{Credential, StoredSecret},
    id::CredentialId,
    time::Timestamp,
};

/// A credential for one attempt. Dropping it gives back its place, and, unless it was judged, the
/// right to try it.
pub struct Lease {
    pub(super) held: Arc<Held>,
    pub(super) _slot: Slot,
    pub(super) passes: Vec<TrialPass>,
}

impl Lease {
    pub fn credential(&self) -> &Credential {
        &self.held.credential
    }

    pub fn id(&self) -> &CredentialId {
        &self.held.credential.id
    }

    pub fn held(&self) -> &Arc<Held> {
        &self.held
    }

    /// `None` never happens for a lease that was given: only what is open is leased.
    pub fn secret(&self) -> Option<&SecretString> {
        match &self.held.credential.secret {
            StoredSecret::Open(secret) => Some(secret),
            StoredSecret::Locked { .. } => None,
        }
    }

    /// The rights to try it that came with it, to be judged by how its attempt goes.
    pub fn take_passes(&mut self) -> Vec<TrialPass> {
        std::mem::take(&mut self.passes)
    }

    /// Counts the result of its attempt.
    pub fn count(&self, now: Timestamp, is_good: bool) {
        self.held.gauge.results.note(now, is_good);
    }
}
