//! Identifiers: each kind of thing has its own type, validated where it enters.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};
use uuid::{Uuid, fmt::Simple};

use super::name::is_unprintable;

/// Path words below `/api/v1/providers` that would shadow a provider of the same name.
pub const RESERVED_PROVIDER_IDS: [&str; 4] = ["usage", "verify", "catalog", "trial"];

/// Longest provider id, in ASCII characters.
pub const MAX_PROVIDER_ID_LEN: usize = 128;

/// Longest model name, in bytes. Names of known providers stay below 128.
pub const MAX_MODEL_NAME_LEN: usize = 256;

/// What the text of a request id begins with.
const REQUEST_ID_PREFIX: &str = "req_";

/// Length of that text, in bytes.
const REQUEST_ID_LEN: usize = REQUEST_ID_PREFIX.len() + Simple::LENGTH;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    #[error("provider id is empty")]
    Empty,
    #[error(
        "provider id {0:?} is not valid: use 1 to {MAX_PROVIDER_ID_LEN} letters, digits, '_' or '-', \
         and begin with a letter or digit"
    )]
    Malformed(String),
    #[error("provider id {0:?} is reserved")]
    Reserved(String),
    #[error("model name is empty")]
    EmptyModel,
    #[error("model name is longer than {MAX_MODEL_NAME_LEN} bytes or holds a control character")]
    MalformedModel,
    #[error("model name has a part that is only dots: \".\" or \"..\" between slashes")]
    DottedModel,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// Names a provider: lower-case ASCII, so that no two ids differ by case alone.
    ProviderId
}
text_id! {
    /// Names a credential. Generated, or derived from the environment variable it came from.
    CredentialId
}
text_id! {
    /// Names a client key or an admin key. It is the readable part of the key itself.
    KeyId
}
text_id! {
    /// The name of a model, as a client asks for it or as an upstream calls it.
    ModelName
}

/// The schema of a text that is checked where it enters.
pub fn text_schema(max_length: usize, pattern: &str, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(max_length))
        .pattern(Some(pattern))
        .description(Some(description))
        .into()
}

impl PartialSchema for ProviderId {
    fn schema() -> RefOr<Schema> {
        let description = "Letters, digits, `_` and `-`, folded to lower case; not `usage`, \
                           `verify`, `catalog` or `trial`";
        text_schema(MAX_PROVIDER_ID_LEN, "^[A-Za-z0-9][A-Za-z0-9_-]*$", description)
    }
}

impl ToSchema for ProviderId {}

/// What has no control character, and is not all white space.
pub const PRINTABLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

impl PartialSchema for ModelName {
    fn schema() -> RefOr<Schema> {
        let description = "The name of a model, in at most 256 bytes of UTF-8";
        text_schema(MAX_MODEL_NAME_LEN, PRINTABLE, description)
    }
}

impl ToSchema for ModelName {}

impl ProviderId {
    /// Parses an id a person has typed: white space around it is dropped and case is folded.
    ///
    /// Errors: [`IdError`] when it is empty, malformed or reserved.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        let starts_well = text.as_bytes()[0].is_ascii_alphanumeric();
        let is_id_byte = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !starts_well || text.len() > MAX_PROVIDER_ID_LEN || !text.bytes().all(is_id_byte) {
            return Err(IdError::Malformed(text.chars().take(MAX_PROVIDER_ID_LEN).collect()));
        }
        let id = text.to_ascii_lowercase();
        if RESERVED_PROVIDER_IDS.contains(&id.as_str()) {
            return Err(IdError::Reserved(id));
        }
        Ok(Self(id.into()))
    }
}

impl FromStr for ProviderId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for ProviderId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl ModelName {
    /// Parses a model name: not empty, bounded, printable, since it is put into headers and logs, and
    /// without what means another folder in the path of a URL.
    ///
    /// Errors: [`IdError::EmptyModel`], [`IdError::MalformedModel`], [`IdError::DottedModel`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(IdError::EmptyModel);
        }
        if text.len() > MAX_MODEL_NAME_LEN || text.contains(is_unprintable) {
            return Err(IdError::MalformedModel);
        }
        if text.split(['/', '\\']).any(|part| matches!(part, "." | "..")) {
            return Err(IdError::DottedModel);
        }
        Ok(Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

macro_rules! opaque_id {
    ($name:ident) => {
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(String::deserialize(deserializer)?.into())
            }
        }
    };
}

opaque_id!(CredentialId);
opaque_id!(KeyId);

/// Numbers one request for as long as anything remembers it. Ordered by time (UUID version 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Uuid);

impl RequestId {
    /// Makes the id of a request that arrived now. The only place in `domain` that is not pure:
    /// an id must differ from every other, so it cannot be handed in.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Errors: none is told apart; a text that is no request id is simply not found.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix(REQUEST_ID_PREFIX)?;
        Uuid::try_parse(hex).ok().map(Self)
    }

    /// Letters and digits alone: for ids that are made of it.
    pub fn as_plain(self) -> String {
        self.0.as_simple().to_string()
    }

    /// Written without the machinery of `format!`: it is written several times for each request.
    fn write(self, buffer: &mut [u8; REQUEST_ID_LEN]) -> &str {
        let (prefix, hex) = buffer.split_at_mut(REQUEST_ID_PREFIX.len());
        prefix.copy_from_slice(REQUEST_ID_PREFIX.as_bytes());
        self.0.as_simple().encode_lower(hex);
        std::str::from_utf8(buffer).expect("hex digits are ASCII")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; REQUEST_ID_LEN]))
    }
}

impl Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; REQUEST_ID_LEN]))
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a request id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_id_is_trimmed_and_folded() {
        assert_eq!(ProviderId::parse("  OpenAI ").unwrap().as_str(), "openai");
    }

    #[test]
    fn a_provider_id_has_a_shape_and_a_length() {
        for bad in ["", "   ", "-a", "_a", "a b", "a:b", "a/b", "..", "é", &"a".repeat(129)] {
            assert!(ProviderId::parse(bad).is_err(), "{bad:?} was taken");
        }
        for good in ["a", "0", "a-b_c", &"a".repeat(128)] {
            assert!(ProviderId::parse(good).is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn reserved_words_are_no_provider_ids_in_any_case() {
        for word in ["usage", "Verify", "CATALOG", "trial"] {
            assert!(matches!(ProviderId::parse(word), Err(IdError::Reserved(_))));
        }
    }

    #[test]
    fn a_request_id_reads_back() {
        let id = RequestId::generate();
        assert_eq!(RequestId::parse(&id.to_string()), Some(id));
        assert_eq!(RequestId::parse("req_nonsense"), None);
    }

    #[test]
    fn a_model_name_may_hold_slashes_and_colons_but_no_control_characters() {
        assert!(ModelName::parse("meta/llama-3.3:free").is_ok());
        for bad in ["a\nb", "a\0b", "a\u{1b}[2J", "a\u{202e}b"] {
            assert!(ModelName::parse(bad).is_err(), "{bad:?} was taken");
        }
        assert!(ModelName::parse(&"m".repeat(257)).is_err());
    }

    #[test]
    fn a_model_name_leads_to_no_other_folder() {
        for bad in ["..", ".", "../../../admin", "a/../b", "a/.", r"..\admin", "./a"] {
            assert_eq!(ModelName::parse(bad), Err(IdError::DottedModel), "{bad}");
        }
        for good in ["a..b", ".a", "gpt-4.1", "a/...", "v1.", "%2e%2e/a"] {
            assert!(ModelName::parse(good).is_ok(), "{good}");
        }
    }
}
