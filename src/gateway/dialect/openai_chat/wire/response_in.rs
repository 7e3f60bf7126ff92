//! What upstreams answer, whole or in pieces. Both have the same messages: those of a chunk stand
//! under `delta` and hold as much as is new.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::lenient::{
    Count, Items, MAX_ITEMS, Number, Text, all, skip_object, skip_the_rest, too_long,
};

/// A chat completion, or one chunk of it.
#[derive(Debug, Deserialize)]
pub struct WireAnswer<'a> {
    #[serde(borrow, default)]
    pub id: Text<'a>,
    #[serde(borrow, default)]
    pub model: Text<'a>,
    #[serde(borrow)]
    pub choices: Option<Items<WireChoice<'a>>>,
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub service_tier: Text<'a>,
    /// Addresses of sources, as xAI and Perplexity give them.
    #[serde(borrow, default)]
    pub citations: Items<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct WireChoice<'a> {
    #[serde(default)]
    pub index: Count,
    #[serde(borrow)]
    pub message: Option<WireMessage<'a>>,
    #[serde(borrow)]
    pub delta: Option<WireMessage<'a>>,
    #[serde(borrow, default)]
    pub finish_reason: Text<'a>,
    /// The stop text that came, as vLLM tells it; a number is a token.
    #[serde(borrow)]
    pub stop_reason: Option<&'a RawValue>,
    /// The same, as SGLang tells it.
    #[serde(borrow)]
    pub matched_stop: Option<&'a RawValue>,
    #[serde(borrow)]
    pub logprobs: Option<WireLogprobs<'a>>,
}

/// A message. Fields for thoughts: `reasoning_content` of DeepSeek and most others, `reasoning` of
/// OpenRouter, Groq and vLLM, `reasoning_text` of GitHub.
#[derive(Debug, Default, Deserialize)]
pub struct WireMessage<'a> {
    #[serde(borrow, default)]
    pub content: Spoken<'a>,
    #[serde(borrow, default)]
    pub reasoning_content: Text<'a>,
    #[serde(borrow, default)]
    pub reasoning: Text<'a>,
    #[serde(borrow, default)]
    pub reasoning_text: Text<'a>,
    #[serde(borrow, default, deserialize_with = "all")]
    pub reasoning_details: Items<&'a RawValue>,
    #[serde(borrow, default)]
    pub refusal: Text<'a>,
    #[serde(borrow, default, deserialize_with = "all")]
    pub tool_calls: Items<WireCall<'a>>,
    #[serde(borrow)]
    pub function_call: Option<WireFunction<'a>>,
    #[serde(borrow, default)]
    pub annotations: Items<WireAnnotation<'a>>,
    /// Pictures, as OpenRouter gives them.
    #[serde(borrow, default)]
    pub images: Items<WirePart<'a>>,
    #[serde(borrow)]
    pub audio: Option<&'a RawValue>,
    #[serde(borrow)]
    pub extra_content: Option<WireExtra<'a>>,
}

impl<'a> WireMessage<'a> {
    /// The thoughts, in whichever field they stand, and whether they are all: some servers fill two fields
    /// with the same.
    pub fn thoughts(&mut self) -> (Option<Cow<'a, str>>, bool) {
        let fields = [&mut self.reasoning_content, &mut self.reasoning, &mut self.reasoning_text];
        let mut texts = fields.into_iter().filter_map(|text| std::mem::take(text).filled());
        let first = texts.next();
        let are_all = texts.all(|text| Some(text) == first);
        (first, are_all)
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct WireCall<'a> {
    #[serde(default)]
    pub index: Count,
    #[serde(borrow, default)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub function: Option<WireFunction<'a>>,
    #[serde(borrow)]
    pub custom: Option<WireCustom<'a>>,
    #[serde(borrow)]
    pub extra_content: Option<WireExtra<'a>>,
}

impl WireCall<'_> {
    /// Whether nothing at all is said of it.
    pub fn is_blank(&self) -> bool {
        let says_nothing =
            |name: &Text<'_>, has_input: bool| name.as_str().is_empty() && !has_input;
        let (function, custom) = (self.function.as_ref(), self.custom.as_ref());
        self.id.as_str().is_empty()
            && function.is_none_or(|it| says_nothing(&it.name, it.has_arguments()))
            && custom.is_none_or(|it| says_nothing(&it.name, !it.input.as_str().is_empty()))
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct WireFunction<'a> {
    #[serde(borrow, default)]
    pub name: Text<'a>,
    /// A text that holds JSON; some servers put the JSON itself here.
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
}

impl WireFunction<'_> {
    fn has_arguments(&self) -> bool {
        self.arguments.is_some_and(|raw| !matches!(raw.get(), "null" | "\"\""))
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct WireCustom<'a> {
    #[serde(borrow, default)]
    pub name: Text<'a>,
    #[serde(borrow, default)]
    pub input: Text<'a>,
}

/// What Google adds. Source: <https://ai.google.dev/gemini-api/docs/thought-signatures> (2026-11).
#[derive(Debug, Default, Deserialize)]
pub struct WireExtra<'a> {
    #[serde(borrow)]
    pub google: Option<WireGoogle<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub struct WireGoogle<'a> {
    #[serde(borrow, default)]
    pub thought_signature: Text<'a>,
}

impl<'a> WireExtra<'a> {
    pub fn thought_signature(self) -> Option<Cow<'a, str>> {
        self.google?.thought_signature.filled()
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct WireAnnotation<'a> {
    #[serde(borrow)]
    pub url_citation: Option<WireUrlCitation<'a>>,
}

/// `content` is OpenRouter's: the words of the source.
#[derive(Debug, Default, Deserialize)]
pub struct WireUrlCitation<'a> {
    #[serde(borrow, default)]
    pub url: Text<'a>,
    #[serde(borrow, default)]
    pub title: Text<'a>,
    #[serde(borrow, default)]
    pub content: Text<'a>,
    #[serde(default)]
    pub start_index: Count,
    #[serde(default)]
    pub end_index: Count,
}

#[derive(Debug, Default, Deserialize)]
pub struct WireLogprobs<'a> {
    #[serde(borrow, default)]
    pub content: Items<WireToken<'a>>,
    #[serde(borrow, default)]
    pub refusal: Items<WireToken<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub struct WireToken<'a> {
    #[serde(borrow, default)]
    pub token: Text<'a>,
    #[serde(default)]
    pub logprob: Number,
    pub bytes: Option<Vec<u8>>,
    #[serde(borrow, default)]
    pub top_logprobs: Items<WireToken<'a>>,
}

/// The content of a message: a text, or parts, as Mistral gives them.
#[derive(Debug, Default)]
pub enum Spoken<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Parts(Vec<WirePart<'a>>),
}

/// A part of an answer's content. `thinking` is Mistral's.
///
/// Source: <https://docs.mistral.ai/capabilities/reasoning> (2026-11).
#[derive(Debug, Default, Deserialize)]
pub struct WirePart<'a> {
    #[serde(borrow, default)]
    pub text: Text<'a>,
    #[serde(borrow, default)]
    pub refusal: Text<'a>,
    #[serde(borrow, default)]
    pub thinking: Spoken<'a>,
    #[serde(borrow)]
    pub image_url: Option<WireImageUrl<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub struct WireImageUrl<'a> {
    #[serde(borrow, default)]
    pub url: Text<'a>,
}

impl<'a> Spoken<'a> {
    /// All its words in one.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Nothing => Cow::Borrowed(""),
            Self::Text(text) => text,
            Self::Parts(parts) => {
                parts.iter().map(|part| part.text.as_str()).collect::<String>().into()
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Spoken<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Spoken<'de>;

            skip_the_rest!(Spoken::Nothing);

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Spoken::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Spoken::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Spoken::Text(Cow::Owned(number.to_string())))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Spoken::Text(Cow::Owned(number.to_string())))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Spoken::Text(Cow::Owned(number.to_string())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                    if parts.len() > MAX_ITEMS {
                        return Err(too_long());
                    }
                }
                Ok(Spoken::Parts(parts))
            }
        }

        deserializer.deserialize_any(Read)
    }
}
