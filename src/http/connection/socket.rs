//! The socket of a client, which tells what goes through it.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::state::{Allowance, State};

/// What the HTTP server writes for a client that asks before it sends a body. It does so before the
/// request is looked at; both come here at once when nothing is awaited before the answer.
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How the HTTP server's answer begins to what is no request. Nobody else answers so: it has no body.
const WORDLESS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n";

/// What is sent in its place.
const MALFORMED: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 168\r\n\r\n\
    {\"error\":{\"code\":\"malformed_request\",\"message\":\"this is no HTTP request; a line break or another \
    control character in a header does that, as in front of a pasted key\"}}";

/// A socket whose reading and writing are accounted for.
#[derive(Debug)]
pub struct Socket {
    io: TcpStream,
    pub state: Rc<State>,
    /// How much of [`MALFORMED`] is sent.
    malformed_sent: usize,
}

impl Socket {
    pub fn new(io: TcpStream, state: Rc<State>) -> Self {
        Self { io, state, malformed_sent: 0 }
    }
}

impl Socket {
    /// Says in words what the HTTP server has none for.
    fn poll_malformed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = MALFORMED.as_bytes().get(self.malformed_sent..)
            && !rest.is_empty()
        {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.malformed_sent += sent;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let most = match this.state.may_read(cx.waker()) {
            Allowance::Bytes(most) => most,
            Allowance::Later => return Poll::Pending,
            Allowance::NextTurn => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        let before = buf.filled().len();
        if most >= buf.remaining() {
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        } else {
            ready!(Pin::new(&mut (&mut this.io).take(most as u64)).poll_read(cx, buf))?;
        }
        let read = &buf.filled()[before..];
        if !read.is_empty() {
            this.state.received(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Who has its answer already is not to send the body.
        if self.state.is_answered() && buf.starts_with(GO_ON) {
            return Poll::Ready(Ok(GO_ON.len()));
        }
        let written = if buf.starts_with(WORDLESS) {
            self.poll_malformed(cx).map_ok(|()| buf.len())
        } else {
            Pin::new(&mut self.io).poll_write(cx, buf)
        };
        match written {
            Poll::Ready(Ok(length)) => {
                self.state.written(length, length == buf.len());
                Poll::Ready(Ok(length))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.state.write_blocked();
                Poll::Pending
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_no_request_hears_a_whole_answer() {
        let (head, body) = MALFORMED.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
