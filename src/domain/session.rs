//! Sessions: which requests belong together, so that they may go to the same place.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::id::{KeyId, ModelName};

/// Longest id of a session that is taken from a request, in bytes.
pub const MAX_SESSION_ID: usize = 256;

/// What told that a request belongs to a session. The kind keeps equal texts of different kinds
/// apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionSignal<'a> {
    /// A name the client gave, and where.
    Named { kind: &'static str, id: &'a str },
    /// The beginning of a conversation: instructions beside it, and its first words.
    Opening([&'a [u8]; 2]),
}

/// Names a session of one caller with one model: a hash, so that nothing of it is kept. It is no secret, and
/// who finds another text for one of his own sessions has won nothing: the caller is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 16]);

impl SessionKey {
    /// Two callers never share a session, whatever they send.
    pub fn new(caller: &KeyId, model: &ModelName, signal: SessionSignal<'_>) -> Self {
        let mut hash = SipHasher13::new();
        let (kind, texts) = match signal {
            SessionSignal::Named { kind, id } => (kind, [id.as_bytes(), b""]),
            SessionSignal::Opening(texts) => ("opening", texts),
        };
        let whose = [caller.as_str(), model.as_str(), kind].map(str::as_bytes);
        for part in whose.into_iter().chain(texts) {
            // Lengths keep "ab" + "c" apart from "a" + "bc".
            hash.write_u64(part.len() as u64);
            hash.write(part);
        }
        Self(hash.finish128().as_bytes())
    }
}

/// An id of a session as a client sent it: trimmed, bounded, printable; else it is none.
pub fn session_id(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_id =
        !text.is_empty() && text.len() <= MAX_SESSION_ID && !text.chars().any(char::is_control);
    is_id.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_models_kinds_and_ids_are_kept_apart() {
        let key = |caller: &str, model: &str, kind, id| {
            let model = ModelName::parse(model).unwrap();
            SessionKey::new(&caller.into(), &model, SessionSignal::Named { kind, id })
        };
        let one = key("a", "m", "header", "s");
        assert_eq!(one, key("a", "m", "header", "s"));
        for other in [
            key("b", "m", "header", "s"),
            key("a", "n", "header", "s"),
            key("a", "m", "user", "s"),
            key("a", "m", "header", "t"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn ids_that_are_blank_too_long_or_unprintable_are_ignored() {
        assert_eq!(session_id(" s "), Some("s"));
        assert_eq!(session_id("  "), None);
        assert_eq!(session_id("a\u{7}b"), None);
        assert_eq!(session_id(&"x".repeat(257)), None);
        assert!(session_id(&"x".repeat(256)).is_some());
    }
}
