//! What was lost in translation: the receipt a client gets.

use std::{borrow::Cow, collections::BTreeSet, fmt};

/// Most receipts that are kept; more are counted as one.
const MAX_LOSSES: usize = 32;

/// Longest receipt, in bytes.
const MAX_LEN: usize = 64;

/// Names of what could not be said in another dialect: fields by their path in the dialect they came
/// from (`messages.cache_control`, `logit_bias`), sorted, each once, and all of them fit for a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses(BTreeSet<Cow<'static, str>>);

impl Losses {
    /// Notes that something of this name was dropped or changed its meaning.
    pub fn note(&mut self, name: impl Into<Cow<'static, str>>) {
        let name = name.into();
        let is_fit = !name.is_empty()
            && name.len() <= MAX_LEN
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-[]".contains(&b));
        let name = if is_fit { name } else { Cow::Borrowed("unnamed") };
        if self.0.len() < MAX_LOSSES || self.0.contains(&name) {
            self.0.insert(name);
        } else {
            self.0.insert(Cow::Borrowed("more"));
        }
    }

    /// Notes that something was masked which is nobody's to see but the upstream's.
    pub fn note_masked(&mut self) {
        self.note("secret");
    }

    /// Notes it where `is_lost` holds.
    pub fn note_if(&mut self, is_lost: bool, name: &'static str) {
        if is_lost {
            self.note(name);
        }
    }

    pub fn absorb(&mut self, other: &Self) {
        for name in &other.0 {
            self.note(name.clone());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// Comma-separated, or `lossless`.
impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("lossless");
        }
        for (n, name) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once_and_in_order() {
        let mut losses = Losses::default();
        assert_eq!(losses.to_string(), "lossless");
        for name in ["top_k", "logit_bias", "top_k"] {
            losses.note(name);
        }
        assert_eq!(losses.to_string(), "logit_bias, top_k");
    }

    #[test]
    fn what_no_header_may_hold_and_what_is_too_much_is_not_named() {
        let mut losses = Losses::default();
        losses.note("a\r\nb");
        losses.note("x".repeat(100));
        assert_eq!(losses.to_string(), "unnamed");
        for n in 0..100 {
            losses.note(format!("field{n}"));
        }
        assert_eq!(losses.iter().count(), MAX_LOSSES + 1);
        assert!(losses.iter().any(|name| name == "more"));
    }
}
