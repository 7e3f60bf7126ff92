//! Framing of JSON lines: bytes in, whole lines out.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memrchr};

use super::sse::EventTooLong;

/// Cuts a stream of bytes into lines, wherever the bytes were cut before.
#[derive(Debug)]
pub struct LineFramer {
    /// The beginning of a line whose end has not arrived.
    held: BytesMut,
    limit: usize,
}

impl LineFramer {
    /// `limit`: longest line taken, in bytes.
    pub fn new(limit: usize) -> Self {
        Self { held: BytesMut::new(), limit }
    }

    /// Takes the next bytes and gives the lines they complete, line ends included. A line is copied
    /// only when it came in several pieces.
    ///
    /// Errors: [`EventTooLong`]; nothing that follows can be trusted.
    pub fn feed(&mut self, input: &Bytes) -> Result<Vec<Bytes>, EventTooLong> {
        let Some(last) = memrchr(b'\n', input) else {
            self.held.extend_from_slice(input);
            return if self.held.len() > self.limit {
                Err(self.too_long())
            } else {
                Ok(Vec::new())
            };
        };
        let rest = input.slice(last + 1..);
        let mut whole = input.slice(..=last);
        let mut lines = Vec::new();
        if !self.held.is_empty() {
            let end = memchr(b'\n', &whole).expect("its last byte is a line end");
            self.held.extend_from_slice(&whole.split_to(end + 1));
            lines.push(self.held.split().freeze());
        }
        while let Some(end) = memchr(b'\n', &whole) {
            lines.push(whole.split_to(end + 1));
        }
        self.held.extend_from_slice(&rest);
        if self.held.len() > self.limit || lines.iter().any(|line| line.len() > self.limit) {
            return Err(self.too_long());
        }
        Ok(lines)
    }

    /// The last line, when the stream ends without a line end.
    pub fn finish(&mut self) -> Option<Bytes> {
        let last = self.held.split().freeze();
        (!last.trim_ascii().is_empty()).then_some(last)
    }

    fn too_long(&self) -> EventTooLong {
        EventTooLong { limit: self.limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"{\"a\":1}\n\n{\"b\":\"\xc3\xa9\"}\r\n{\"c\":3}";

    fn lines(size: usize) -> Vec<Bytes> {
        let mut framer = LineFramer::new(100);
        let mut all = Vec::new();
        for piece in TEXT.chunks(size) {
            all.extend(framer.feed(&Bytes::copy_from_slice(piece)).unwrap());
        }
        all.extend(framer.finish());
        assert_eq!(framer.finish(), None);
        all
    }

    #[test]
    fn lines_are_the_same_wherever_the_bytes_were_cut() {
        let whole = lines(TEXT.len());
        assert_eq!(whole.concat(), TEXT);
        assert_eq!(whole.len(), 4);
        for size in 1..TEXT.len() {
            assert_eq!(lines(size), whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_line_that_does_not_end_is_given_up() {
        let mut framer = LineFramer::new(8);
        assert_eq!(framer.feed(&Bytes::from_static(b"12345678")), Ok(vec![]));
        assert_eq!(framer.feed(&Bytes::from_static(b"9")), Err(EventTooLong { limit: 8 }));
        let mut framer = LineFramer::new(8);
        assert!(framer.feed(&Bytes::from_static(b"123456789\n")).is_err());
    }
}
