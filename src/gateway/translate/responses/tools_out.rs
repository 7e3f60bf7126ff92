//! Tools, and which of them are to be called, as an upstream gets them and an answer repeats them.

use std::borrow::Cow;

use crate::{
    domain::chat::{Dialect, Json, Losses, OutputFormat, Request, Tool, ToolChoice},
    gateway::dialect::responses::{
        AllowedTool, WrittenChoice, WrittenFormat, WrittenText, WrittenTool,
    },
};

/// The name of a schema that has none: it must have one.
const SCHEMA_NAME: &str = "answer";

pub(super) fn tools<'a>(tools: &'a [Tool], losses: &mut Losses) -> Vec<WrittenTool<'a>> {
    tools.iter().filter_map(|tool| write_tool(tool, losses)).collect()
}

fn write_tool<'a>(tool: &'a Tool, losses: &mut Losses) -> Option<WrittenTool<'a>> {
    match tool {
        Tool::Function(function) => {
            losses.note_if(function.cache.is_some(), "cache_control");
            let parameters = function.parameters.as_ref().map_or_else(no_parameters, Cow::Borrowed);
            Some(WrittenTool::Function {
                kind: "function",
                name: &function.name,
                description: function.description.as_deref(),
                parameters,
                // Left out, it would be taken as strict here, and as not strict everywhere else.
                strict: function.strict.unwrap_or(false),
            })
        }
        Tool::Custom { name, description, format } => Some(WrittenTool::Custom {
            kind: "custom",
            name,
            description: description.as_deref(),
            format: format.as_ref(),
        }),
        Tool::Opaque { by: Dialect::Responses, json, .. } => Some(WrittenTool::Opaque(json)),
        Tool::Opaque { kind, .. } => {
            losses.note(format!("tools.{kind}"));
            None
        }
    }
}

fn no_parameters<'a>() -> Cow<'a, Json> {
    let schema = r#"{"type":"object","properties":{}}"#;
    Cow::Owned(Json::parse(schema).expect("it is a JSON object"))
}

pub(super) fn choice<'a>(choice: &'a ToolChoice, tools: &[Tool]) -> WrittenChoice<'a> {
    let named = |name: &'a str| {
        let is_custom = |tool: &Tool| matches!(tool, Tool::Custom { name: n, .. } if n == name);
        let kind = if tools.iter().any(is_custom) { "custom" } else { "function" };
        AllowedTool { kind, name }
    };
    match choice {
        ToolChoice::Auto => WrittenChoice::Word("auto"),
        ToolChoice::None => WrittenChoice::Word("none"),
        ToolChoice::Required => WrittenChoice::Word("required"),
        ToolChoice::Named(name) => WrittenChoice::One(named(name)),
        ToolChoice::Among { names, must } => WrittenChoice::Among {
            kind: "allowed_tools",
            mode: if *must { "required" } else { "auto" },
            tools: names.iter().map(|name| named(name)).collect(),
        },
    }
}

/// What is said of the answer's text.
pub(super) fn text(request: &Request) -> WrittenText<'_> {
    let format = match &request.output {
        OutputFormat::Text => WrittenFormat::Text,
        OutputFormat::Json => WrittenFormat::JsonObject,
        OutputFormat::Schema { name, description, schema, strict } => WrittenFormat::JsonSchema {
            name: name.as_deref().unwrap_or(SCHEMA_NAME),
            description: description.as_deref(),
            schema,
            strict: *strict,
        },
    };
    WrittenText { format: Some(format), verbosity: request.verbosity.as_deref() }
}
