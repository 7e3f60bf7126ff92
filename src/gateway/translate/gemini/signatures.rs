//! Thought signatures, Gemini's own and those of others.
//!
//! A client's SDK takes `thoughtSignature` for bytes and refuses what is no Base64, so that the signature of
//! another maker is wrapped in it; and the SDK for Python sends it back in another alphabet.
//!
//! Source: `thought_signature` in <https://github.com/googleapis/python-genai> `types.py` and in
//! <https://github.com/googleapis/go-genai> `types.go` (read 2026-11).

use std::borrow::Cow;

use super::base64;
use crate::domain::chat::{Dialect, ReasoningSignature};

/// What Gemini takes for a signature that it has never given.
///
/// Source: <https://ai.google.dev/gemini-api/docs/thought-signatures> (FAQ, read 2026-11).
pub(super) const SKIP_VALIDATION: &str = "skip_thought_signature_validator";

/// As a client gets it.
pub(super) fn to_client(signature: &ReasoningSignature) -> Cow<'_, str> {
    match signature.to_wire(Dialect::Gemini) {
        Cow::Borrowed(own) => Cow::Borrowed(own),
        Cow::Owned(marked) => Cow::Owned(base64::encode(&marked)),
    }
}

/// As a client has sent it back.
pub(super) fn from_client(signature: &str) -> ReasoningSignature {
    let wrapped = base64::decode_text(signature)
        .map(|text| ReasoningSignature::from_wire(Dialect::Gemini, &text))
        .filter(|signature| signature.by != Dialect::Gemini);
    wrapped.unwrap_or_else(|| ReasoningSignature::from_wire(Dialect::Gemini, signature))
}

/// As Gemini itself has given it.
pub(super) fn from_maker(signature: &str) -> ReasoningSignature {
    ReasoningSignature::new(Dialect::Gemini, signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_signature_is_base64_and_comes_back_in_either_alphabet() {
        let signature = ReasoningSignature::new(Dialect::Messages, "EqoB?>~~ÿ+/=");
        let wire = to_client(&signature).into_owned();
        assert!(wire.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)), "{wire}");
        assert_eq!(from_client(&wire), signature);
        assert_eq!(from_client(&wire.replace('+', "-").replace('/', "_")), signature);
        assert_eq!(from_client(wire.trim_end_matches('=')), signature);
    }

    #[test]
    fn geminis_own_signature_is_bare() {
        let signature = ReasoningSignature::new(Dialect::Gemini, "CpcBAdHtim9+/w==");
        assert_eq!(to_client(&signature), "CpcBAdHtim9+/w==");
        assert_eq!(from_client("CpcBAdHtim9+/w=="), signature);
        assert_eq!(from_client("cGxhaW4gdGV4dA==").by, Dialect::Gemini);
    }
}
