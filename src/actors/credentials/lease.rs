//! A credential for one attempt, and what is given back when it is over.

use std::sync::Arc;

use secrecy::SecretString;

use super::directory::{PooledKey, Slot};
use crate::domain::{
    cooldown::TrialPass, credential::Credential, id::CredentialId, time::Timestamp,
};

/// A credential for one attempt. Dropping it gives back its place, and, unless it was judged, the
/// right to try it.
pub struct Lease {
    pub(super) pooled: Arc<PooledKey>,
    /// Opened: what cannot be sent is not leased.
    pub(super) secret: Arc<SecretString>,
    pub(super) _slot: Slot,
    pub(super) passes: Vec<TrialPass>,
}

impl Lease {
    pub fn credential(&self) -> &Credential {
        &self.pooled.credential
    }

    pub fn id(&self) -> &CredentialId {
        &self.pooled.credential.id
    }

    pub fn pooled(&self) -> &Arc<PooledKey> {
        &self.pooled
    }

    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Whether it is on trial, and this is the request that tries it.
    pub fn is_trial(&self) -> bool {
        !self.passes.is_empty()
    }

    /// The rights to try it that came with it, to be judged by how its attempt goes.
    pub fn take_passes(&mut self) -> Vec<TrialPass> {
        std::mem::take(&mut self.passes)
    }

    /// Counts the result of its attempt.
    pub fn count(&self, now: Timestamp, is_good: bool) {
        self.pooled.stats.results.note(now, is_good);
    }
}
