//! Log probabilities of tokens.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::read::elements_of;
use crate::domain::chat::{TokenLogprob, TopLogprob};

/// Most other tokens kept of one.
const MAX_TOP: usize = 20;

#[derive(Deserialize)]
struct ReadLogprob {
    token: String,
    logprob: f64,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    top_logprobs: Option<Vec<ReadTop>>,
}

#[derive(Deserialize)]
struct ReadTop {
    token: String,
    logprob: f64,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
}

/// The tokens in a list. What is none is passed over.
pub fn parse_logprobs(raw: Option<&RawValue>) -> Vec<TokenLogprob> {
    // Most events hold an empty list.
    if raw.is_none_or(|raw| raw.get() == "[]") {
        return Vec::new();
    }
    let read = |raw: &RawValue| {
        let ReadLogprob { token, logprob, bytes, top_logprobs } =
            serde_json::from_str(raw.get()).ok()?;
        let top = top_logprobs.unwrap_or_default().into_iter().take(MAX_TOP);
        let top = top.map(|ReadTop { token, logprob, bytes }| TopLogprob { token, logprob, bytes });
        Some(TokenLogprob { token, logprob, bytes, top: top.collect() })
    };
    elements_of(raw).into_iter().filter_map(read).collect()
}

/// A token as a client is shown it.
#[derive(Debug, Serialize)]
pub struct WrittenLogprob<'a> {
    token: &'a str,
    logprob: f64,
    bytes: Cow<'a, [u8]>,
    top_logprobs: Vec<WrittenTop<'a>>,
}

#[derive(Debug, Serialize)]
struct WrittenTop<'a> {
    token: &'a str,
    logprob: f64,
    bytes: Cow<'a, [u8]>,
}

impl<'a> From<&'a TokenLogprob> for WrittenLogprob<'a> {
    fn from(said: &'a TokenLogprob) -> Self {
        let top = said.top.iter().map(|top| WrittenTop {
            token: &top.token,
            logprob: top.logprob,
            bytes: bytes_of(&top.token, top.bytes.as_deref()),
        });
        Self {
            token: &said.token,
            logprob: said.logprob,
            bytes: bytes_of(&said.token, said.bytes.as_deref()),
            top_logprobs: top.collect(),
        }
    }
}

/// The bytes are not optional here; where nobody has told them they are those of the token.
fn bytes_of<'a>(token: &'a str, bytes: Option<&'a [u8]>) -> Cow<'a, [u8]> {
    Cow::Borrowed(bytes.unwrap_or(token.as_bytes()))
}
