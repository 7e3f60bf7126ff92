//! An answer that is arriving: its head is here, its body is read piece by piece.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_ENCODING, HeaderValue},
};
use tokio::time::{Instant, Sleep};

use super::{
    body::Body,
    request::Waits,
    transport,
    verdict::{is_page, judge},
};
use crate::{
    domain::{
        failure::{Failure, FailureClass, WrongFormat},
        format_evidence::ProbeAnswer,
        provider::ApiFormat,
        rule::FailureRule,
        time::Timestamp,
    },
    gateway::failure::{in_format, shape_of},
};

/// Most bytes of an error body that are read.
pub(super) const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The longest time an error body is waited for: the status has said the most of it.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);

/// Most bytes, and the longest time, spent on the rest of a body nobody wants, to keep its connection.
const MAX_REST_BYTES: usize = 64 * 1024;
const REST_WAIT: Duration = Duration::from_secs(1);

/// A good answer (status 2xx) whose body is still to be read.
pub struct UpstreamResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
    waits: Waits,
    /// Used again for every wait: it is only moved when it has to ring earlier, or when it rings
    /// and the wait it was set for is over. A stream costs one timer, not one for each read.
    timer: Pin<Box<Sleep>>,
    /// When the wait that is going on has lasted too long.
    give_up_at: Option<Instant>,
    has_begun: bool,
}

impl UpstreamResponse {
    pub(super) fn new(response: Response<Body>, waits: Waits, timer: Pin<Box<Sleep>>) -> Self {
        let (head, body) = response.into_parts();
        let (status, headers) = (head.status, head.headers);
        Self { status, headers, body, waits, timer, give_up_at: None, has_begun: false }
    }

    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header of the answer. `None` also when it is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Looks for what shows in the head of a good answer that it is none.
    ///
    /// Errors: [`FailureClass::Server`] when it is empty, compressed, which was not asked for, or a
    /// page for people: a login in the upstream's place.
    pub fn check_head(&self) -> Result<(), Failure> {
        let headers = &self.headers;
        let is_plain = |value: &HeaderValue| {
            value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity") || value.is_empty()
        };
        let status = self.status();
        let mut wrong_format = None;
        let fault = if matches!(status, 204 | 205) || self.body.announced() == Some(0) {
            "is empty"
        } else if !headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
            "is compressed, although plain bytes were asked for"
        } else if is_page(headers) {
            // A server of pages has one for every path.
            wrong_format = Some(WrongFormat::Everywhere);
            "is a web page"
        } else {
            return Ok(());
        };
        let failure = Failure::new(FailureClass::Server, format!("the answer {fault}"));
        Err(Failure { status: Some(status), wrong_format, ..failure })
    }

    /// Polls for the next piece of the body, as the socket gave it. `None` is a clean end.
    ///
    /// Poll again until it is pending to drain what has already arrived.
    ///
    /// Errors: [`FailureClass::Cut`] when the body breaks off, [`FailureClass::Stalled`] when it
    /// pauses for too long, [`FailureClass::Silent`] when it never began.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        match self.body.poll_data(cx) {
            Poll::Ready(None) => {
                self.give_up_at = None;
                Poll::Ready(Ok(None))
            }
            Poll::Ready(Some(Ok(chunk))) => {
                self.has_begun = true;
                Poll::Ready(Ok(Some(chunk)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(transport::during_body(&*error))),
            Poll::Pending => {
                ready!(self.poll_give_up(cx));
                // Whoever goes on after it may keep this for as long as it likes.
                self.body = Body::LetGo;
                Poll::Ready(Err(if self.has_begun {
                    Failure::new(FailureClass::Stalled, "the answer stopped and did not end")
                } else {
                    Failure::new(FailureClass::Silent, "the answer had a head and no body in time")
                }))
            }
        }
    }

    fn poll_give_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Waits { deadline, idle, .. } = self.waits;
        let give_up_at =
            *self.give_up_at.get_or_insert_with(|| deadline.min(Instant::now() + idle));
        if self.timer.deadline() > give_up_at {
            self.timer.as_mut().reset(give_up_at);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= give_up_at {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(give_up_at);
        }
    }

    /// The time that the answer may pause begins anew: what has come is more of it.
    pub fn goes_on(&mut self) {
        self.give_up_at = None;
    }

    /// Waits for the next piece of a stream. `None` is a clean end. Whoever knows whether it says anything
    /// tells that it [goes on](Self::goes_on).
    ///
    /// Errors: as [`poll_chunk`](Self::poll_chunk). May be cancelled: nothing is lost.
    pub async fn next_of_stream(&mut self) -> Result<Option<Bytes>, Failure> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Waits for the next piece of the body. `None` is a clean end.
    ///
    /// Errors: as [`poll_chunk`](Self::poll_chunk). May be cancelled: nothing is lost.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = self.next_of_stream().await?;
        self.goes_on();
        Ok(chunk)
    }

    /// Reads the whole body. A body that arrives in one piece is not copied.
    ///
    /// Errors: as [`poll_chunk`](Self::poll_chunk), and [`FailureClass::Server`] when it is longer
    /// than `max_bytes`.
    pub async fn read_whole(mut self, max_bytes: usize) -> Result<Bytes, Failure> {
        let too_long = || {
            let detail = format!("the answer is longer than {max_bytes} bytes");
            Failure { status: Some(200), ..Failure::new(FailureClass::Server, detail) }
        };
        let announced = self.body.announced().unwrap_or(0);
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if announced > max_bytes {
            return Err(too_long());
        }
        let Some(first) = self.next_chunk().await? else { return Ok(Bytes::new()) };
        let Some(mut next) = self.next_chunk().await? else {
            return if first.len() > max_bytes { Err(too_long()) } else { Ok(first) };
        };
        let mut whole = BytesMut::with_capacity(announced.max(first.len() + next.len()));
        whole.extend_from_slice(&first);
        loop {
            if whole.len() + next.len() > max_bytes {
                return Err(too_long());
            }
            whole.extend_from_slice(&next);
            match self.next_chunk().await? {
                Some(chunk) => next = chunk,
                None => return Ok(whole.freeze()),
            }
        }
    }

    /// Lets go of an answer of which everything wanted has been read, and keeps its connection for
    /// the next request: an HTTP/1 connection is closed unless its body was read to the end.
    ///
    /// Does not wait. When the end is not here yet, which takes a packet more after the terminal
    /// event of many servers, a task waits for it, for a second at most.
    pub fn recycle(mut self) {
        self.waits =
            Waits { deadline: Instant::now() + REST_WAIT, head: Duration::ZERO, idle: REST_WAIT };
        self.give_up_at = None;
        let mut rest = Box::pin(async move {
            let mut bytes = 0;
            while bytes < MAX_REST_BYTES
                && let Ok(Some(chunk)) = self.next_chunk().await
            {
                bytes += chunk.len();
            }
        });
        if rest.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending() {
            tokio::spawn(rest);
        }
    }

    /// Reads as much as comes of a body, up to a bound.
    async fn read_start(&mut self) -> BytesMut {
        let mut body = BytesMut::new();
        // A body that breaks off is judged by what has come of it, or by the status alone.
        while body.len() < MAX_ERROR_BYTES
            && let Ok(Some(chunk)) = self.next_chunk().await
        {
            let room = MAX_ERROR_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        body
    }

    /// What it looks like, good or not.
    pub(super) async fn into_heard(mut self) -> ProbeAnswer {
        let body = self.read_start().await;
        let shape = shape_of(&body, is_page(&self.headers));
        ProbeAnswer { status: self.status(), shape }
    }

    /// Reads as much of an error's body as is needed to tell what it means.
    pub async fn into_failure(mut self, format: ApiFormat, rules: &[FailureRule]) -> Failure {
        self.waits.deadline = self.waits.deadline.min(Instant::now() + ERROR_BODY_WAIT);
        let body = self.read_start().await;
        let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
        let headers = &self.headers;
        let failure = judge(self.status(), headers, &body, rules, now);
        in_format(failure, format, &body, is_page(headers))
    }
}
