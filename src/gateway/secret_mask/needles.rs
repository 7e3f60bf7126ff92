//! What is looked for: secrets, and what they are in base64.

use std::ops::Range;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use memchr::memmem;
use secrecy::ExposeSecret;

use super::{
    escapes::{Escape, WAYS, Way},
    index::{Index, Position},
    sought::Sought,
};
use crate::domain::provider::SecretHeader;

pub(super) struct Needles {
    sought: Sought,
    texts: Vec<Vec<u8>>,
}

/// Where a needle may stand that has an escape in it: its first one, and what that may be of which needle.
type Candidate = (Escape, Position);

impl Needles {
    pub(super) fn new(sought: Sought) -> Self {
        Self { sought, texts: Vec::new() }
    }

    pub(super) fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if !self.sought.includes(secret) {
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
    pub(super) fn add_header(&mut self, header: &SecretHeader) {
        if !self.sought.includes_header(header) {
            return;
        }
        let value = header.value.expose_secret();
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
        if !self.texts.contains(&needle) {
            self.texts.push(needle);
        }
    }

    /// Where they are, whole, as they are or escaped. A beginning never counts: whoever can have us look
    /// at a text of his own would learn from it, letter by letter, whether his guess is right.
    pub(super) fn find_all(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for needle in &self.texts {
            found.extend(memmem::find_iter(text, needle).map(|at| at..at + needle.len()));
        }
        let mut index = None;
        for way in WAYS {
            found.extend(self.candidates(way, text, &mut index).filter_map(
                |(escape, position)| {
                    way.find_at(escape, text, &self.texts[position.needle], position.before)
                },
            ));
        }
        found
    }

    /// Where they may stand escaped. As many as the text has escapes, but for a small factor, whatever
    /// else it has: each is compared, byte by byte. `index`: made for the first of them, as most texts
    /// have none.
    fn candidates<'a>(
        &'a self,
        way: Way,
        text: &'a [u8],
        index: &'a mut Option<Index>,
    ) -> impl Iterator<Item = Candidate> + use<'a> {
        let mut escapes = way.escapes(text).peekable();
        let index = escapes.peek().map(|_| &*index.get_or_insert_with(|| Index::new(&self.texts)));
        escapes.flat_map(move |escape| {
            let previous = escape.at.checked_sub(1).map(|at| text[at]);
            let positions =
                index.into_iter().flat_map(move |it| it.positions(previous, escape.byte));
            positions.map(move |position| (escape, position))
        })
    }

    /// Bytes that the longest of them takes.
    pub(super) fn longest(&self) -> usize {
        self.texts.iter().map(Vec::len).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-attack-SECRETKEY-0123456789";

    fn needles() -> Needles {
        let mut needles = Needles::new(Sought::Any);
        needles.add(KEY);
        needles.add(&format!("Bearer {KEY}"));
        needles.add("hdr-SECRETVALUE-987654321");
        needles
    }

    /// Comparisons byte by byte that a text needs.
    fn comparisons(needles: &Needles, text: &str) -> usize {
        WAYS.map(|way| needles.candidates(way, text.as_bytes(), &mut None).count()).iter().sum()
    }

    #[test]
    fn a_text_without_escapes_is_not_compared_whatever_else_it_says() {
        let needles = needles();
        for piece in ["sk-attac", "iVBORw0KGgoAAAANSUhEUgAA", "A", &KEY[..KEY.len() - 1]] {
            let text = format!("\\n% {}", piece.repeat(10_000));
            assert_eq!(comparisons(&needles, &text), 0, "{piece}");
        }
    }

    #[test]
    fn comparisons_grow_no_faster_than_a_text() {
        let needles = needles();
        let beginning = &KEY[..KEY.len() - 2];
        for piece in [
            "%",
            "\\",
            "%73",
            "\\u0073",
            "\\\\u0073",
            "\\/",
            "%41\\u0041",
            "s%6B-attac",
            "sk-attac\\u006b",
            "%73%6b%2d%61%74%74%61%63",
            &format!("{beginning}%38"),
        ] {
            let [once, twice] = [1_000, 2_000].map(|times| piece.repeat(times));
            let compared = comparisons(&needles, &twice);
            assert!(compared <= twice.len(), "{piece}: {compared}");
            assert!(compared <= 2 * comparisons(&needles, &once) + 100, "{piece}: {compared}");
            assert!(needles.find_all(twice.as_bytes()).is_empty(), "{piece}");
        }
    }

    /// A secret whose bytes are all alike may begin anywhere.
    #[test]
    fn a_long_secret_costs_no_more_at_each_place_than_it_is_long() {
        let mut needles = Needles::new(Sought::Any);
        needles.add(&"a".repeat(200));
        let text = "a%61".repeat(500);
        let compared = comparisons(&needles, &text);
        assert!(compared <= text.len() * 200, "{compared}");
    }
}
