//! Every field beside `model` by which an upstream picks a model, for clients who may not use all of
//! them.
//!
//! There is no end of such fields, and new ones come with every gateway. So they are not looked for
//! where they are known to stand: everything outside of what is the client's own is looked through, and
//! a field counts when its name speaks of models, or is on [`OTHER_FIELDS`]. What it holds must be names
//! that the client may use. What is refused for nothing can be allowed by not limiting the key.
//!
//! Seen in the wild, and all caught by their names (read 2026-11): `models`, `route`, `preset` and the
//! `allowed_models` of a plugin, <https://openrouter.ai/docs/guides/routing/model-fallbacks>; the model
//! of an advisor, <https://openrouter.ai/docs/guides/features/server-tools/advisor>,
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool>; that of OpenAI's
//! `image_generation`, <https://platform.openai.com/docs/guides/tools-image-generation>; `fallbacks` and
//! `user_config`, <https://docs.litellm.ai/docs/proxy/client_side_fallbacks>; `fallback_models`,
//! <https://docs.keywordsai.co/documentation/products/gateway/traffic_management/fallbacks>;
//! `providerOptions.gateway.models`,
//! <https://vercel.com/docs/ai-gateway/models-and-providers/model-fallbacks>; `orq.fallbacks`,
//! <https://docs.orq.ai/docs/ai-proxy-fallbacks>; `compound_custom.models`,
//! <https://console.groq.com/docs/compound>; `draft_model`,
//! <https://lmstudio.ai/docs/app/advanced/speculative-decoding>;
//! `generationConfig.routingConfig`,
//! <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerationConfig>.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::unambiguous::folded;
use crate::gateway::dialect::object::Fields;

/// What a field beside `model` does to the choice of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Picks {
    /// It names models, in a text, or in texts anywhere within it.
    ByName,
    /// It picks one by what is not seen here: a list or a setting at the upstream.
    Unseen,
    /// An object picks one by what is not seen here. A text is something else.
    UnseenByObject,
}

/// Fields that pick models and whose names do not say so. Without underscores and in lower case.
const OTHER_FIELDS: [(&str, Picks); 27] = [
    ("fallback", Picks::ByName),
    ("fallbacks", Picks::ByName),
    ("contextwindowfallbacks", Picks::ByName),
    ("contentpolicyfallbacks", Picks::ByName),
    ("deployment", Picks::ByName),
    ("deploymentid", Picks::ByName),
    ("deploymentname", Picks::ByName),
    ("route", Picks::Unseen),
    // <https://openrouter.ai/docs/guides/features/presets>
    ("preset", Picks::Unseen),
    // A whole router of the client's own: <https://docs.litellm.ai/docs/proxy/clientside_auth>.
    ("userconfig", Picks::Unseen),
    // <https://docs.mistral.ai/api/#tag/agents>
    ("agentid", Picks::Unseen),
    // What makes another model of one: <https://huggingface.co/docs/text-generation-inference/main/en/conceptual/lora>,
    // <https://docs.sglang.ai/advanced_features/lora.html>.
    ("adapterid", Picks::Unseen),
    ("lorapath", Picks::Unseen),
    ("lora", Picks::Unseen),
    ("loraid", Picks::Unseen),
    ("loraname", Picks::Unseen),
    ("lorarequest", Picks::Unseen),
    ("adapters", Picks::Unseen),
    ("mergedadapters", Picks::Unseen),
    // An agent has a model: <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/latest>.
    ("agent", Picks::Unseen),
    ("agentreference", Picks::Unseen),
    ("assistantid", Picks::Unseen),
    ("botid", Picks::Unseen),
    ("appid", Picks::Unseen),
    ("promptid", Picks::Unseen),
    ("deployments", Picks::ByName),
    ("azuredeployment", Picks::ByName),
];

/// What the names of a gateway's own fields begin with, each of which may pick a model:
/// <https://www.tensorzero.com/docs/gateway/api-reference/inference-openai-compatible>.
const OTHER_PREFIXES: [&str; 1] = ["tensorzero::"];

/// The same for those that mean something else in the objects within a body.
const BODY_FIELDS: [(&str, Picks); 3] = [
    // Ollama's older name for `model`: <https://github.com/ollama/ollama/blob/main/api/types.go>.
    ("name", Picks::ByName),
    // The older path of OpenAI and Azure as a field: <https://docs.litellm.ai/docs/completion/input>.
    ("engine", Picks::ByName),
    // A stored prompt has a model: <https://platform.openai.com/docs/guides/prompting>. Elsewhere a
    // prompt is a text.
    ("prompt", Picks::UnseenByObject),
];

/// Fields that hold what is the client's own: texts, calls and their schemas. In lower case and without
/// underscores.
const CLIENTS_OWN: [&str; 20] = [
    "messages",
    "contents",
    "content",
    "system",
    "systeminstruction",
    "instructions",
    "prediction",
    "metadata",
    "clientmetadata",
    "labels",
    "inputschema",
    "inputexamples",
    "outputschema",
    "schema",
    "format",
    "responseformat",
    "responseschema",
    "responsejsonschema",
    "arguments",
    "context",
];

/// The first field of a body by which another model may be picked than those that a client may use: by
/// its path. `None`: there is none. `fields`: names and what was written. `allows` says whether a name may
/// be used.
pub(super) fn find_forbidden<'b>(
    mut fields: impl Iterator<Item = (Cow<'b, str>, &'b [u8])>,
    allows: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let search = Search { allows };
    fields.find_map(|(key, value)| {
        let name: String = folded(&key).filter(|c| !matches!(c, '_' | '-')).collect();
        // The model is what was admitted.
        if key == "model" || is_clients_own(&name, Within::Body) {
            return None;
        }
        match serde_json::from_slice(value) {
            Ok(value) => search.field("", Within::Body, &key, value),
            Err(_) => Some("body".to_owned()),
        }
    })
}

/// Where a field stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Body,
    /// A tool that the client has: its parameters are a schema.
    ClientsTool,
    /// A tool of the upstream's: its parameters are settings.
    UpstreamsTool,
    Other,
}

struct Search<'a> {
    allows: &'a dyn Fn(&str) -> bool,
}

impl Search<'_> {
    fn field(&self, path: &str, within: Within, key: &str, value: &RawValue) -> Option<String> {
        let name: String = folded(key).filter(|c| !matches!(c, '_' | '-')).collect();
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        if value.get() == "null" || is_clients_own(&name, within) {
            return None;
        }
        if within == Within::Body && name == "input" {
            return self.items(&path, value);
        }
        let picks = match (picks(&name, within), &*name) {
            (Some(picks), _) => picks,
            (None, "tools") => return self.tools(&path, value),
            // Its fields are put among those of the body.
            (None, "extrabody") => return self.walk(&path, Within::Body, value),
            (None, _) if within == Within::Body => return self.walk(&path, Within::Other, value),
            (None, _) => return self.walk(&path, within, value),
        };
        let is_fit = match picks {
            Picks::ByName => return (!self.names(value)).then_some(path),
            Picks::Unseen => false,
            Picks::UnseenByObject => !value.get().starts_with(['{', '[']) || is_texts(value),
        };
        (!is_fit).then_some(path)
    }

    fn walk(&self, path: &str, within: Within, value: &RawValue) -> Option<String> {
        match value.get().as_bytes().first()? {
            b'{' => {
                // A key that is no text to us may be one to others.
                let Ok(fields) = serde_json::from_str::<Fields<'_>>(value.get()) else {
                    return Some(path.to_owned());
                };
                fields.0.iter().find_map(|(key, value)| self.field(path, within, key, value))
            }
            b'[' => {
                let list: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
                let mut list = list.into_iter().enumerate();
                list.find_map(|(n, value)| self.walk(&format!("{path}[{n}]"), within, value))
            }
            _ => None,
        }
    }

    fn tools(&self, path: &str, value: &RawValue) -> Option<String> {
        let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
            return self.walk(path, Within::UpstreamsTool, value);
        };
        list.into_iter().enumerate().find_map(|(n, tool)| {
            let within =
                if is_upstreams(tool) { Within::UpstreamsTool } else { Within::ClientsTool };
            self.walk(&format!("{path}[{n}]"), within, tool)
        })
    }

    /// Among the items of a conversation there may be tools.
    fn items(&self, path: &str, value: &RawValue) -> Option<String> {
        let list: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
        let mut objects =
            list.into_iter().enumerate().filter(|(_, item)| item.get().starts_with('{'));
        objects.find_map(|(n, item)| {
            let path = format!("{path}[{n}]");
            let Ok(fields) = serde_json::from_str::<Fields<'_>>(item.get()) else {
                return Some(path);
            };
            let mut tools = fields.0.iter().filter(|(key, _)| folded(key).eq("tools".chars()));
            tools.find_map(|(key, value)| self.tools(&format!("{path}.{key}"), value))
        })
    }

    /// Whether all that a value says are names that may be used.
    fn names(&self, value: &RawValue) -> bool {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(text).is_ok_and(|name| {
                (self.allows)(&name)
                    || name.strip_prefix("models/").is_some_and(|name| (self.allows)(name))
            }),
            Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text)
                .is_ok_and(|list| list.into_iter().all(|value| self.names(value))),
            Some(b'{') => serde_json::from_str::<Fields<'_>>(text).is_ok_and(|fields| {
                fields.0.iter().all(|(key, value)| {
                    let name: String = folded(key).filter(|c| *c != '_').collect();
                    is_clients_own(&name, Within::Other) || self.names(value)
                })
            }),
            // Off, or of no model.
            _ => matches!(text, "null" | "false"),
        }
    }
}

fn picks(name: &str, within: Within) -> Option<Picks> {
    if name.contains("model") {
        return Some(Picks::ByName);
    }
    if OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Some(Picks::Unseen);
    }
    let of_body = BODY_FIELDS.iter().filter(|_| within == Within::Body);
    let mut fields = OTHER_FIELDS.iter().chain(of_body);
    fields.find(|(known, _)| *known == name).map(|(_, picks)| *picks)
}

fn is_clients_own(name: &str, within: Within) -> bool {
    CLIENTS_OWN.contains(&name)
        || (within == Within::ClientsTool && matches!(name, "parameters" | "response"))
}

/// Whether a tool is one that the upstream has: functions, and those that have no type, are the
/// client's.
fn is_upstreams(tool: &RawValue) -> bool {
    let Ok(fields) = serde_json::from_str::<Fields<'_>>(tool.get()) else { return true };
    let kinds = fields.0.iter().filter(|(key, _)| folded(key).eq("type".chars()));
    let mut kinds = kinds.filter_map(|(_, kind)| serde_json::from_str::<String>(kind.get()).ok());
    kinds.any(|kind| !matches!(kind.as_str(), "function" | "custom" | "namespace"))
}

/// Whether it is a text or a list of texts, or of tokens: a prompt that is one.
fn is_texts(value: &RawValue) -> bool {
    serde_json::from_str::<Vec<&RawValue>>(value.get())
        .is_ok_and(|list| list.iter().all(|value| !value.get().starts_with('{')))
}

#[cfg(test)]
mod tests;
