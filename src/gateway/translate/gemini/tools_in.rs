//! Tools and how they may be called, as a client declares them.
//!
//! Sources, read 2026-11: <https://ai.google.dev/api/caching#Tool>,
//! <https://ai.google.dev/gemini-api/docs/function-calling> (the modes).

use serde_json::value::RawValue;

use super::{
    fields::{self, Fields, camel, wrong},
    schema::json_schema,
};
use crate::{
    domain::chat::{Dialect, FunctionTool, Json, Losses, Request, Tool, ToolChoice},
    gateway::translate::InvalidRequest,
};

/// Reads the mode of calling into the request. Tells how strictly calls must fit their schema.
pub(super) fn read_choice(
    fields: &mut Fields<'_>,
    request: &mut Request,
    losses: &mut Losses,
) -> Result<Option<bool>, InvalidRequest> {
    let Some(mut config) = fields.object("toolConfig")? else { return Ok(None) };
    let mut strictness = None;
    if let Some(mut calling) = config.object("functionCallingConfig")? {
        let mode = calling.text("mode")?.unwrap_or_default().to_ascii_uppercase();
        let names: Vec<String> =
            calling.read("allowedFunctionNames", "a list of strings")?.unwrap_or_default();
        strictness = (mode == "VALIDATED").then_some(true);
        request.tool_choice = match (&*mode, names.len()) {
            ("NONE", _) => Some(ToolChoice::None),
            ("ANY", 0) => Some(ToolChoice::Required),
            ("ANY", 1) => names.into_iter().next().map(ToolChoice::Named),
            ("ANY", _) => Some(ToolChoice::Among { names, must: true }),
            ("" | "MODE_UNSPECIFIED", 0) => None,
            ("AUTO" | "VALIDATED", 0) => Some(ToolChoice::Auto),
            ("" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED", _) => {
                Some(ToolChoice::Among { names, must: false })
            }
            _ => {
                let expected = "one of AUTO, ANY, NONE, VALIDATED";
                return Err(wrong(calling.path_of("mode"), expected));
            }
        };
        fields::note_rest(calling, losses);
    }
    fields::note_rest(config, losses);
    Ok(strictness)
}

/// Each of the list may declare functions and name tools of Google's beside them.
pub(super) fn read_tools(
    list: Vec<(String, &RawValue)>,
    strictness: Option<bool>,
    losses: &mut Losses,
) -> Result<Vec<Tool>, InvalidRequest> {
    let mut tools = Vec::new();
    for (path, raw) in list {
        let mut fields = fields::at(path, raw)?;
        for (path, function) in fields::placed(&mut fields, "functionDeclarations")? {
            tools.push(Tool::Function(read_function(path, function, strictness, losses)?));
        }
        tools.extend(fields.rest().map(|(name, config)| {
            let kind = camel(&name).into_owned();
            let name = serde_json::to_string(&kind).expect("a text is always JSON");
            let json = Json::parse(format!("{{{name}:{}}}", config.get()))
                .expect("a name and a JSON value make an object");
            Tool::Opaque { by: Dialect::Gemini, kind, json }
        }));
    }
    Ok(tools)
}

fn read_function(
    path: String,
    raw: &RawValue,
    strict: Option<bool>,
    losses: &mut Losses,
) -> Result<FunctionTool, InvalidRequest> {
    let mut fields = fields::at(path, raw)?;
    let name = fields.text("name")?.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| wrong(fields.path_of("name"), "a string that is not empty"))?;
    let description = fields.text("description")?;
    let own = fields.take("parameters");
    let parameters = match (fields.take("parametersJsonSchema"), own) {
        (Some(json), _) => Some(Json::from(json)),
        (None, Some(own)) => Some(json_schema(own, &fields.path_of("parameters"))?),
        (None, None) => None,
    };
    if parameters.as_ref().is_some_and(|parameters| !parameters.is_object()) {
        return Err(wrong(fields.path_of("parametersJsonSchema"), "an object"));
    }
    let behavior = fields.text("behavior")?;
    losses.note_if(behavior.is_some_and(|word| word != "BLOCKING"), "tools.behavior");
    let response = fields.take("response").or_else(|| fields.take("responseJsonSchema"));
    losses.note_if(response.is_some(), "tools.response");
    fields::note_rest(fields, losses);
    Ok(FunctionTool { name, description, parameters, strict, cache: None })
}
