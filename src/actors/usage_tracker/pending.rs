//! Entries on their way from the journal to the database, and the files they came from.

use std::{collections::VecDeque, path::PathBuf};

use crate::domain::usage::UsageEntry;

/// Most entries brought into the database at once.
pub const MAX_BATCH: usize = 1_000;

/// What is not in the database yet. Bounded: past the limit an entry is left to the journal.
#[derive(Debug)]
pub struct Pending {
    entries: VecDeque<Waiting>,
    limit: usize,
    /// How many of them the journal does not hold: as many again as `limit` says, at most.
    unjournaled: usize,
    /// How many entries have ever been taken in, and how many of them are done with.
    taken_in: u64,
    done: u64,
    /// Files that may go once `done` reaches the number.
    files: VecDeque<(u64, PathBuf)>,
    /// How many entries were ever left to the journal, and how many of them have been brought in
    /// from there. No file may go before all have.
    overflowed: u64,
    caught_up: u64,
}

#[derive(Debug)]
struct Waiting {
    entry: UsageEntry,
    is_journaled: bool,
}

impl Pending {
    pub fn new(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            limit,
            unjournaled: 0,
            taken_in: 0,
            done: 0,
            files: VecDeque::new(),
            overflowed: 0,
            caught_up: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries have ever been taken in.
    pub fn taken_in(&self) -> u64 {
        self.taken_in
    }

    /// How many of those taken in are in the database.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// How many entries were ever left to the journal for want of room.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Whether there is room again, and something in the journal that was left there for want of it.
    pub fn needs_journal(&self) -> bool {
        self.entries.is_empty() && self.overflowed > self.caught_up
    }

    /// Takes note that what was left to the journal until [`Self::overflowed`] was `overflowed` is in
    /// the database.
    pub fn caught_up(&mut self, overflowed: u64) {
        self.caught_up = self.caught_up.max(overflowed);
    }

    /// Takes an entry in. `false`: there is no room, and the journal keeps it.
    pub fn push(&mut self, entry: UsageEntry) -> bool {
        if self.entries.len() - self.unjournaled >= self.limit {
            self.overflowed += 1;
            return false;
        }
        self.taken_in += 1;
        self.entries.push_back(Waiting { entry, is_journaled: true });
        true
    }

    /// Takes in an entry that the journal does not hold. `false`: there is no room, and nobody keeps it.
    pub fn push_unjournaled(&mut self, entry: UsageEntry) -> bool {
        if self.unjournaled >= self.limit {
            return false;
        }
        self.unjournaled += 1;
        self.taken_in += 1;
        self.entries.push_back(Waiting { entry, is_journaled: false });
        true
    }

    /// The entries that the journal does not hold.
    pub fn unjournaled(&self) -> impl Iterator<Item = &UsageEntry> {
        self.entries.iter().filter(|waiting| !waiting.is_journaled).map(|waiting| &waiting.entry)
    }

    /// As after the loss of all that the journal holds.
    pub fn restarted(&self) -> Self {
        let mut pending = Self::new(self.limit);
        for entry in self.unjournaled() {
            pending.push_unjournaled(entry.clone());
        }
        pending
    }

    /// Notes a file all of whose entries have been taken in by now.
    pub fn close_file(&mut self, path: PathBuf) {
        self.files.push_back((self.taken_in, path));
    }

    /// The next entries for the database. They stay pending until [`Self::commit`].
    pub fn batch(&self) -> Vec<UsageEntry> {
        self.entries.iter().take(MAX_BATCH).map(|waiting| waiting.entry.clone()).collect()
    }

    /// The oldest `count` entries are in the database. Answers with them.
    pub fn commit(&mut self, count: usize) -> Vec<UsageEntry> {
        let count = count.min(self.entries.len());
        self.done += count as u64;
        let committed: Vec<Waiting> = self.entries.drain(..count).collect();
        self.unjournaled -= committed.iter().filter(|waiting| !waiting.is_journaled).count();
        committed.into_iter().map(|waiting| waiting.entry).collect()
    }

    /// The files that are not needed any more.
    pub fn take_files(&mut self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let all_seen = self.overflowed == self.caught_up;
        while all_seen && self.files.front().is_some_and(|(needed, _)| *needed <= self.done) {
            files.extend(self.files.pop_front().map(|(_, path)| path));
        }
        files
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::domain::{
        id::{ModelName, RequestId},
        time::Timestamp,
        usage::{Outcome, TokenUsage},
    };

    pub fn entry() -> UsageEntry {
        UsageEntry {
            request_id: RequestId::generate(),
            at: Timestamp::from_millis(1_000),
            client_key_id: "0123456789ab".into(),
            model: ModelName::parse("m").unwrap(),
            provider_id: None,
            upstream_model: None,
            credential_id: None,
            outcome: Outcome::Completed,
            failure: None,
            streamed: false,
            attempts: 1,
            tokens: Some(TokenUsage { input: 3, output: 4, ..TokenUsage::default() }),
            usage_estimated: false,
            first_event_ms: None,
            duration_ms: 5,
        }
    }

    #[test]
    fn a_file_goes_when_its_last_entry_is_committed_and_not_before() {
        let mut pending = Pending::new(10);
        pending.push(entry());
        pending.push(entry());
        pending.close_file("a".into());
        pending.push(entry());
        pending.commit(1);
        assert!(pending.take_files().is_empty());
        pending.commit(1);
        assert_eq!(pending.take_files(), [PathBuf::from("a")]);
        assert_eq!(pending.commit(1).len(), 1);
        assert!(pending.is_empty());
    }

    #[test]
    fn entries_stay_until_they_are_committed() {
        let mut pending = Pending::new(10);
        pending.push(entry());
        assert_eq!(pending.batch().len(), 1);
        assert_eq!(pending.batch().len(), 1);
        pending.commit(1);
        assert!(pending.batch().is_empty());
    }

    #[test]
    fn what_is_nowhere_else_has_room_of_its_own_and_survives_a_restart() {
        let mut pending = Pending::new(2);
        let alone = [entry(), entry()];
        assert!(pending.push(entry()) && pending.push(entry()) && !pending.push(entry()));
        for entry in &alone {
            assert!(pending.push_unjournaled(entry.clone()));
        }
        assert!(!pending.push_unjournaled(entry()));
        assert_eq!(pending.commit(3).last(), Some(&alone[0]));
        assert!(pending.push_unjournaled(entry()));

        let restarted = pending.restarted();

        assert_eq!(restarted.batch(), pending.batch());
        assert_eq!(restarted.batch()[0], alone[1]);
        assert_eq!((restarted.taken_in(), restarted.done(), restarted.overflowed()), (2, 0, 0));
    }

    #[test]
    fn past_the_limit_the_journal_keeps_what_memory_does_not() {
        let mut pending = Pending::new(1);
        assert!(pending.push(entry()));
        assert!(!pending.push(entry()));
        pending.close_file("a".into());
        assert_eq!(pending.commit(1).len(), 1);
        assert!(pending.take_files().is_empty(), "a file went with an entry that is nowhere else");

        assert!(pending.needs_journal());
        let overflowed = pending.overflowed();
        assert!(pending.push(entry()));
        assert!(!pending.push(entry()));
        pending.caught_up(overflowed);
        pending.commit(1);
        assert!(pending.take_files().is_empty(), "the second entry without room is not in yet");
        pending.caught_up(pending.overflowed());
        assert_eq!(pending.take_files(), [PathBuf::from("a")]);
        assert!(!pending.needs_journal());
    }
}
