//! The body of an answer, by whichever client it comes.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use thiserror::Error;

pub(super) enum Body {
    Direct(Incoming),
    Proxied(reqwest::Body),
    /// Nobody waits for the rest of it, and its connection is closed. It never ends well.
    LetGo,
}

/// Of a body that was let go, more was asked for.
#[derive(Debug, Error)]
#[error("the answer was let go")]
struct LetGo;

impl Body {
    /// Its whole length in bytes, where the head has told it.
    pub(super) fn announced(&self) -> Option<u64> {
        match self {
            Self::Direct(body) => body.size_hint().exact(),
            Self::Proxied(body) => body.size_hint().exact(),
            Self::LetGo => None,
        }
    }

    /// Polls for its next piece, as the socket gave it. `None` is a clean end.
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Box<dyn Error>>>> {
        loop {
            let frame = match self {
                Self::Direct(body) => ready!(Pin::new(body).poll_frame(cx)).map(boxed),
                Self::Proxied(body) => ready!(Pin::new(body).poll_frame(cx)).map(boxed),
                Self::LetGo => Some(Err(LetGo.into())),
            };
            // What is no data is a trailer, and nobody here asks for those.
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(Ok(data))) => return Poll::Ready(Some(Ok(data))),
                Some(Ok(Err(_))) => {}
            }
        }
    }
}

fn boxed<T, E: Error + 'static>(result: Result<T, E>) -> Result<T, Box<dyn Error>> {
    result.map_err(Into::into)
}
