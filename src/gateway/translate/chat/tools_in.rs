//! Tools, and which of them are to be called, as clients write them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    fields_in::{must_be, text, value},
    parts_in::cache_hint,
};
use crate::{
    domain::chat::{Dialect, FunctionTool, Json, Losses, Tool, ToolChoice},
    gateway::{
        dialect::{
            object::Borrowed,
            openai_chat::wire::request_in::{
                AskedAllowed, AskedFunction, AskedTool, AskedToolChoice,
            },
        },
        translate::InvalidRequest,
    },
};

fn owned(text: Option<Borrowed<'_>>) -> Option<String> {
    text.map(|text| text.0.into_owned())
}

pub(super) fn read_tools(raw: &RawValue) -> Result<Vec<Tool>, InvalidRequest> {
    let items: Vec<&RawValue> = value("tools", raw, "a list")?;
    items.into_iter().enumerate().map(|(n, raw)| read_tool(&format!("tools[{n}]"), raw)).collect()
}

/// The tools of the API as it was before `tools`.
pub(super) fn read_functions(raw: &RawValue) -> Result<Vec<Tool>, InvalidRequest> {
    let items: Vec<&RawValue> = value("functions", raw, "a list")?;
    let read = |(n, raw)| {
        let path = format!("functions[{n}]");
        let asked = value(&path, raw, "an object with a name")?;
        read_function(&path, asked)
    };
    items.into_iter().enumerate().map(read).collect()
}

fn read_tool(path: &str, raw: &RawValue) -> Result<Tool, InvalidRequest> {
    let asked: AskedTool<'_> =
        value(path, raw, "an object with a type and, of its kind, what the tool is called")?;
    let kind = owned(asked.kind).ok_or_else(|| must_be(&format!("{path}.type"), "a text"))?;
    match kind.as_str() {
        "function" => {
            let within = format!("{path}.function");
            let mut function =
                asked.function.ok_or_else(|| must_be(&within, "an object with a name"))?;
            function.cache_control = function.cache_control.or(asked.cache_control);
            read_function(&within, function)
        }
        "custom" => {
            let within = format!("{path}.custom");
            let custom = asked.custom.ok_or_else(|| must_be(&within, "an object with a name"))?;
            Ok(Tool::Custom {
                name: named(&within, &custom.name)?,
                description: owned(custom.description),
                format: custom.format.map(flat_format),
            })
        }
        _ => Ok(Tool::Opaque { by: Dialect::Chat, kind, json: Json::from(raw) }),
    }
}

fn named(path: &str, name: &str) -> Result<String, InvalidRequest> {
    if name.is_empty() {
        return Err(must_be(&format!("{path}.name"), "a text that is not empty"));
    }
    Ok(name.to_owned())
}

fn read_function(path: &str, asked: AskedFunction<'_>) -> Result<Tool, InvalidRequest> {
    let parameters = asked.parameters.map(Json::from);
    if parameters.as_ref().is_some_and(|schema| !schema.is_object()) {
        return Err(must_be(&format!("{path}.parameters"), "an object: a JSON schema"));
    }
    Ok(Tool::Function(FunctionTool {
        name: named(path, &asked.name)?,
        description: owned(asked.description),
        parameters,
        strict: asked.strict,
        cache: asked.cache_control.as_ref().map(cache_hint),
    }))
}

/// A grammar as Responses has it, where its fields stand one level higher than here.
fn flat_format(raw: &RawValue) -> Json {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct Format<'a, T> {
        #[serde(rename = "type")]
        kind: Cow<'a, str>,
        #[serde(flatten)]
        grammar: T,
    }

    #[derive(serde::Deserialize, serde::Serialize)]
    struct Grammar {
        syntax: String,
        definition: String,
    }

    #[derive(serde::Deserialize)]
    struct Within {
        grammar: Grammar,
    }

    serde_json::from_str::<Format<'_, Within>>(raw.get())
        .ok()
        .and_then(|format| {
            let flat = Format { kind: format.kind, grammar: format.grammar.grammar };
            Json::parse(serde_json::to_string(&flat).ok()?)
        })
        .unwrap_or_else(|| Json::from(raw))
}

/// Reads `tool_choice`, or `function_call` as it was before.
pub(super) fn read_choice(
    path: &str,
    raw: &RawValue,
    losses: &mut Losses,
) -> Result<Option<ToolChoice>, InvalidRequest> {
    if raw.get().starts_with('"') {
        return match &*text(path, raw)? {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            // `any` is Mistral's word.
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(must_be(path, "auto, none, required, or an object that names a tool")),
        };
    }
    let what = "auto, none, required, or an object that names a tool";
    let asked: AskedToolChoice<'_> = value(path, raw, what)?;
    if let Some(allowed) = asked.allowed_tools {
        return read_allowed(path, allowed).map(Some);
    }
    if asked.kind.as_ref().is_some_and(|kind| !matches!(&*kind.0, "function" | "custom")) {
        losses.note("tool_choice");
        return Ok(None);
    }
    let name = name_in(asked).ok_or_else(|| must_be(path, what))?;
    Ok(Some(ToolChoice::Named(name)))
}

fn name_in(asked: AskedToolChoice<'_>) -> Option<String> {
    let named = asked.function.or(asked.custom).map(|tool| tool.name);
    named.or(asked.name.map(|name| name.0)).map(Cow::into_owned)
}

fn read_allowed(path: &str, allowed: AskedAllowed<'_>) -> Result<ToolChoice, InvalidRequest> {
    let must = match allowed.mode.as_ref().map(|mode| &*mode.0) {
        Some("required") => true,
        Some("auto") | None => false,
        Some(_) => {
            return Err(must_be(&format!("{path}.allowed_tools.mode"), "auto or required"));
        }
    };
    let mut names = Vec::with_capacity(allowed.tools.len());
    for (n, tool) in allowed.tools.into_iter().enumerate() {
        let missing =
            || must_be(&format!("{path}.allowed_tools.tools[{n}]"), "an object that names a tool");
        names.push(name_in(tool).ok_or_else(missing)?);
    }
    Ok(ToolChoice::Among { names, must })
}
