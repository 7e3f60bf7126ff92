//! What a client reads: keep-alives while nobody has answered, then the answer as it comes, then
//! its end. The last bytes are released when the answer is on the ledger, and not before.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use actix_web::rt::task::JoinHandle;
use bytes::Bytes;
use futures_util::{Stream, future::LocalBoxFuture};
use tokio::time::{Instant, sleep_until};

use super::{
    alarm::{Alarm, Dates, Due},
    deadline::Deadline,
    dispatch::Dispatch,
    error::RelayError,
    live_stream::{LiveStream, Step},
};
use crate::{domain::access_key::KeyFault, gateway::exchange::SharedWriter};

/// How long after its deadline a stream that its client does not read is kept.
const UNREAD_GRACE: Duration = Duration::from_secs(5);

/// What a silent stream is kept open with, and how often.
#[derive(Debug, Clone)]
pub struct KeepAlive {
    pub every: Duration,
    /// In the client's dialect.
    pub bytes: Bytes,
}

/// Done when a stream is to end because its client's key has. Absent where streams are finished.
pub type KeyWatch = Option<LocalBoxFuture<'static, KeyFault>>;

/// Why a stream ends that was opened, and who has written it so far, if anyone has.
pub struct BrokenStream {
    pub error: RelayError,
    pub writer: Option<SharedWriter>,
}

impl From<RelayError> for BrokenStream {
    fn from(error: RelayError) -> Self {
        Self { error, writer: None }
    }
}

/// An answer on its way to a client. An error is the last item, and is to be sent in the client's
/// dialect; by then the request is settled.
pub struct ClientStream {
    shared: Rc<RefCell<StreamState>>,
    watch: JoinHandle<()>,
}

/// What there is of the answer, and what is due to the client.
struct StreamState {
    state: State,
    keep_alive: Bytes,
    alarm: Alarm,
    /// Whom to wake when it is ended from elsewhere. Absent where nobody would.
    reader: Option<Waker>,
    is_watched: bool,
}

type Proving = LocalBoxFuture<'static, Result<Box<LiveStream>, RelayError>>;

enum State {
    /// Opened, and nobody has answered yet. Who holds the account, should it be ended from elsewhere.
    Waiting(Proving, Weak<Dispatch>),
    Live(Box<LiveStream>),
    /// Complete, but the journal could not be written: the database must take the entry first.
    Recording(LocalBoxFuture<'static, Result<Bytes, RelayError>>, Option<SharedWriter>),
    Failing(BrokenStream),
    Over,
}

impl ClientStream {
    pub(super) fn waiting(
        proving: Proving,
        dispatch: Weak<Dispatch>,
        keep_alive: KeepAlive,
        deadline: Deadline,
        key: KeyWatch,
    ) -> Self {
        // The wait before has used up the first interval: the keep-alive that opens it is due now.
        let last_sent = Instant::now() - keep_alive.every;
        Self::new(State::Waiting(proving, dispatch), keep_alive, last_sent, deadline, key)
    }

    pub(super) fn live(live: Box<LiveStream>, keep_alive: KeepAlive, key: KeyWatch) -> Self {
        let deadline = live.deadline();
        Self::new(State::Live(live), keep_alive, Instant::now(), deadline, key)
    }

    fn new(
        state: State,
        keep_alive: KeepAlive,
        last_sent: Instant,
        deadline: Deadline,
        key: KeyWatch,
    ) -> Self {
        let alarm = Alarm::new(keep_alive.every, last_sent);
        let (reader, is_watched) = (None, key.is_some());
        let shared = StreamState { state, keep_alive: keep_alive.bytes, alarm, reader, is_watched };
        let shared = Rc::new(RefCell::new(shared));
        // A client that reads nothing stops the polling, and all timers with it.
        let (unread, over) = (Rc::clone(&shared), deadline.instant() + UNREAD_GRACE);
        let watch = actix_web::rt::spawn(async move {
            let error = match key {
                None => {
                    sleep_until(over).await;
                    RelayError::DeadlinePassed
                }
                Some(key) => tokio::select! {
                    () = sleep_until(over) => RelayError::DeadlinePassed,
                    fault = key => RelayError::KeyEnded(fault),
                },
            };
            unread.borrow_mut().give_up(error);
        });
        Self { shared, watch }
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Stream for ClientStream {
    type Item = Result<Bytes, BrokenStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.shared.borrow_mut().poll_next(cx)
    }
}

impl StreamState {
    /// Lets go of everything but the word for it.
    fn give_up(&mut self, error: RelayError) {
        let mut writer = None;
        match &mut self.state {
            State::Waiting(_, dispatch) => {
                if let Some(dispatch) = dispatch.upgrade() {
                    dispatch.state.borrow_mut().settlement.fail(&error);
                }
            }
            State::Live(live) => {
                live.end_with(error.clone());
                writer = live.writer();
            }
            // What is complete, or has failed, ends as it does.
            State::Recording(..) if matches!(error, RelayError::KeyEnded(_)) => return,
            State::Recording(_, known) => writer = known.take(),
            State::Failing(_) | State::Over => return,
        }
        self.state = State::Failing(BrokenStream { error, writer });
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// What is due, as long as nothing comes. While nobody has answered, the attempts watch the deadline
    /// themselves.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        let dates = match &self.state {
            State::Live(live) => {
                Dates { deadline: Some(live.deadline().instant()), complete_by: live.complete_by() }
            }
            _ => Dates::default(),
        };
        self.alarm.poll_due(cx, dates)
    }

    fn sent(&mut self, bytes: Bytes) -> Poll<Option<Result<Bytes, BrokenStream>>> {
        self.alarm.sent();
        Poll::Ready(Some(Ok(bytes)))
    }

    /// Ends with `bytes`, if there are any left, and then whatever `state` says.
    fn end(&mut self, bytes: Bytes, state: State) -> Option<Bytes> {
        self.state = state;
        Some(bytes).filter(|bytes| !bytes.is_empty())
    }
}

impl StreamState {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenStream>>> {
        let this = self;
        if this.is_watched && !this.reader.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
            this.reader = Some(cx.waker().clone());
        }
        loop {
            match &mut this.state {
                State::Waiting(proving, _) => match proving.as_mut().poll(cx) {
                    Poll::Ready(Ok(live)) => this.state = State::Live(live),
                    Poll::Ready(Err(error)) => this.state = State::Failing(error.into()),
                    Poll::Pending => {
                        ready!(this.poll_due(cx));
                        return Poll::Ready(Some(Ok(this.keep_alive.clone())));
                    }
                },
                State::Live(live) => {
                    let step = match live.poll_step(cx) {
                        Poll::Ready(step) => step,
                        Poll::Pending => match ready!(this.poll_due(cx)) {
                            Due::KeepAlive => {
                                return Poll::Ready(Some(Ok(this.keep_alive.clone())));
                            }
                            // Its client has all of an answer that is complete by then.
                            Due::Deadline | Due::End => {
                                let State::Live(live) = &mut this.state else { continue };
                                if live.end_here() {
                                    continue;
                                }
                                live.end_with(RelayError::DeadlinePassed)
                            }
                        },
                    };
                    let last = match step {
                        Step::Send(bytes) => return this.sent(bytes),
                        Step::Complete(bytes) => this.complete(bytes),
                        Step::Failed(bytes, error) => {
                            let writer = match &this.state {
                                State::Live(live) => live.writer(),
                                _ => None,
                            };
                            this.end(bytes, State::Failing(BrokenStream { error, writer }))
                        }
                    };
                    if let Some(bytes) = last {
                        return this.sent(bytes);
                    }
                }
                State::Recording(recording, writer) => {
                    let recorded = ready!(recording.as_mut().poll(cx));
                    let writer = writer.take();
                    this.state = State::Over;
                    let broken = |error| BrokenStream { error, writer };
                    return Poll::Ready(Some(recorded.map_err(broken)));
                }
                State::Failing(_) => {
                    let State::Failing(broken) = std::mem::replace(&mut this.state, State::Over)
                    else {
                        return Poll::Ready(None);
                    };
                    return Poll::Ready(Some(Err(broken)));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    /// Puts the answer on the ledger; then its last bytes may go.
    fn complete(&mut self, last: Bytes) -> Option<Bytes> {
        let State::Live(live) = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        let (mut settlement, usage, writer) = live.finish();
        if settlement.complete_now(usage) {
            return Some(last);
        }
        let recording = Box::pin(async move {
            settlement.complete_by_commit().await?;
            Ok(last)
        });
        self.state = State::Recording(recording, writer());
        None
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::StreamExt;

    use super::*;

    #[actix_web::test]
    async fn a_stream_that_nobody_reads_is_given_up_after_its_deadline() {
        tokio::time::pause();
        let upstream = Rc::new(());
        let held = Rc::clone(&upstream);
        let proving = Box::pin(async move {
            let never = pending().await;
            drop(held);
            never
        });
        let minute = Duration::from_mins(1);
        let deadline = Deadline::new(Instant::now(), minute, None);
        let bytes = Bytes::from_static(b": keep-alive");
        let keep_alive = KeepAlive { every: Duration::from_secs(15), bytes: bytes.clone() };
        let (no_candidate_error, no_key) = (Weak::new(), None);
        let mut stream =
            ClientStream::waiting(proving, no_candidate_error, keep_alive, deadline, no_key);
        assert_eq!(stream.next().await.unwrap().ok(), Some(bytes));

        tokio::time::advance(minute + UNREAD_GRACE).await;
        while Rc::strong_count(&upstream) > 1 {
            tokio::task::yield_now().await;
        }

        let last = stream.next().await.unwrap().err().unwrap();
        assert!(matches!(last.error, RelayError::DeadlinePassed));
        assert!(stream.next().await.is_none());
    }
}
