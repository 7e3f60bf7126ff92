//! Changes to a body that is passed on otherwise as it came: by where its fields stand.

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};

use super::{body_fields::BodyFields, field_names::Path};
use crate::{domain::id::ModelName, gateway::exchange::unambiguous::key_of};

/// Changes to one body, in no order.
pub(in crate::gateway::exchange) struct Edits<'b> {
    said: BodyFields<'b>,
    changes: Vec<(Range<usize>, Vec<u8>)>,
    /// Changes within the objects of the body: the name of the object, that of the field, and what it
    /// says from now on.
    inner: Vec<(&'static str, &'static str, Option<Box<RawValue>>)>,
}

impl<'b> Edits<'b> {
    pub(super) fn of(said: BodyFields<'b>) -> Self {
        Self { said, changes: Vec::new(), inner: Vec::new() }
    }

    /// Gives the model another name, where the body names it. Google's API may name a model with what such
    /// names begin with, and that stays.
    pub fn rename(&mut self, model: &ModelName) {
        let Some(at) = self.said.field("model").map(|field| field.value.clone()) else { return };
        let written = &self.said.body[at.clone()];
        if written == b"null" {
            return;
        }
        let is_full = self.said.has_twins
            && written.starts_with(b"\"models/")
            && !model.as_str().starts_with("models/");
        let prefix = if is_full { "models/" } else { "" };
        let name = serde_json::to_vec(&format!("{prefix}{model}")).expect("a text is always JSON");
        if written != name {
            self.changes.push((at, name));
        }
    }

    /// Puts a field in front of all others.
    pub fn put_first(&mut self, field: &str) {
        let Some(first) = self.said.fields.first() else { return };
        self.changes.push((first.key.start..first.key.start, format!("{field},").into_bytes()));
    }

    /// Writes another number where a path leads.
    pub fn set(&mut self, path: Path, number: u64) {
        let number = to_raw_value(&number).expect("a number is JSON");
        match path {
            [name] => {
                let Some(field) = self.said.field(name) else { return };
                self.changes.push((field.value.clone(), number.get().into()));
            }
            [outer, inner] => self.inner.push((outer, inner, Some(number))),
            _ => {}
        }
    }

    /// Takes out the fields that are found by these paths, and an element of a list.
    pub fn remove(&mut self, paths: &[Path], element: Option<(&'static str, &'static str)>) {
        let rest = element.and_then(|(list, text)| self.rest_of(list, text));
        let emptied = rest.as_ref().filter(|(_, rest)| rest.is_empty());
        let fields = self.said.fields;
        let is_removed = |number: usize| {
            let called = |name| self.said.field(name).is_some_and(|it| *it == fields[number]);
            emptied.is_some_and(|(list, _)| called(list))
                || paths.iter().any(|path| matches!(path, [name] if called(name)))
        };
        let leading = (0..fields.len()).take_while(|number| is_removed(*number)).count();
        let mut changes = Vec::new();
        if leading > 0 {
            let end = fields.get(leading).map_or(fields[leading - 1].value.end, |it| it.key.start);
            changes.push((fields[0].key.start..end, Vec::new()));
        }
        for number in (leading..fields.len()).filter(|number| is_removed(*number)) {
            let at = fields[number - 1].value.end..fields[number].value.end;
            changes.push((at, Vec::new()));
        }
        if let Some((list, rest)) = rest.filter(|(_, rest)| !rest.is_empty())
            && let Some(field) = self.said.field(list)
        {
            let rest = serde_json::to_vec(&rest).expect("what was JSON is JSON");
            changes.push((field.value.clone(), rest));
        }
        self.changes.append(&mut changes);
        for path in paths {
            if let [outer, inner] = path
                && self.said.find(path).is_some()
            {
                self.inner.push((outer, inner, None));
            }
        }
    }

    /// What is left of a list without a text. `None`: the text does not stand in it.
    fn rest_of(&self, list: &'static str, text: &str) -> Option<(&'static str, Vec<&'b RawValue>)> {
        let mut rest: Vec<&RawValue> = serde_json::from_slice(self.said.find(&[list])?).ok()?;
        let all = rest.len();
        rest.retain(|it| !key_of(it.get().as_bytes()).is_ok_and(|it| it == text));
        (rest.len() < all).then_some((list, rest))
    }

    /// Brings together what changes within one field.
    fn join_inner(&mut self) {
        while let Some((outer, ..)) = self.inner.first() {
            let outer = *outer;
            let (of_it, others): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.inner).into_iter().partition(|(name, ..)| *name == outer);
            self.inner = others;
            let changes: Vec<_> = of_it.into_iter().map(|(_, name, with)| (name, with)).collect();
            if let Some(field) = self.said.field(outer)
                && let Some(changed) =
                    self.said.changed(&self.said.body[field.value.clone()], &changes)
            {
                self.changes.push((field.value.clone(), changed));
            }
        }
    }

    /// The body, `whole` being all of it: when nothing changes, nothing is copied.
    pub fn apply(mut self, whole: &Bytes) -> Bytes {
        self.join_inner();
        if self.changes.is_empty() {
            return whole.clone();
        }
        self.changes.sort_by_key(|(at, _)| (at.start, at.end));
        let added: usize = self.changes.iter().map(|(_, with)| with.len()).sum();
        let mut edited = Vec::with_capacity(whole.len() + added);
        let mut rest = 0;
        for (at, with) in self.changes {
            edited.extend_from_slice(&whole[rest..at.start]);
            edited.extend_from_slice(&with);
            rest = at.end;
        }
        edited.extend_from_slice(&whole[rest..]);
        edited.into()
    }
}
