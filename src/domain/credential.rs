//! A credential: what lets us in at a provider.

use secrecy::SecretString;

use super::{
    id::{CredentialId, ProviderId},
    provider::Origin,
    time::Timestamp,
};

/// Longest API key taken, in bytes.
pub const MAX_API_KEY_LEN: usize = 4096;

/// A secret as storage gives it back: readable, or sealed under a key that is not here.
#[derive(Clone)]
pub enum StoredSecret {
    Open(SecretString),
    /// The row is kept as it is, reported, and not used.
    Locked {
        key_id: String,
    },
}

/// An API key of one provider.
#[derive(Clone)]
pub struct Credential {
    pub id: CredentialId,
    pub provider_id: ProviderId,
    /// The user's name for it.
    pub label: Option<String>,
    pub origin: Origin,
    pub secret: StoredSecret,
    /// What may be shown of it.
    pub mask: String,
    /// Keyed hash of the secret: equal for equal keys, useless without the master key.
    pub fingerprint: String,
    pub enabled: bool,
    pub created_at: Timestamp,
}

impl Credential {
    pub fn is_usable(&self) -> bool {
        self.enabled && matches!(self.secret, StoredSecret::Open(_))
    }
}

/// Shows the two ends of a long key and nothing of a short one. Cut on characters, never inside one.
pub fn mask(secret: &str) -> String {
    let characters: Vec<char> = secret.chars().collect();
    if characters.len() < 24 {
        return "****".to_owned();
    }
    let head: String = characters[..4].iter().collect();
    let tail: String = characters[characters.len() - 4..].iter().collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_a_third_of_a_long_key_at_most_and_nothing_of_a_short_one() {
        assert_eq!(mask("sk-abcdefghijklmnopqrstuvwxyz"), "sk-a…wxyz");
        assert_eq!(mask("sk-abcdefghijklmnop"), "****");
        assert_eq!(mask(""), "****");
        assert_eq!(mask(&"é".repeat(24)), "éééé…éééé");
    }
}
