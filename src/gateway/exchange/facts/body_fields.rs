//! The fields of a request's body, found by where the pass has seen them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::walk::Field;
use crate::gateway::{
    dialect::object,
    exchange::unambiguous::{are_twins, key_of},
    translate::InvalidRequest,
};

/// What a body says, `null` being nothing.
pub(in crate::gateway::exchange) struct BodyFields<'b> {
    pub(super) body: &'b [u8],
    pub(super) fields: &'b [Field],
    /// See [`Words::has_twins`](super::field_names::Words::has_twins).
    pub(super) has_twins: bool,
}

impl<'b> BodyFields<'b> {
    /// The fields of the body, by their names and what was written.
    pub fn all(&self) -> impl Iterator<Item = (Cow<'b, str>, &'b [u8])> {
        self.fields.iter().map(|field| (self.name(field), &self.body[field.value.clone()]))
    }

    fn name(&self, field: &Field) -> Cow<'b, str> {
        key_of(&self.body[field.key.clone()]).expect("it was read on the way")
    }

    /// Whether the body has a field of this name, also where it says nothing.
    pub fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    pub(super) fn field(&self, name: &str) -> Option<&'b Field> {
        self.fields.iter().find(|field| {
            // The keys of most dialects have one way of writing, and then no text need be made of them.
            let inside = &self.body[field.key.start + 1..field.key.end - 1];
            inside == name.as_bytes()
                || ((self.has_twins || !field.is_plain) && self.is_called(&self.name(field), name))
        })
    }

    fn is_called(&self, key: &str, name: &str) -> bool {
        key == name || (self.has_twins && are_twins(key, name))
    }

    /// The JSON of the value that is found by these names.
    pub fn find(&self, path: &[&str]) -> Option<&'b [u8]> {
        let (name, within) = path.split_first()?;
        let mut value = &self.body[self.field(name)?.value.clone()];
        for name in within {
            let object::Fields(fields) = serde_json::from_slice(value).ok()?;
            let (_, inner) = fields.into_iter().find(|(key, _)| self.is_called(key, name))?;
            value = inner.get().as_bytes();
        }
        (value != b"null").then_some(value)
    }

    pub fn text(&self, path: &[&str]) -> Option<Cow<'b, str>> {
        let json = self.find(path)?;
        json.starts_with(b"\"").then(|| key_of(json).ok()).flatten()
    }

    /// A whole number that is not negative, decimals of zero allowed.
    pub fn whole(&self, path: &[&str]) -> Option<u64> {
        let text = std::str::from_utf8(self.find(path)?).ok()?;
        text.parse().ok().or_else(|| {
            let number = text.parse::<f64>().ok().filter(|number| number.fract() == 0.0)?;
            format!("{number}").parse().ok()
        })
    }

    /// Errors: [`InvalidRequest`] when it is missing.
    pub fn check_there(&self, name: &'static str) -> Result<(), InvalidRequest> {
        match self.find(&[name]) {
            Some(_) => Ok(()),
            None => Err(InvalidRequest::about(name, format!("{name} is missing"))),
        }
    }

    /// Errors: [`InvalidRequest`] when it is no list, or an empty one. `what` it is a list of.
    pub fn check_list(&self, name: &'static str, what: &str) -> Result<(), InvalidRequest> {
        self.check_there(name)?;
        let inside = self.find(&[name]).and_then(|list| list.strip_prefix(b"["));
        let why = match inside {
            Some(inside) if inside.trim_ascii_start() != b"]" => return Ok(()),
            Some(_) => format!("{name} must hold at least one {what}"),
            None => format!("{name} must be a list"),
        };
        Err(InvalidRequest::about(name, why))
    }

    /// An object within the body with other fields: each by its name, with what it says from now on or
    /// without it.
    pub fn changed(
        &self,
        object: &[u8],
        changes: &[(&str, Option<Box<RawValue>>)],
    ) -> Option<Vec<u8>> {
        let object::Fields(fields) = serde_json::from_slice(object).ok()?;
        let kept = fields.into_iter().filter_map(|(key, value)| {
            match changes.iter().find(|(name, _)| self.is_called(&key, name)) {
                None => Some((key, value)),
                Some((_, change)) => Some((key, change.as_deref()?)),
            }
        });
        serde_json::to_vec(&object::Fields(kept.collect())).ok()
    }
}
