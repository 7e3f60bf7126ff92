//! What only its maker can read, and who that is.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A way of speaking chat: the APIs whose conversations can be translated into one another.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Gemini `generateContent`.
    Gemini,
    /// Ollama `/api/chat`.
    Ollama,
}

impl Dialect {
    pub const ALL: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Messages, Self::Gemini, Self::Ollama];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == word)
    }
}

/// Begins every signature that is shown in another dialect than its maker's. No maker's own signature holds a
/// full stop: they are Base64.
const MARK: &str = "pp1.";

/// A signature, or reasoning that only its maker can open: carried as it is, with its maker's name,
/// and handed to no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasoningSignature {
    pub by: Dialect,
    pub data: String,
}

impl ReasoningSignature {
    pub fn new(by: Dialect, data: impl Into<String>) -> Self {
        Self { by, data: data.into() }
    }

    /// As it stands on the wire of `dialect`: bare where it is at home, marked elsewhere, so that it
    /// finds its way home with the next request.
    pub fn to_wire(&self, dialect: Dialect) -> Cow<'_, str> {
        if self.by == dialect {
            Cow::Borrowed(&self.data)
        } else {
            Cow::Owned(format!("{MARK}{}.{}", self.by.as_str(), self.data))
        }
    }

    /// Reads what [`to_wire`](Self::to_wire) has written, or a bare signature of `dialect` itself.
    pub fn from_wire(dialect: Dialect, text: &str) -> Self {
        let marked = text.strip_prefix(MARK).and_then(|rest| {
            let (by, data) = rest.split_once('.')?;
            Some(Self::new(Dialect::parse(by)?, data))
        });
        marked.unwrap_or_else(|| Self::new(dialect, text))
    }

    /// What to send to an upstream of `dialect`. `None`: it is not of its making.
    pub fn for_maker(&self, dialect: Dialect) -> Option<&str> {
        (self.by == dialect).then_some(&*self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_finds_its_way_home_through_every_dialect() {
        for by in Dialect::ALL {
            assert_eq!(Dialect::parse(by.as_str()), Some(by));
            let signature = ReasoningSignature::new(by, "EqoBCkgIBRAB+/=");
            for through in Dialect::ALL {
                let wire = signature.to_wire(through).into_owned();
                assert_eq!(wire == signature.data, by == through);
                assert_eq!(ReasoningSignature::from_wire(through, &wire), signature);
            }
            assert_eq!(signature.for_maker(by), Some("EqoBCkgIBRAB+/="));
        }
        assert_eq!(ReasoningSignature::new(Dialect::Chat, "x").for_maker(Dialect::Gemini), None);
    }

    #[test]
    fn what_only_looks_marked_is_the_dialects_own() {
        for text in ["pp1.", "pp1.nobody.x", "pp1.chat", ""] {
            assert_eq!(
                ReasoningSignature::from_wire(Dialect::Messages, text),
                ReasoningSignature::new(Dialect::Messages, text)
            );
        }
    }
}
