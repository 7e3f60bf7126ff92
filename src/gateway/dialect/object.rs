//! A JSON object as its fields, for those who look at them one by one.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
    ser::{SerializeMap, Serializer},
};
use serde_json::value::RawValue;

/// The fields of an object in the order they came, their values as they were written.
#[derive(Debug, Default)]
pub struct Fields<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The value of the last field of this name that is not `null`.
    pub fn find(&self, name: &str) -> Option<&'a RawValue> {
        self.said().filter(|(field, _)| *field == name).map(|(_, raw)| raw).last()
    }

    /// All that is not `null`.
    pub fn said(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().filter(|(_, raw)| raw.get() != "null").map(|(name, raw)| (&**name, *raw))
    }
}

/// A text, borrowed unless it holds an escape. (Within a map or an option, a plain `Cow` is copied.)
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Borrowed<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(name) = map.next_key::<Borrowed<'de>>()? {
                    fields.push((name.0, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
