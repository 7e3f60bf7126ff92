//! Tools and how they may be called, written for an upstream.

use super::calls::CUSTOM_INPUT;
use crate::{
    domain::chat::{Dialect, FunctionTool, Json, Losses, Request, Tool, ToolChoice},
    gateway::dialect::gemini::{WrittenCalling, WrittenFunction, WrittenTool, WrittenToolConfig},
};

pub(super) fn write<'a>(
    request: &'a Request,
    losses: &mut Losses,
) -> (Vec<WrittenTool<'a>>, Option<WrittenToolConfig<'a>>) {
    let mut functions = Vec::new();
    let mut own = Vec::new();
    for tool in &request.tools {
        match tool {
            Tool::Function(function) => {
                losses.note_if(function.cache.is_some(), "cache_control");
                functions.push(declare(function));
            }
            Tool::Custom { name, description, .. } => {
                losses.note("tools.custom");
                functions.push(WrittenFunction {
                    name,
                    description: description.as_deref(),
                    parameters_json_schema: Some(custom_schema()),
                });
            }
            Tool::Opaque { by: Dialect::Gemini, json, .. } => own.push(WrittenTool::Opaque(json)),
            Tool::Opaque { kind, .. } => losses.note(format!("tools.{kind}")),
        }
    }
    let has_functions = !functions.is_empty();
    let mut tools = Vec::with_capacity(own.len() + 1);
    if has_functions {
        tools.push(WrittenTool::Functions { function_declarations: functions });
    }
    tools.extend(own);
    let config = if has_functions {
        calling(request, losses)
            .map(|calling| WrittenToolConfig { function_calling_config: calling })
    } else {
        let is_lost =
            !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None));
        losses.note_if(is_lost, "tool_choice");
        None
    };
    (tools, config)
}

fn declare(function: &FunctionTool) -> WrittenFunction<'_> {
    WrittenFunction {
        name: &function.name,
        description: function.description.as_deref(),
        parameters_json_schema: function.parameters.clone(),
    }
}

/// A tool that takes free text, as a function that takes it in one field.
fn custom_schema() -> Json {
    let schema = format!(
        r#"{{"type":"object","properties":{{"{CUSTOM_INPUT}":{{"type":"string"}}}},"required":["{CUSTOM_INPUT}"]}}"#
    );
    Json::parse(schema).expect("it is JSON as it stands here")
}

/// Where the model has the choice, `VALIDATED` makes every call fit its schema; that holds for all
/// functions or for none.
fn calling<'a>(request: &'a Request, losses: &mut Losses) -> Option<WrittenCalling<'a>> {
    let strictness = || {
        request.tools.iter().filter_map(|tool| match tool {
            Tool::Function(function) => Some(function.strict == Some(true)),
            _ => None,
        })
    };
    let is_strict = strictness().all(|is_strict| is_strict) && strictness().next().is_some();
    let is_partly_strict = strictness().any(|is_strict| is_strict) && !is_strict;
    losses.note_if(is_partly_strict, "tools.strict");
    let one = |mode, names: &'a [String]| {
        let allowed_function_names = names.iter().map(String::as_str).collect();
        Some(WrittenCalling { mode, allowed_function_names })
    };
    match &request.tool_choice {
        None | Some(ToolChoice::Auto) if is_strict => one("VALIDATED", &[]),
        None => None,
        Some(ToolChoice::Auto) => one("AUTO", &[]),
        Some(ToolChoice::None) => one("NONE", &[]),
        Some(ToolChoice::Required) => one("ANY", &[]),
        Some(ToolChoice::Named(name)) => one("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Among { names, must: true }) => one("ANY", names),
        Some(ToolChoice::Among { names, must: false }) => one("VALIDATED", names),
    }
}
