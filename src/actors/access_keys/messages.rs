//! What can be asked of AccessKeys.

use actix::Message;
use secrecy::SecretString;
use thiserror::Error;

use crate::{
    actors::db::DbError,
    domain::{
        access_key::{AccessKey, NewKey, Role},
        id::KeyId,
        setting::InvalidSetting,
    },
};

/// Why a key could not be made or revoked.
#[derive(Debug, Error)]
pub enum AccessKeyError {
    #[error("key {0} does not exist or is revoked already")]
    NotFound(KeyId),
    #[error(transparent)]
    Invalid(#[from] InvalidSetting),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A key at the only moment it can be seen whole.
pub struct MintedKey {
    pub key: AccessKey,
    /// What the caller presents. Never stored.
    pub presented: SecretString,
}

/// Makes a key.
#[derive(Debug, Message)]
#[rtype(result = "Result<MintedKey, AccessKeyError>")]
pub struct CreateAccessKey(pub NewKey);

/// Revokes a key of one of the given roles at once.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), AccessKeyError>")]
pub struct RevokeAccessKey {
    pub id: KeyId,
    pub roles: &'static [Role],
}

/// Answered as soon as the stored keys are loaded.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AwaitAccessKeys;
