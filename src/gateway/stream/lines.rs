//! Framing of streams with a JSON value a line: bytes in, whole lines out, as [`sse`](super::sse)
//! does it for events.
//!
//! A line counts once its line feed has come: what a stream leaves unfinished is no event.
//!
//! Source: <https://github.com/ndjson/ndjson-spec> (read 2026-11).

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use super::sse::{Event, EventTooLong, take_held};

/// Cuts a stream of bytes into lines, wherever the bytes were cut before. Blank lines are passed over.
#[derive(Debug)]
pub struct Framer {
    /// The beginning of a line whose end has not arrived. It holds no line feed.
    held: BytesMut,
    limit: usize,
}

impl Framer {
    /// `limit`: longest line taken, in bytes.
    pub fn new(limit: usize) -> Self {
        Self { held: BytesMut::new(), limit }
    }

    /// Takes the next bytes of the stream and gives the lines they complete. Read them all: what
    /// was not read is lost.
    ///
    /// Bytes are copied only to put together a line that came in several pieces.
    pub fn feed(&mut self, input: Bytes) -> Frames<'_> {
        if self.held.is_empty() {
            return Frames { framer: self, buffer: input, at: 0, searched: 0 };
        }
        let searched = self.held.len();
        self.held.extend_from_slice(&input);
        if memchr(b'\n', &input).is_none() && self.held.len() <= self.limit {
            return Frames { framer: self, buffer: Bytes::new(), at: 0, searched: 0 };
        }
        let buffer = take_held(&mut self.held);
        Frames { framer: self, buffer, at: 0, searched }
    }

    /// Whether a line has begun to come that is not blank.
    pub fn is_within_line(&self) -> bool {
        !self.held.trim_ascii_start().is_empty()
    }
}

/// The lines that one piece of input completed.
#[derive(Debug)]
pub struct Frames<'f> {
    framer: &'f mut Framer,
    buffer: Bytes,
    at: usize,
    /// Up to here, the buffer is known to hold no line feed.
    searched: usize,
}

impl Frames<'_> {
    /// The bytes that positions of events refer to: the input, after what was held of a line.
    pub fn buffer(&self) -> &Bytes {
        &self.buffer
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Event, EventTooLong>;

    fn next(&mut self) -> Option<Self::Item> {
        let limit = self.framer.limit;
        loop {
            let from = self.at.max(self.searched);
            let end = memchr(b'\n', &self.buffer[from..]).map(|found| from + found + 1);
            let raw = self.at..end.unwrap_or(self.buffer.len());
            if raw.len() > limit {
                self.at = self.buffer.len();
                return Some(Err(EventTooLong { limit }));
            }
            self.at = raw.end;
            if end.is_none() {
                self.framer.held.extend_from_slice(&self.buffer[raw]);
                return None;
            }
            let line = &self.buffer[raw.clone()];
            let blanks = line.len() - line.trim_ascii_start().len();
            let data = raw.start + blanks..raw.start + blanks + line.trim_ascii().len();
            if !data.is_empty() {
                return Some(Ok(Event::within(raw, data)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Seen = Vec<Result<(Vec<u8>, Vec<u8>), EventTooLong>>;

    /// Data and raw bytes of each line, with the input fed in the given pieces.
    fn lines<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
        let mut stream = Framer::new(limit);
        let mut seen = Vec::new();
        for piece in pieces {
            let frames = stream.feed(Bytes::copy_from_slice(piece));
            let buffer = frames.buffer().clone();
            for line in frames {
                let is_error = line.is_err();
                seen.push(line.map(|e| (e.data(&buffer).to_vec(), buffer[e.raw].to_vec())));
                if is_error {
                    return seen;
                }
            }
        }
        seen
    }

    #[test]
    fn each_line_is_an_event_and_blank_or_unfinished_ones_are_none() {
        let seen = lines(100, [&b"{\"a\":1}\r\n\n \t\r\n  [2] \n3"[..]]);
        let seen: Vec<_> = seen.into_iter().map(Result::unwrap).collect();
        let expected = [("{\"a\":1}", "{\"a\":1}\r\n"), ("[2]", "  [2] \n")]
            .map(|(data, raw)| (data.as_bytes().to_vec(), raw.as_bytes().to_vec()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_memory_of_a_long_line_is_given_back() {
        let mut stream = Framer::new(16 << 20);
        let line = [&vec![b'7'; 8 << 20][..], b"\n{"].concat();
        let mut read = 0;
        for piece in line.chunks(100_000) {
            read += stream.feed(Bytes::copy_from_slice(piece)).map(Result::unwrap).count();
        }
        assert_eq!((read, &stream.held[..]), (1, &b"{"[..]));
        assert!(stream.held.capacity() <= 64 << 10, "{}", stream.held.capacity());
    }

    #[test]
    fn a_line_past_the_limit_is_an_error_after_those_before_it() {
        let input = b"fits\ndoes not fit\nfits\n";
        for pieces in [1, 3, input.len()] {
            let seen = lines(8, input.chunks(pieces));
            assert_eq!(seen.len(), 2, "in pieces of {pieces}");
            assert!(seen[0].is_ok());
            assert_eq!(seen[1], Err(EventTooLong { limit: 8 }));
        }
    }

    #[test]
    fn a_line_within_one_read_is_not_copied() {
        let input = Bytes::from_static(b"{}\n{}\n");
        let mut stream = Framer::new(100);
        assert_eq!(stream.feed(input.clone()).buffer().as_ptr(), input.as_ptr());
    }

    proptest! {
        #[test]
        fn however_the_input_is_cut_the_lines_are_the_same(
            input in "[ab \r\n\n]{0,60}", limit in 2_usize..20,
        ) {
            let input = input.as_bytes();
            let whole = lines(limit, [input]);
            prop_assert_eq!(&whole, &lines(limit, input.chunks(1)), "byte by byte");
            for at in 0..=input.len() {
                prop_assert_eq!(&whole, &lines(limit, [&input[..at], &input[at..]]), "at {}", at);
            }
        }
    }
}
