//! The fields of a client's JSON object, taken one by one, so that each mistake is told with its path
//! and what is left is what nobody knows.
//!
//! Google's JSON mapping takes each name in camelCase and as it stands in the proto, in snake_case.
//!
//! Source: <https://protobuf.dev/programming-guides/json/> (read 2026-11).

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{domain::chat::Losses, gateway::translate::InvalidRequest};

/// What is left of an object. `null` counts as absent.
pub(super) struct Fields<'a> {
    path: String,
    left: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// Errors: [`InvalidRequest`] when the body is no JSON object.
    pub fn of_body(body: &'a [u8]) -> Result<Self, InvalidRequest> {
        let text = std::str::from_utf8(body)
            .map_err(|_| InvalidRequest::new("the body is not valid UTF-8"))?;
        let Pairs(left) = serde_json::from_str(text).map_err(|error| {
            InvalidRequest::new(format!("the body is not a valid JSON object: {error}"))
        })?;
        Ok(Self { path: String::new(), left })
    }

    /// Errors: [`InvalidRequest`] when the value is no object.
    pub fn at(path: String, raw: &'a RawValue) -> Result<Self, InvalidRequest> {
        match serde_json::from_str(raw.get()) {
            Ok(Pairs(left)) => Ok(Self { path, left }),
            Err(_) => Err(wrong(path, "an object")),
        }
    }

    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes a field by its name in camelCase. The last of several counts.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut taken = None;
        self.left.retain(|(key, raw)| {
            let is_it = is_called(key, name);
            if is_it {
                taken = Some(*raw);
            }
            !is_it
        });
        taken.filter(|raw| raw.get() != "null")
    }

    /// Takes a field and reads it. `expected` says what it must be.
    pub fn read<T: Deserialize<'a>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, InvalidRequest> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        match serde_json::from_str(raw.get()) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(wrong(self.path_of(name), expected)),
        }
    }

    pub fn text(&mut self, name: &str) -> Result<Option<String>, InvalidRequest> {
        self.read(name, "a string")
    }

    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, InvalidRequest> {
        self.read(name, "a boolean")
    }

    pub fn number(&mut self, name: &str) -> Result<Option<f64>, InvalidRequest> {
        self.read(name, "a number")
    }

    /// Takes a whole number that is not negative. The SDK for Python writes some of them as `40.0`.
    pub fn count(&mut self, name: &str) -> Result<Option<u64>, InvalidRequest> {
        match self.integer(name)? {
            Some(number) => match u64::try_from(number) {
                Ok(count) => Ok(Some(count)),
                Err(_) => Err(wrong(self.path_of(name), "a whole number, 0 or more")),
            },
            None => Ok(None),
        }
    }

    /// Takes a whole number.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, InvalidRequest> {
        let Some(number) = self.read::<serde_json::Number>(name, "a whole number")? else {
            return Ok(None);
        };
        match whole(&number) {
            Some(whole) => Ok(Some(whole)),
            None => Err(wrong(self.path_of(name), "a whole number")),
        }
    }

    pub fn object(&mut self, name: &str) -> Result<Option<Self>, InvalidRequest> {
        let path = self.path_of(name);
        self.take(name).map(|raw| Self::at(path, raw)).transpose()
    }

    /// Takes a list: what stands in it, each with its path.
    pub fn list(&mut self, name: &str) -> Result<Vec<(String, &'a RawValue)>, InvalidRequest> {
        let list: Vec<&RawValue> = self.read(name, "a list")?.unwrap_or_default();
        let path = self.path_of(name);
        Ok(list.into_iter().enumerate().map(|(n, raw)| (format!("{path}[{n}]"), raw)).collect())
    }

    /// Takes what is left, by the names it stands there with.
    pub fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.left.into_iter().filter(|(_, raw)| raw.get() != "null")
    }

    /// Notes everything that is left.
    pub fn note_rest(self, losses: &mut Losses) {
        let path = without_places(&self.path);
        for (name, _) in self.rest() {
            let name = camel(&name);
            losses.note(if path.is_empty() { name.into_owned() } else { format!("{path}.{name}") });
        }
    }
}

/// The mistake that something is not what it must be.
pub(super) fn wrong(path: String, expected: &str) -> InvalidRequest {
    let message = format!("{path} must be {expected}");
    InvalidRequest::about(path, message)
}

/// The name in camelCase.
pub(super) fn camel(name: &str) -> Cow<'_, str> {
    let Some(first) = name.bytes().skip(1).position(|b| b == b'_') else {
        return Cow::Borrowed(name);
    };
    let (head, tail) = name.split_at(first + 1);
    let mut camel = head.to_owned();
    for word in tail.split('_') {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    Cow::Owned(camel)
}

fn is_called(key: &str, name: &str) -> bool {
    key == name || (key.contains('_') && camel(key) == name)
}

/// Receipts name a field, wherever in a list it stood.
fn without_places(path: &str) -> String {
    path.split(['[', ']']).step_by(2).collect()
}

fn whole(number: &serde_json::Number) -> Option<i64> {
    /// Up to here, a float has every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(whole) = number.as_i64() {
        return Some(whole);
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 53 bits")]
    Some(float as i64)
}

struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key, borrowed unless it holds an escape. (Inside a map, a plain `Cow` is always copied.)
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    pairs.push((key, map.next_value()?));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_in_both_cases_and_null_is_absent() {
        let body = br#"{"top_k":40.0,"topP":null,"max_output_tokens":7,"x_y":1,"z":null}"#;
        let mut fields = Fields::of_body(body).unwrap();
        assert_eq!(fields.count("topK").unwrap(), Some(40));
        assert_eq!(fields.number("topP").unwrap(), None);
        assert_eq!(fields.count("maxOutputTokens").unwrap(), Some(7));
        let mut losses = Losses::default();
        fields.note_rest(&mut losses);
        assert_eq!(losses.to_string(), "xY");
    }

    #[test]
    fn a_mistake_is_told_with_its_path() {
        let body = br#"{"a":{"b":[{"c":"x"}]},"n":1.5,"m":-1}"#;
        let mut fields = Fields::of_body(body).unwrap();
        assert_eq!(fields.integer("n").unwrap_err().param.as_deref(), Some("n"));
        assert_eq!(fields.count("m").unwrap_err().message, "m must be a whole number, 0 or more");
        let mut inner = fields.object("a").unwrap().unwrap();
        let (path, raw) = inner.list("b").unwrap().pop().unwrap();
        let mut innermost = Fields::at(path, raw).unwrap();
        assert_eq!(innermost.flag("c").unwrap_err().param.as_deref(), Some("a.b[0].c"));
        assert!(Fields::of_body(b"[]").is_err() && Fields::of_body(b"\xff").is_err());
    }

    #[test]
    fn names_become_camel_case() {
        for (name, expected) in
            [("a", "a"), ("a_b_c", "aBC"), ("_a_b", "_aB"), ("aB", "aB"), ("", ""), ("é_é", "éé")]
        {
            assert_eq!(camel(name), expected);
        }
        assert_eq!(
            without_places("tools[3].functionDeclarations[0]"),
            "tools.functionDeclarations"
        );
    }
}
