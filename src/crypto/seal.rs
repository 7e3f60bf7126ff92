//! Sealing: how a secret is kept in the database.
//!
//! The stored form is `v1.<key id>.<base64 of nonce ‖ ciphertext ‖ tag>`. The place a secret is
//! stored in is authenticated with it, so a sealed text copied to another row does not open there.

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use super::master_key::{KEY_ID_LEN, MasterKey};

const VERSION: &str = "v1";

/// Bytes of the nonce AES-GCM asks for. Random ones are safe for 2³² secrets under one key.
const NONCE_LEN: usize = 12;

/// Where a secret is stored. A table and a column hold no `/`, so no two places read the same.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub table: &'a str,
    pub row: &'a str,
    pub column: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> String {
        format!("{}/{}/{}", self.table, self.row, self.column)
    }
}

/// Why a stored secret does not open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    #[error("it is sealed under key {key_id}, not under the master key in use")]
    SealedElsewhere { key_id: String },
    #[error("it is not a sealed secret")]
    Malformed,
    #[error("it was changed, or moved here from another row")]
    NotAuthentic,
}

/// Seals secrets under the master key, and opens them again.
pub struct Sealer {
    cipher: Aes256Gcm,
    key_id: String,
}

impl Sealer {
    pub fn new(master: &MasterKey) -> Self {
        let key = master.derive("providerpool/seal/v1");
        Self { cipher: Aes256Gcm::new(key.as_slice().into()), key_id: master.id() }
    }

    /// Names the key in use: eight hex digits.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Seals a secret for one place.
    pub fn seal(&self, place: &Place<'_>, secret: &SecretString) -> String {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let place = place.associated_data();
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .expect("AES-GCM seals anything shorter than 64 GiB");
        let body = STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
        format!("{VERSION}.{}.{body}", self.key_id)
    }

    /// Opens what was sealed for this place.
    ///
    /// Errors: [`OpenError`], which tells a secret of another key from one that was tampered with.
    pub fn open(&self, place: &Place<'_>, sealed: &str) -> Result<SecretString, OpenError> {
        let (key_id, body) = parse(sealed).ok_or(OpenError::Malformed)?;
        if key_id != self.key_id {
            return Err(OpenError::SealedElsewhere { key_id: key_id.to_owned() });
        }
        let bytes = STANDARD_NO_PAD.decode(body).map_err(|_| OpenError::Malformed)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Malformed)?;
        let place = place.associated_data();
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let opened = self
            .cipher
            .decrypt(&Nonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| OpenError::NotAuthentic)?;
        std::str::from_utf8(&opened).map(SecretString::from).map_err(|_| OpenError::Malformed)
    }
}

fn parse(sealed: &str) -> Option<(&str, &str)> {
    let (key_id, body) = sealed.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')?;
    let is_key_id = key_id.len() == KEY_ID_LEN && key_id.bytes().all(|b| b.is_ascii_hexdigit());
    is_key_id.then_some((key_id, body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: Place<'_> = Place { table: "credentials", row: "c1", column: "secret_sealed" };

    fn sealer(byte: u8) -> Sealer {
        use base64::engine::general_purpose::STANDARD;
        Sealer::new(&MasterKey::parse(&STANDARD.encode([byte; 32]), "test").unwrap())
    }

    #[test]
    fn the_stored_form_names_its_version_and_key_and_not_the_secret() {
        let safe = sealer(1);
        let sealed = safe.seal(&HERE, &"sk-plain".into());
        assert!(sealed.starts_with(&format!("v1.{}.", safe.key_id())));
        assert!(!sealed.contains("sk-plain"));
        assert_ne!(sealed, safe.seal(&HERE, &"sk-plain".into()), "a nonce was used twice");
    }

    #[test]
    fn what_another_key_sealed_is_told_from_what_was_changed() {
        let sealed = sealer(1).seal(&HERE, &"sk-plain".into());
        let key_id = sealer(1).key_id().to_owned();
        assert_eq!(
            sealer(2).open(&HERE, &sealed).err(),
            Some(OpenError::SealedElsewhere { key_id })
        );
    }

    #[test]
    fn what_is_no_sealed_secret_is_malformed() {
        let safe = sealer(1);
        let short = format!("v1.{}.AAAA", safe.key_id());
        for bad in ["", "v1", "v1..", "plain", "v2.00000000.AAAA", "v1.nothexxx.AAAA", &short] {
            assert_eq!(safe.open(&HERE, bad).err(), Some(OpenError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_sealed_secret_does_not_open_in_another_place() {
        let safe = sealer(1);
        let sealed = safe.seal(&HERE, &"sk-plain".into());
        for elsewhere in [
            Place { table: "providers", ..HERE },
            Place { row: "c2", ..HERE },
            Place { column: "label", ..HERE },
        ] {
            assert_eq!(safe.open(&elsewhere, &sealed).err(), Some(OpenError::NotAuthentic));
        }
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(secret in ".*", row in ".*") {
            let (safe, place) = (sealer(1), Place { row: &row, ..HERE });
            let opened = safe.open(&place, &safe.seal(&place, &secret.as_str().into()));
            let opened = opened.unwrap();
            prop_assert_eq!(opened.expose_secret(), secret);
        }

        #[test]
        fn no_single_bit_can_be_changed(secret in ".{0,40}", which in any::<prop::sample::Index>()) {
            let safe = sealer(1);
            let sealed = safe.seal(&HERE, &secret.as_str().into());
            let (head, body) = sealed.rsplit_once('.').unwrap();
            let mut bytes = STANDARD_NO_PAD.decode(body).unwrap();
            let bit = which.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let forged = format!("{head}.{}", STANDARD_NO_PAD.encode(bytes));
            prop_assert_eq!(safe.open(&HERE, &forged).err(), Some(OpenError::NotAuthentic));
        }
    }
}
