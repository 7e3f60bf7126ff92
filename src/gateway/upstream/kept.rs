//! A connection that knows whether an answer has come by it before.
//!
//! A server may close a connection that it has kept for a while just when the next request is on its way.
//! That request is lost, and neither it nor the server is to blame. One that is lost on a connection
//! that never worked is another matter.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

/// Whether an answer has come by a connection. It goes along with each answer and each error.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered(Arc<AtomicBool>);

impl Answered {
    /// An answer has come by the connection that these extensions are of.
    pub(super) fn note(extensions: &http::Extensions) {
        if let Some(Self(answered)) = extensions.get() {
            answered.store(true, Ordering::Relaxed);
        }
    }

    /// Whether one had come before. Asked once more, it says no until another has come: a connection of
    /// HTTP/2 outlives what is lost on it, and must not excuse every request that is.
    pub(super) fn take(connection: &Connected) -> bool {
        let mut extensions = http::Extensions::new();
        connection.get_extras(&mut extensions);
        extensions.get().is_some_and(|Self(answered)| answered.swap(false, Ordering::Relaxed))
    }
}

/// A connection, and whether an answer has come by it.
pub(super) struct Kept<S> {
    stream: S,
    answered: Answered,
}

impl<S> Kept<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, answered: Answered::default() }
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
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: Write + Unpin> Write for Kept<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_excuses_one_loss() {
        let connection = Connected::new().extra(Answered::default());
        let mut answer = http::Extensions::new();
        connection.get_extras(&mut answer);
        assert!(!Answered::take(&connection), "none has come");
        Answered::note(&answer);
        Answered::note(&answer);
        assert!(Answered::take(&connection));
        assert!(!Answered::take(&connection));
        Answered::note(&answer);
        assert!(Answered::take(&connection));
    }
}
