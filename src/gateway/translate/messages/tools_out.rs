//! Tools and the choice among them, as upstreams are told them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::blocks_out::BlockWriter;
use crate::{
    domain::chat::{Dialect, FunctionTool, Json, Losses, Request, Tool, ToolChoice as Choice},
    gateway::dialect::messages::{ToolChoice, WireTool},
};

/// What a tool takes that takes nothing.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// What a tool takes that is called with free text.
const FREE_TEXT: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

pub(super) fn write_tools<'a>(request: &'a Request, writer: &mut BlockWriter) -> Vec<WireTool<'a>> {
    // There is no choice among some of the tools; those that are not among them are not shown.
    let among = match &request.tool_choice {
        Some(Choice::Among { names, .. }) => Some(names),
        _ => None,
    };
    request
        .tools
        .iter()
        .filter(|tool| among.is_none_or(|names| name_of(tool).is_none_or(|n| names.contains(&n))))
        .filter_map(|tool| write_tool(tool, writer))
        .collect()
}

fn name_of(tool: &Tool) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }

    match tool {
        Tool::Function(FunctionTool { name, .. }) | Tool::Custom { name, .. } => Some(name.clone()),
        Tool::Opaque { json, .. } => {
            serde_json::from_str::<Named>(json.as_str()).ok().map(|named| named.name)
        }
    }
}

fn is_shown(request: &Request, name: &str) -> bool {
    let is_sayable = |tool: &&Tool| match tool {
        Tool::Opaque { by, .. } => *by == Dialect::Messages,
        Tool::Function(_) | Tool::Custom { .. } => true,
    };
    let mut shown = request.tools.iter().filter(is_sayable);
    shown.any(|tool| name_of(tool).is_some_and(|shown| shown == name))
}

fn write_tool<'a>(tool: &'a Tool, writer: &mut BlockWriter) -> Option<WireTool<'a>> {
    match tool {
        Tool::Function(function) => Some(WireTool::Function {
            name: &function.name,
            description: function.description.as_deref(),
            input_schema: input_schema(function.parameters.as_ref()),
            strict: function.strict,
            cache_control: writer.cache(function.cache),
        }),
        Tool::Custom { name, description, .. } => {
            writer.losses.note("tools.custom");
            Some(WireTool::Function {
                name,
                description: description.as_deref(),
                input_schema: constant(FREE_TEXT),
                strict: None,
                cache_control: None,
            })
        }
        Tool::Opaque { by: Dialect::Messages, json, .. } => Some(WireTool::Opaque(json)),
        Tool::Opaque { kind, .. } => {
            writer.losses.note(format!("tools.{kind}"));
            None
        }
    }
}

/// A schema must say that it is one of an object.
fn input_schema(parameters: Option<&Json>) -> Json {
    let Some(schema) = parameters.filter(|schema| schema.is_object()) else {
        return constant(NO_PARAMETERS);
    };
    // A field may stand there twice.
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(schema.as_str()).unwrap_or_default();
    if fields.contains_key("type") {
        return schema.clone();
    }
    let fields = schema.as_str()[1..].trim_start();
    let comma = if fields.starts_with('}') { "" } else { "," };
    Json::parse(format!(r#"{{"type":"object"{comma}{fields}"#))
        .unwrap_or_else(|| constant(NO_PARAMETERS))
}

fn constant(json: &'static str) -> Json {
    Json::parse(json).expect("it is written above")
}

/// The choice for a request that has tools. One that names a tool which is not shown is dropped.
pub(super) fn write_choice<'a>(
    request: &'a Request,
    losses: &mut Losses,
) -> Option<ToolChoice<'a>> {
    let disable_parallel_tool_use = (request.parallel_tool_calls == Some(false)).then_some(true);
    Some(match &request.tool_choice {
        None if disable_parallel_tool_use.is_none() => return None,
        None | Some(Choice::Auto | Choice::Among { must: false, .. }) => {
            ToolChoice::Auto { disable_parallel_tool_use }
        }
        Some(Choice::Required | Choice::Among { must: true, .. }) => {
            ToolChoice::Any { disable_parallel_tool_use }
        }
        Some(Choice::Named(name)) if !is_shown(request, name) => {
            losses.note("tool_choice");
            return None;
        }
        Some(Choice::Named(name)) => ToolChoice::Tool { name, disable_parallel_tool_use },
        Some(Choice::None) => ToolChoice::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_one_of_an_object() {
        for (schema, expected) in [
            (None, NO_PARAMETERS),
            (Some("true"), NO_PARAMETERS),
            (Some("{}"), r#"{"type":"object"}"#),
            (Some(r#"{ "properties":{}}"#), r#"{"type":"object","properties":{}}"#),
            (Some(r#"{"type":"object","x":1}"#), r#"{"type":"object","x":1}"#),
            (Some(r#"{"type":"object","type":null}"#), r#"{"type":"object","type":null}"#),
        ] {
            let parameters = schema.and_then(Json::parse);
            assert_eq!(input_schema(parameters.as_ref()).as_str(), expected, "{schema:?}");
        }
        constant(FREE_TEXT);
    }
}
