//! What is due to the client of a stream from which nothing comes, and when.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// The one timer of a stream. It rings at the earliest time anything could be due, and is set later when it
/// turns out not to be, which is cheaper than setting it anew with each event.
pub struct Alarm {
    /// How often a silent stream is kept open.
    keep_alive: Duration,
    last_sent: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    KeepAlive,
    /// The request's time is over.
    Deadline,
    /// The whole answer is here, and nothing has ended it.
    End,
}

/// When something is due beside keep-alives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dates {
    pub deadline: Option<Instant>,
    pub complete_by: Option<Instant>,
}

impl Alarm {
    pub fn new(keep_alive: Duration, last_sent: Instant) -> Self {
        let timer = Box::pin(sleep_until(last_sent + keep_alive));
        Self { keep_alive, last_sent, timer }
    }

    /// Something is sent now.
    pub fn sent(&mut self) {
        self.last_sent = Instant::now();
    }

    /// Sets the timer for the next thing that may be due, or says what is due now. What is sent then
    /// counts as sent.
    pub fn poll_due(&mut self, cx: &mut Context<'_>, dates: Dates) -> Poll<Due> {
        let Dates { deadline, complete_by } = dates;
        loop {
            let keep_alive = self.last_sent + self.keep_alive;
            let dates = [deadline, complete_by].into_iter().flatten();
            let next = dates.fold(keep_alive, Instant::min);
            // What was sent has moved the keep-alive away, but another date may be nearer.
            if self.timer.deadline() > next {
                self.timer.as_mut().reset(next);
            }
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let is_due = |date: Option<Instant>| date.is_some_and(|date| now >= date);
            if is_due(complete_by) {
                return Poll::Ready(Due::End);
            }
            if is_due(deadline) {
                return Poll::Ready(Due::Deadline);
            }
            if now >= keep_alive {
                self.last_sent = now;
                return Poll::Ready(Due::KeepAlive);
            }
            self.timer.as_mut().reset(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// What is due next, and after how many milliseconds.
    async fn next_due(alarm: &mut Alarm, dates: Dates) -> (Due, u128) {
        let before = Instant::now();
        let due = poll_fn(|cx| alarm.poll_due(cx, dates)).await;
        (due, before.elapsed().as_millis())
    }

    fn in_ms(millis: u64) -> Instant {
        Instant::now() + Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_first_comes_first() {
        let mut alarm = Alarm::new(Duration::from_secs(15), Instant::now());
        let dates = Dates { deadline: Some(in_ms(40_000)), complete_by: None };
        assert_eq!(next_due(&mut alarm, dates).await, (Due::KeepAlive, 15_000));
        tokio::time::advance(Duration::from_secs(5)).await;
        alarm.sent();
        assert_eq!(next_due(&mut alarm, dates).await, (Due::KeepAlive, 15_000));
        assert_eq!(next_due(&mut alarm, dates).await, (Due::Deadline, 5_000));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_here_is_waited_for_no_longer_than_it_may() {
        let mut alarm = Alarm::new(Duration::from_secs(15), Instant::now());
        let deadline = Some(in_ms(600_000));
        let watched = Dates { deadline, complete_by: None };
        // It has been waiting for the keep-alive already.
        let waiting = tokio::time::timeout(Duration::from_secs(3), next_due(&mut alarm, watched));
        assert!(waiting.await.is_err());
        let dates = Dates { deadline, complete_by: Some(in_ms(2_000)) };
        assert_eq!(next_due(&mut alarm, dates).await, (Due::End, 2_000));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_deadline_an_answer_that_is_here_is_complete() {
        let mut alarm = Alarm::new(Duration::from_secs(15), Instant::now());
        let dates = Dates { deadline: Some(in_ms(1_000)), complete_by: Some(in_ms(1_000)) };
        assert_eq!(next_due(&mut alarm, dates).await, (Due::End, 1_000));
    }
}
