//! A connection that knows whether an answer has come by it before.
//!
//! A server may close a connection that it has kept for a while just when the next request is on its way.
//! That request is lost, and neither it nor the server is to blame. One that is lost on a connection
//! that never worked is another matter.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    ops::RangeInclusive,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

/// What a request that is lost by the closing of a connection is lost within, at least and at most. Later
/// it has reached the other side, and was worked on.
const LOST_WITHIN: RangeInclusive<Duration> = Duration::from_millis(250)..=Duration::from_secs(1);

/// Most bytes of an answer that are read at first: all of a small one.
const FIRST_READ: usize = 4096;

/// What has come by a connection. It goes along with each answer and each error.
#[derive(Debug, Clone)]
pub(super) struct Answered(Arc<State>);

#[derive(Debug)]
struct State {
    /// Whether an answer has come that excuses the loss of a request.
    excuses: AtomicBool,
    /// Whether the last answer is done with once something is sent.
    is_done: AtomicBool,
    /// Whether anything has come since the last request was begun.
    is_heard: AtomicBool,
    /// How soon a request is lost when the other side has closed the connection.
    lost_within: Duration,
}

impl Answered {
    /// `connecting`: how long it took, which is at least as long as the way there and back.
    fn new(connecting: Duration) -> Self {
        let lost_within = (2 * connecting).clamp(*LOST_WITHIN.start(), *LOST_WITHIN.end());
        let no = AtomicBool::default;
        Self(Arc::new(State { excuses: no(), is_done: no(), is_heard: no(), lost_within }))
    }

    /// An answer has come by the connection that these extensions are of.
    pub(super) fn note(extensions: &http::Extensions) {
        if let Some(Self(state)) = extensions.get() {
            state.excuses.store(true, Ordering::Relaxed);
            state.is_done.store(true, Ordering::Relaxed);
        }
    }

    /// How soon a request must have been lost on a connection to be sent again. `None`: it must not be,
    /// since no answer had come by it before, or a part of one has come to this request: that was worked
    /// on. An answer excuses one loss.
    pub(super) fn take(connection: &Connected) -> Option<Duration> {
        let mut extensions = http::Extensions::new();
        connection.get_extras(&mut extensions);
        let Self(state) = extensions.get()?;
        let is_excused = state.excuses.swap(false, Ordering::Relaxed);
        (is_excused && !state.is_heard.load(Ordering::Relaxed)).then_some(state.lost_within)
    }

    fn sent(&self) {
        if self.0.is_done.swap(false, Ordering::Relaxed) {
            self.0.is_heard.store(false, Ordering::Relaxed);
        }
    }

    fn is_heard(&self) -> bool {
        self.0.is_heard.load(Ordering::Relaxed)
    }

    fn heard(&self) {
        self.0.is_heard.store(true, Ordering::Relaxed);
    }
}

/// A connection, and whether an answer has come by it.
pub(super) struct Kept<S> {
    stream: S,
    answered: Answered,
}

impl<S> Kept<S> {
    /// `connecting`: how long that took.
    pub(super) fn new(stream: S, connecting: Duration) -> Self {
        Self { stream, answered: Answered::new(connecting) }
    }
}

impl<S: Connection> Connection for Kept<S> {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.answered.clone())
    }
}

impl<S: Read + Unpin> Read for Kept<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.answered.is_heard() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        // The buffer does not tell how much has been read into it: the first bytes of an answer go by
        // one that does.
        let mut space = [MaybeUninit::uninit(); FIRST_READ];
        let room = buffer.remaining().min(FIRST_READ);
        let mut first = ReadBuf::uninit(&mut space[..room]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, first.unfilled()))?;
        if !first.filled().is_empty() {
            self.answered.heard();
        }
        buffer.put_slice(first.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Kept<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answered.sent();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answered.sent();
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Option<Duration> = Some(Duration::from_millis(250));

    /// A connection, and what goes along with an answer that comes by it.
    fn connection(connecting: Duration) -> (Answered, Connected, http::Extensions) {
        let answered = Answered::new(connecting);
        let connection = Connected::new().extra(answered.clone());
        let mut answer = http::Extensions::new();
        connection.get_extras(&mut answer);
        (answered, connection, answer)
    }

    #[test]
    fn an_answer_excuses_one_loss() {
        let (_, connection, answer) = connection(Duration::ZERO);
        assert_eq!(Answered::take(&connection), None, "none has come");
        Answered::note(&answer);
        Answered::note(&answer);
        assert_eq!(Answered::take(&connection), USUAL);
        assert_eq!(Answered::take(&connection), None);
        Answered::note(&answer);
        assert_eq!(Answered::take(&connection), USUAL);
    }

    #[test]
    fn what_has_begun_to_be_answered_was_worked_on() {
        let (answered, connection, answer) = connection(Duration::ZERO);
        answered.sent();
        answered.heard();
        Answered::note(&answer);
        // The rest of that answer, and then the next request.
        answered.heard();
        answered.sent();
        assert_eq!(Answered::take(&connection), USUAL);
        Answered::note(&answer);
        answered.sent();
        answered.heard();
        // More of the same request.
        answered.sent();
        assert_eq!(Answered::take(&connection), None);
    }

    /// The other side: what comes from there, and what was done with the connection.
    #[derive(Default)]
    struct Peer {
        says: &'static [u8],
        hears: Vec<u8>,
        is_vectored: bool,
        is_flushed: bool,
        is_shut: bool,
    }

    impl Connection for Peer {
        fn connected(&self) -> Connected {
            Connected::new()
        }
    }

    impl Read for Peer {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            mut buffer: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            let (now, later) = self.says.split_at(self.says.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.says = later;
            Poll::Ready(Ok(()))
        }
    }

    impl Write for Peer {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.hears.extend(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.is_flushed = true;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.is_shut = true;
            Poll::Ready(Ok(()))
        }

        fn is_write_vectored(&self) -> bool {
            self.is_vectored
        }
    }

    impl Kept<Peer> {
        fn reads(&mut self, room: usize) -> Vec<u8> {
            let mut space = vec![0; room];
            let mut buffer = ReadBuf::new(&mut space);
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert!(Pin::new(self).poll_read(&mut context, buffer.unfilled()).is_ready());
            buffer.filled().to_vec()
        }

        fn writes(&mut self, bytes: &[u8], is_vectored: bool) {
            let mut context = Context::from_waker(std::task::Waker::noop());
            let written = if is_vectored {
                Pin::new(self).poll_write_vectored(&mut context, &[IoSlice::new(bytes)])
            } else {
                Pin::new(self).poll_write(&mut context, bytes)
            };
            assert!(matches!(written, Poll::Ready(Ok(length)) if length == bytes.len()));
        }
    }

    #[test]
    fn a_request_of_which_nothing_has_come_back_may_be_sent_again() {
        for is_vectored in [false, true] {
            for (says, is_lost) in [(&b""[..], true), (b"HTTP/1.1", false)] {
                let mut kept = Kept::new(Peer::default(), Duration::ZERO);
                let mut answer = http::Extensions::new();
                kept.connected().get_extras(&mut answer);
                kept.writes(b"one", is_vectored);
                kept.stream.says = b"answer";
                assert_eq!(kept.reads(100), b"answer");
                Answered::note(&answer);
                kept.writes(b"two", is_vectored);
                kept.stream.says = says;
                assert_eq!(kept.reads(100), says);
                assert_eq!(Answered::take(&kept.connected()), USUAL.filter(|_| is_lost));
                assert_eq!(kept.stream.hears, b"onetwo");
            }
        }
    }

    #[test]
    fn all_that_comes_passes_whatever_room_there_is() {
        let long: &'static [u8] = &[7; 3 * FIRST_READ];
        for room in [1, 100, FIRST_READ, 2 * FIRST_READ] {
            let mut kept = Kept::new(Peer { says: long, ..Peer::default() }, Duration::ZERO);
            let mut seen = Vec::new();
            while seen.len() < long.len() {
                let read = kept.reads(room);
                assert!(!read.is_empty() && read.len() <= room);
                seen.extend(read);
            }
            assert_eq!(seen, long);
        }
    }

    // Only the first bytes go by a buffer of ours.
    #[test]
    fn once_an_answer_has_begun_a_read_takes_all_that_there_is_room_for() {
        let long: &'static [u8] = &[7; 3 * FIRST_READ];
        let mut kept = Kept::new(Peer { says: long, ..Peer::default() }, Duration::ZERO);
        assert_eq!(kept.reads(2 * FIRST_READ).len(), FIRST_READ);
        assert_eq!(kept.reads(2 * FIRST_READ).len(), 2 * FIRST_READ);
    }

    #[test]
    fn it_takes_pieces_at_once_where_the_one_inside_does() {
        for is_vectored in [false, true] {
            let kept = Kept::new(Peer { is_vectored, ..Peer::default() }, Duration::ZERO);
            assert_eq!(kept.is_write_vectored(), is_vectored);
        }
    }

    #[test]
    fn what_is_done_with_the_connection_is_done_with_the_one_inside() {
        let mut kept = Kept::new(Peer::default(), Duration::ZERO);
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut kept).poll_flush(&mut context).is_ready());
        assert!(kept.stream.is_flushed && !kept.stream.is_shut);
        assert!(Pin::new(&mut kept).poll_shutdown(&mut context).is_ready());
        assert!(kept.stream.is_shut);
    }

    #[test]
    fn what_is_lost_later_than_the_way_there_and_back_was_worked_on() {
        for (connecting, within) in [(0, 250), (125, 250), (200, 400), (500, 1_000), (9_000, 1_000)]
        {
            let (_, connection, answer) = connection(Duration::from_millis(connecting));
            Answered::note(&answer);
            assert_eq!(Answered::take(&connection), Some(Duration::from_millis(within)));
        }
    }
}
