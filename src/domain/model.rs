//! What is known of a model: what it is for, how much it reads, what it can do.

use serde::{Deserialize, Serialize};

use super::id::ModelName;

/// What a model is for.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    #[default]
    Chat,
    Embedding,
    Image,
    Speech,
    Transcription,
    Moderation,
    Rerank,
}

/// What a chat model may or may not be able to do.
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
pub enum Capability {
    /// Reads images.
    Vision,
    /// Reads audio.
    Audio,
    /// Calls tools.
    Tools,
    /// Can be held to JSON.
    Json,
    /// Thinks before it answers, and lets that be steered.
    Thinking,
    /// Answers as a stream.
    Streaming,
}

impl Capability {
    pub const ALL: [Self; 6] =
        [Self::Vision, Self::Audio, Self::Tools, Self::Json, Self::Thinking, Self::Streaming];

    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Audio => "audio",
            Self::Tools => "tools",
            Self::Json => "json",
            Self::Thinking => "thinking",
            Self::Streaming => "streaming",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == word)
    }
}

/// A set of capabilities: one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(u8);

impl Capabilities {
    pub const NONE: Self = Self(0);

    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// Those of this set that `other` does not have.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// For leaving it out of what is written.
    pub fn is_unset(&self) -> bool {
        self.is_empty()
    }

    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.has(*capability))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::NONE, Self::with)
    }
}

impl Serialize for Capabilities {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Capability>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// What is known of a model. What is absent is unknown, and never held against it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// Whether the catalogue has it.
    pub is_catalogued: bool,
    pub kind: ModelKind,
    /// Most tokens it reads and writes in one request.
    pub context_tokens: Option<u64>,
    /// Most tokens it writes in one answer, thoughts included.
    pub output_tokens: Option<u64>,
    pub capabilities: Option<Capabilities>,
    /// Higher is preferred when the client names no model. Absent: never chosen then.
    pub auto_rank: Option<u32>,
}

impl ModelFacts {
    /// The wanted capabilities that it is known to lack.
    pub fn lacks(&self, wanted: Capabilities) -> Capabilities {
        self.capabilities.map_or(Capabilities::NONE, |known| wanted.without(known))
    }

    /// Most tokens it writes after a prompt of about so many, where that is known: there are models
    /// that refuse a limit which would not fit into their window beside the prompt. An estimate may
    /// be off by half, so twice of it is left for the prompt, but [`LEAST_ROOM`] stays.
    pub fn room_after(&self, prompt_tokens: u64) -> Option<u64> {
        let most = self.output_tokens?;
        let left = |window: u64| window.saturating_sub(prompt_tokens.saturating_mul(2));
        Some(self.context_tokens.map_or(most, |window| most.min(left(window).max(LEAST_ROOM))))
    }
}

/// Fewest tokens that are taken to fit behind a prompt.
pub const LEAST_ROOM: u64 = 4_096;

/// Most tokens that can be said to fit into one request.
pub const MAX_CONTEXT_TOKENS: u64 = 1_000_000_000;

/// One model a provider serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServedModel {
    /// What clients ask for.
    pub name: ModelName,
    /// What the upstream calls it, when that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_name: Option<ModelName>,
    /// What it is for. Absent: as the catalogue says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ModelKind>,
    /// Most tokens it reads and writes in one request, 1 to 1000000000. Absent: as the catalogue says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub context_tokens: Option<u64>,
    /// Most tokens it writes in one answer, thoughts included, 1 to 1000000000. Absent: as the
    /// catalogue says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub output_tokens: Option<u64>,
    /// What it can do. Absent: as the catalogue says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Capability>>)]
    pub capabilities: Option<Capabilities>,
    /// Higher is preferred when the client names no model. Absent: as the catalogue says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_rank: Option<u32>,
}

impl ServedModel {
    /// A model of which nothing but its name is said.
    pub fn named(name: ModelName) -> Self {
        Self {
            name,
            upstream_name: None,
            kind: None,
            context_tokens: None,
            output_tokens: None,
            capabilities: None,
            auto_rank: None,
        }
    }

    /// The first of its sizes that cannot be: each is within 1 and [`MAX_CONTEXT_TOKENS`].
    pub fn impossible_size(&self) -> Option<&'static str> {
        let sizes =
            [("context_tokens", self.context_tokens), ("output_tokens", self.output_tokens)];
        let is_possible = |tokens: u64| (1..=MAX_CONTEXT_TOKENS).contains(&tokens);
        sizes.into_iter().find_map(|(name, size)| (!size.is_none_or(is_possible)).then_some(name))
    }

    pub fn upstream(&self) -> &ModelName {
        self.upstream_name.as_ref().unwrap_or(&self.name)
    }

    /// What is said of it here, above what the catalogue knows.
    pub fn facts(&self, catalogued: ModelFacts) -> ModelFacts {
        ModelFacts {
            is_catalogued: catalogued.is_catalogued,
            kind: self.kind.unwrap_or(catalogued.kind),
            context_tokens: self.context_tokens.or(catalogued.context_tokens),
            output_tokens: self.output_tokens.or(catalogued.output_tokens),
            capabilities: self.capabilities.or(catalogued.capabilities),
            auto_rank: self.auto_rank.or(catalogued.auto_rank),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_not_held_against_a_model() {
        let wanted = Capabilities::NONE.with(Capability::Vision).with(Capability::Tools);
        assert!(ModelFacts::default().lacks(wanted).is_empty());
        let text_only = ModelFacts {
            capabilities: Some(Capabilities::NONE.with(Capability::Tools)),
            ..ModelFacts::default()
        };
        let lacking: Vec<Capability> = text_only.lacks(wanted).iter().collect();
        assert_eq!(lacking, [Capability::Vision]);
    }

    #[test]
    fn a_set_is_written_as_a_list_of_words() {
        let set: Capabilities = serde_json::from_str(r#"["tools","vision"]"#).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["vision","tools"]"#);
        for capability in Capability::ALL {
            assert_eq!(Capability::parse(capability.as_str()), Some(capability));
        }
    }

    #[test]
    fn the_limit_of_an_answer_leaves_the_prompt_its_place_in_the_window() {
        let facts = |window, most| ModelFacts {
            context_tokens: window,
            output_tokens: most,
            ..ModelFacts::default()
        };
        for (window, most, prompt, room) in [
            (Some(200_000), Some(64_000), 100, Some(64_000)),
            (Some(200_000), Some(64_000), 80_000, Some(40_000)),
            (Some(200_000), Some(64_000), u64::MAX, Some(LEAST_ROOM)),
            (Some(8_192), Some(1_000), 8_000, Some(1_000)),
            (None, Some(64_000), 80_000, Some(64_000)),
            (Some(200_000), None, 1, None),
        ] {
            assert_eq!(facts(window, most).room_after(prompt), room, "{window:?} {prompt}");
        }
    }

    #[test]
    fn the_providers_own_word_wins_over_the_catalogue() {
        let served = ServedModel {
            context_tokens: Some(8),
            ..ServedModel::named(ModelName::parse("m").unwrap())
        };
        let catalogued =
            ModelFacts { context_tokens: Some(9), auto_rank: Some(1), ..ModelFacts::default() };
        let facts = served.facts(catalogued);
        assert_eq!((facts.context_tokens, facts.auto_rank), (Some(8), Some(1)));
    }
}
