//! Checks of values that have the right type: all that is wrong is reported, not only the first.

use std::{fmt::Display, ops::RangeInclusive};

use figment::Figment;

use super::error::{ConfigError, place_of};
use crate::domain::setting::InvalidSetting;

/// What the sections have found wrong.
#[derive(Default)]
pub struct Bounds {
    problems: Vec<Problem>,
}

struct Problem {
    key: String,
    /// What it is; goes before the place. Empty for a secret.
    found: String,
    /// What it must be; goes after the place.
    wanted: String,
}

impl Bounds {
    /// A number must be within `range`, which has a unit.
    pub fn number<N: PartialOrd + Display>(
        &mut self,
        key: &str,
        value: N,
        range: RangeInclusive<N>,
        unit: &str,
    ) {
        if !range.contains(&value) {
            let (low, high) = range.into_inner();
            self.refuse(key, value, format!("must be {low} to {high} {unit}"));
        }
    }

    /// A value that must not be as it is. `wanted` says what would be right.
    pub fn refuse(&mut self, key: &str, value: impl Display, wanted: impl Into<String>) {
        let found = format!(" is {value}");
        self.problems.push(Problem { key: key.to_owned(), found, wanted: wanted.into() });
    }

    /// As [`Self::refuse`], of a value that must not be shown.
    pub fn refuse_secret(&mut self, key: &str, wanted: impl Into<String>) {
        let found = String::new();
        self.problems.push(Problem { key: key.to_owned(), found, wanted: wanted.into() });
    }

    /// What the domain says cannot be set. `table` names where it stands.
    pub fn faults(&mut self, table: &str, faults: impl IntoIterator<Item = InvalidSetting>) {
        for InvalidSetting { field, reason } in faults {
            self.refuse_secret(&format!("{table}.{field}"), reason);
        }
    }

    /// What can be read of a field; what cannot is a fault of it.
    pub fn read<T, E: ToString>(
        &mut self,
        table: &str,
        field: &'static str,
        read: Result<T, E>,
    ) -> Option<T> {
        read.map_err(|error| self.faults(table, [InvalidSetting::new(field, error.to_string())]))
            .ok()
    }

    /// Errors: [`ConfigError::Invalid`] with every problem, each with the place its value came from.
    pub fn finish(self, figment: &Figment) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let line = |Problem { key, found, wanted }: &Problem| {
            let place = place_of(figment, key);
            format!("{key}{found}{place}: {wanted}")
        };
        Err(ConfigError::Invalid(self.problems.iter().map(line).collect::<Vec<_>>().join("\n")))
    }
}
