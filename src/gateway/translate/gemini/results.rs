//! Results of functions: an object on the wire, text and pictures in the common form.
//!
//! Sources, read 2026-11: `FunctionResponse` in <https://github.com/googleapis/python-genai>
//! `types.py` (`output` and `error`); <https://ai.google.dev/gemini-api/docs/function-calling>
//! (`result`; pictures in a result, for Gemini 3).

use serde_json::value::RawValue;

use super::{fields, media};
use crate::{
    domain::{
        chat::{Content, Document, Json, Losses, ToolResult},
        model_rules::GeminiRules,
    },
    gateway::{
        dialect::gemini::{WrittenPart, WrittenResult, WrittenResultPart},
        translate::InvalidRequest,
    },
};

/// The text of a response, and whether it tells of an error. A lone text under one of the names that
/// Google documents stands for itself; anything else is its JSON.
pub(super) fn read(raw: &RawValue, path: String) -> Result<(String, bool), InvalidRequest> {
    let mut fields: Vec<_> = fields::at(path, raw)?.rest().collect();
    let is_error = fields.iter().any(|(name, _)| name == "error");
    let text = match (fields.pop(), &*fields) {
        (Some((name, value)), []) if matches!(&*name, "output" | "result" | "error") => {
            match serde_json::from_str::<String>(value.get()) {
                Ok(text) => text,
                Err(_) if name == "error" => value.get().to_owned(),
                Err(_) => raw.get().to_owned(),
            }
        }
        _ => raw.get().to_owned(),
    };
    Ok((text, is_error))
}

/// A result, and what stands beside it because the model takes it nowhere else.
pub(super) struct Written<'a> {
    pub result: WrittenResult<'a>,
    pub beside: Vec<WrittenPart<'a>>,
}

pub(super) fn write<'a>(
    result: &'a ToolResult,
    name: &'a str,
    model: &GeminiRules,
    losses: &mut Losses,
) -> Written<'a> {
    let mut texts = Vec::new();
    let mut parts = Vec::new();
    let mut beside = Vec::new();
    for part in &result.parts {
        if let Some(text) = media::text_of(&part.content) {
            texts.push(text);
            continue;
        }
        match &part.content {
            Content::Image { source, .. } | Content::Document(Document { source, .. })
                if model.takes_pictures_in_results() =>
            {
                if let Some(inline_data) = media::blob(source) {
                    parts.push(WrittenResultPart { inline_data });
                    continue;
                }
            }
            Content::Opaque { kind, .. } => {
                losses.note(format!("content.{kind}"));
                continue;
            }
            _ => (),
        }
        losses.note("tool_result.image");
        beside.extend(media::write(&part.content, losses));
    }
    let response = response(&texts.join("\n"), result.is_error);
    let id = (!result.call_id.is_empty()).then_some(&*result.call_id);
    Written { result: WrittenResult { id, name, response, parts }, beside }
}

/// The object that says a text.
fn response(text: &str, is_error: bool) -> Json {
    let object = Json::parse(text.trim()).filter(Json::is_object);
    if is_error {
        let says_so = object.as_ref().is_some_and(has_error);
        return match object {
            Some(object) if says_so => object,
            Some(object) => wrapped("error", object.as_str()),
            None => wrapped("error", &quoted(text)),
        };
    }
    object.unwrap_or_else(|| wrapped("result", &quoted(text)))
}

fn has_error(object: &Json) -> bool {
    let raw: Result<&RawValue, _> = serde_json::from_str(object.as_str());
    raw.ok()
        .and_then(|raw| fields::at(String::new(), raw).ok())
        .is_some_and(|fields| fields.rest().any(|(name, _)| name == "error"))
}

fn wrapped(name: &str, json: &str) -> Json {
    Json::parse(format!(r#"{{"{name}":{json}}}"#)).expect("a name and a JSON value make an object")
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(json: &str) -> (String, bool) {
        read(serde_json::from_str(json).unwrap(), String::new()).unwrap()
    }

    #[test]
    fn a_lone_text_stands_for_itself_and_all_else_for_its_json() {
        for (json, text, is_error) in [
            (r#"{"result":"a\nb"}"#, "a\nb", false),
            (r#"{"output":"a"}"#, "a", false),
            (r#"{"error":"no"}"#, "no", true),
            (r#"{"error":{"code":7}}"#, r#"{"code":7}"#, true),
            (r#"{"error":"no","code":7}"#, r#"{"error":"no","code":7}"#, true),
            (r#"{"result":7}"#, r#"{"result":7}"#, false),
            (r#"{"temp":20}"#, r#"{"temp":20}"#, false),
            ("{}", "{}", false),
            (r#"{"error":null,"a":1}"#, r#"{"error":null,"a":1}"#, false),
        ] {
            assert_eq!(read_text(json), (text.to_owned(), is_error), "{json}");
            let again = response(text, is_error);
            assert_eq!(read_text(again.as_str()), (text.to_owned(), is_error), "{json}");
        }
        assert!(read(serde_json::from_str("[]").unwrap(), "x".into()).is_err());
    }

    #[test]
    fn a_text_that_is_no_object_is_wrapped() {
        assert_eq!(response("plain", false).as_str(), r#"{"result":"plain"}"#);
        assert_eq!(response("[1]", false).as_str(), r#"{"result":"[1]"}"#);
        assert_eq!(response("", true).as_str(), r#"{"error":""}"#);
        assert_eq!(response(r#"{"a":1}"#, true).as_str(), r#"{"error":{"a":1}}"#);
    }
}
