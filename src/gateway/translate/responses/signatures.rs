//! Signatures in the place of `encrypted_content`.

use std::borrow::Cow;

use crate::domain::chat::{Dialect, Reasoning, ReasoningSignature};

/// Ends a foreign signature that stands for thoughts its maker hides: without it, it would come back as
/// that of thoughts without words, which is something else to its maker. No signature holds a full stop.
const REDACTED: &str = ".redacted";

/// As a client is shown it.
pub(super) fn written(signature: &ReasoningSignature, is_redacted: bool) -> Cow<'_, str> {
    let wire = signature.to_wire(Dialect::Responses);
    if is_redacted && signature.by != Dialect::Responses {
        return Cow::Owned(format!("{wire}{REDACTED}"));
    }
    wire
}

/// Reads it, and whether the thoughts are in it alone.
pub(super) fn read(text: &str, has_words: bool) -> (ReasoningSignature, bool) {
    let mut signature = ReasoningSignature::from_wire(Dialect::Responses, text);
    if signature.by == Dialect::Responses {
        return (signature, !has_words);
    }
    let bare = signature.data.strip_suffix(REDACTED).map(str::to_owned);
    let is_redacted = bare.is_some();
    signature.data = bare.unwrap_or(signature.data);
    (signature, is_redacted)
}

/// Whether it is Gemini's signature of the call after it, which has no other place here.
pub(super) fn is_of_a_call(thought: &Reasoning) -> bool {
    thought.text.is_empty()
        && !thought.is_redacted
        && thought.signature.as_ref().is_some_and(|signature| signature.by == Dialect::Gemini)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_back_with_what_it_stands_for() {
        for by in Dialect::ALL {
            let signature = ReasoningSignature::new(by, "EqoB+/=");
            for is_redacted in [true, false] {
                let wire = written(&signature, is_redacted).into_owned();
                assert_eq!(read(&wire, !is_redacted), (signature.clone(), is_redacted));
            }
        }
        let empty_and_signed = ReasoningSignature::new(Dialect::Messages, "x");
        let wire = written(&empty_and_signed, false).into_owned();
        assert_eq!(read(&wire, false), (empty_and_signed, false));
    }
}
