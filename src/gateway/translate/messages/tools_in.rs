//! Tools and the choice among them, as clients write them.

use serde_json::value::RawValue;

use super::{
    super::{InvalidRequest, fields::Fields},
    blocks_in::{cache_hint, missing, object, required_text},
};
use crate::domain::chat::{Dialect, FunctionTool, Losses, Tool, ToolChoice};

pub(super) fn read_tools(
    body: &mut Fields<'_>,
    losses: &mut Losses,
) -> Result<Vec<Tool>, InvalidRequest> {
    let tools = body.list("tools")?;
    tools
        .into_iter()
        .enumerate()
        .map(|(n, raw)| read_tool(format!("tools.{n}"), raw, losses))
        .collect()
}

/// A tool with a type of its own is one whose schema, or whose work, is Anthropic's.
fn read_tool(path: String, raw: &RawValue, losses: &mut Losses) -> Result<Tool, InvalidRequest> {
    let mut fields = Fields::at(path, raw)?;
    if let Some(kind) = fields.text("type")?.filter(|kind| kind != "custom") {
        return Ok(Tool::Opaque { by: Dialect::Messages, kind, json: raw.into() });
    }
    let name = required_text(&mut fields, "name")?;
    let Some(schema) = fields.take("input_schema") else {
        return Err(missing(&fields, "input_schema"));
    };
    let Some(parameters) = object(schema.get()) else {
        return Err(fields.wrong("input_schema", "an object"));
    };
    let tool = FunctionTool {
        name,
        description: fields.text("description")?,
        parameters: Some(parameters),
        strict: fields.flag("strict")?,
        cache: cache_hint(&mut fields, losses)?,
    };
    fields.drop_default("defer_loading", "false");
    // How its input is streamed is no part of what it says.
    fields.take("eager_input_streaming");
    fields.drop_default("allowed_callers", r#"["direct"]"#);
    fields.note_rest("tools", losses);
    Ok(Tool::Function(tool))
}

/// The choice, and whether several tools may be called at once.
pub(super) fn read_choice(
    body: &mut Fields<'_>,
    losses: &mut Losses,
) -> Result<(Option<ToolChoice>, Option<bool>), InvalidRequest> {
    let Some(mut fields) = body.object("tool_choice")? else { return Ok((None, None)) };
    let choice = match &*required_text(&mut fields, "type")? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(required_text(&mut fields, "name")?),
        _ => return Err(fields.wrong("type", "auto, any, tool or none")),
    };
    let is_parallel = fields.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    fields.note_rest("tool_choice", losses);
    Ok((Some(choice), is_parallel))
}
