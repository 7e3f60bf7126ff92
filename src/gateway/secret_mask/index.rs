//! Where in the needles a byte stands, by it and the byte before it.
//!
//! A needle that stands escaped in a text has a first escape in it, and stands as it is before that. So of
//! all its bytes only those need to be tried that the escape stands for, after the byte before it.

/// Bytes are told apart by their low bits: enough for those that are common in secrets. Whoever asks
/// compares the rest.
const BITS: u32 = 6;
const OF_ONE: usize = 1 << BITS;
/// One for each two bytes, and one for each byte that begins a needle.
const BUCKETS: usize = OF_ONE * OF_ONE + OF_ONE;

/// A byte of a needle.
#[derive(Clone, Copy, Default)]
pub(super) struct Position {
    pub needle: usize,
    /// Bytes of the needle that stand before it.
    pub before: usize,
}

pub(super) struct Index {
    /// Where in `positions` each bucket begins, and where the last one ends.
    begins: Vec<usize>,
    positions: Vec<Position>,
}

impl Index {
    pub(super) fn new(needles: &[Vec<u8>]) -> Self {
        let all = || needles.iter().enumerate().flat_map(|(n, needle)| of_one(n, needle));
        let mut begins = vec![0; BUCKETS + 1];
        for (bucket, _) in all() {
            begins[bucket + 1] += 1;
        }
        for bucket in 0..BUCKETS {
            begins[bucket + 1] += begins[bucket];
        }
        let mut next = begins.clone();
        let mut positions = vec![Position::default(); begins[BUCKETS]];
        for (bucket, position) in all() {
            positions[next[bucket]] = position;
            next[bucket] += 1;
        }
        Self { begins, positions }
    }

    /// Where a byte may stand that comes after `previous` in a text.
    pub(super) fn positions(
        &self,
        previous: Option<u8>,
        byte: u8,
    ) -> impl Iterator<Item = Position> + use<'_> {
        let of = |bucket: usize| &self.positions[self.begins[bucket]..self.begins[bucket + 1]];
        let first = of(bucket(None, byte));
        let later = previous.map_or(&[][..], |previous| of(bucket(Some(previous), byte)));
        first.iter().chain(later).copied()
    }
}

fn of_one(needle: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, Position)> {
    bytes.iter().enumerate().map(move |(before, byte)| {
        let previous = before.checked_sub(1).map(|at| bytes[at]);
        (bucket(previous, *byte), Position { needle, before })
    })
}

fn bucket(previous: Option<u8>, byte: u8) -> usize {
    let low = |byte: u8| usize::from(byte) % OF_ONE;
    previous.map_or(OF_ONE, low) * OF_ONE + low(byte)
}
