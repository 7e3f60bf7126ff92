//! Tools, and which of them are to be called, as upstreams get them.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::parts_out::sent_cache;
use crate::{
    domain::{
        chat::{Dialect, Json, Losses, Request, Tool, ToolChoice},
        model_rules::ModelRules,
    },
    gateway::dialect::openai_chat::wire::request_out::{
        AllowedTools, KnownTool, NamedTool, SentCustom, SentFunction, SentTool, SentToolChoice,
        ToolName,
    },
};

pub(super) fn write_tools<'a>(
    request: &'a Request,
    rules: &ModelRules,
    losses: &mut Losses,
) -> Vec<SentTool<'a>> {
    let wanted = request.tools.iter().filter(|tool| is_allowed(tool, request, rules));
    wanted.filter_map(|tool| write_tool(tool, rules, losses)).collect()
}

/// Where a choice among tools cannot be said, those that may not be called are not shown: it means
/// the same.
fn is_allowed(tool: &Tool, request: &Request, rules: &ModelRules) -> bool {
    match (&request.tool_choice, name_of(tool)) {
        (Some(ToolChoice::Among { names, .. }), Some(name)) if !rules.is_openai() => {
            names.iter().any(|allowed| allowed == name)
        }
        _ => true,
    }
}

fn name_of(tool: &Tool) -> Option<&str> {
    match tool {
        Tool::Function(function) => Some(&function.name),
        Tool::Custom { name, .. } => Some(name),
        Tool::Opaque { .. } => None,
    }
}

fn write_tool<'a>(tool: &'a Tool, rules: &ModelRules, losses: &mut Losses) -> Option<SentTool<'a>> {
    match tool {
        Tool::Function(function) => {
            let cache_control = sent_cache(function.cache, rules, losses);
            let function = SentFunction {
                name: &function.name,
                description: function.description.as_deref(),
                parameters: function.parameters.as_ref(),
                // Not to be strict is usual here.
                strict: function.strict.filter(|is_strict| *is_strict),
            };
            Some(SentTool::Known { tool: KnownTool::Function { function }, cache_control })
        }
        Tool::Custom { name, description, format } if rules.is_openai() => {
            let description = description.as_deref();
            let format = format.as_ref().map(nested_format);
            let custom = SentCustom { name, description, format };
            Some(SentTool::Known { tool: KnownTool::Custom { custom }, cache_control: None })
        }
        Tool::Custom { .. } => {
            losses.note("tools.custom");
            None
        }
        Tool::Opaque { by: Dialect::Chat, json, .. } => Some(SentTool::Opaque(json)),
        Tool::Opaque { kind, .. } => {
            losses.note(format!("tools.{kind}"));
            None
        }
    }
}

/// A grammar with its fields one level lower than Responses has them.
fn nested_format(format: &Json) -> Box<RawValue> {
    #[derive(Deserialize)]
    struct Flat {
        #[serde(rename = "type")]
        kind: String,
        syntax: String,
        definition: String,
    }

    #[derive(Serialize)]
    struct Nested {
        #[serde(rename = "type")]
        kind: String,
        grammar: Grammar,
    }

    #[derive(Serialize)]
    struct Grammar {
        syntax: String,
        definition: String,
    }

    match serde_json::from_str(format.as_str()) {
        Ok(Flat { kind, syntax, definition }) => {
            to_raw_value(&Nested { kind, grammar: Grammar { syntax, definition } })
        }
        Err(_) => serde_json::from_str(format.as_str()),
    }
    .expect("texts are always JSON, and so is what was JSON before")
}

/// `None` also where there are no tools: then nothing may be said of a choice.
pub(super) fn write_choice<'a>(
    request: &'a Request,
    sent: &[SentTool<'_>],
    rules: &ModelRules,
    losses: &mut Losses,
) -> Option<SentToolChoice<'a>> {
    let choice = request.tool_choice.as_ref()?;
    if sent.is_empty() {
        let is_lost = !matches!(choice, ToolChoice::Auto | ToolChoice::None);
        losses.note_if(is_lost, "tool_choice");
        return None;
    }
    Some(match choice {
        ToolChoice::Auto => SentToolChoice::Word("auto"),
        ToolChoice::None => SentToolChoice::Word("none"),
        ToolChoice::Required => SentToolChoice::Word("required"),
        ToolChoice::Named(name) => SentToolChoice::Named(named(name, request)),
        ToolChoice::Among { must, .. } if !rules.is_openai() => {
            SentToolChoice::Word(if *must { "required" } else { "auto" })
        }
        ToolChoice::Among { names, must } => SentToolChoice::Among {
            kind: "allowed_tools",
            allowed_tools: AllowedTools {
                mode: if *must { "required" } else { "auto" },
                tools: names.iter().map(|name| named(name, request)).collect(),
            },
        },
    })
}

fn named<'a>(name: &'a str, request: &Request) -> NamedTool<'a> {
    let is_custom = request
        .tools
        .iter()
        .any(|tool| matches!(tool, Tool::Custom { name: custom, .. } if custom == name));
    if is_custom {
        NamedTool::Custom { custom: ToolName { name } }
    } else {
        NamedTool::Function { function: ToolName { name } }
    }
}
