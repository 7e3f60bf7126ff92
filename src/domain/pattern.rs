//! Names with stars: how routes and aliases say which models they are about.

use std::{cmp::Reverse, fmt};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::id::{IdError, MAX_MODEL_NAME_LEN, ModelName, PRINTABLE, text_schema};

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    #[error(transparent)]
    Name(#[from] IdError),
    #[error("a pattern may hold one '*' and no more")]
    Stars,
}

/// A model's name, or a name with one `*` that stands for any text, the empty one included.
/// Compared byte by byte, case included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct NamePattern {
    text: ModelName,
    /// Where the star stands, in bytes. Looked for once: patterns are tried by the hundred.
    #[serde(skip)]
    star: Option<usize>,
}

impl PartialSchema for NamePattern {
    fn schema() -> RefOr<Schema> {
        let description = "A model's name, or a name with one `*` that stands for any text, in at \
                           most 256 bytes of UTF-8";
        text_schema(MAX_MODEL_NAME_LEN, PRINTABLE, description)
    }
}

impl ToSchema for NamePattern {}

impl NamePattern {
    /// Errors: [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let name = ModelName::parse(text)?;
        if name.as_str().matches('*').count() > 1 {
            return Err(PatternError::Stars);
        }
        let star = name.as_str().find('*');
        Ok(Self { text: name, star })
    }

    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// The name itself, when there is no star in it.
    pub fn exact(&self) -> Option<&ModelName> {
        self.star.is_none().then_some(&self.text)
    }

    /// What the star stands for in `name`, when `name` fits. A pattern without a star fits its own
    /// name alone, and then this is empty.
    pub fn capture<'n>(&self, name: &'n str) -> Option<&'n str> {
        let text = self.as_str();
        match self.star {
            None => (name == text).then_some(""),
            Some(star) => name.strip_prefix(&text[..star])?.strip_suffix(&text[star + 1..]),
        }
    }

    /// Orders patterns so that the more particular comes first: names, then by the letters beside
    /// the star, then by text.
    pub fn particularity(&self) -> impl Ord + use<'_> {
        (self.star.is_some(), Reverse(self.as_str().len()), self.as_str())
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> NamePattern {
        NamePattern::parse(text).unwrap()
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert_eq!(pattern("gpt-4o").capture("gpt-4o"), Some(""));
        assert_eq!(pattern("gpt-4o").capture("gpt-4o-mini"), None);
        assert_eq!(pattern("gpt-*").capture("gpt-4o"), Some("4o"));
        assert_eq!(pattern("*-latest").capture("claude-latest"), Some("claude"));
        assert_eq!(pattern("a*z").capture("az"), Some(""));
        assert_eq!(pattern("ab*ba").capture("aba"), None, "head and tail overlap");
        assert_eq!(pattern("gpt-*").capture("GPT-4o"), None);
    }

    #[test]
    fn two_stars_are_refused() {
        assert_eq!(NamePattern::parse("*a*"), Err(PatternError::Stars));
        assert!(NamePattern::parse(" ").is_err());
    }

    #[test]
    fn the_more_particular_pattern_comes_first() {
        let mut patterns = ["*", "gpt-*", "b", "gpt-4*", "a"].map(pattern);
        patterns.sort_by(|a, b| a.particularity().cmp(&b.particularity()));
        assert_eq!(
            patterns.each_ref().map(NamePattern::as_str),
            ["a", "b", "gpt-4*", "gpt-*", "*"]
        );
    }
}
