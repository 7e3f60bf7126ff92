//! How long a client may take: for a head, between requests, to read what it asked for, and for the
//! rest of a body that nobody wants. The deadlines of a body that is wanted are kept where it is read.

use std::time::Duration;

use tokio::time::Instant;

/// What is taken from a client at once, in bytes, while no body is being read. Requests that are sent
/// ahead of their answers wait in the network, not here.
const READ_AHEAD: usize = 4096;

/// How far the clock may be behind by which the HTTP server sets the deadline of a first head.
pub const CLOCK_LAG: Duration = Duration::from_millis(500);

/// How often the time to linger passes before a client that still sends a body nobody wants is cut off.
/// Many clients read no answer before all was sent: cut off at once, they would never hear why.
const DRAIN_LINGERS: u32 = 6;

/// How long a client may take, and how much of what nobody wants is read meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the first byte of a head to its last; for the first one from the connection on.
    pub head: Duration,
    /// From one request to the next.
    pub keep_alive: Duration,
    /// For what is left to say and to hear when an answer is the last: from one byte to the next, and
    /// as [`Timeouts::drain`] says for all of it.
    pub linger: Duration,
    /// Without any progress in writing.
    pub write: Duration,
    /// Slower than this, writing is no progress.
    pub min_bytes_per_second: u64,
    /// Most that is read, and thrown away, of a body that was refused.
    pub max_drained_bytes: u64,
}

impl Timeouts {
    /// For all that is still sent of a body that was refused.
    pub fn drain(&self) -> Duration {
        self.linger * DRAIN_LINGERS
    }
}

/// A deadline that has passed, or a bound that was met meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    Head,
    KeepAlive,
    /// The body of a request that was answered without it.
    Drain,
    Write,
}

impl Deadline {
    /// As metrics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::KeepAlive => "keep_alive",
            Self::Drain => "drain",
            Self::Write => "write",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first head is awaited.
    First { since: Instant },
    /// Nothing of the next head has come.
    Idle { since: Instant },
    /// A part of the next head has come.
    Head { since: Instant },
    /// A request is under way. `body`: it has one, which has not been read to its end.
    Request { body: bool },
    /// It is answered, and its body was not read to its end. `heard`: when the last of it came.
    Drain { since: Instant, heard: Instant },
}

/// How far a connection has come.
#[derive(Debug)]
pub struct Progress {
    timeouts: Timeouts,
    phase: Phase,
    /// Bytes read in this phase.
    received: u64,
    /// Set while the client does not take what is written.
    blocked_until: Option<Instant>,
}

impl Progress {
    pub fn new(now: Instant, timeouts: Timeouts) -> Self {
        let phase = Phase::First { since: now };
        Self { timeouts, phase, received: 0, blocked_until: None }
    }

    /// Most bytes that may be read now, as far as the deadlines go; 0 when nothing should be read
    /// before something else happens.
    pub fn may_receive(&self) -> usize {
        match self.phase {
            _ if self.blocked_until.is_some() => 0,
            Phase::Request { body: true } => usize::MAX,
            Phase::Request { body: false } => {
                READ_AHEAD.saturating_sub(usize::try_from(self.received).unwrap_or(usize::MAX))
            }
            Phase::First { .. } | Phase::Idle { .. } | Phase::Head { .. } | Phase::Drain { .. } => {
                READ_AHEAD
            }
        }
    }

    /// `length` is not 0. `now` is only asked when it matters.
    pub fn received(&mut self, length: usize, now: impl FnOnce() -> Instant) {
        match &mut self.phase {
            Phase::Idle { .. } => self.enter(Phase::Head { since: now() }),
            Phase::Drain { heard, .. } => *heard = now(),
            _ => {}
        }
        self.received = self.received.saturating_add(length as u64);
    }

    pub fn request_began(&mut self, has_body: bool) {
        self.enter(Phase::Request { body: has_body });
    }

    /// The body of the request under way was read to its end.
    pub fn body_was_read(&mut self) {
        self.enter(Phase::Request { body: false });
    }

    pub fn request_ended(&mut self, now: Instant) {
        self.enter(match self.phase {
            Phase::Request { body: true } => Phase::Drain { since: now, heard: now },
            _ => Phase::Idle { since: now },
        });
    }

    fn enter(&mut self, phase: Phase) {
        (self.phase, self.received) = (phase, 0);
    }

    /// Nothing could be written.
    pub fn write_blocked(&mut self, now: Instant) {
        self.blocked_until.get_or_insert(now + self.timeouts.write);
    }

    pub fn is_write_blocked(&self) -> bool {
        self.blocked_until.is_some()
    }

    /// After writing was blocked, `length` bytes were written; with `all`, nothing is left to write.
    pub fn written(&mut self, length: usize, all: bool, now: Instant) {
        if all {
            self.blocked_until = None;
            // What has waited for the client to read waits from now on.
            match &mut self.phase {
                Phase::Idle { since } | Phase::Head { since } => *since = now,
                Phase::Drain { since, heard } => (*since, *heard) = (now, now),
                Phase::First { .. } | Phase::Request { .. } => {}
            }
        } else if let Some(until) = &mut self.blocked_until {
            let rate = self.timeouts.min_bytes_per_second.max(1);
            let won = Duration::from_millis((length as u64).saturating_mul(1000) / rate);
            *until = (*until + won).min(now + self.timeouts.write);
        }
    }

    /// Whether the first head should have come by now.
    pub fn first_is_late(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::First { since } if now >= since + self.timeouts.head)
    }

    /// Bytes of the head, or of the body that is thrown away.
    pub fn received_in_phase(&self) -> u64 {
        self.received
    }

    /// What the client is too late for, or has sent too much of.
    pub fn overdue(&self, now: Instant) -> Option<Deadline> {
        if self.blocked_until.is_some_and(|until| now >= until) {
            return Some(Deadline::Write);
        }
        if self.is_flooded() {
            return Some(Deadline::Drain);
        }
        self.phase_deadline().filter(|(until, _)| now >= *until).map(|(_, deadline)| deadline)
    }

    /// Whether a body comes that nobody wants.
    pub fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Drain { .. })
    }

    /// Whether more came than is read of a body that nobody wants.
    pub fn is_flooded(&self) -> bool {
        let between_requests = matches!(self.phase, Phase::Drain { .. } | Phase::Head { .. });
        between_requests && self.received > self.timeouts.max_drained_bytes
    }

    /// When to look again: no deadline passes more than the shortest of all unseen.
    pub fn next_look(&self, now: Instant) -> Instant {
        let Timeouts { head, keep_alive, linger, write, .. } = self.timeouts;
        let shortest = head.min(keep_alive).min(linger).min(write);
        let phase = self.phase_deadline().map(|(until, _)| until);
        [phase, self.blocked_until].into_iter().flatten().fold(now + shortest, Instant::min)
    }

    fn phase_deadline(&self) -> Option<(Instant, Deadline)> {
        let Timeouts { head, keep_alive, linger, .. } = self.timeouts;
        if self.blocked_until.is_some() {
            return None;
        }
        Some(match self.phase {
            // The HTTP server answers a first head that is late, and has that long for it.
            Phase::First { since } => (since + head + CLOCK_LAG + linger, Deadline::Head),
            Phase::Idle { since } => (since + keep_alive, Deadline::KeepAlive),
            Phase::Head { since } => (since + head, Deadline::Head),
            Phase::Drain { since, heard } => {
                ((heard + linger).min(since + self.timeouts.drain()), Deadline::Drain)
            }
            Phase::Request { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        head: seconds(10),
        keep_alive: seconds(75),
        linger: seconds(5),
        write: seconds(30),
        min_bytes_per_second: 1000,
        max_drained_bytes: 1_000_000,
    };

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A connection on which one request was answered at the time that is given too.
    fn answered(has_body: bool) -> (Progress, Instant) {
        let now = Instant::now();
        let mut progress = Progress::new(now, TIMEOUTS);
        progress.received(100, || now);
        progress.request_began(has_body);
        progress.request_ended(now);
        (progress, now)
    }

    /// The seconds after which a connection is closed, and by which deadline, when nothing happens.
    fn end(progress: &Progress, from: Instant) -> Option<(u64, Deadline)> {
        (0..1000).find_map(|s| Some((s, progress.overdue(from + seconds(s))?)))
    }

    #[test]
    fn a_connection_without_a_request_ends() {
        let now = Instant::now();
        let mut progress = Progress::new(now, TIMEOUTS);
        assert_eq!(end(&progress, now), Some((16, Deadline::Head)));
        progress.received(1, || now + seconds(9));
        assert_eq!(end(&progress, now), Some((16, Deadline::Head)));
        assert!(!progress.first_is_late(now + seconds(9)));
        assert!(progress.first_is_late(now + seconds(10)));
    }

    #[test]
    fn the_head_of_a_later_request_has_its_time_from_its_first_byte() {
        let (mut progress, now) = answered(false);
        assert_eq!(end(&progress, now), Some((75, Deadline::KeepAlive)));
        for s in 20..30 {
            progress.received(1, || now + seconds(s));
        }
        assert_eq!(end(&progress, now), Some((30, Deadline::Head)));
    }

    #[test]
    fn a_request_under_way_has_no_deadline_here() {
        let (mut progress, now) = answered(false);
        progress.request_began(true);
        assert_eq!(end(&progress, now), None);
    }

    #[test]
    fn a_body_that_nobody_wants_is_not_waited_for() {
        let (progress, now) = answered(true);
        assert_eq!(end(&progress, now), Some((5, Deadline::Drain)));
    }

    #[test]
    fn a_body_that_nobody_wants_may_come_slowly_but_not_for_ever() {
        let (mut progress, now) = answered(true);
        progress.received(1, || now + seconds(4));
        assert_eq!(end(&progress, now), Some((9, Deadline::Drain)));
        for s in 4..30 {
            assert_eq!(progress.overdue(now + seconds(s)), None);
            progress.received(1, || now + seconds(s));
        }
        assert_eq!(end(&progress, now), Some((30, Deadline::Drain)));
    }

    #[test]
    fn a_body_that_nobody_wants_is_not_read_without_end() {
        let (mut progress, now) = answered(true);
        progress.received(1_000_000, || now);
        assert_eq!(progress.overdue(now), None);
        progress.received(1, || now);
        assert_eq!(progress.overdue(now), Some(Deadline::Drain));
    }

    #[test]
    fn a_body_that_was_read_leaves_nothing_to_wait_for() {
        let (mut progress, now) = answered(false);
        progress.request_began(true);
        progress.body_was_read();
        progress.request_ended(now);
        assert_eq!(end(&progress, now), Some((75, Deadline::KeepAlive)));
    }

    #[test]
    fn a_client_that_reads_nothing_ends_and_is_not_read_from() {
        let (mut progress, now) = answered(false);
        progress.request_began(false);
        progress.write_blocked(now);
        progress.write_blocked(now + seconds(20));
        assert_eq!(progress.may_receive(), 0);
        assert_eq!(end(&progress, now), Some((30, Deadline::Write)));
        progress.written(10, true, now + seconds(29));
        assert_eq!(end(&progress, now), None);
    }

    #[test]
    fn the_time_between_requests_begins_when_the_answer_is_written() {
        let (mut progress, now) = answered(false);
        progress.write_blocked(now);
        for s in (20..200).step_by(20) {
            progress.written(100_000, false, now + seconds(s));
        }
        assert_eq!(end(&progress, now), Some((210, Deadline::Write)));
        progress.written(1, true, now + seconds(200));
        assert_eq!(end(&progress, now), Some((275, Deadline::KeepAlive)));
    }

    #[test]
    fn requests_sent_ahead_are_left_in_the_network() {
        let (mut progress, now) = answered(false);
        progress.request_began(false);
        progress.received(READ_AHEAD - 1, || now);
        assert_eq!(progress.may_receive(), 1);
        progress.received(1, || now);
        assert_eq!(progress.may_receive(), 0);
        progress.request_ended(now);
        assert_eq!(progress.may_receive(), READ_AHEAD);
    }

    proptest! {
        /// Whoever takes less than the least rate, in whatever pieces, is let go; whoever takes more,
        /// in pieces without long silence between, is not.
        #[test]
        fn writing_must_come_on_at_the_least_rate(piece in 1_usize..20_000, wait_ms in 1_u64..20_000) {
            let now = Instant::now();
            let mut progress = Progress::new(now, TIMEOUTS);
            progress.request_began(false);
            progress.write_blocked(now);
            let (mut at, mut let_go) = (now, false);
            for _ in 0..100_000 / wait_ms + 100 {
                at += Duration::from_millis(wait_ms);
                if progress.overdue(at).is_some() {
                    let_go = true;
                    break;
                }
                progress.written(piece, false, at);
            }
            let rate = piece as u64 * 1000 / wait_ms;
            if rate < 600 {
                prop_assert!(let_go, "{rate} bytes per second were enough");
            }
            if rate > 1_001 {
                prop_assert!(!let_go, "{rate} bytes per second were not enough");
            }
        }

        #[test]
        fn no_deadline_passes_unseen_for_longer_than_the_shortest(
            waits in proptest::collection::vec((0_u64..40_000, 0_u8..6), 1..40),
        ) {
            let mut now = Instant::now();
            let mut progress = Progress::new(now, TIMEOUTS);
            let mut look = progress.next_look(now);
            for (wait, what) in waits {
                prop_assert!(look > now && look <= now + TIMEOUTS.linger);
                now += Duration::from_millis(wait);
                match what {
                    0 => progress.received(1, || now),
                    1 => progress.request_began(false),
                    2 => progress.request_began(true),
                    3 => progress.request_ended(now),
                    4 => progress.write_blocked(now),
                    _ => progress.written(1, true, now),
                }
                if progress.overdue(now).is_some() {
                    return Ok(());
                }
                look = progress.next_look(now);
            }
        }
    }
}
