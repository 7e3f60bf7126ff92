//! The fields of a client's JSON object, taken out one by one: each mistake is told with its path,
//! and what nobody has taken is told as a loss.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::InvalidRequest;
use crate::domain::{chat::Losses, id::ModelName};

/// The fields that nobody has taken yet. `null` counts as absent.
pub(super) struct Fields<'a> {
    /// Where the object stands in the body. Empty for the body itself.
    path: String,
    values: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    /// Errors: [`InvalidRequest`] when the body is no JSON object.
    pub fn of_body(body: &'a [u8]) -> Result<Self, InvalidRequest> {
        let text = std::str::from_utf8(body)
            .map_err(|_| InvalidRequest::new("the body is not valid UTF-8"))?;
        let values = serde_json::from_str(text).map_err(|error| {
            InvalidRequest::new(format!("the body is not a valid JSON object: {error}"))
        })?;
        Ok(Self { path: String::new(), values })
    }

    /// Errors: [`InvalidRequest`] when the value at `path` is no object.
    pub fn at(path: String, raw: &'a RawValue) -> Result<Self, InvalidRequest> {
        match serde_json::from_str(raw.get()) {
            Ok(values) => Ok(Self { path, values }),
            Err(_) => Err(InvalidRequest::about(path.clone(), format!("{path} must be an object"))),
        }
    }

    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The mistake that a field is not what it must be.
    pub fn wrong(&self, name: &str, expected: &str) -> InvalidRequest {
        let path = self.path_of(name);
        let message = format!("{path} must be {expected}");
        InvalidRequest::about(path, message)
    }

    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.values.remove(name).filter(|raw| raw.get() != "null")
    }

    /// Takes a field that says no more than its absence would.
    pub fn drop_default(&mut self, name: &str, default: &str) {
        if self.values.get(name).is_some_and(|raw| raw.get() == default) {
            self.values.remove(name);
        }
    }

    /// `expected` says what it must be: `a number`.
    pub fn read<T: Deserialize<'a>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, InvalidRequest> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| self.wrong(name, expected))
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
        let Some(raw) = self.take(name) else { return Ok(None) };
        let (digits, decimals) = raw.get().split_once('.').unwrap_or((raw.get(), ""));
        let number = decimals.bytes().all(|byte| byte == b'0').then(|| digits.parse().ok());
        number.flatten().map(Some).ok_or_else(|| self.wrong(name, "a whole number"))
    }

    /// The elements of a list; none when it is absent.
    pub fn list(&mut self, name: &str) -> Result<Vec<&'a RawValue>, InvalidRequest> {
        Ok(self.read(name, "a list")?.unwrap_or_default())
    }

    pub fn object(&mut self, name: &str) -> Result<Option<Self>, InvalidRequest> {
        let path = self.path_of(name);
        self.take(name).map(|raw| Self::at(path, raw)).transpose()
    }

    pub fn model(&mut self) -> Result<Option<ModelName>, InvalidRequest> {
        let Some(name) = self.text("model")? else { return Ok(None) };
        ModelName::parse(&name)
            .map(Some)
            .map_err(|error| InvalidRequest::about("model", error.to_string()))
    }

    /// Notes what is left as lost, below `prefix` unless that is empty.
    pub fn note_rest(self, prefix: &str, losses: &mut Losses) {
        for (name, raw) in self.values {
            if raw.get() == "null" {
                continue;
            }
            losses.note(if prefix.is_empty() { name } else { format!("{prefix}.{name}") });
        }
    }
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
