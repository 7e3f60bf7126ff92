//! A text within another, escaped as in URLs, as in JSON, or as in JSON within JSON.
//!
//! Where an escape begins depends on where reading begins: after a lone `%` the letters of a text look
//! like a part of an escape. So a text is read anew from wherever it may begin.

/// Reads what stands at the beginning of a text: a byte, and how many it takes. `None`: at its end.
type Read = fn(&[u8]) -> Option<(u8, usize)>;

/// Each way of escaping, and the byte without which none of its escapes is there.
const WAYS: [(u8, Read); 3] = [(b'%', percent), (b'\\', backslash), (b'\\', backslash_twice)];

/// The ways in which something in this text may be escaped.
pub(super) fn ways_in(text: &[u8]) -> impl Iterator<Item = Read> {
    WAYS.into_iter().filter(|(sign, _)| memchr::memchr(*sign, text).is_some()).map(|(_, read)| read)
}

/// Where `needle` ends in a text, if the text begins with it when it is read so.
pub(super) fn end_of(needle: &[u8], text: &[u8], read: Read) -> Option<usize> {
    let mut at = 0;
    for expected in needle {
        let (byte, length) = read(&text[at..])?;
        if byte != *expected {
            return None;
        }
        at += length;
    }
    Some(at)
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
