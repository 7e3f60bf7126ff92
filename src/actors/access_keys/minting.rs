//! How a key is made and what it looks like: `ppk_<id>_<secret>` for clients, `ppa_…` for admins.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRngCore, rngs::OsRng};

use super::messages::MintedKey;
use crate::{
    crypto::mac::Mac,
    domain::{
        access_key::{AccessKey, NewKey, Role},
        id::KeyId,
        time::Timestamp,
    },
};

/// Makes a new key: 6 random bytes of id and 32 of secret, of which only a keyed hash is kept.
pub fn mint(now: Timestamp, hasher: &Mac, new: NewKey) -> MintedKey {
    let NewKey { role, name, allowed_models, expires_at } = new;
    let mut bytes = [0_u8; 38];
    OsRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    let (id, secret) = bytes.split_at(6);
    let id = format!("{:012x}", id.iter().fold(0_u64, |id, byte| id << 8 | u64::from(*byte)));
    let secret = URL_SAFE_NO_PAD.encode(secret);
    let presented = format!("{}_{id}_{secret}", prefix(role));
    let key = AccessKey {
        hash: hasher.hash(&secret),
        id: id.into(),
        role,
        name,
        allowed_models,
        created_at: now,
        expires_at,
        revoked_at: None,
        master_key_id: Some(hasher.master_key_id().to_owned()),
    };
    MintedKey { key, presented: presented.into() }
}

fn prefix(role: Role) -> &'static str {
    match role {
        Role::Client => "ppk",
        Role::Viewer | Role::Admin => "ppa",
    }
}

/// Takes a presented key apart into its id and secret. `None`: it is no key of ours.
pub fn parse_presented(presented: &str) -> Option<(KeyId, &str)> {
    let rest = presented.strip_prefix("ppk_").or_else(|| presented.strip_prefix("ppa_"))?;
    let (id, secret) = rest.split_once('_')?;
    (id.len() == 12 && secret.len() == 43).then(|| (id.into(), secret))
}
