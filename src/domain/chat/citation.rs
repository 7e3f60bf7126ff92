//! Where something in an answer comes from.

use super::{Dialect, Json};

/// Which characters of the text that cites it, as `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub start: u64,
    pub end: u64,
}

/// A source that a text refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Citation {
    pub url: Option<String>,
    pub title: Option<String>,
    /// The words of the source.
    pub cited_text: Option<String>,
    /// Where in the citing text.
    pub place: Option<Place>,
    /// The whole of it, as it stood in the dialect it came from.
    pub original: Option<(Dialect, Json)>,
}
