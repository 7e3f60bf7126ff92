//! A stream that has shown content, on its way through: what the upstream has sent by now, and what
//! becomes of it.

mod turns;

use std::{
    ops::Range,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;
use turns::Turns;

use super::{
    attempt::Attempt,
    commit::CommittedStream,
    deadline::Deadline,
    dispatch::{Committed, Dispatch},
    error::RelayError,
    run::Winner,
    settle::Settlement,
};
use crate::{
    domain::{
        failure::{Failure, FailureClass},
        usage::UsedTokens,
    },
    gateway::{
        exchange::{Ending, EventStream, SharedWriter},
        upstream::{UpstreamResponse, ruled_inside},
    },
};

/// Once so many bytes are gathered they are sent, even when the upstream has more at hand.
const FLUSH_BYTES: usize = 64 * 1024;

/// Another attempt at a stream that broke off. `None`: it could not be gone on with.
type Resuming = LocalBoxFuture<'static, Option<Winner<CommittedStream>>>;

/// A stream that has shown content, on its way through.
pub struct LiveStream {
    response: UpstreamResponse,
    stream: Box<EventStream>,
    gathered: Gathered,
    turns: Turns,
    ending: Option<Ending>,
    /// When all of the answer was here but for what ends its stream.
    finished_at: Option<Instant>,
    attempt: Attempt,
    /// Being taken up again by another attempt, after this failure.
    resuming: Option<(Arc<Failure>, Resuming)>,
    /// What the attempts before this one have used: as they told, else as it was counted.
    used_before: Option<UsedTokens>,
    dispatch: Rc<Dispatch>,
}

/// What a look at the upstream gave.
pub enum Step {
    Send(Bytes),
    /// The last bytes of a complete answer.
    Complete(Bytes),
    /// What may still be sent of an answer that broke off.
    Failed(Bytes, RelayError),
}

impl LiveStream {
    pub(super) fn new(won: Committed<CommittedStream>) -> Self {
        let Committed { answer, attempt, dispatch } = won;
        let CommittedStream { response, stream, held, ending } = answer;
        let gathered = Gathered::from(held);
        let mut live = Self {
            response,
            stream,
            gathered,
            turns: Turns::default(),
            ending,
            finished_at: None,
            attempt,
            resuming: None,
            used_before: None,
            dispatch,
        };
        live.note_progress();
        live
    }

    /// Who writes the error that ends it: see [`Conversion::closing_writer`](crate::gateway::exchange::Pair::closing_writer).
    pub fn writer(&self) -> Option<SharedWriter> {
        self.attempt.conversion().closing_writer(&self.stream)
    }

    pub fn deadline(&self) -> Deadline {
        self.dispatch.deadline
    }

    /// What is left to do with a complete answer: its account, what was used, and who writes the error
    /// if it cannot be booked.
    pub(super) fn finish(
        self,
    ) -> (Settlement, Option<UsedTokens>, impl FnOnce() -> Option<SharedWriter>) {
        let usage = self.used();
        self.note_losses();
        self.response.recycle();
        self.dispatch.relay().tell_success(&self.attempt);
        let (prepared, stream) = (self.attempt.into_prepared(), self.stream);
        let writer = move || prepared.conversion.closing_writer(&stream);
        (self.dispatch.into_settlement(), usage, writer)
    }

    /// Puts on the trace what of the answer could not be said.
    fn note_losses(&self) {
        let upstream = &self.dispatch.relay().upstream;
        let losses = upstream.masked_losses(self.attempt.secrets(), self.stream.losses());
        self.dispatch.note_losses(&self.attempt, &losses);
    }

    /// Takes all that the upstream has sent by now, to send it on at once: one write for many
    /// events, and none of them waits for more to come.
    pub fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let mut begins_turn = false;
        loop {
            if let Some((failure, resuming)) = &mut self.resuming {
                let failure = Arc::clone(failure);
                let Some(resumed) = ready!(resuming.as_mut().poll(cx)) else {
                    self.resuming = None;
                    return Poll::Ready(self.broken_off(failure));
                };
                self.go_on(resumed);
            }
            match self.ending.take() {
                Some(Ending::Done(terminal)) => {
                    let terminal = self.passed_on(terminal, &[]);
                    self.dispatch.remember(&terminal);
                    self.gathered.push(terminal);
                    self.count_dropped();
                    return Poll::Ready(Step::Complete(self.gathered.take()));
                }
                Some(Ending::Failed(failure)) => {
                    let upstream = &self.dispatch.relay().upstream;
                    let error = self.stream.error().unwrap_or_default();
                    let failure = ruled_inside(failure, error, self.attempt.rules());
                    let failure = Arc::new(upstream.masked(self.attempt.secrets(), failure));
                    self.note_losses();
                    self.dispatch.note_failure(&mut self.attempt, &failure);
                    self.count_dropped();
                    self.begin_resuming(failure);
                    // What came before it broke off is what the next attempt has to say again.
                    if self.gathered.len() > 0 {
                        return Poll::Ready(Step::Send(self.gathered.take()));
                    }
                    continue;
                }
                // Only an attempt to resume is compared, and it has been proved by then.
                Some(Ending::Mismatch) | None => {}
            }
            match self.response.poll_chunk(cx) {
                Poll::Ready(Ok(Some(chunk))) => {
                    self.turns.brought_more();
                    let output = self.stream.feed(chunk);
                    if output.is_news {
                        self.response.goes_on();
                    }
                    let events = self.passed_on(output.forward, &output.foreign);
                    self.gathered.push(events);
                    self.ending = output.ending;
                    self.note_progress();
                    if self.ending.is_none() && self.gathered.len() > 0 {
                        begins_turn =
                            self.gathered.len() < FLUSH_BYTES && self.turns.wait_another();
                        // Who takes it asks for more before anything is written.
                        if !begins_turn {
                            return Poll::Ready(Step::Send(self.gathered.take()));
                        }
                    }
                }
                // An answer that is here as a whole is so, however its connection ends.
                Poll::Ready(Err(failure)) => self.ending = Some(self.stream.break_off(failure)),
                Poll::Ready(Ok(None)) => {
                    self.ending = Some(self.stream.end().map_or_else(too_early, Ending::Done));
                }
                Poll::Pending if self.gathered.len() == 0 => return Poll::Pending,
                Poll::Pending if begins_turn || self.turns.wait_another() => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Ready(Step::Send(self.gathered.take())),
            }
        }
    }

    /// When an answer is complete that is here as a whole, whether its stream ends or not.
    pub fn complete_by(&self) -> Option<Instant> {
        Some(self.finished_at? + self.dispatch.relay().settings.end_wait)
    }

    /// Takes as complete what has no end, if all of it is here.
    pub fn end_here(&mut self) -> bool {
        self.ending = self.stream.complete().map(Ending::Done);
        self.ending.is_some()
    }

    /// What is sent of the answer: without what was sent upstream in secret.
    fn passed_on(&mut self, bytes: Bytes, foreign: &[Range<usize>]) -> Bytes {
        let upstream = &self.dispatch.relay().upstream;
        match upstream.masked_answer(self.attempt.secrets(), &bytes, foreign) {
            None => bytes,
            Some(masked) => {
                self.stream.note_masked();
                masked
            }
        }
    }

    /// Ends it here: its request's deadline has passed, or its client may have no more of it.
    pub fn end_with(&mut self, error: RelayError) -> Step {
        self.dispatch.state.borrow_mut().settlement.fail(&error);
        Step::Failed(self.gathered.take(), error)
    }

    fn begin_resuming(&mut self, failure: Arc<Failure>) {
        let transcript = self.stream.transcript();
        self.attempt.give_back();
        let resuming = Rc::clone(&self.dispatch).resume(transcript, Arc::clone(&failure));
        self.resuming = Some((failure, Box::pin(resuming)));
    }

    fn go_on(&mut self, Winner { answer, attempt, .. }: Winner<CommittedStream>) {
        // Who broke off has read the prompt and said what was sent, whether it has told so or not.
        self.used_before = self.dispatch.state.borrow().settlement.used();
        let CommittedStream { response, stream, held, ending } = answer;
        (self.response, self.stream, self.ending) = (response, stream, ending);
        self.dispatch.answered_by(&attempt);
        (self.attempt, self.resuming) = (attempt, None);
        self.gathered.push(held);
        self.note_progress();
    }

    /// What all attempts have used, the last one as far as it told.
    fn used(&self) -> Option<UsedTokens> {
        match (self.used_before, self.stream.usage()) {
            (Some(before), Some(now)) => Some(before.plus(now)),
            (Some(_), None) => self.dispatch.state.borrow().settlement.used(),
            (None, now) => now,
        }
    }

    fn broken_off(&mut self, failure: Arc<Failure>) -> Step {
        // Whoever was to go on with it has not answered.
        self.dispatch.note_attempt(&self.attempt);
        let error = RelayError::BrokenOff(failure);
        self.dispatch.state.borrow_mut().settlement.fail(&error);
        Step::Failed(self.gathered.take(), error)
    }

    /// What was used up to now belongs on the ledger also when it goes wrong, or when the client leaves.
    fn note_progress(&mut self) {
        let may_be_ended = self.stream.may_be_ended();
        self.finished_at = may_be_ended.then(|| self.finished_at.unwrap_or_else(Instant::now));
        let now = self.stream.partial_usage();
        self.dispatch.state.borrow_mut().settlement.note_stream(self.used_before, now);
    }

    fn count_dropped(&self) {
        let dropped = self.stream.dropped();
        if dropped > 0 {
            self.dispatch.relay().metrics.stream_events_dropped.inc_by(dropped);
        }
    }
}

fn too_early() -> Ending {
    let detail = "the stream ended before the answer did";
    Ending::Failed(Failure::new(FailureClass::Cut, detail))
}

/// Bytes waiting to be sent. A single piece is passed on as it is; only several are copied together.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    joined: BytesMut,
}

impl From<Bytes> for Gathered {
    fn from(first: Bytes) -> Self {
        Self { first, joined: BytesMut::new() }
    }
}

impl Gathered {
    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
        } else {
            if self.joined.is_empty() {
                self.joined.reserve(self.first.len() + piece.len());
                self.joined.extend_from_slice(&self.first);
                self.first.clear();
            }
            self.joined.extend_from_slice(&piece);
        }
    }

    fn take(&mut self) -> Bytes {
        if self.joined.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            self.joined.split().freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_piece_is_passed_on_and_several_are_joined_in_order() {
        let mut gathered = Gathered::default();
        let piece = Bytes::from_static(b"one");
        gathered.push(piece.clone());
        assert_eq!(gathered.take().as_ptr(), piece.as_ptr());
        for text in ["a", "", "bc", "d"] {
            gathered.push(Bytes::from_static(text.as_bytes()));
        }
        assert_eq!(gathered.len(), 4);
        assert_eq!(gathered.take(), "abcd");
        assert_eq!(gathered.len(), 0);
        gathered.push(Bytes::from_static(b"e"));
        assert_eq!(gathered.take(), "e");
    }
}
