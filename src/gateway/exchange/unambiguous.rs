//! Whether everybody who reads a body sees the same fields in it.
//!
//! Of a key that stands twice some readers take the first and some the last, and some compare without
//! regard to case (Go's `encoding/json`, .NET, Jackson): a body that was checked as one request could
//! be served as another. Such a body is refused before anything of it is read. Only objects of the API
//! itself are looked into: tool schemas, arguments and metadata are the client's own.

use std::{borrow::Cow, collections::HashSet};

use serde_json::value::RawValue;

use super::asked::Asked;
use crate::{
    domain::{
        chat::Dialect,
        id::{MAX_MODEL_NAME_LEN, ModelName},
    },
    gateway::{
        dialect::{
            object::Fields,
            openai_chat::{MAX_DEPTH, end_of_text},
        },
        translate::{Addressed, InvalidRequest},
    },
};

/// Up to so many keys are compared each with each.
const FEW_KEYS: usize = 32;

/// Most characters of a key that are shown.
const MAX_SHOWN: usize = 64;

/// What is asked, and in which form the answer comes: written in another case, a reader that regards case
/// does not see them, and all is otherwise for one that does not.
const DECIDING: [&str; 3] = ["model", "stream", "stream_options"];

/// Begins the names of models where Google's API names them.
const MODELS: &str = "models/";

/// Checks a body before it is read: it is one object, nested no deeper than [`MAX_DEPTH`], and none of
/// its fields, nor of the objects in it that say how it is answered, stands there twice. It need not be
/// JSON: whoever reads it tells what is wrong then.
///
/// Errors: [`InvalidRequest`] that names the field.
pub(super) fn check(
    asked: Asked,
    body: &[u8],
    addressed: &Addressed,
) -> Result<(), InvalidRequest> {
    let outline = Outline::of(body)?;
    let dialect = asked.api().dialect();
    let named = addressed.model.as_ref().filter(|_| dialect == Dialect::Gemini);
    let keys = Keys { has_twins: dialect == Dialect::Gemini, named };
    keys.check_keys("", outline.0.iter().map(|(key, _)| &**key))?;
    for (key, value) in &outline.0 {
        keys.check_value(dialect, key, value)?;
    }
    Ok(())
}

/// The keys of a body, and the bytes of their values.
struct Outline<'a>(Vec<(Cow<'a, str>, &'a [u8])>);

impl<'a> Outline<'a> {
    /// Reads a body once, and nothing of it more closely than that needs.
    fn of(body: &'a [u8]) -> Result<Self, InvalidRequest> {
        let opening = body.len() - body.trim_ascii_start().len();
        if body.get(opening) != Some(&b'{') {
            return Err(InvalidRequest::new("the body must be a JSON object"));
        }
        let mut fields: Vec<(Cow<'a, str>, &'a [u8])> = Vec::with_capacity(16);
        let (mut at, mut depth) = (opening + 1, 1_usize);
        let mut key: Option<Cow<'a, str>> = None;
        let (mut expects_key, mut value_at) = (true, at);
        while let Some(byte) = body.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    let end = end_of_text(body, at);
                    if depth == 1 && expects_key {
                        key = Some(key_of(&body[at - 1..end])?);
                        expects_key = false;
                    }
                    at = end;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                b':' if depth == 1 => value_at = at,
                _ => {}
            }
            if depth > MAX_DEPTH {
                let message = format!("the body nests lists and objects deeper than {MAX_DEPTH}");
                return Err(InvalidRequest::new(message));
            }
            if depth == 0 || (depth == 1 && *byte == b',') {
                if let Some(key) = key.take() {
                    fields.push((key, body[value_at.min(at - 1)..at - 1].trim_ascii()));
                }
                expects_key = true;
            }
            if depth == 0 {
                break;
            }
        }
        Ok(Self(fields))
    }
}

/// The key that is written so, quotes included.
fn key_of(written: &[u8]) -> Result<Cow<'_, str>, InvalidRequest> {
    let text = std::str::from_utf8(written)
        .map_err(|_| InvalidRequest::new("the body is not valid UTF-8"))?;
    let is_plain = !text.contains('\\');
    if let Some(inside) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'))
        && is_plain
    {
        return Ok(Cow::Borrowed(inside));
    }
    let unescaped = serde_json::from_str::<String>(text);
    unescaped.map(Cow::Owned).map_err(|error| {
        InvalidRequest::new(format!("the body is not a valid JSON object: a key of it: {error}"))
    })
}

/// How the keys of a body are compared.
#[derive(Clone, Copy)]
struct Keys<'n> {
    /// Whether a name in snake_case and one in camelCase are the same, as Google's JSON mapping has it.
    has_twins: bool,
    /// The model that the path has named, of which the body may name no other.
    named: Option<&'n ModelName>,
}

impl Keys<'_> {
    fn check_keys<'k>(
        self,
        path: &str,
        keys: impl Iterator<Item = &'k str> + Clone,
    ) -> Result<(), InvalidRequest> {
        for key in keys.clone() {
            for name in DECIDING {
                if key != name && is_called(key, name) {
                    let message = format!("{} must be written as {name}", shown(path, key));
                    return Err(InvalidRequest::about(name, message));
                }
            }
        }
        let twice = if keys.clone().nth(FEW_KEYS).is_none() {
            self.find_twice(keys)
        } else {
            let mut seen = HashSet::new();
            let mut all = keys;
            all.find(|key| !seen.insert(self.fold(key).collect::<String>()))
        };
        let Some(key) = twice else { return Ok(()) };
        let shown = shown(path, key);
        let message = format!(
            "{shown} stands there twice, or in two ways of writing: servers differ in which they take"
        );
        Err(InvalidRequest::about(shown, message))
    }

    fn find_twice<'k>(self, keys: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
        let mut rest = keys;
        while let Some(key) = rest.next() {
            let is_same = |other: &&str| self.fold(key).eq(self.fold(other));
            if let Some(other) = rest.clone().find(is_same) {
                return Some(other);
            }
        }
        None
    }

    fn fold(self, key: &str) -> impl Iterator<Item = char> {
        let has_twins = self.has_twins;
        folded(key).filter(move |c| !has_twins || *c != '_')
    }

    /// Looks into the value of a field of the body, if that says how it is answered.
    fn check_value(self, dialect: Dialect, key: &str, value: &[u8]) -> Result<(), InvalidRequest> {
        if key == "model" {
            return self.check_model(key, value);
        }
        for inner in inner_objects(dialect) {
            if self.fold(key).eq(self.fold(inner)) {
                return self.check_object(dialect, key, value);
            }
        }
        if dialect != Dialect::Gemini {
            return Ok(());
        }
        if is_called(key, "requests") {
            let list: Vec<&RawValue> = serde_json::from_slice(value).unwrap_or_default();
            for (n, one) in list.iter().enumerate() {
                self.check_object(dialect, &format!("{key}[{n}]"), one.get().as_bytes())?;
            }
        }
        Ok(())
    }

    fn check_object(
        self,
        dialect: Dialect,
        path: &str,
        value: &[u8],
    ) -> Result<(), InvalidRequest> {
        if value.starts_with(b"[") {
            let message = format!("{path} must be an object");
            return Err(InvalidRequest::about(path.to_owned(), message));
        }
        // What is none of JSON or no object is refused by who reads it.
        let Ok(fields) = serde_json::from_slice::<Fields<'_>>(value) else { return Ok(()) };
        self.check_keys(path, fields.0.iter().map(|(key, _)| &**key))?;
        for (key, value) in &fields.0 {
            self.check_value(dialect, key, value.get().as_bytes())?;
        }
        Ok(())
    }

    /// A model in the body of a request whose path has named one.
    fn check_model(self, path: &str, value: &[u8]) -> Result<(), InvalidRequest> {
        let Some(named) = self.named else { return Ok(()) };
        // What is no text is refused by who reads it.
        let Ok(Some(text)) = serde_json::from_slice::<Option<String>>(value) else {
            return Ok(());
        };
        let bare = |name: &str| name.trim().trim_start_matches(MODELS).to_owned();
        if text.len() <= 2 * MAX_MODEL_NAME_LEN && bare(&text) == bare(named.as_str()) {
            return Ok(());
        }
        let message = format!("{path} must be the model of the path, {named}, or be left out");
        Err(InvalidRequest::about(path.to_owned(), message))
    }
}

/// The objects within a body that say how it is answered: what of them is read must be what is sent.
fn inner_objects(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Chat => &["stream_options", "reasoning"],
        Dialect::Responses => &["stream_options", "reasoning", "text"],
        Dialect::Messages => &["thinking", "output_config"],
        Dialect::Gemini => &[
            "generateContentRequest",
            "generationConfig",
            "thinkingConfig",
            "toolConfig",
            "embedContentConfig",
        ],
        Dialect::Ollama => &["options"],
    }
}

/// Whether a reader that does not regard case takes `key` for the field `name`.
pub(super) fn is_called(key: &str, name: &str) -> bool {
    folded(key).eq(name.chars())
}

/// The letters by which keys are compared without regard to case. Go also takes the two letters
/// outside of ASCII that have an ASCII letter as their other case.
///
/// Source: `foldName` in <https://github.com/golang/go/blob/master/src/encoding/json/fold.go> (read
/// 2026-11).
pub(super) fn folded(key: &str) -> impl Iterator<Item = char> {
    key.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    })
}

fn shown(path: &str, key: &str) -> String {
    let key: String = key.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests;
