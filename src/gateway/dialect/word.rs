//! A field that holds a word, such as why an answer ends.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::openai_chat::text_of;

/// Reads a word, or the JSON of what a server has put in its place: a word that nobody knows.
pub(super) fn lenient<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'de, str>>, D::Error> {
    let raw = Option::<&RawValue>::deserialize(deserializer)?.map(RawValue::get);
    Ok(raw.map(|raw| text_of(raw).unwrap_or(Cow::Borrowed(raw))))
}
