//! JSON merge patches (RFC 7396): what a change makes of what was set before.

use serde::{Deserialize, Deserializer};

/// A change to one field: leave it, go back to what it is without the user's word, or set it.
#[derive(Debug, Clone, Default)]
pub enum Change<T> {
    #[default]
    Keep,
    Reset,
    Set(T),
}

/// A change to the members of an object: what it does not name stays.
pub trait Patch<T> {
    fn apply_to(self, object: &mut T);
}

/// Absent leaves it, `null` resets it, a value sets it.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Reset, Self::Set))
    }
}

impl<T> Change<T> {
    /// Changes a value as a whole.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Reset => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }

    /// Changes an object by its members.
    pub fn merge<U: Default>(self, field: &mut U)
    where
        T: Patch<U>,
    {
        match self {
            Self::Keep => {}
            Self::Reset => *field = U::default(),
            Self::Set(patch) => patch.apply_to(field),
        }
    }

    /// The same change of another type.
    ///
    /// Errors: what `convert` says.
    pub fn try_map<U, E>(self, convert: impl FnOnce(T) -> Result<U, E>) -> Result<Change<U>, E> {
        Ok(match self {
            Self::Keep => Change::Keep,
            Self::Reset => Change::Reset,
            Self::Set(value) => Change::Set(convert(value)?),
        })
    }
}
