//! A text as it is, and as it was before it was escaped.

use std::{borrow::Cow, ops::Range};

/// A text, and where each of its bytes stands in the one it was made of.
pub(super) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where each byte begins there, and the end. Absent: there as here.
    starts: Option<Vec<usize>>,
}

impl View<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where a part of it stands in the text it was made of: on the borders of characters, if it is of
    /// whole ones.
    pub(super) fn source_of(&self, part: Range<usize>) -> Range<usize> {
        match &self.starts {
            None => part,
            Some(starts) => starts[part.start]..starts[part.end],
        }
    }
}

/// The views of a text: as it is, and where it differs, without the escapes of URLs, of JSON, and of
/// JSON within JSON.
pub(super) fn views(text: &[u8]) -> Vec<View<'_>> {
    let plain = View { bytes: Cow::Borrowed(text), starts: None };
    let mut views = Vec::new();
    if memchr::memchr(b'%', text).is_some() {
        views.push(without(&plain, percent));
    }
    if memchr::memchr(b'\\', text).is_some() {
        let once = without(&plain, backslash);
        if memchr::memchr(b'\\', &once.bytes).is_some() {
            views.push(without(&once, backslash));
        }
        views.push(once);
    }
    views.push(plain);
    views
}

/// Reads an escape at the beginning of a text: what it means, and how long it is.
type ReadEscape = fn(&[u8]) -> Option<(u8, usize)>;

fn without<'a>(of: &View<'_>, read: ReadEscape) -> View<'a> {
    let (mut bytes, mut starts) = (Vec::with_capacity(of.bytes.len()), Vec::new());
    let source = |at: usize| of.starts.as_ref().map_or(at, |starts| starts[at]);
    let mut at = 0;
    while at < of.bytes.len() {
        let (byte, length) = read(&of.bytes[at..]).unwrap_or((of.bytes[at], 1));
        bytes.push(byte);
        starts.push(source(at));
        at += length;
    }
    starts.push(source(at));
    View { bytes: Cow::Owned(bytes), starts: Some(starts) }
}

fn percent(text: &[u8]) -> Option<(u8, usize)> {
    let [b'%', high, low, ..] = text else { return None };
    Some((hex(&[*high, *low])?, 3))
}

/// No header has a character above ASCII.
fn backslash(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'\\', b'u', b'0', b'0', high, low, ..] => {
            Some((hex(&[*high, *low]).filter(u8::is_ascii)?, 6))
        }
        [b'\\', byte @ (b'"' | b'\\' | b'/'), ..] => Some((*byte, 2)),
        [b'\\', b't', ..] => Some((b'\t', 2)),
        _ => None,
    }
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    u8::from_str_radix(text, 16).ok()
}
