//! A text within another, escaped as in URLs, as in JSON, or as in JSON within JSON.
//!
//! Where an escape begins depends on where reading begins: after a lone `%` the letters of a text look
//! like a part of an escape. So a text is read anew from wherever an escape may begin.

use std::ops::Range;

/// Reads what stands at the beginning of a text: a byte, and how many it takes. `None`: at its end.
type Read = fn(&[u8]) -> Option<(u8, usize)>;

/// A way of escaping.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// What each of its escapes begins with.
    sign: u8,
    read: Read,
}

pub(super) const IN_JSON: Way = Way { sign: b'\\', read: backslash };

pub(super) const WAYS: [Way; 3] =
    [Way { sign: b'%', read: percent }, IN_JSON, Way { sign: b'\\', read: backslash_twice }];

/// An escaped byte in a text.
#[derive(Clone, Copy)]
pub(super) struct Escape {
    pub at: usize,
    /// What it stands for.
    pub byte: u8,
    length: usize,
}

impl Way {
    /// What may be an escape in a text.
    pub(super) fn escapes(self, text: &[u8]) -> impl Iterator<Item = Escape> + use<'_> {
        memchr::memchr_iter(self.sign, text).filter_map(move |at| {
            let (byte, length) = (self.read)(&text[at..])?;
            (length > 1).then_some(Escape { at, byte, length })
        })
    }

    /// Where a needle stands in a text whose first escaped byte is this one, after `before` others.
    pub(super) fn find_at(
        self,
        escape: Escape,
        text: &[u8],
        needle: &[u8],
        before: usize,
    ) -> Option<Range<usize>> {
        if needle[before] != escape.byte || !text[..escape.at].ends_with(&needle[..before]) {
            return None;
        }
        let rest = escape.at + escape.length;
        let end = rest + self.end_of(&needle[before + 1..], &text[rest..])?;
        Some(escape.at - before..end)
    }

    /// Whether a needle stands in a text with at least one of its bytes escaped.
    pub(super) fn has(self, text: &[u8], needle: &[u8]) -> bool {
        self.escapes(text).any(|escape| {
            memchr::memchr_iter(escape.byte, needle)
                .any(|before| self.find_at(escape, text, needle, before).is_some())
        })
    }

    /// Where a needle ends in a text, if the text begins with it when it is read so.
    fn end_of(self, needle: &[u8], text: &[u8]) -> Option<usize> {
        let mut at = 0;
        for expected in needle {
            let (byte, length) = (self.read)(&text[at..])?;
            if byte != *expected {
                return None;
            }
            at += length;
        }
        Some(at)
    }
}

fn plain(text: &[u8]) -> Option<(u8, usize)> {
    text.first().map(|byte| (*byte, 1))
}

fn percent(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', high, low, ..] => hex([*high, *low]).map(|byte| (byte, 3)),
        _ => None,
    }
    .or_else(|| plain(text))
}

fn backslash(text: &[u8]) -> Option<(u8, usize)> {
    unescaped(text, plain)
}

fn backslash_twice(text: &[u8]) -> Option<(u8, usize)> {
    unescaped(text, backslash)
}

/// One byte of what stands in JSON, each of whose bytes is read with `read`. No header has a character
/// above ASCII.
fn unescaped(text: &[u8], read: Read) -> Option<(u8, usize)> {
    let (first, length) = read(text)?;
    let mut at = length;
    let mut next = || {
        let (byte, length) = read(&text[at..])?;
        at += length;
        Some(byte)
    };
    let meant = match (first, if first == b'\\' { next() } else { None }) {
        (_, Some(byte @ (b'"' | b'\\' | b'/'))) => Some(byte),
        (_, Some(b't')) => Some(b'\t'),
        (_, Some(b'u')) if next() == Some(b'0') && next() == Some(b'0') => {
            next().zip(next()).and_then(|(high, low)| hex([high, low])).filter(u8::is_ascii)
        }
        _ => None,
    };
    Some(meant.map_or((first, length), |byte| (byte, at)))
}

fn hex(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}
