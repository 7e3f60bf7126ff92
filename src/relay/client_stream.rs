//! What a client reads: keep-alives while nobody has answered, then the answer as it comes, then
//! its end. The last bytes are released when the answer is on the ledger, and not before.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, future::LocalBoxFuture};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    attempt::{Proved, ProvedStream, tell_failure},
    deadline::Deadline,
    error::RelayError,
    settle::Settlement,
};
use crate::{
    actors::router::Candidate,
    domain::{
        failure::{Failure, FailureClass},
        id::CredentialId,
    },
    gateway::{
        dialect::openai_chat::DONE_EVENT,
        stream::chat_stream::{ChatStream, Ending, StreamEnd},
        upstream::UpstreamResponse,
    },
};

/// Keeps a connection open and says nothing: a comment, per the WHATWG HTML standard, section
/// "Server-sent events", read 2026-11-22.
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// Once so many bytes are gathered they are sent, even when the upstream has more at hand.
const FLUSH_BYTES: usize = 64 * 1024;

/// An answer on its way to a client. An error is the last item, and is to be sent in the client's
/// dialect; by then the request is settled.
pub struct ClientStream {
    state: State,
    keep_alive: Duration,
    last_sent: Instant,
    /// Fires at the earliest time anything could be due. Set later when it turns out not to be,
    /// which is cheaper than setting it anew with each event.
    timer: Pin<Box<Sleep>>,
}

enum State {
    /// Opened, and nobody has answered yet.
    Waiting(LocalBoxFuture<'static, Result<Proved, RelayError>>),
    Live(Box<LiveStream>),
    /// Complete, but the journal could not be written: the database must take the entry first.
    Recording(LocalBoxFuture<'static, Result<Bytes, RelayError>>),
    Failing(RelayError),
    Over,
}

impl ClientStream {
    pub(super) fn waiting(
        proving: Pin<Box<dyn Future<Output = Result<Proved, RelayError>>>>,
        keep_alive: Duration,
    ) -> Self {
        // The wait before has used up the first interval: the keep-alive that opens it is due now.
        Self::new(State::Waiting(proving), keep_alive, Instant::now() - keep_alive)
    }

    pub(super) fn live(live: Box<LiveStream>) -> Self {
        let keep_alive = live.settlement.relay().settings.keep_alive;
        Self::new(State::Live(live), keep_alive, Instant::now())
    }

    fn new(state: State, keep_alive: Duration, last_sent: Instant) -> Self {
        let timer = Box::pin(sleep_until(last_sent + keep_alive));
        Self { state, keep_alive, last_sent, timer }
    }

    /// Sets the timer for the next thing that may be due, or says what is due now.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let mut next = self.last_sent + self.keep_alive;
            if let State::Live(live) = &self.state {
                let deadline = live.deadline.instant();
                if now >= deadline {
                    return Poll::Ready(Due::Deadline);
                }
                next = next.min(deadline);
            }
            if now >= self.last_sent + self.keep_alive {
                self.last_sent = now;
                self.timer.as_mut().reset(now + self.keep_alive);
                return Poll::Ready(Due::KeepAlive);
            }
            self.timer.as_mut().reset(next);
        }
    }

    fn sent(&mut self, bytes: Bytes) -> Poll<Option<Result<Bytes, RelayError>>> {
        self.last_sent = Instant::now();
        Poll::Ready(Some(Ok(bytes)))
    }

    /// Ends with `bytes`, if there are any left, and then whatever `state` says.
    fn end(&mut self, bytes: Bytes, state: State) -> Option<Bytes> {
        self.state = state;
        Some(bytes).filter(|bytes| !bytes.is_empty())
    }
}

enum Due {
    KeepAlive,
    Deadline,
}

impl Stream for ClientStream {
    type Item = Result<Bytes, RelayError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Waiting(proving) => match proving.as_mut().poll(cx) {
                    Poll::Ready(Ok(Proved::Stream { live, .. })) => this.state = State::Live(live),
                    Poll::Ready(Ok(Proved::Whole { body, .. })) => {
                        this.state = State::Over;
                        return this.sent(body);
                    }
                    Poll::Ready(Err(error)) => this.state = State::Failing(error),
                    Poll::Pending => {
                        ready!(this.poll_due(cx));
                        return Poll::Ready(Some(Ok(KEEP_ALIVE)));
                    }
                },
                State::Live(live) => {
                    let step = match live.poll_step(cx) {
                        Poll::Ready(step) => step,
                        Poll::Pending => match ready!(this.poll_due(cx)) {
                            Due::KeepAlive => return Poll::Ready(Some(Ok(KEEP_ALIVE))),
                            Due::Deadline => match &mut this.state {
                                State::Live(live) => live.overdue(),
                                _ => continue,
                            },
                        },
                    };
                    let last = match step {
                        Step::Send(bytes) => return this.sent(bytes),
                        Step::Complete(bytes) => this.complete(bytes),
                        Step::Failed(bytes, error) => this.end(bytes, State::Failing(error)),
                    };
                    if let Some(bytes) = last {
                        return this.sent(bytes);
                    }
                }
                State::Recording(recording) => {
                    let recorded = ready!(recording.as_mut().poll(cx));
                    this.state = State::Over;
                    return Poll::Ready(Some(recorded));
                }
                State::Failing(error) => {
                    let error = error.clone();
                    this.state = State::Over;
                    return Poll::Ready(Some(Err(error)));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }
}

impl ClientStream {
    /// Puts the answer on the ledger; then its last bytes may go.
    fn complete(&mut self, last: Bytes) -> Option<Bytes> {
        let State::Live(live) = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        let LiveStream { response, chat, mut settlement, .. } = *live;
        response.recycle();
        let usage = chat.progress().usage;
        if settlement.complete_now(usage) {
            return Some(last);
        }
        self.state = State::Recording(Box::pin(async move {
            settlement.complete_by_commit().await?;
            Ok(last)
        }));
        None
    }
}

/// A stream that has shown content, on its way through.
pub(super) struct LiveStream {
    response: UpstreamResponse,
    chat: ChatStream,
    gathered: Gathered,
    ending: Option<Ending>,
    settlement: Settlement,
    candidate: Candidate,
    credential_id: Option<CredentialId>,
    deadline: Deadline,
}

/// What a look at the upstream gave.
enum Step {
    Send(Bytes),
    /// The last bytes of a complete answer.
    Complete(Bytes),
    /// What may still be sent of an answer that broke off.
    Failed(Bytes, RelayError),
}

impl LiveStream {
    pub(super) fn new(
        proved: ProvedStream,
        mut settlement: Settlement,
        candidate: Candidate,
        deadline: Deadline,
    ) -> Self {
        let credential_id = settlement.entry().and_then(|entry| entry.credential_id.clone());
        let ProvedStream { response, chat, held, ending } = proved;
        let gathered = Gathered::from(held);
        Self { response, chat, gathered, ending, settlement, candidate, credential_id, deadline }
    }

    /// Takes all that the upstream has sent by now, to send it on at once: one write for many
    /// events, and none of them waits for more to come.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            match self.ending.take() {
                Some(Ending::Done(terminal)) => {
                    let missing = terminal.is_empty();
                    let own = Bytes::from_static(DONE_EVENT);
                    self.gathered.push(if missing { own } else { terminal });
                    self.count_dropped();
                    return Poll::Ready(Step::Complete(self.gathered.take()));
                }
                Some(Ending::Failed(failure)) => return Poll::Ready(self.broken_off(failure)),
                None => {}
            }
            match self.response.poll_chunk(cx) {
                Poll::Ready(Ok(Some(chunk))) => {
                    let output = self.chat.feed(chunk);
                    self.gathered.push(output.forward);
                    self.ending = output.ending;
                    self.note_tokens();
                    if self.ending.is_none() && self.gathered.len() >= FLUSH_BYTES {
                        return Poll::Ready(Step::Send(self.gathered.take()));
                    }
                }
                Poll::Ready(Err(failure)) => self.ending = Some(Ending::Failed(failure)),
                Poll::Ready(Ok(None)) => {
                    self.ending = Some(match self.chat.end() {
                        StreamEnd::Complete | StreamEnd::CompleteWithoutDone => {
                            Ending::Done(Bytes::new())
                        }
                        StreamEnd::Cut => {
                            let detail = "the stream ended before the answer did";
                            Ending::Failed(Failure::new(FailureClass::Cut, detail))
                        }
                    });
                }
                Poll::Pending if self.gathered.len() > 0 => {
                    return Poll::Ready(Step::Send(self.gathered.take()));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn overdue(&mut self) -> Step {
        self.settlement.fail(&RelayError::DeadlinePassed);
        Step::Failed(self.gathered.take(), RelayError::DeadlinePassed)
    }

    fn broken_off(&mut self, failure: Failure) -> Step {
        let failure = Arc::new(failure);
        let relay = self.settlement.relay();
        tracing::info!(
            request_id = self.settlement.request_id().map(tracing::field::display),
            provider = %self.candidate.provider.id,
            class = failure.class.as_str(),
            detail = failure.detail,
            "a stream broke off"
        );
        relay.metrics.attempted(&self.candidate.provider.id, Some(failure.class));
        tell_failure(relay, &self.candidate, self.credential_id.as_ref(), &failure);
        self.count_dropped();
        let error = RelayError::BrokenOff(failure);
        self.settlement.fail(&error);
        Step::Failed(self.gathered.take(), error)
    }

    /// What the upstream has reported so far belongs on the ledger also when it goes wrong, or when
    /// the client leaves.
    fn note_tokens(&mut self) {
        if let Some(usage) = self.chat.progress().usage
            && let Some(entry) = self.settlement.entry()
        {
            entry.tokens = Some(usage);
        }
    }

    fn count_dropped(&self) {
        let dropped = self.chat.progress().dropped;
        if dropped > 0 {
            self.settlement.relay().metrics.stream_events_dropped.inc_by(dropped);
        }
    }
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
