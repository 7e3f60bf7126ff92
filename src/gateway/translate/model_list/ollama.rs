//! Ollama: `GET /api/tags`, `POST /api/show` and `GET /api/version`.
//!
//! Sources, read 2026-11: <https://docs.ollama.com/api/tags>,
//! <https://docs.ollama.com/api-reference/show-model-details>,
//! <https://github.com/ollama/ollama/blob/main/api/types.go>.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{ListedModel, to_json};
use crate::domain::{
    model::{Capability, ModelKind},
    time::Timestamp,
};

/// The version whose API is spoken here. Clients refuse older ones than they need.
pub const OLLAMA_VERSION: &str = "0.40.0";

#[derive(Serialize)]
struct Tags<'a> {
    models: Vec<Tag<'a>>,
}

#[derive(Serialize)]
struct Tag<'a> {
    name: &'a str,
    model: &'a str,
    /// Of the epoch where it is unknown.
    modified_at: Timestamp,
    /// Bytes on this machine: none.
    size: u64,
    digest: String,
    details: Details<'a>,
}

impl<'a> Tag<'a> {
    fn of(model: &'a ListedModel) -> Self {
        Self {
            name: &model.id,
            model: &model.id,
            modified_at: model.created_or_epoch(),
            size: 0,
            digest: digest(&model.id),
            details: Details::of(model),
        }
    }
}

/// What a file of weights would tell; of the pool's models only whose they are is known.
#[derive(Serialize)]
struct Details<'a> {
    parent_model: &'static str,
    format: &'static str,
    family: &'a str,
    families: [&'a str; 1],
    parameter_size: &'static str,
    quantization_level: &'static str,
}

impl<'a> Details<'a> {
    fn of(model: &'a ListedModel) -> Self {
        Self {
            parent_model: "",
            format: "",
            family: &model.owned_by,
            families: [&model.owned_by],
            parameter_size: "",
            quantization_level: "",
        }
    }
}

#[derive(Serialize)]
struct Show<'a> {
    modelfile: &'static str,
    parameters: &'static str,
    template: &'static str,
    details: Details<'a>,
    model_info: BTreeMap<String, Fact<'a>>,
    capabilities: Vec<&'static str>,
    modified_at: Timestamp,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Fact<'a> {
    Word(&'a str),
    Count(u64),
}

pub fn ollama_tags(models: &[ListedModel]) -> Vec<u8> {
    to_json(&Tags { models: models.iter().map(Tag::of).collect() })
}

/// The answer to `/api/show` for one model.
pub fn ollama_show(model: &ListedModel) -> Vec<u8> {
    let family = &model.owned_by;
    // Clients look for the context's length below the name of the architecture.
    let mut model_info = BTreeMap::from([
        ("general.architecture".to_owned(), Fact::Word(family)),
        ("general.basename".to_owned(), Fact::Word(&model.id)),
    ]);
    if let Some(context) = model.context {
        model_info.insert(format!("{family}.context_length"), Fact::Count(context));
    }
    to_json(&Show {
        modelfile: "",
        parameters: "",
        template: "",
        details: Details::of(model),
        model_info,
        capabilities: capabilities(model),
        modified_at: model.created_or_epoch(),
    })
}

/// The answer to `/api/version`.
pub fn ollama_version() -> Vec<u8> {
    #[derive(Serialize)]
    struct Version {
        version: &'static str,
    }

    to_json(&Version { version: OLLAMA_VERSION })
}

/// Identifies a model where no weights do: clients tell models apart by it.
fn digest(id: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(id) {
        write!(hex, "{byte:02x}").expect("a text takes any text");
    }
    hex
}

/// In Ollama's words and order. Clients hide what is not listed: tools are not held against a model of
/// which nothing is known.
fn capabilities(model: &ListedModel) -> Vec<&'static str> {
    const WORDS: [(Capability, &str); 4] = [
        (Capability::Vision, "vision"),
        (Capability::Audio, "audio"),
        (Capability::Tools, "tools"),
        (Capability::Thinking, "thinking"),
    ];
    match (model.kind, model.capabilities) {
        (ModelKind::Chat, Some(known)) => {
            let words = WORDS.into_iter().filter(|(capability, _)| known.has(*capability));
            std::iter::once("completion").chain(words.map(|(_, word)| word)).collect()
        }
        (ModelKind::Chat, None) => vec!["completion", "tools"],
        (ModelKind::Embedding, _) => vec!["embedding"],
        (ModelKind::Image, _) => vec!["image"],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{json as parse, model, unknown},
        *,
    };

    #[test]
    fn a_list_has_ollamas_shape() {
        let expected = json!({"models": [{
            "name": "a", "model": "a", "modified_at": "2026-01-01T00:00:00.000Z", "size": 0,
            "digest": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
            "details": {
                "parent_model": "", "format": "", "family": "acme", "families": ["acme"],
                "parameter_size": "", "quantization_level": "",
            },
        }]});
        assert_eq!(parse(&ollama_tags(&[model("a")])), expected);
    }

    #[test]
    fn a_model_is_shown_with_what_it_can_do() {
        let shown = parse(&ollama_show(&model("a")));
        assert_eq!(shown["capabilities"], json!(["completion", "vision", "tools", "thinking"]));
        assert_eq!(
            shown["model_info"],
            json!({
                "general.architecture": "acme", "general.basename": "a",
                "acme.context_length": 200_000,
            })
        );
        let bare = parse(&ollama_show(&unknown("b")));
        assert_eq!(bare["capabilities"], json!(["completion", "tools"]));
        assert_eq!(bare["modified_at"], "1970-01-01T00:00:00.000Z");
        assert!(bare["model_info"].get("acme.context_length").is_none());
        let embedding = ListedModel { kind: ModelKind::Embedding, ..unknown("e") };
        assert_eq!(parse(&ollama_show(&embedding))["capabilities"], json!(["embedding"]));
    }

    #[test]
    fn the_version_is_new_enough_for_clients() {
        assert_eq!(ollama_version(), br#"{"version":"0.40.0"}"#);
    }
}
