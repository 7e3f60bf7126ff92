//! Whether everybody who reads a body sees the same fields in it.
//!
//! Of a key that stands twice some readers take the first and some the last, and some compare without
//! regard to case (Go's `encoding/json`, .NET, Jackson): a body that was checked as one request could
//! be served as another. Such a body is refused. In the body itself, and in the objects of it that say how
//! it is answered, no key may stand twice; further within, none that is read on the way. What is never read
//! (schemas of tools, arguments, most metadata) is the client's own.

use std::{borrow::Cow, collections::HashSet};

use crate::{
    domain::id::{MAX_MODEL_NAME_LEN, ModelName},
    gateway::translate::InvalidRequest,
};

/// Up to so many keys are compared each with each.
const FEW_KEYS: usize = 32;

/// Most characters of a key that are shown.
const MAX_SHOWN: usize = 64;

/// What is asked, and in which form the answer comes: written in another case, a reader that regards case
/// does not see them, and all is otherwise for one that does not.
const DECIDING: [&str; 3] = ["model", "stream", "stream_options"];

/// Begins the names of models where Google's API names them.
pub(super) const MODELS: &str = "models/";

/// The key that is written so, quotes included.
pub(super) fn key_of(written: &[u8]) -> Result<Cow<'_, str>, InvalidRequest> {
    let text = std::str::from_utf8(written)
        .map_err(|_| InvalidRequest::new("the body is not valid UTF-8"))?;
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    if let Some(inside) = inside.filter(|inside| !inside.contains('\\')) {
        return Ok(Cow::Borrowed(inside));
    }
    let unescaped = serde_json::from_str::<String>(text);
    unescaped.map(Cow::Owned).map_err(|error| {
        InvalidRequest::new(format!("the body is not a valid JSON object: a key of it: {error}"))
    })
}

/// How the keys of a body are compared.
#[derive(Clone, Copy)]
pub(super) struct Keys<'n> {
    /// Whether a name in snake_case and one in camelCase are the same, as Google's JSON mapping has it.
    pub has_twins: bool,
    /// The objects within a body that say how it is answered: what of them is read must be what is sent.
    pub settings: &'static [&'static str],
    /// The model that the path has named, of which the body may name no other.
    pub named: Option<&'n ModelName>,
}

impl Keys<'_> {
    /// Whether a field of the body, or of such an object, is such an object.
    pub fn is_setting(self, key: &str) -> bool {
        self.settings.iter().any(|name| self.are_same(key, name))
    }

    /// Whether two keys are one to some reader.
    pub fn are_same(self, one: &str, other: &str) -> bool {
        self.fold(one).eq(self.fold(other))
    }

    /// Checks the keys of an object. `path`: where it stands.
    ///
    /// Errors: [`InvalidRequest`] that names the key at fault.
    pub fn check_keys<'k>(
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
        twice.map_or(Ok(()), |key| Err(stands_twice(shown(path, key))))
    }

    fn find_twice<'k>(self, keys: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
        let mut rest = keys;
        while let Some(key) = rest.next() {
            if let Some(other) = rest.clone().find(|other| self.are_same(key, other)) {
                return Some(other);
            }
        }
        None
    }

    fn fold(self, key: &str) -> impl Iterator<Item = char> {
        let has_twins = self.has_twins;
        folded(key).filter(move |c| !has_twins || *c != '_')
    }

    /// A model in the body of a request whose path has named one.
    ///
    /// Errors: [`InvalidRequest`] when it is another one.
    pub fn check_model(self, path: &str, value: &[u8]) -> Result<(), InvalidRequest> {
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

pub(super) fn stands_twice(shown: String) -> InvalidRequest {
    let message = format!(
        "{shown} stands there twice, or in two ways of writing: servers differ in which they take"
    );
    InvalidRequest::about(shown, message)
}

/// Whether `key` is, with underscores, what `name` is in camelCase.
pub(super) fn are_twins(key: &str, name: &str) -> bool {
    key.contains('_') && folded(key).filter(|c| *c != '_').eq(folded(name).filter(|c| *c != '_'))
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

pub(super) fn shown(path: &str, key: &str) -> String {
    let key: String = key.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests;
