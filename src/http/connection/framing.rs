//! How much of a body in chunks is read at once. Taking chunks apart costs by the chunk, not by the
//! byte: a connection whose chunks are tiny would keep its thread from all others, each time that it is
//! looked after, for a hundred times as long as one that sends the same in one piece.

use memchr::memchr_iter;

/// The least that is read at once, in bytes, and by how much more each time that the chunks are not tiny.
const STEP: usize = 1024;

/// What is read at once of a body that has just begun, and the most.
const FIRST: usize = 4 * STEP;
const MOST: usize = 32 * STEP;

/// With more ends of lines than these at once, chunks are tiny. Each chunk has two.
const MANY_ENDS: usize = 128;

/// A body that nobody wants is not thrown away to its end when so much of it has come, in bytes, and an
/// end of a line has come at least as often as this. Texts in chunks of a sensible size have fewer.
const WASTE: u64 = 128 * 1024;
const BYTES_PER_END: u64 = 8;

/// The framing of the body that comes over a connection.
#[derive(Debug)]
pub struct Framing {
    in_chunks: bool,
    at_once: usize,
    /// In this turn of the connection.
    ends_this_turn: usize,
    /// Of the body as it came, if in chunks.
    bytes: u64,
    ends: u64,
}

impl Framing {
    pub fn of_body(in_chunks: bool) -> Self {
        Self { in_chunks, at_once: FIRST, ends_this_turn: 0, bytes: 0, ends: 0 }
    }

    /// Most bytes that may be read in one turn.
    pub fn at_once(&self) -> usize {
        if self.in_chunks { self.at_once } else { usize::MAX }
    }

    /// A turn is over in which something was read.
    pub fn turn_ended(&mut self) {
        let tiny = std::mem::take(&mut self.ends_this_turn) > MANY_ENDS;
        self.at_once = if tiny { STEP } else { MOST.min(self.at_once + STEP) };
    }

    pub fn received(&mut self, bytes: &[u8]) {
        if self.in_chunks {
            let ends = memchr_iter(b'\r', bytes).count();
            self.ends_this_turn += ends;
            self.bytes += bytes.len() as u64;
            self.ends += ends as u64;
        }
    }

    /// Of a body in chunks, as it came.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is hardly anything in the chunks that came.
    pub fn is_waste(&self) -> bool {
        self.bytes > WASTE && self.ends > self.bytes / BYTES_PER_END
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that are read in each of so many turns of a body whose chunks have this size.
    fn turns(chunk: usize, count: usize) -> (Vec<usize>, Framing) {
        let body = format!("{chunk:x}\r\n{}\r\n", "x".repeat(chunk)).into_bytes();
        let mut stream = body.iter().copied().cycle();
        let mut framing = Framing::of_body(true);
        let turns = (0..count).map(|_| {
            let read: Vec<u8> = stream.by_ref().take(framing.at_once()).collect();
            framing.received(&read);
            framing.turn_ended();
            read.len()
        });
        (turns.collect(), framing)
    }

    #[test]
    fn tiny_chunks_are_read_in_small_parts_and_large_ones_as_they_come() {
        for chunk in [1, 2, 3, 5, 8] {
            let (turns, framing) = turns(chunk, 200);
            assert_eq!(turns[0], FIRST);
            assert!(turns[1..].iter().all(|read| *read <= 2 * STEP), "{chunk}: {turns:?}");
            assert!(framing.is_waste(), "{chunk}");
        }
        for chunk in [1000, 16_384, 1 << 20] {
            let (turns, framing) = turns(chunk, 200);
            assert_eq!(turns[100], MOST, "{chunk}");
            assert!(!framing.is_waste(), "{chunk}");
        }
    }

    #[test]
    fn what_comes_in_no_chunks_is_read_as_it_comes() {
        let mut framing = Framing::of_body(false);
        framing.received(&vec![b'\r'; 200_000]);
        framing.turn_ended();
        assert_eq!((framing.at_once(), framing.is_waste()), (usize::MAX, false));
    }

    #[test]
    fn a_few_large_chunks_buy_no_more_than_a_few_turns_of_tiny_ones() {
        let mut framing = Framing::of_body(true);
        let mut dense = 0;
        for _ in 0..1000 {
            // As much as possible in one chunk, and tiny ones only when most of them are taken.
            let most = framing.at_once();
            let read = if most == MOST { b'\r' } else { b'x' };
            dense += usize::from(read == b'\r');
            framing.received(&vec![read; most]);
            framing.turn_ended();
        }
        assert!(dense <= 1000 * STEP / MOST, "{dense} of 1000");
    }
}
