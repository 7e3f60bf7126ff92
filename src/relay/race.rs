//! A second attempt beside a slow one: whichever answers first is taken, and the other is let go.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

use super::{
    attempts::{Attempts, Dead},
    place::Tried,
    prove::Prove,
};
use crate::{
    actors::router::Candidate,
    domain::{
        failure::{Failure, FailureClass},
        trace::AttemptKind,
    },
};

/// Most candidates asked at once.
const MAX_RACING: usize = 2;

/// A candidate that has been asked.
struct Started {
    candidate: Candidate,
    /// From when on it is slow.
    slow_at: Instant,
    is_over: bool,
}

/// Those being asked: which of those started it is, and what becomes of it.
type Racing<'r, P> = FuturesUnordered<LocalBoxFuture<'r, (usize, Result<Tried<P>, Dead>)>>;

impl Attempts {
    /// Tries a candidate, and when it is slow to answer and the budget allows it, the next one of the
    /// queue beside it.
    pub(super) async fn race<P>(
        &self,
        first: Candidate,
        queue: &mut VecDeque<Candidate>,
        may_hedge: bool,
        prove: &impl Prove<P>,
    ) -> Result<Tried<P>, Dead> {
        if queue.is_empty() || !may_hedge || self.soft_limit(&first).is_none() {
            return self.try_candidate(first, self.next_kind(), prove).await;
        }
        let mut race = Race { attempts: self, prove, racing: Racing::new(), started: Vec::new() };
        race.start(first, self.next_kind());
        let mut may_start = true;
        loop {
            let can_start = may_start && race.racing.len() < MAX_RACING && !queue.is_empty();
            let slow_at = race.slow_at();
            tokio::select! {
                biased;
                Some((which, tried)) = race.racing.next() => match tried? {
                    Some((proof, place)) => {
                        race.blame_the_slow(which);
                        return Ok(Some((proof, place)));
                    }
                    None => {
                        race.started[which].is_over = true;
                        if race.racing.is_empty() {
                            return Ok(None);
                        }
                        // One that is slow is not waited for alone; one that is not has its time.
                        if race.slow_at() <= Instant::now()
                            && let Some(next) = self.next_of(queue)
                        {
                            race.start(next, AttemptKind::Failover);
                        }
                    }
                },
                () = sleep_until(slow_at), if can_start => {
                    may_start = self.take_retry(None).await;
                    if may_start && let Some(next) = self.next_of(queue) {
                        race.start(next, AttemptKind::Hedge);
                    }
                }
            }
        }
    }

    /// The next candidate that this request has not yet found to be of no use.
    pub(super) fn next_of(&self, queue: &mut VecDeque<Candidate>) -> Option<Candidate> {
        let state = self.state.borrow();
        std::iter::from_fn(|| queue.pop_front()).find(|next| !state.spent.is_spent(next))
    }

    /// How long a candidate may stay silent. `None`: as long as it likes.
    fn soft_limit(&self, candidate: &Candidate) -> Option<Duration> {
        let (limits, vitals) = (self.relay().settings.hedge?, &candidate.vitals);
        if self.is_streamed() {
            Some(limits.first_event(&vitals.first_event(&candidate.model)))
        } else {
            limits.whole_answer(&vitals.whole_answer(&candidate.model))
        }
    }
}

/// Candidates being asked at once.
struct Race<'r, P, Q> {
    attempts: &'r Attempts,
    prove: &'r Q,
    racing: Racing<'r, P>,
    started: Vec<Started>,
}

impl<'r, P: 'r, Q: Prove<P>> Race<'r, P, Q> {
    fn start(&mut self, candidate: Candidate, kind: AttemptKind) {
        let (attempts, prove, which) = (self.attempts, self.prove, self.started.len());
        let limit = attempts.soft_limit(&candidate);
        let slow_at = Instant::now() + limit.unwrap_or(attempts.relay().settings.timeout);
        self.started.push(Started { candidate: candidate.clone(), slow_at, is_over: false });
        self.racing.push(Box::pin(async move {
            (which, attempts.try_candidate(candidate, kind, prove).await)
        }));
    }

    /// When the last one that is still being asked is slow.
    fn slow_at(&self) -> Instant {
        let mut asked = self.started.iter().rev().filter(|started| !started.is_over);
        asked.next().map_or_else(Instant::now, |started| started.slow_at)
    }

    /// Those who were slow while another answered have failed by their silence: else a silent
    /// provider would be asked first for ever, and every request would wait for it in vain.
    fn blame_the_slow(&self, winner: usize) {
        let now = Instant::now();
        for (which, started) in self.started.iter().enumerate() {
            if which != winner && !started.is_over && started.slow_at <= now {
                let detail = "another provider answered while this one was silent";
                let failure = Arc::new(Failure::new(FailureClass::Silent, detail));
                self.attempts.relay().tell_silence(&started.candidate, &failure);
            }
        }
    }
}
