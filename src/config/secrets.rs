//! `[secrets]`: the key under which stored secrets are sealed.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{bounds::Bounds, data::Data, secret};

/// The key file, in the data directory.
const FILE_NAME: &str = "master.key";

/// Length of the master key, in bytes.
const KEY_LEN: usize = 32;

/// The key under which stored secrets are sealed.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// The key itself: 32 bytes in base64. Goes before the file.
    #[serde(
        deserialize_with = "secret::read_optional",
        serialize_with = "secret::mask",
        skip_serializing_if = "Option::is_none"
    )]
    pub master_key: Option<SecretString>,
    /// A file with the key in it. Absent: `master.key` in the data directory, made at the first
    /// start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key_file: Option<PathBuf>,
}

impl Secrets {
    /// The file the master key is read from when it is not given itself.
    pub fn key_file(&self, data: &Data) -> PathBuf {
        self.master_key_file.clone().unwrap_or_else(|| data.dir.join(FILE_NAME))
    }

    pub(super) fn check(&self, bounds: &mut Bounds) {
        let Some(key) = &self.master_key else { return };
        let decoded = STANDARD.decode(key.expose_secret().trim()).map(Zeroizing::new);
        if !decoded.is_ok_and(|key| key.len() == KEY_LEN) {
            let wanted = "must be 32 bytes in base64 (openssl rand -base64 32 makes one)";
            bounds.refuse_secret("secrets.master_key", wanted);
        }
    }
}
