//! The fields of a client's JSON object, taken out one by one: each mistake is told with its path,
//! and what nobody has taken is told as a loss.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::InvalidRequest;
use crate::{
    domain::{chat::Losses, id::ModelName},
    gateway::dialect::{object, strict},
};

/// How a field may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// As it is.
    Exact,
    /// In camelCase, by which it is taken, and in snake_case, as Google's JSON mapping has it.
    ///
    /// Source: <https://protobuf.dev/programming-guides/json/> (read 2026-11).
    Proto,
}

/// The fields that nobody has taken yet. `null` counts as absent, and of several fields of one name
/// the last.
pub(super) struct Fields<'a> {
    /// Where the object stands in the body. Empty for the body itself.
    path: String,
    naming: Naming,
    left: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// Errors: [`InvalidRequest`] when the body is no JSON object.
    pub fn of_body(body: &'a [u8]) -> Result<Self, InvalidRequest> {
        Self::of_body_named(Naming::Exact, body)
    }

    /// Errors: [`InvalidRequest`] when the value at `path` is no object.
    pub fn at(path: String, raw: &'a RawValue) -> Result<Self, InvalidRequest> {
        Self::named_at(Naming::Exact, path, raw)
    }

    /// Errors: as [`of_body`](Self::of_body).
    pub fn of_body_named(naming: Naming, body: &'a [u8]) -> Result<Self, InvalidRequest> {
        let text = std::str::from_utf8(body)
            .map_err(|_| InvalidRequest::new("the body is not valid UTF-8"))?;
        let object::Fields(left) = serde_json::from_str(text).map_err(|error| {
            InvalidRequest::new(format!("the body is not a valid JSON object: {error}"))
        })?;
        Ok(Self { path: String::new(), naming, left })
    }

    /// Errors: as [`at`](Self::at).
    pub fn named_at(
        naming: Naming,
        path: String,
        raw: &'a RawValue,
    ) -> Result<Self, InvalidRequest> {
        match serde_json::from_str(raw.get()) {
            Ok(object::Fields(left)) => Ok(Self { path, naming, left }),
            Err(_) => Err(must_be(path, "an object")),
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The mistake that a field is not what it must be.
    pub fn wrong(&self, name: &str, expected: &str) -> InvalidRequest {
        must_be(self.path_of(name), expected)
    }

    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let (naming, mut taken) = (self.naming, None);
        self.left.retain(|(key, raw)| {
            let is_it = naming.is_called(key, name);
            if is_it {
                taken = Some(*raw);
            }
            !is_it
        });
        taken.filter(|raw| raw.get() != "null")
    }

    /// Takes a field that says no more than its absence would.
    pub fn drop_default(&mut self, name: &str, default: &str) {
        let naming = self.naming;
        self.left.retain(|(key, raw)| !naming.is_called(key, name) || raw.get() != default);
    }

    /// `expected` says what it must be: `a number`.
    pub fn read<T: Deserialize<'a>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, InvalidRequest> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        strict::from_str(raw.get()).map(Some).map_err(|_| self.wrong(name, expected))
    }

    pub fn text(&mut self, name: &str) -> Result<Option<String>, InvalidRequest> {
        self.read(name, "a text")
    }

    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, InvalidRequest> {
        self.read(name, "true or false")
    }

    /// Finite: JSON knows no other numbers.
    pub fn number(&mut self, name: &str) -> Result<Option<f64>, InvalidRequest> {
        self.read(name, "a number")
    }

    /// A whole number, decimals of zero allowed: Go and JavaScript write some of them so.
    pub fn whole(&mut self, name: &str) -> Result<Option<i64>, InvalidRequest> {
        const EXPECTED: &str = "a whole number";
        let Some(number) = self.read::<serde_json::Number>(name, EXPECTED)? else {
            return Ok(None);
        };
        whole(&number).map(Some).ok_or_else(|| self.wrong(name, EXPECTED))
    }

    /// A whole number that is not negative.
    pub fn count(&mut self, name: &str) -> Result<Option<u64>, InvalidRequest> {
        let Some(number) = self.whole(name)? else { return Ok(None) };
        let count = u64::try_from(number).map(Some);
        count.map_err(|_| self.wrong(name, "a whole number, 0 or more"))
    }

    /// The elements of a list; none when it is absent.
    pub fn list(&mut self, name: &str) -> Result<Vec<&'a RawValue>, InvalidRequest> {
        Ok(self.read(name, "a list")?.unwrap_or_default())
    }

    pub fn object(&mut self, name: &str) -> Result<Option<Self>, InvalidRequest> {
        let path = self.path_of(name);
        self.take(name).map(|raw| Self::named_at(self.naming, path, raw)).transpose()
    }

    pub fn model(&mut self) -> Result<Option<ModelName>, InvalidRequest> {
        let Some(name) = self.text("model")? else { return Ok(None) };
        ModelName::parse(&name)
            .map(Some)
            .map_err(|error| InvalidRequest::about("model", error.to_string()))
    }

    /// Notes what is left as lost, below `prefix` unless that is empty.
    pub fn note_rest(self, prefix: &str, losses: &mut Losses) {
        for (name, _) in self.rest() {
            let is_within = !prefix.is_empty();
            losses.note(if is_within { format!("{prefix}.{name}") } else { name.into_owned() });
        }
    }

    /// Takes what is left, by the names it stands there with.
    pub fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.left.into_iter().filter(|(_, raw)| raw.get() != "null")
    }
}

impl Naming {
    fn is_called(self, key: &str, name: &str) -> bool {
        key == name || (self == Self::Proto && key.contains('_') && camel(key) == name)
    }
}

/// The mistake that something is not what it must be.
pub(super) fn must_be(path: String, expected: &str) -> InvalidRequest {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn param(result: Result<impl Sized, InvalidRequest>) -> Option<String> {
        result.err().expect("it is wrong").param.map(Into::into)
    }

    #[test]
    fn a_mistake_is_told_with_its_path() {
        let mut body =
            Fields::of_body(br#"{"options":{"seed":1.5,"top_k":"x","deep":{"x":7}},"list":{}}"#)
                .unwrap();
        assert_eq!(param(body.list("list")).as_deref(), Some("list"));
        let mut options = body.object("options").unwrap().unwrap();
        assert_eq!(param(options.whole("seed")).as_deref(), Some("options.seed"));
        assert_eq!(param(options.whole("top_k")).as_deref(), Some("options.top_k"));
        let mut deep = options.object("deep").unwrap().unwrap();
        assert_eq!(param(deep.text("x")).as_deref(), Some("options.deep.x"));
        for bad in [&b"\xff"[..], b"", b"[]", b"7", b"{", b"{} x"] {
            assert!(Fields::of_body(bad).is_err());
        }
    }

    #[test]
    fn names_of_the_proto_are_taken_in_both_cases() {
        let body = br#"{"top_k":40.0,"topP":null,"max_output_tokens":7,"m":-1,"m":-2}"#;
        let mut fields = Fields::of_body_named(Naming::Proto, body).unwrap();
        assert_eq!(fields.count("topK").unwrap(), Some(40));
        assert_eq!(fields.number("topP").unwrap(), None);
        assert_eq!(fields.count("maxOutputTokens").unwrap(), Some(7));
        assert_eq!(fields.count("m").unwrap_err().message, "m must be a whole number, 0 or more");
        assert_eq!(fields.rest().count(), 0);
    }

    #[test]
    fn names_become_camel_case() {
        for (name, expected) in
            [("a", "a"), ("a_b_c", "aBC"), ("_a_b", "_aB"), ("aB", "aB"), ("", ""), ("é_é", "éé")]
        {
            assert_eq!(camel(name), expected);
        }
    }

    #[test]
    fn what_nobody_takes_is_lost_unless_it_says_nothing() {
        let body = br#"{"a":1,"b":null,"c":true,"d":2.0,"e":-3}"#;
        let mut fields = Fields::of_body(body).unwrap();
        fields.drop_default("c", "true");
        assert_eq!(fields.whole("d").unwrap(), Some(2));
        assert_eq!(fields.whole("e").unwrap(), Some(-3));
        assert_eq!(fields.text("b").unwrap(), None);
        let mut losses = Losses::default();
        fields.note_rest("options", &mut losses);
        assert_eq!(losses.to_string(), "options.a");
    }
}
