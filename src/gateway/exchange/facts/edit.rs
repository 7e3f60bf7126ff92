//! Changes to a body that is passed on otherwise as it came: by where its fields stand.

use std::ops::Range;

use bytes::Bytes;

use super::{said::Said, words::Path};
use crate::domain::id::ModelName;

/// Changes to one body, in no order.
pub(in crate::gateway::exchange) struct Edits<'b> {
    said: Said<'b>,
    changes: Vec<(Range<usize>, Vec<u8>)>,
}

impl<'b> Edits<'b> {
    pub(super) fn of(said: Said<'b>) -> Self {
        Self { said, changes: Vec::new() }
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

    /// Takes out the fields that are found by these paths.
    pub fn remove(&mut self, paths: &[Path]) {
        let fields = self.said.fields;
        let is_removed = |number: usize| {
            let called = |name| self.said.field(name).is_some_and(|it| *it == fields[number]);
            paths.iter().any(|path| matches!(path, [name] if called(name)))
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
        for path in paths {
            if let [outer, inner] = path
                && let Some(field) = self.said.field(outer)
                && self.said.find(path).is_some()
                && let Some(rest) = self.said.without(&self.said.body[field.value.clone()], inner)
            {
                changes.push((field.value.clone(), rest));
            }
        }
        self.changes.append(&mut changes);
    }

    /// The body, `whole` being all of it: when nothing changes, nothing is copied.
    pub fn apply(mut self, whole: &Bytes) -> Bytes {
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
