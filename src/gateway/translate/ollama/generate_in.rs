//! A client's request to `/api/generate`: a system text and one prompt.

use super::{images, settings_in};
use crate::{
    domain::chat::{Losses, Part, Request, Role, Turn},
    gateway::translate::{InvalidRequest, PathParams, fields::Fields},
};

pub(super) fn read(body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
    let mut fields = Fields::of_body(body)?;
    let mut request = settings_in::begin(&mut fields, addressed)?;
    refuse_what_changes_the_meaning(&mut fields)?;
    let prompt = fields.text("prompt")?.unwrap_or_default();
    if prompt.is_empty() {
        return Err(InvalidRequest::about("prompt", "prompt must not be empty"));
    }
    let system = fields.text("system")?.unwrap_or_default();
    if !system.is_empty() {
        request.turns.push(Turn::new(Role::System, vec![Part::text(system)]));
    }
    let mut parts = images::read(&mut fields)?;
    parts.push(Part::text(prompt));
    request.turns.push(Turn::new(Role::User, parts));
    for (name, says_nothing) in [("template", "\"\""), ("context", "[]"), ("raw", "false")] {
        fields.drop_default(name, says_nothing);
    }
    settings_in::finish(fields, &mut request, Losses::default())?;
    Ok(request)
}

/// A text to come after the answer, and a prompt that is the whole input as it is, exist in no chat
/// API: without them the answer would be to another question.
fn refuse_what_changes_the_meaning(fields: &mut Fields<'_>) -> Result<(), InvalidRequest> {
    if fields.text("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        let message = "suffix is not supported: this model is reached as a chat";
        return Err(InvalidRequest::about("suffix", message));
    }
    if fields.flag("raw")? == Some(true) {
        let message = "raw is not supported: this model is reached as a chat";
        return Err(InvalidRequest::about("raw", message));
    }
    Ok(())
}
