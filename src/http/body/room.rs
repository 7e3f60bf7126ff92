//! The room that the bodies of all requests may take together, and each key a share of.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;
use prometheus_client::metrics::gauge::Gauge;

use crate::domain::id::KeyId;

/// Room for bodies. Shared by all worker threads; cheap to clone.
#[derive(Clone)]
pub struct Room(Arc<Inner>);

struct Inner {
    /// Bytes of memory, of all keys and of one.
    all: usize,
    of_one_key: usize,
    taken: Mutex<Taken>,
    gauge: Gauge,
}

#[derive(Default)]
struct Taken {
    bytes: usize,
    /// As many entries as there are requests with bodies, at most.
    by_key: HashMap<KeyId, usize, RandomState>,
}

/// Why there is no room for a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Its key has all that one key may have.
    Key,
    /// All keys together have all there is.
    All,
}

impl Room {
    /// Room for `all` bytes, half of them for one key, but always for one body of `largest` bytes.
    pub fn new(all: usize, largest: usize, gauge: Gauge) -> Self {
        let of_one_key = (all / 2).max(largest).min(all);
        Self(Arc::new(Inner { all, of_one_key, taken: Mutex::default(), gauge }))
    }

    /// What a body of this key takes: nothing yet.
    pub fn enter(&self, key: &KeyId) -> Held {
        Held { room: self.clone(), key: key.clone(), bytes: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that a body takes until this is dropped.
pub struct Held {
    room: Room,
    key: KeyId,
    bytes: usize,
}

impl Held {
    /// Takes `bytes` in all, which are no fewer than before.
    ///
    /// Errors: [`Full`], after which nothing more is held than before.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let Inner { all, of_one_key, gauge, .. } = &*self.room.0;
        let more = bytes - self.bytes;
        if more == 0 {
            return Ok(());
        }
        let mut taken = self.room.taken();
        let of_key = taken.by_key.get(&self.key).copied().unwrap_or_default();
        if more > of_one_key.saturating_sub(of_key) {
            return Err(Full::Key);
        }
        if more > all.saturating_sub(taken.bytes) {
            return Err(Full::All);
        }
        taken.bytes += more;
        taken.by_key.insert(self.key.clone(), of_key + more);
        self.bytes = bytes;
        gauge.inc_by(i64::try_from(more).unwrap_or(i64::MAX));
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut taken = self.room.taken();
        taken.bytes -= self.bytes;
        if let Some(of_key) = taken.by_key.get_mut(&self.key) {
            *of_key -= self.bytes;
            if *of_key == 0 {
                taken.by_key.remove(&self.key);
            }
        }
        self.room.0.gauge.dec_by(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> KeyId {
        KeyId::from(format!("key {number}"))
    }

    fn room(all: usize, largest: usize) -> Room {
        Room::new(all, largest, Gauge::default())
    }

    #[test]
    fn one_key_has_half_of_the_room_and_others_the_rest() {
        let room = room(100, 10);
        let of = |number, bytes| {
            let mut held = room.enter(&key(number));
            held.grow(bytes).map(|()| held)
        };
        let first = of(1, 30).ok().unwrap();
        assert_eq!(of(1, 21).err(), Some(Full::Key));
        let (_second, _third) = (of(1, 20).ok().unwrap(), of(2, 50).ok().unwrap());
        assert_eq!(of(3, 1).err(), Some(Full::All));
        drop(first);
        assert_eq!(of(2, 1).err(), Some(Full::Key));
        assert!(of(3, 30).is_ok());
    }

    #[test]
    fn a_body_of_the_largest_size_has_room_in_any_room() {
        assert!(room(100, 100).enter(&key(1)).grow(100).is_ok());
        assert!(room(100, 70).enter(&key(1)).grow(70).is_ok());
        assert_eq!(room(100, 70).enter(&key(1)).grow(71), Err(Full::Key));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_what_is_held(
            steps in proptest::collection::vec((0_u8..3, 0_usize..40, any::<bool>()), 1..60),
        ) {
            let room = room(100, 10);
            let mut all: Vec<Held> = Vec::new();
            for (number, bytes, leaves) in steps {
                if leaves {
                    all.pop();
                } else {
                    let mut held = room.enter(&key(number));
                    let of_key: usize =
                        all.iter().filter(|it| it.key == held.key).map(|it| it.bytes).sum();
                    let taken: usize = all.iter().map(|it| it.bytes).sum();
                    let expected = match () {
                        () if of_key + bytes > 50 => Err(Full::Key),
                        () if taken + bytes > 100 => Err(Full::All),
                        () => Ok(()),
                    };
                    prop_assert_eq!(held.grow(bytes), expected);
                    all.push(held);
                }
                let taken: usize = all.iter().map(|it| it.bytes).sum();
                prop_assert_eq!(room.taken().bytes, taken);
                prop_assert_eq!(room.0.gauge.get(), i64::try_from(taken).unwrap());
            }
            all.clear();
            let taken = room.taken();
            prop_assert_eq!((taken.bytes, taken.by_key.len()), (0, 0));
        }
    }
}
