//! Turns of the event loop for which the pieces of a stream wait, so that several are written at once.

/// Whether a piece waits for one turn of the event loop before it is sent. The task that reads the socket
/// hands on one piece at a time: with a turn it hands on the next one, if that has come, and both are sent
/// with one write. A turn that brings nothing costs a fifth of what the piece costs, so turns are taken
/// where they lately brought something, and tried again now and then.
#[derive(Debug)]
pub(super) struct Turns {
    is_waiting: bool,
    /// How many turns may still bring nothing before no more are taken.
    patience: u8,
    /// Pieces sent at once since the last turn.
    sent_at_once: u8,
}

impl Default for Turns {
    fn default() -> Self {
        Self { is_waiting: false, patience: 1, sent_at_once: 0 }
    }
}

impl Turns {
    /// After a turn brought something.
    const PATIENCE: u8 = 3;
    /// Without turns, then one is tried.
    const AT_ONCE: u8 = 16;

    /// Another piece has come.
    pub fn brought_more(&mut self) {
        if self.is_waiting {
            *self = Self { patience: Self::PATIENCE, ..Self::default() };
        }
    }

    /// Whether what is at hand is sent one turn later.
    pub fn wait_another(&mut self) -> bool {
        if self.is_waiting {
            *self = Self { patience: self.patience - 1, ..Self::default() };
        } else if self.patience > 0 {
            self.is_waiting = true;
        } else {
            self.sent_at_once += 1;
            if self.sent_at_once == Self::AT_ONCE {
                *self = Self::default();
            }
        }
        self.is_waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many turns are taken for so many pieces of which each turn brings another, or none does.
    fn turns_for(turns: &mut Turns, pieces: usize, brings: bool) -> usize {
        let mut taken = 0;
        for _ in 0..pieces {
            while turns.wait_another() {
                taken += 1;
                if brings {
                    turns.brought_more();
                    break;
                }
            }
        }
        taken
    }

    #[test]
    fn turns_are_taken_where_they_bring_something() {
        let mut turns = Turns::default();
        assert_eq!(turns_for(&mut turns, 10, true), 10);
        // Three more bring nothing, then one in seventeen pieces is tried.
        assert_eq!(turns_for(&mut turns, 3, false), 3);
        assert_eq!(turns_for(&mut turns, 170, false), 10);
        // Where they bring something again, that shows within as many pieces.
        assert!(turns_for(&mut turns, 20, true) > 3);
    }
}
