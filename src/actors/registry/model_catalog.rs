//! The built-in catalogue of models: what is known of a model by its name.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use serde::Deserialize;
use thiserror::Error;

use crate::domain::{
    id::ModelName,
    model::{Capabilities, ModelFacts, ModelKind},
    pattern::NamePattern,
};

const CATALOG: &str = include_str!("../../../catalog/models.toml");

static BUILTIN: LazyLock<ModelCatalog> =
    LazyLock::new(|| ModelCatalog::parse(CATALOG).expect("a test reads the whole catalogue"));

/// What is said of the models that some patterns fit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// In lower case; none begins with its star.
    names: Vec<NamePattern>,
    kind: Option<ModelKind>,
    context_tokens: Option<u64>,
    output_tokens: Option<u64>,
    capabilities: Option<Capabilities>,
    auto_rank: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogFile {
    /// Words that say what a model is for, wherever they stand in its name.
    words: HashMap<String, ModelKind>,
    models: Vec<Entry>,
}

/// Why a text is not a catalogue of models. The one in use is part of the program, so this is a
/// defect of a build.
#[derive(Debug, Error)]
pub enum ModelCatalogError {
    #[error("the catalogue of models does not parse: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("the pattern {0} must be in lower case and begin with a letter or digit")]
    Pattern(NamePattern),
    #[error("the pattern {0} stands there twice")]
    Twice(NamePattern),
}

/// What a pattern says.
struct Known {
    pattern: NamePattern,
    /// Whether the kind is said, and not only the usual one.
    says_kind: bool,
    facts: ModelFacts,
}

/// What is known of models.
pub struct ModelCatalog {
    /// By the whole name they fit.
    names: HashMap<String, Known>,
    /// Those with a star, by the first letter of the names they fit; the most particular first.
    globs: HashMap<u8, Vec<Known>>,
    words: HashMap<String, ModelKind>,
}

impl ModelCatalog {
    /// The catalogue this program carries.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Errors: [`ModelCatalogError`].
    pub fn parse(text: &str) -> Result<Self, ModelCatalogError> {
        let file: CatalogFile = toml::from_str(text)?;
        let (mut names, mut globs) = (HashMap::new(), HashMap::<u8, Vec<Known>>::new());
        for entry in &file.models {
            for pattern in &entry.names {
                let first = pattern.as_str().as_bytes()[0];
                let is_lower = !pattern.as_str().bytes().any(|b| b.is_ascii_uppercase());
                if !is_lower || !first.is_ascii_alphanumeric() {
                    return Err(ModelCatalogError::Pattern(pattern.clone()));
                }
                let known = Known {
                    pattern: pattern.clone(),
                    says_kind: entry.kind.is_some(),
                    facts: entry.facts(),
                };
                let is_twice = if let Some(name) = pattern.exact() {
                    names.insert(name.to_string(), known).is_some()
                } else {
                    let alike = globs.entry(first).or_default();
                    let is_twice = alike.iter().any(|other| other.pattern == *pattern);
                    alike.push(known);
                    is_twice
                };
                if is_twice {
                    return Err(ModelCatalogError::Twice(pattern.clone()));
                }
            }
        }
        for known in globs.values_mut() {
            known.sort_by(|a, b| a.pattern.particularity().cmp(&b.pattern.particularity()));
        }
        Ok(Self { names, globs, words: file.words })
    }

    /// What is known of a model by its upstream name. A vendor before a slash and case are
    /// disregarded. The most particular pattern that fits counts; unless it says the kind itself,
    /// a word in the name that says another than chat makes the model that, and nothing else is
    /// then known of it.
    pub fn facts(&self, upstream: &ModelName) -> ModelFacts {
        let name = upstream.as_str();
        let name = name.rsplit_once('/').map_or(name, |(_vendor, name)| name);
        let name = if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        let known = self.find(&name);
        if let Some(known) = known.filter(|known| known.says_kind) {
            return known.facts;
        }
        let words = name.split(|c: char| !c.is_ascii_alphanumeric());
        match words.into_iter().find_map(|word| self.words.get(word)) {
            Some(kind) if *kind != ModelKind::Chat => {
                ModelFacts { kind: *kind, ..ModelFacts::default() }
            }
            _ => known.map_or_else(ModelFacts::default, |known| known.facts),
        }
    }

    fn find(&self, name: &str) -> Option<&Known> {
        if let Some(known) = self.names.get(name) {
            return Some(known);
        }
        let globs = self.globs.get(name.as_bytes().first()?)?;
        globs.iter().find(|known| known.pattern.capture(name).is_some())
    }
}

impl Entry {
    fn facts(&self) -> ModelFacts {
        ModelFacts {
            is_catalogued: true,
            kind: self.kind.unwrap_or_default(),
            context_tokens: self.context_tokens,
            output_tokens: self.output_tokens,
            capabilities: self.capabilities,
            auto_rank: self.auto_rank,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{actors::registry::builtin, domain::model::Capability};

    fn facts(name: &str) -> ModelFacts {
        ModelCatalog::builtin().facts(&ModelName::parse(name).unwrap())
    }

    #[test]
    fn the_whole_catalogue_is_read_and_makes_sense() {
        let catalog = ModelCatalog::parse(CATALOG).unwrap();
        assert!(catalog.words.values().all(|kind| *kind != ModelKind::Chat));
        assert!(catalog.words.keys().all(|word| word.bytes().all(|b| b.is_ascii_alphanumeric())));
        for known in catalog.names.values().chain(catalog.globs.values().flatten()) {
            let (pattern, facts) = (&known.pattern, known.facts);
            let tokens = facts.context_tokens.unwrap_or(4_096);
            assert!((256..=10_000_000).contains(&tokens), "{pattern}: {tokens}");
            let output = facts.output_tokens.unwrap_or(256);
            assert!((256..=tokens).contains(&output), "{pattern}: {output}");
            assert!(facts.auto_rank.is_none_or(|rank| (1..=100).contains(&rank)), "{pattern}");
            let is_chat = facts.kind == ModelKind::Chat;
            assert!(is_chat || facts.auto_rank.is_none(), "{pattern} is chosen and no chat model");
            assert!(is_chat || facts.capabilities.is_none(), "{pattern}");
        }
    }

    #[test]
    fn every_vendor_with_a_list_has_a_model_to_choose_and_knows_all_its_windows() {
        for entry in builtin().unwrap().iter().filter(|entry| !entry.models.is_empty()) {
            let known = |name| ModelCatalog::builtin().facts(name);
            assert!(
                entry.models.iter().any(|name| known(name).auto_rank.is_some()),
                "{}",
                entry.id
            );
            for name in &entry.models {
                assert_eq!(known(name).kind, ModelKind::Chat, "{name}");
                assert!(known(name).context_tokens.is_some(), "{name}");
            }
        }
    }

    #[test]
    fn names_say_what_no_chat_model_is_for() {
        for (kind, names) in [
            (
                ModelKind::Embedding,
                "text-embedding-3-small text-embedding-ada-002 gemini-embedding-001 mistral-embed \
                 bge-m3 nomic-embed-text:latest Qwen/Qwen3-Embedding-8B cohere.embed-english-v3 \
                 jina-embeddings-v3 amazon.titan-embed-text-v2:0 semantic_similarity codestral-embed",
            ),
            (
                ModelKind::Image,
                "dall-e-3 gpt-image-1 imagen-4.0-generate-001 gemini-2.5-flash-image flux.1-dev \
                 stable-diffusion-3.5-large grok-2-image mj_imagine cogview-4 swap_face qwen-image",
            ),
            (ModelKind::Speech, "tts-1-hd gpt-4o-mini-tts gemini-2.5-pro-preview-tts speech-02-hd"),
            (
                ModelKind::Transcription,
                "whisper-1 whisper-large-v3 gpt-4o-transcribe gpt-4o-mini-transcribe-2025-12-15",
            ),
            (
                ModelKind::Moderation,
                "omni-moderation-latest text-moderation-007 meta-llama/Llama-Guard-4-12B",
            ),
            (
                ModelKind::Rerank,
                "rerank-v3.5 BAAI/bge-reranker-v2-m3 Qwen/Qwen3-Reranker-8B gte-rerank-v2",
            ),
        ] {
            for name in names.split_whitespace() {
                let facts = facts(name);
                assert_eq!((facts.kind, facts.auto_rank), (kind, None), "{name}");
            }
        }
    }

    #[test]
    fn a_word_counts_only_as_a_whole() {
        for name in ["imagine-chat", "embedded-coder", "whispering", "safeguarded", "rerankless"] {
            assert_eq!(facts(name), ModelFacts::default(), "{name}");
        }
    }

    #[test]
    fn the_most_particular_pattern_counts() {
        let catalog = r#"
            words = { tts = "speech" }
            [[models]]
            names = ["m*"]
            context_tokens = 1_000
            auto_rank = 5
            [[models]]
            names = ["m-2*", "m-tts-chat"]
            kind = "chat"
            context_tokens = 2_000
        "#;
        let catalog = ModelCatalog::parse(catalog).unwrap();
        let facts = |name: &str| catalog.facts(&ModelName::parse(name).unwrap());
        assert_eq!(facts("m-1").context_tokens, Some(1_000));
        assert_eq!(facts("m-2").context_tokens, Some(2_000));
        assert_eq!(facts("m-2").auto_rank, None, "patterns are not mixed");
        assert_eq!(facts("m-tts").kind, ModelKind::Speech);
        assert_eq!(facts("m-tts").context_tokens, None);
        assert_eq!(facts("m-tts-chat").kind, ModelKind::Chat, "the kind was said");
    }

    #[test]
    fn vendor_and_case_are_disregarded() {
        assert_eq!(facts("openai/gpt-5.4"), facts("gpt-5.4"));
        assert_eq!(facts("accounts/fireworks/models/gpt-4o"), facts("gpt-4o"));
        assert_eq!(facts("MiniMax-M2"), facts("minimax-m2"));
        assert_eq!(facts("claude-opus-4-5-20251101"), facts("claude-opus-4-5"));
        assert!(facts("gpt-4o").context_tokens.is_some());
    }

    #[test]
    fn what_is_not_known_is_absent() {
        assert_eq!(facts("acme-1"), ModelFacts::default());
        assert_eq!(facts("vendor/"), ModelFacts::default());
    }

    #[test]
    fn well_known_models_are_known_well() {
        let gpt = facts("gpt-4o");
        assert_eq!(gpt.context_tokens, Some(128_000));
        assert!(gpt.capabilities.unwrap().has(Capability::Vision));
        assert!(!gpt.capabilities.unwrap().has(Capability::Thinking));
        assert_eq!(facts("claude-haiku-4-5").context_tokens, Some(200_000));
        for (name, most) in [
            ("gpt-5.4-mini", Some(128_000)),
            ("gpt-4o-2024-05-13", Some(4_096)),
            ("gpt-4o-2024-11-20", Some(16_384)),
            ("anthropic/claude-opus-4-7", Some(128_000)),
            ("claude-sonnet-4-20250514", Some(64_000)),
            ("claude-3-5-sonnet-20241022", Some(8_192)),
            ("claude-3-haiku-20240307", Some(4_096)),
            ("gemini-2.5-pro", Some(65_536)),
            ("gpt-oss-120b", None),
        ] {
            assert_eq!(facts(name).output_tokens, most, "{name}");
        }
        assert!(facts("gpt-5.4").auto_rank > facts("gpt-5.4-nano").auto_rank);
        assert_eq!(facts("gpt-5.4-pro").auto_rank, None, "answers on another path only");
        assert_eq!(facts("gpt-4o-audio-preview").auto_rank, None);
    }

    #[test]
    fn a_damaged_catalogue_is_refused() {
        let with = |names: &str| {
            ModelCatalog::parse(&format!("words = {{}}\n[[models]]\nnames = {names}"))
        };
        assert!(with(r#"["a*"]"#).is_ok());
        assert!(matches!(with(r#"["*a"]"#), Err(ModelCatalogError::Pattern(_))));
        assert!(matches!(with(r#"["A"]"#), Err(ModelCatalogError::Pattern(_))));
        assert!(matches!(with(r#"["a", "a"]"#), Err(ModelCatalogError::Twice(_))));
        assert!(matches!(with(r#"["*a*"]"#), Err(ModelCatalogError::Toml(_))));
    }
}
