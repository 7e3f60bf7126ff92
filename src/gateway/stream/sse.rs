//! Framing of Server-Sent Events: bytes in, whole events out, with the exact bytes each came in.
//!
//! Written here because the crates for it decode into strings of their own and lose the original
//! bytes, which are what the relay forwards.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>, §9.2.5 and §9.2.6
//! (read 2026-11).

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use thiserror::Error;

/// Largest event taken by default, in bytes, its field names and line ends included. The last one of
/// Responses repeats the whole answer, and one of Gemini's may hold a picture.
pub const MAX_EVENT_BYTES: usize = 16 << 20;

/// What a framer keeps of its memory, in bytes, after an event that was larger.
pub(super) const KEPT_BYTES: usize = 64 << 10;

/// Takes what was held of an event that is complete, or too long.
pub(super) fn take_held(held: &mut BytesMut) -> Bytes {
    // What is split off shares its memory with what is left.
    let taken = if held.capacity() > KEPT_BYTES { std::mem::take(held) } else { held.split() };
    taken.freeze()
}

/// A comment: clients ignore it, and it keeps a connection from looking idle.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// An event does not end within the limit. What follows in the stream cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event is longer than {limit} bytes")]
pub struct EventTooLong {
    pub limit: usize,
}

/// One event, as positions in the buffer of the [`Frames`] that gave it.
#[derive(Debug)]
pub struct Event {
    /// Its bytes, from the first of its first line to the end of the empty line that closes it.
    pub raw: Range<usize>,
    data: Data,
}

impl Event {
    /// One whose data stands in one piece.
    pub(super) fn within(raw: Range<usize>, data: Range<usize>) -> Self {
        Self { raw, data: Data::Within(data) }
    }

    /// The event's data: the values of its `data` lines, joined by line feeds.
    pub fn data<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        match &self.data {
            Data::Within(range) => &buffer[range.clone()],
            Data::Joined(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
enum Data {
    Within(Range<usize>),
    Joined(Vec<u8>),
}

/// Cuts a stream of bytes into events, wherever the bytes were cut before.
///
/// A block without a `data` line (a comment, a lone `retry`) is not an event and is passed over. An
/// event that never ends is no event either.
#[derive(Debug)]
pub struct Framer {
    /// The beginning of an event whose end has not arrived.
    held: BytesMut,
    scan: Scan,
    limit: usize,
    /// Whether the stream may still begin with a byte order mark.
    is_fresh: bool,
    /// Whether a line feed at the start of the next event still belongs to the last one.
    skips_line_feed: bool,
}

impl Framer {
    /// `limit`: largest event taken, in bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            held: BytesMut::new(),
            scan: Scan::default(),
            limit,
            is_fresh: true,
            skips_line_feed: false,
        }
    }

    /// Takes the next bytes of the stream and gives the events they complete. Read them all: what
    /// was not read is lost.
    ///
    /// Bytes are copied only to put together an event that came in several pieces.
    pub fn feed(&mut self, input: Bytes) -> Frames<'_> {
        if self.held.is_empty() {
            return Frames { framer: self, buffer: input, at: 0, first: None };
        }
        self.held.extend_from_slice(&input);
        let first = if self.is_fresh { None } else { self.scan.run(&self.held) };
        if first.is_none() && !self.is_fresh && self.held.len() <= self.limit {
            return Frames { framer: self, buffer: Bytes::new(), at: 0, first: None };
        }
        let buffer = take_held(&mut self.held);
        Frames { framer: self, buffer, at: 0, first }
    }

    /// Whether an event has begun to come: no comment, and no empty line.
    pub fn is_within_event(&self) -> bool {
        self.held.trim_ascii_start().first().is_some_and(|first| *first != b':')
    }
}

/// The events that one piece of input completed.
#[derive(Debug)]
pub struct Frames<'f> {
    framer: &'f mut Framer,
    buffer: Bytes,
    at: usize,
    /// The end of the held event, found while it was being put together.
    first: Option<Block>,
}

impl Frames<'_> {
    /// The bytes that positions of events refer to: the input, after what was held of an event.
    pub fn buffer(&self) -> &Bytes {
        &self.buffer
    }

    /// Finds where the next event begins. `None`: more bytes are needed to tell.
    fn begin(&mut self) -> Option<()> {
        if self.framer.is_fresh {
            let rest = &self.buffer[self.at..];
            if rest.starts_with(BYTE_ORDER_MARK) {
                self.at += BYTE_ORDER_MARK.len();
            } else if BYTE_ORDER_MARK.starts_with(rest) {
                return None;
            }
            self.framer.is_fresh = false;
        }
        if self.framer.skips_line_feed && self.at < self.buffer.len() {
            self.framer.skips_line_feed = false;
            self.at += usize::from(self.buffer[self.at] == b'\n');
        }
        Some(())
    }

    fn next_block(&mut self) -> Option<Block> {
        if let Some(block) = self.first.take() {
            return Some(block);
        }
        self.begin()?;
        let rest = &self.buffer[self.at..];
        if rest.is_empty() { None } else { self.framer.scan.run(rest) }
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Event, EventTooLong>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let limit = self.framer.limit;
            let Some(block) = self.next_block() else {
                let rest = &self.buffer[self.at..];
                if rest.len() > limit {
                    self.at = self.buffer.len();
                    return Some(Err(EventTooLong { limit }));
                }
                self.framer.held.extend_from_slice(rest);
                self.at = self.buffer.len();
                return None;
            };
            let raw = self.at..self.at + block.end;
            if block.end > limit {
                self.at = self.buffer.len();
                return Some(Err(EventTooLong { limit }));
            }
            self.at = raw.end;
            self.framer.skips_line_feed = block.may_leave_line_feed;
            let data = match block.lines {
                DataLines::None => continue,
                DataLines::One(within) => {
                    Data::Within(raw.start + within.start..raw.start + within.end)
                }
                DataLines::Many => Data::Joined(join_data(&self.buffer[raw.clone()])),
            };
            return Some(Ok(Event { raw, data }));
        }
    }
}

#[derive(Debug, Clone, Default)]
enum DataLines {
    #[default]
    None,
    One(Range<usize>),
    Many,
}

/// Lines closed by an empty one. Positions count from its first byte.
#[derive(Debug)]
struct Block {
    end: usize,
    lines: DataLines,
    may_leave_line_feed: bool,
}

/// How far the block that is arriving has been read. Positions count from its first byte, so that
/// nothing is read twice, however finely the input is cut.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    line_start: usize,
    lines: DataLines,
    /// Whether the line before ended in a lone carriage return.
    after_lone_return: bool,
}

impl Scan {
    /// Reads on in `bytes`, which begin with the block. `None`: its end is not there yet.
    fn run(&mut self, bytes: &[u8]) -> Option<Block> {
        loop {
            let Some(found) = memchr2(b'\n', b'\r', &bytes[self.at..]) else {
                self.at = bytes.len();
                return None;
            };
            let line_end = self.at + found;
            let is_empty = line_end == self.line_start;
            // In a stream of lone carriage returns the empty line is complete with its return:
            // waiting for a line feed would hold the event back until the next one. In any other,
            // the line feed is on its way and belongs to the event's bytes.
            let is_lone = is_empty && self.after_lone_return;
            let next = match (bytes[line_end], bytes.get(line_end + 1)) {
                (b'\r', None) if !is_lone => {
                    self.at = line_end;
                    return None;
                }
                (b'\r', Some(b'\n')) if !is_lone => line_end + 2,
                _ => line_end + 1,
            };
            let ended_in_lone_return = bytes[next - 1] == b'\r';
            if is_empty {
                let lines = std::mem::take(&mut self.lines);
                *self = Self { after_lone_return: ended_in_lone_return, ..Self::default() };
                return Some(Block { end: next, lines, may_leave_line_feed: ended_in_lone_return });
            }
            if let Some(value) = data_value(&bytes[self.line_start..line_end]) {
                self.lines = match self.lines {
                    DataLines::None => DataLines::One(self.line_start + value..line_end),
                    DataLines::One(_) | DataLines::Many => DataLines::Many,
                };
            }
            self.after_lone_return = ended_in_lone_return;
            self.line_start = next;
            self.at = next;
        }
    }
}

/// Where the value begins in a `data` line; `None` for any other line.
///
/// No name of a field holds the beginning of a JSON object: some servers forget the name or write it in
/// their own way, others write something before it. What such a line says is not to be passed over.
fn data_value(line: &[u8]) -> Option<usize> {
    match line.strip_prefix(b"data") {
        Some([]) => Some(4),
        Some([b':', b' ', ..]) => Some(6),
        Some([b':', ..]) => Some(5),
        _ => (!is_other_field(line) && line.contains(&b'{')).then_some(0),
    }
}

/// Whether a line is a comment, or a field without data.
fn is_other_field(line: &[u8]) -> bool {
    let is_named = |name: &[u8]| matches!(line.strip_prefix(name), Some([] | [b':', ..]));
    [&b""[..], b"event", b"id", b"retry"].into_iter().any(is_named)
}

fn join_data(block: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(block.len());
    // A carriage return and its line feed leave an empty line between them, which holds no data.
    for line in block.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if let Some(value) = data_value(line) {
            joined.extend_from_slice(&line[value..]);
            joined.push(b'\n');
        }
    }
    joined.pop();
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Seen = Vec<Result<(Vec<u8>, Vec<u8>), EventTooLong>>;

    /// Data and raw bytes of each event, with the input fed in the given pieces.
    fn events<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
        let mut stream = Framer::new(limit);
        let mut seen = Vec::new();
        for piece in pieces {
            let frames = stream.feed(Bytes::copy_from_slice(piece));
            let buffer = frames.buffer().clone();
            for event in frames {
                match event {
                    Ok(e) => seen.push(Ok((e.data(&buffer).to_vec(), buffer[e.raw].to_vec()))),
                    Err(error) => {
                        seen.push(Err(error));
                        return seen;
                    }
                }
            }
        }
        seen
    }

    fn data(input: &[u8]) -> Vec<String> {
        events(MAX_EVENT_BYTES, [input])
            .into_iter()
            .map(|event| String::from_utf8(event.unwrap().0).unwrap())
            .collect()
    }

    /// The specification's own words, line by line, with no thought of speed. Beside them only what holds an
    /// object and is no field.
    fn data_by_the_book(input: &[u8]) -> Vec<Vec<u8>> {
        let input = input.strip_prefix(BYTE_ORDER_MARK).unwrap_or(input);
        let mut events = Vec::new();
        let mut buffer: Vec<u8> = Vec::new();
        let mut line: Vec<u8> = Vec::new();
        let mut bytes = input.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if byte != b'\r' && byte != b'\n' {
                line.push(byte);
                continue;
            }
            if byte == b'\r' {
                match bytes.peek() {
                    Some(b'\n') => drop(bytes.next()),
                    Some(_) => (),
                    // The framer waits for the byte that tells whether the line end is complete.
                    None => break,
                }
            }
            let text = std::mem::take(&mut line);
            if text.is_empty() {
                if buffer.pop().is_some() {
                    events.push(std::mem::take(&mut buffer));
                }
                continue;
            }
            let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            let value = text.get(colon + 1..).unwrap_or_default();
            let is_known = matches!(&text[..colon], b"" | b"data" | b"event" | b"id" | b"retry");
            if !is_known && text.contains(&b'{') {
                buffer.extend_from_slice(&text);
                buffer.push(b'\n');
            } else if &text[..colon] == b"data" {
                buffer.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
                buffer.push(b'\n');
            }
        }
        events
    }

    #[test]
    fn all_three_line_ends_work_and_may_be_mixed() {
        assert_eq!(
            data(b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\r\n"),
            ["a", "b", "c", "d"]
        );
    }

    #[test]
    fn the_examples_of_the_specification_give_its_results() {
        assert_eq!(data(b"data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        assert_eq!(
            data(b": test stream\n\ndata: first event\nid: 1\n\ndata:second\nid\n\n"),
            ["first event", "second"]
        );
        assert_eq!(data(b"data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
        assert_eq!(data(b"data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn an_object_outside_of_a_known_field_is_data() {
        assert_eq!(data(b"{\"a\":1}\n\nevent: x\n{}\n\n"), ["{\"a\":1}", "{}"]);
        for line in [
            " data: {}",
            "DATA: {}",
            "data : {}",
            "data={}",
            "\u{feff}data: {}",
            "Internal Server Errordata: {}",
            "events: {}",
        ] {
            assert_eq!(data(format!("data: 1\n\n{line}\n\n").as_bytes()), ["1", line]);
        }
        assert!(data(b": {}\nevent: {}\nid:{}\nretry: {}\nid\n\ndatum: x\n\n").is_empty());
    }

    #[test]
    fn comments_other_fields_and_an_unfinished_event_are_no_events() {
        let input =
            b"\xEF\xBB\xBF: hi\n\nretry: 3\n\nevent: x\ndatum: y\n\n\n\ndata: z\n\ndata: cut\n";
        assert_eq!(data(input), ["z"]);
    }

    #[test]
    fn raw_bytes_are_exact() {
        let input = b": hi\n\nevent: m\r\ndata: a\r\n\r\ndata: b\n\n";
        let raw: Vec<_> =
            events(MAX_EVENT_BYTES, [&input[..]]).into_iter().map(|e| e.unwrap().1).collect();
        assert_eq!(raw, [&b"event: m\r\ndata: a\r\n\r\n"[..], b"data: b\n\n"]);
    }

    #[test]
    fn an_event_of_lone_carriage_returns_does_not_wait_for_the_next() {
        assert_eq!(events(MAX_EVENT_BYTES, [&b"data: a\r\r"[..]]).len(), 1);
    }

    #[test]
    fn an_event_within_one_read_is_not_copied() {
        let input = Bytes::from_static(b"data: a\n\ndata: b\n\n");
        let mut stream = Framer::new(MAX_EVENT_BYTES);
        let mut frames = stream.feed(input.clone());
        let buffer = frames.buffer().clone();
        assert_eq!(buffer.as_ptr(), input.as_ptr());
        assert!(matches!(frames.next(), Some(Ok(Event { data: Data::Within(_), .. }))));
    }

    #[test]
    fn the_memory_of_a_large_event_is_given_back() {
        let mut stream = Framer::new(MAX_EVENT_BYTES);
        let event = [b"data: ", &vec![b'x'; 8 << 20][..], b"\n\nda"].concat();
        let mut read = 0;
        for piece in event.chunks(100_000) {
            read += stream.feed(Bytes::copy_from_slice(piece)).map(Result::unwrap).count();
        }
        assert_eq!((read, &stream.held[..]), (1, &b"da"[..]));
        assert!(stream.held.capacity() <= KEPT_BYTES, "{}", stream.held.capacity());
        stream.feed(Bytes::from_static(b"ta: y\n\n")).for_each(|event| assert!(event.is_ok()));
        assert!(stream.held.capacity() <= KEPT_BYTES, "{}", stream.held.capacity());
    }

    #[test]
    fn an_event_past_the_limit_is_an_error_after_those_before_it() {
        let input = b"data: fits\n\ndata: does not fit\n\n";
        for pieces in [1, 3, input.len()] {
            let seen = events(12, input.chunks(pieces));
            assert_eq!(seen.len(), 2, "in pieces of {pieces}");
            assert!(seen[0].is_ok());
            assert_eq!(seen[1], Err(EventTooLong { limit: 12 }));
        }
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("data: {}"),
            Just("data:x"),
            Just("data"),
            Just("data: "),
            Just(": c"),
            Just("event: e"),
            Just("datax: 1"),
            Just("{"),
            Just("\n"),
            Just("\r\n"),
            Just("\r"),
            Just("\n\n"),
            Just("\r\n\r\n"),
            Just("\r\r"),
            Just("é"),
            Just("\u{feff}"),
            Just(":"),
            Just(" "),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn however_the_input_is_cut_the_events_are_the_same(
            input in stream(), cuts in prop::collection::vec(0_usize..200, 0..8), limit in 8_usize..60,
        ) {
            let whole = events(limit, [&input[..]]);
            prop_assert_eq!(&whole, &events(limit, input.chunks(1)), "byte by byte");
            for at in 0..=input.len() {
                prop_assert_eq!(&whole, &events(limit, [&input[..at], &input[at..]]), "at {}", at);
            }
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(&input[start..cut]);
                start = cut;
            }
            pieces.push(&input[start..]);
            prop_assert_eq!(&whole, &events(limit, pieces));
        }

        #[test]
        fn the_data_is_what_the_specification_says(input in stream()) {
            // A last lone return that closes an event is taken at once, see above: not compared.
            let input = [&input[..], b"\n"].concat();
            let seen: Vec<_> = events(MAX_EVENT_BYTES, [&input[..]])
                .into_iter().map(|event| event.unwrap().0).collect();
            prop_assert_eq!(seen, data_by_the_book(&input));
        }
    }
}
