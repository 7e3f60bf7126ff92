//! The numbers of a vector, as a list or as Base64.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::domain::embedding::Encoding;

/// A vector on the wire.
///
/// Source: <https://platform.openai.com/docs/api-reference/embeddings>, and for the bytes
/// <https://github.com/openai/openai-python/blob/main/src/openai/resources/embeddings.py> (2026-11),
/// which reads them as NumPy's `float32`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum WireVector<'a> {
    Numbers(Cow<'a, [f32]>),
    Base64(String),
}

impl<'a> WireVector<'a> {
    pub fn new(vector: &'a [f32], encoding: Encoding) -> Self {
        match encoding {
            Encoding::Float => Self::Numbers(Cow::Borrowed(vector)),
            Encoding::Base64 => {
                let bytes: Vec<u8> =
                    vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Self::Base64(BASE64_STANDARD.encode(bytes))
            }
        }
    }

    /// `None` when it is no Base64, or not one of whole numbers.
    pub fn into_numbers(self) -> Option<Vec<f32>> {
        match self {
            Self::Numbers(numbers) => Some(numbers.into_owned()),
            Self::Base64(text) => {
                let bytes = BASE64_STANDARD.decode(text).ok()?;
                let (numbers, rest) = bytes.as_chunks::<4>();
                let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
                rest.is_empty().then_some(numbers)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_of_the_bytes_with_the_little_end_first() {
        let vector = [1.0_f32, -0.5, 0.002_306_425_5];
        let wire = WireVector::new(&vector, Encoding::Base64);
        assert_eq!(serde_json::to_string(&wire).unwrap(), r#""AACAPwAAAL9mJxc7""#);
        assert_eq!(wire.into_numbers().unwrap(), vector);
        let numbers = WireVector::new(&vector, Encoding::Float);
        assert_eq!(serde_json::to_string(&numbers).unwrap(), "[1.0,-0.5,0.0023064255]");
    }

    #[test]
    fn what_is_no_vector_is_none() {
        for text in ["AAAA", "x", "AACAPw"] {
            assert_eq!(WireVector::Base64(text.into()).into_numbers(), None, "{text}");
        }
    }
}
