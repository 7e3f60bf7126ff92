//! A client's request, read into the common form.

use serde_json::value::RawValue;

use crate::{
    domain::chat::{Part, Request, Role, Turn},
    gateway::{
        dialect::openai_chat::is_blank,
        translate::{
            InvalidRequest, PathParams,
            chat::fields_in::{count, flag, model, must_be, shared, split, text, value},
        },
    },
};

/// The limit on output where a client names none.
///
/// Source: <https://platform.openai.com/docs/api-reference/completions/create> (2026-11).
const DEFAULT_MAX_TOKENS: u64 = 16;

/// Most other tokens whose log probabilities are told.
const MAX_TOP_LOGPROBS: u8 = 20;

pub(super) fn read(body: &[u8], addressed: &PathParams) -> Result<Request, InvalidRequest> {
    let fields = split(body)?;
    let model = model(&fields, addressed)?;
    let prompt = fields
        .find("prompt")
        .ok_or_else(|| InvalidRequest::about("prompt", "prompt is missing"))?;
    let turn = Turn::new(Role::User, vec![Part::text(read_prompt(prompt)?)]);
    let mut request = Request::new(model, vec![turn]);
    request.stream = addressed.stream.unwrap_or_default();
    request.max_output_tokens = Some(DEFAULT_MAX_TOKENS);
    for (name, raw) in fields.said() {
        if matches!(name, "model" | "prompt")
            || shared(&mut request, name, raw)?
            || said_of_the_text(&mut request, name, raw)?
        {
            continue;
        }
        if !is_blank(raw) {
            request.losses.note(name.to_owned());
        }
    }
    Ok(request)
}

/// One prompt in words. Several would be several requests, and tokens mean nothing to other models.
fn read_prompt(raw: &RawValue) -> Result<String, InvalidRequest> {
    if raw.get().starts_with('"') {
        return Ok(text("prompt", raw)?.into_owned());
    }
    let what = "a text, or a list of one text";
    let mut prompts: Vec<&RawValue> = value("prompt", raw, what)?;
    let prompt = match (prompts.pop(), prompts.is_empty()) {
        (None, _) => return Err(must_be("prompt", what)),
        (Some(prompt), is_one) if prompt.get().starts_with('"') && is_one => prompt,
        (Some(prompt), _) if prompt.get().starts_with('"') => {
            let message = "several prompts in one request are not supported: send one at a time";
            return Err(InvalidRequest::about("prompt", message));
        }
        (Some(_), _) => {
            let message = "a prompt of tokens is not supported: send its text";
            return Err(InvalidRequest::about("prompt", message));
        }
    };
    Ok(text("prompt", prompt)?.into_owned())
}

fn said_of_the_text(
    request: &mut Request,
    name: &str,
    raw: &RawValue,
) -> Result<bool, InvalidRequest> {
    match name {
        "max_tokens" => request.max_output_tokens = count(name, raw)?,
        "logprobs" => {
            let top: u8 = value(name, raw, "a whole number from 0 to 20")?;
            if top > MAX_TOP_LOGPROBS {
                return Err(must_be(name, "a whole number from 0 to 20"));
            }
            request.logprobs = Some(top);
        }
        "suffix" => {
            if !text(name, raw)?.is_empty() {
                // To leave it out would give a text that does not lead to it.
                let message = "suffix is not supported here: the models of this pool answer a \
                               prompt, and cannot write towards an end";
                return Err(InvalidRequest::about("suffix", message));
            }
        }
        "echo" => {
            let is_wanted = flag(name, raw)?;
            request.losses.note_if(is_wanted, "echo");
        }
        "best_of" => {
            let of = count(name, raw)?;
            request.losses.note_if(of.is_some_and(|of| of > 1), "best_of");
        }
        _ => return Ok(false),
    }
    Ok(true)
}
