//! Seals in the place of `encrypted_content`.

use std::borrow::Cow;

use crate::domain::chat::{Dialect, Reasoning, Seal};

/// Ends a foreign seal that stands for thoughts its maker hides: without it, it would come back as
/// that of thoughts without words, which is something else to its maker. No seal holds a full stop.
const REDACTED: &str = ".redacted";

/// As a client is shown it.
pub(super) fn written(seal: &Seal, is_redacted: bool) -> Cow<'_, str> {
    let wire = seal.to_wire(Dialect::Responses);
    if is_redacted && seal.by != Dialect::Responses {
        return Cow::Owned(format!("{wire}{REDACTED}"));
    }
    wire
}

/// Reads it, and whether the thoughts are in it alone.
pub(super) fn read(text: &str, has_words: bool) -> (Seal, bool) {
    let mut seal = Seal::from_wire(Dialect::Responses, text);
    if seal.by == Dialect::Responses {
        return (seal, !has_words);
    }
    let bare = seal.data.strip_suffix(REDACTED).map(str::to_owned);
    let is_redacted = bare.is_some();
    seal.data = bare.unwrap_or(seal.data);
    (seal, is_redacted)
}

/// Whether it is Gemini's seal of the call after it, which has no other place here.
pub(super) fn is_of_a_call(thought: &Reasoning) -> bool {
    thought.text.is_empty()
        && !thought.is_redacted
        && thought.seal.as_ref().is_some_and(|seal| seal.by == Dialect::Gemini)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_comes_back_with_what_it_stands_for() {
        for by in Dialect::ALL {
            let seal = Seal::new(by, "EqoB+/=");
            for is_redacted in [true, false] {
                let wire = written(&seal, is_redacted).into_owned();
                assert_eq!(read(&wire, !is_redacted), (seal.clone(), is_redacted));
            }
        }
        let empty_and_signed = Seal::new(Dialect::Messages, "x");
        let wire = written(&empty_and_signed, false).into_owned();
        assert_eq!(read(&wire, false), (empty_and_signed, false));
    }
}
