//! The bodies of requests: read after their sender is known, within limits of size, of pace, and of
//! the room that all bodies together may take.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpRequest,
    http::{StatusCode, header::CONTENT_LENGTH},
    web::{Bytes, BytesMut, Payload},
};
use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep_until};

use super::{connection::body_was_read, problem::Problem};
use crate::telemetry::Metrics;

/// Most room that is made for a body before any of it has come, in bytes.
const FIRST_ROOM: usize = 64 * 1024;

/// How bodies are read. Shared by all worker threads; cheap to clone.
#[derive(Clone)]
pub struct Bodies(Arc<Inner>);

struct Inner {
    limits: BodyLimits,
    /// Bytes of all bodies that are held now.
    held: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// How large bodies may be, and how slow.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes of all bodies at once.
    pub all_bytes: usize,
    /// How long a body may take at first.
    pub grace: Duration,
    /// How fast it has to come after that.
    pub min_bytes_per_second: u64,
}

impl BodyLimits {
    /// The time in which so much of a body has to have come.
    fn time_for(&self, bytes: usize) -> Duration {
        let rate = self.min_bytes_per_second.max(1);
        self.grace + Duration::from_millis((bytes as u64).saturating_mul(1000) / rate)
    }
}

/// A body that was read. It counts among those at once until it is dropped.
pub struct Body {
    pub bytes: Bytes,
    pub held: Held,
}

/// Room that a body takes.
pub struct Held {
    bodies: Bodies,
    bytes: usize,
}

impl Bodies {
    pub fn new(limits: BodyLimits, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner { limits, held: AtomicUsize::new(0), metrics }))
    }

    /// Reads a body of at most `limit` bytes.
    ///
    /// Errors: a [`Problem`] of 413 when it is larger, of 408 when it comes too slowly, of 503 when
    /// the bodies of all requests take too much room, of 400 when it breaks off.
    pub async fn read(
        &self,
        request: &HttpRequest,
        payload: Payload,
        limit: usize,
    ) -> Result<Body, Problem> {
        let read = self.read_within(request, payload, limit).await;
        match &read {
            Ok(_) => body_was_read(request),
            Err(problem) => self.0.metrics.body_refused(reason(problem)),
        }
        read
    }

    async fn read_within(
        &self,
        request: &HttpRequest,
        mut payload: Payload,
        limit: usize,
    ) -> Result<Body, Problem> {
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok());
        let announced = announced.and_then(|text| text.parse::<usize>().ok());
        if announced.is_some_and(|size| size > limit) {
            return Err(Problem::too_large(limit));
        }
        let mut held = Held { bodies: self.clone(), bytes: 0 };
        let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0).min(FIRST_ROOM));
        let start = Instant::now();
        let mut look = pin!(sleep_until(start + self.0.limits.grace));
        loop {
            let next = tokio::select! {
                biased;
                next = payload.next() => next,
                () = look.as_mut() => {
                    // Set anew only when it has passed: most bodies come at once.
                    let due = start + self.0.limits.time_for(bytes.len());
                    if Instant::now() >= due {
                        return Err(Problem::body_too_slow());
                    }
                    look.as_mut().reset(due);
                    continue;
                }
            };
            let Some(chunk) = next else { break };
            let chunk = chunk
                .map_err(|error| Problem::bad_request(format!("the body broke off: {error}")))?;
            if chunk.len() > limit - bytes.len() {
                return Err(Problem::too_large(limit));
            }
            held.grow(chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(Body { bytes: bytes.freeze(), held })
    }
}

/// Why a body was not taken, as metrics call it.
fn reason(problem: &Problem) -> &'static str {
    match problem.status {
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::REQUEST_TIMEOUT => "too_slow",
        StatusCode::SERVICE_UNAVAILABLE => "no_room",
        _ => "broken_off",
    }
}

impl Held {
    /// Errors: [`Problem::no_room_for_bodies`], after which nothing more is held than before.
    fn grow(&mut self, by: usize) -> Result<(), Problem> {
        let Inner { limits, held, metrics } = &*self.bodies.0;
        let before = held.fetch_add(by, Ordering::Relaxed);
        if before.saturating_add(by) > limits.all_bytes {
            held.fetch_sub(by, Ordering::Relaxed);
            return Err(Problem::no_room_for_bodies());
        }
        self.bytes += by;
        metrics.body_bytes.inc_by(i64::try_from(by).unwrap_or(i64::MAX));
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Inner { held, metrics, .. } = &*self.bodies.0;
        held.fetch_sub(self.bytes, Ordering::Relaxed);
        metrics.body_bytes.dec_by(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{FromRequest as _, error::PayloadError, test::TestRequest, web};
    use futures_util::stream;

    use super::*;

    const LIMITS: BodyLimits =
        BodyLimits { all_bytes: 100, grace: Duration::from_secs(10), min_bytes_per_second: 2 };

    /// A request whose body comes in pieces, each after a wait of so many seconds.
    async fn read(bodies: &Bodies, pieces: &[(u64, &'static str)]) -> Result<Body, Problem> {
        let pieces = pieces.to_vec();
        let body = stream::iter(pieces).then(|(wait, piece)| async move {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            Ok::<_, PayloadError>(Bytes::from_static(piece.as_bytes()))
        });
        let request = TestRequest::default().to_http_request();
        let mut payload = actix_web::dev::Payload::Stream { payload: body.boxed_local() };
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        bodies.read(&request, payload, 60).await
    }

    fn bodies() -> Bodies {
        Bodies::new(LIMITS, Metrics::new())
    }

    #[actix::test]
    async fn a_body_may_take_the_longer_the_more_of_it_came() {
        tokio::time::pause();
        let bodies = bodies();
        let slow: Vec<_> = std::iter::repeat_n((9, "0123456789012345678"), 3).collect();
        assert_eq!(read(&bodies, &slow).await.unwrap().bytes.len(), 57);
        let start = Instant::now();
        let slower = [(9, "01"), (9, "23"), (9, "45")];
        assert_eq!(read(&bodies, &slower).await.err().unwrap().status.as_u16(), 408);
        assert_eq!(start.elapsed().as_secs(), 11);
    }

    #[actix::test]
    async fn all_bodies_together_have_so_much_room_and_give_it_back() {
        let bodies = bodies();
        let fifty = [(0, "0123456789012345678901234"), (0, "0123456789012345678901234")];
        let first = read(&bodies, &fifty).await.unwrap();
        let second = read(&bodies, &fifty).await.unwrap();
        let third = read(&bodies, &[(0, "0")]).await.err().unwrap();
        assert_eq!((third.status.as_u16(), third.retry_after.is_some()), (503, true));
        drop(first);
        assert!(read(&bodies, &fifty).await.is_ok());
        drop(second);
        assert_eq!(bodies.0.held.load(Ordering::Relaxed), 0);
    }

    #[actix::test]
    async fn a_body_that_is_too_large_or_breaks_off_holds_no_room() {
        let bodies = bodies();
        let large =
            [(0, "0123456789012345678901234567890"), (0, "0123456789012345678901234567890")];
        assert_eq!(read(&bodies, &large).await.err().unwrap().status.as_u16(), 413);
        assert_eq!(bodies.0.held.load(Ordering::Relaxed), 0);
    }
}
