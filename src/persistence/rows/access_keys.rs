//! Rows of `access_keys`.

use std::fmt::Write as _;

use diesel::prelude::*;

use crate::{
    domain::{
        access_key::{AccessKey, Role},
        time::Timestamp,
    },
    persistence::{Corrupt, schema::access_keys},
};

/// A key a caller may present, as a keyed hash.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = access_keys)]
pub struct AccessKeyRow {
    id: String,
    role: String,
    name: String,
    /// 64 hex digits.
    hash: String,
    /// JSON.
    allowed_models: String,
    created_at: i64,
    revoked_at: Option<i64>,
    expires_at: Option<i64>,
    master_key_id: Option<String>,
}

impl From<&AccessKey> for AccessKeyRow {
    fn from(key: &AccessKey) -> Self {
        Self {
            id: key.id.to_string(),
            role: key.role.as_str().to_owned(),
            name: key.name.clone(),
            hash: to_hex(&key.hash),
            allowed_models: serde_json::to_string(&key.allowed_models)
                .expect("names of models are texts, and so JSON"),
            created_at: key.created_at.as_millis(),
            revoked_at: key.revoked_at.map(Timestamp::as_millis),
            expires_at: key.expires_at.map(Timestamp::as_millis),
            master_key_id: key.master_key_id.clone(),
        }
    }
}

impl TryFrom<AccessKeyRow> for AccessKey {
    type Error = Corrupt;

    fn try_from(row: AccessKeyRow) -> Result<Self, Corrupt> {
        let corrupt = |column| Corrupt { table: "access_keys", row: row.id.clone(), column };
        Ok(Self {
            role: Role::parse(&row.role).ok_or_else(|| corrupt("role"))?,
            hash: parse_hex(&row.hash).ok_or_else(|| corrupt("hash"))?,
            allowed_models: serde_json::from_str(&row.allowed_models)
                .map_err(|_| corrupt("allowed_models"))?,
            id: row.id.into(),
            name: row.name,
            created_at: Timestamp::from_millis(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_millis),
            revoked_at: row.revoked_at.map(Timestamp::from_millis),
            master_key_id: row.master_key_id,
        })
    }
}

fn to_hex(bytes: &[u8; 32]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes whatever is written");
        text
    })
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    if digits.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(digits) {
        let digit = |ascii: u8| char::from(ascii).to_digit(16);
        *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    }
    Some(bytes)
}
