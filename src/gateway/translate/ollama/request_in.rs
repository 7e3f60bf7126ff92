//! A client's request to `/api/chat`.

use serde_json::value::RawValue;

use super::{messages_in, settings_in};
use crate::{
    domain::chat::{FunctionTool, Json, Losses, Request, Tool},
    gateway::translate::{InvalidRequest, PathParams, fields::Fields},
};

pub(super) fn read(body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
    let mut fields = Fields::of_body(body)?;
    let mut request = settings_in::begin(&mut fields, addressed)?;
    let mut losses = Losses::default();
    let messages = fields.list("messages")?;
    if messages.is_empty() {
        let message = "messages must hold at least one message";
        return Err(InvalidRequest::about("messages", message));
    }
    request.turns = messages_in::read(&messages, &mut losses)?;
    request.tools = read_tools(&fields.list("tools")?, &mut losses)?;
    settings_in::finish(fields, &mut request, losses)?;
    Ok(request)
}

fn read_tools(list: &[&RawValue], losses: &mut Losses) -> Result<Vec<Tool>, InvalidRequest> {
    let mut tools = Vec::new();
    for (n, raw) in list.iter().enumerate() {
        let mut fields = Fields::at(format!("tools[{n}]"), raw)?;
        match fields.text("type")?.as_deref() {
            None | Some("function" | "") => (),
            Some(other) => {
                losses.note(format!("tools.{other}"));
                continue;
            }
        }
        let Some(function) = fields.object("function")? else {
            return Err(fields.wrong("function", "an object"));
        };
        tools.push(Tool::Function(read_function(function, losses)?));
        fields.note_rest("tools", losses);
    }
    Ok(tools)
}

fn read_function(
    mut fields: Fields<'_>,
    losses: &mut Losses,
) -> Result<FunctionTool, InvalidRequest> {
    let Some(name) = fields.text("name")?.filter(|name| !name.is_empty()) else {
        return Err(fields.wrong("name", "the name of a tool"));
    };
    let parameters = fields.take("parameters").map(Json::from);
    if parameters.as_ref().is_some_and(|schema| !schema.is_object()) {
        return Err(fields.wrong("parameters", "a JSON schema"));
    }
    let description = fields.text("description")?.filter(|text| !text.is_empty());
    let strict = fields.flag("strict")?;
    fields.note_rest("tools.function", losses);
    Ok(FunctionTool { name, description, parameters, strict, cache: None })
}
