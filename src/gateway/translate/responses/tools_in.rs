//! Tools, and which of them are to be called, as clients write them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::namespaces::flat_name;
use crate::{
    domain::chat::{Dialect, FunctionTool, Json, Losses, Namespaced, Request, Tool, ToolChoice},
    gateway::translate::{InvalidRequest, fields::Fields},
};

/// Reads the field `tools` into a request.
pub(super) fn read(items: Vec<&RawValue>, request: &mut Request) -> Result<(), InvalidRequest> {
    for (n, raw) in items.into_iter().enumerate() {
        let mut fields = Fields::at(format!("tools[{n}]"), raw)?;
        let Some(kind) = fields.text("type")? else { return Err(fields.wrong("type", "a text")) };
        let tool = match kind.as_str() {
            "function" => read_function(&mut fields)?,
            "custom" => read_custom(&mut fields)?,
            "namespace" => {
                read_namespace(&mut fields, request)?;
                continue;
            }
            _ => {
                let json = Json::from(raw);
                request.tools.push(Tool::Opaque { by: Dialect::Responses, kind, json });
                continue;
            }
        };
        fields.note_rest("tools", &mut request.losses);
        request.tools.push(tool);
    }
    Ok(())
}

fn name_in(fields: &mut Fields<'_>) -> Result<String, InvalidRequest> {
    let name = fields.text("name")?.filter(|name| !name.is_empty());
    name.ok_or_else(|| fields.wrong("name", "a text that is not empty"))
}

fn drop_defaults(fields: &mut Fields<'_>) {
    for name in ["defer_loading", "async"] {
        fields.drop_default(name, "false");
    }
    fields.drop_default("allowed_callers", r#"["direct"]"#);
}

fn read_function(fields: &mut Fields<'_>) -> Result<Tool, InvalidRequest> {
    let name = name_in(fields)?;
    let parameters = fields.take("parameters").map(Json::from);
    if parameters.as_ref().is_some_and(|schema| !schema.is_object()) {
        return Err(fields.wrong("parameters", "an object: a JSON schema"));
    }
    drop_defaults(fields);
    Ok(Tool::Function(FunctionTool {
        name,
        description: fields.text("description")?,
        parameters,
        strict: fields.flag("strict")?,
        cache: None,
    }))
}

fn read_custom(fields: &mut Fields<'_>) -> Result<Tool, InvalidRequest> {
    let name = name_in(fields)?;
    fields.drop_default("format", r#"{"type":"text"}"#);
    drop_defaults(fields);
    Ok(Tool::Custom {
        name,
        description: fields.text("description")?,
        format: fields.take("format").map(Json::from),
    })
}

/// The functions in a namespace become functions like others.
fn read_namespace(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), InvalidRequest> {
    let namespace = name_in(fields)?;
    let description = fields.text("description")?.unwrap_or_default();
    request.losses.note_if(!description.is_empty(), "tools.namespace");
    for (n, raw) in fields.list("tools")?.into_iter().enumerate() {
        let mut inner = Fields::at(format!("{}[{n}]", fields.path_of("tools")), raw)?;
        let mut tool = match inner.text("type")?.as_deref() {
            Some("function") => read_function(&mut inner)?,
            Some("custom") => read_custom(&mut inner)?,
            _ => return Err(inner.wrong("type", "function or custom")),
        };
        inner.note_rest("tools", &mut request.losses);
        if let Tool::Function(FunctionTool { name, .. }) | Tool::Custom { name, .. } = &mut tool {
            let flat = flat_name(&namespace, name);
            let name = std::mem::replace(name, flat.clone());
            request.namespaces.insert(flat, Namespaced { namespace: namespace.clone(), name });
        }
        request.tools.push(tool);
    }
    Ok(())
}

/// Reads the field `tool_choice`. What names a tool of the maker's cannot be said elsewhere.
pub(super) fn read_choice(
    raw: &RawValue,
    namespaces: &BTreeMap<String, Namespaced>,
    losses: &mut Losses,
) -> Result<Option<ToolChoice>, InvalidRequest> {
    const PATH: &str = "tool_choice";
    if raw.get().starts_with('"') {
        return match raw.get().trim_matches('"') {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
            _ => Err(InvalidRequest::about(PATH, "tool_choice must be auto, none or required")),
        };
    }
    let mut fields = Fields::at(PATH.to_owned(), raw)?;
    match fields.text("type")?.as_deref() {
        Some("function" | "custom") => {
            let namespace = fields.text("namespace")?;
            let name = name_in(&mut fields)?;
            Ok(Some(ToolChoice::Named(known(name, namespace.as_deref(), namespaces))))
        }
        Some("allowed_tools") => {
            let must = match fields.text("mode")?.as_deref() {
                Some("required") => true,
                Some("auto") | None => false,
                Some(_) => return Err(fields.wrong("mode", "auto or required")),
            };
            let mut names = Vec::new();
            for (n, raw) in fields.list("tools")?.into_iter().enumerate() {
                let mut tool = Fields::at(format!("{}[{n}]", fields.path_of("tools")), raw)?;
                let namespace = tool.text("namespace")?;
                match tool.text("name")? {
                    Some(name) => names.push(known(name, namespace.as_deref(), namespaces)),
                    None => losses.note(PATH),
                }
            }
            Ok(Some(ToolChoice::Among { names, must }))
        }
        Some(_) => {
            losses.note(PATH);
            Ok(None)
        }
        None => Err(fields.wrong("type", "a text")),
    }
}

/// The name here of a tool that is called so by the client: with its namespace, or the only one of
/// that name in any.
fn known(
    name: String,
    namespace: Option<&str>,
    namespaces: &BTreeMap<String, Namespaced>,
) -> String {
    let is_it = |known: &&String| {
        let there = &namespaces[*known];
        there.name == name && namespace.is_none_or(|namespace| there.namespace == namespace)
    };
    let mut found = namespaces.keys().filter(is_it);
    match (found.next(), found.next()) {
        (Some(flat), None) => flat.clone(),
        _ => name,
    }
}
