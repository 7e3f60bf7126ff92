//! What is looked for: secrets, and what they are in base64.

use std::ops::Range;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use memchr::memmem;

use super::escapes::{end_of, ways_in};

/// Shorter secrets are not looked for: they would be found in words that have nothing to do with them.
pub(super) const MIN_BYTES: usize = 8;

#[derive(Default)]
pub(super) struct Needles(Vec<Vec<u8>>);

impl Needles {
    pub(super) fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() < MIN_BYTES {
            return;
        }
        self.push(secret.as_bytes().to_vec());
        // Three bytes are four characters: what a secret is in the middle of something longer depends
        // on how many bytes stand before it, and at its ends on what they are.
        for before in 0..3_usize {
            let bytes = [&vec![0; before], secret.as_bytes()].concat();
            let (first, whole) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
            for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                self.push(encoded.as_bytes()[first..whole].to_vec());
            }
        }
    }

    /// The value of a header, and what of it is secret without the word for its kind.
    pub(super) fn add_header(&mut self, value: &str) {
        self.add(value);
        let Some((scheme, rest)) = value.trim().split_once(' ') else { return };
        if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return;
        }
        self.add(rest);
        if let Ok(pair) = STANDARD.decode(rest.trim())
            && let Ok(pair) = String::from_utf8(pair)
        {
            self.add(&pair);
            self.add(pair.split_once(':').map_or("", |(_, password)| password));
        }
    }

    fn push(&mut self, needle: Vec<u8>) {
        if !self.0.contains(&needle) {
            self.0.push(needle);
        }
    }

    /// Where they are, whole, as they are or escaped. A beginning never counts: whoever can have us look
    /// at a text of his own would learn from it, letter by letter, whether his guess is right.
    pub(super) fn find_all(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for needle in &self.0 {
            found.extend(memmem::find_iter(text, needle).map(|at| at..at + needle.len()));
        }
        for read in ways_in(text) {
            for at in 0..text.len() {
                let ends = self.0.iter().filter_map(|needle| end_of(needle, &text[at..], read));
                found.extend(ends.map(|end| at..at + end));
            }
        }
        found
    }

    /// Bytes that the longest of them takes.
    pub(super) fn longest(&self) -> usize {
        self.0.iter().map(Vec::len).max().unwrap_or(0)
    }
}
