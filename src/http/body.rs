//! The bodies of requests: read after their sender is known, within limits of size, of pace, and of
//! the room that all bodies together may take.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use actix_web::{
    HttpRequest,
    http::{StatusCode, header::CONTENT_LENGTH},
    web::{Bytes, Payload},
};
use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep_until};

use super::{connection::BodyInConnection, problem::Problem};
use crate::{domain::id::KeyId, telemetry::Metrics};

mod room;

pub use room::Held;
use room::{Full, Room};

/// Most room that is made for a body before any of it has come, in bytes.
const FIRST_ROOM: usize = 64 * 1024;

/// How many times its content a body may take on the wire, chunked: with less than three bytes in a
/// chunk it takes more.
const MOST_FRAMING: u64 = 3;

/// How much may have come beyond that, in bytes: what is read ahead, and small bodies in any chunks.
const FREE_FRAMING: u64 = 128 * 1024;

/// How bodies are read. Shared by all worker threads; cheap to clone.
#[derive(Clone)]
pub struct Bodies {
    limits: BodyLimits,
    room: Room,
    metrics: Arc<Metrics>,
}

/// How large bodies may be, and how slow.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes of all bodies at once.
    pub all_bytes: usize,
    /// Bytes of the largest that are read with these limits.
    pub largest_bytes: usize,
    /// How long a body may take at first, and how far it may fall behind its pace later.
    pub grace: Duration,
    /// How fast it has to come after that.
    pub min_bytes_per_second: u64,
    /// From one part of it to the next.
    pub idle: Duration,
}

/// Until when more of a body has to have come.
struct Due {
    at_pace: Instant,
    /// Without regard to the pace.
    at_all: Instant,
}

impl Due {
    fn new(now: Instant, limits: &BodyLimits) -> Self {
        Self { at_pace: now + limits.grace, at_all: now + limits.idle }
    }

    /// So many bytes have come. They buy time, but no more of it than a body has at first: what was
    /// sent at once would otherwise let it hold its room in silence.
    fn came(&mut self, bytes: usize, now: Instant, limits: &BodyLimits) {
        let rate = limits.min_bytes_per_second.max(1);
        let won = Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / rate);
        self.at_pace = (self.at_pace + won).min(now + limits.grace);
        self.at_all = now + limits.idle;
    }

    fn at(&self) -> Instant {
        self.at_pace.min(self.at_all)
    }
}

/// A body that was read. It counts among those at once until it is dropped.
pub struct Body {
    pub bytes: Bytes,
    pub held: Held,
}

impl Bodies {
    pub fn new(limits: BodyLimits, metrics: Arc<Metrics>) -> Self {
        let room = Room::new(limits.all_bytes, limits.largest_bytes, metrics.body_bytes.clone());
        Self { limits, room, metrics }
    }

    /// Reads a body of at most `limit` bytes, which a caller with this key has sent.
    ///
    /// Errors: a [`Problem`] of 413 when it is larger, of 408 when it comes too slowly, of 429 when
    /// the bodies of the key take too much room, of 503 when those of all do, of 400 when it breaks off or is
    /// hardly anything but framing.
    pub async fn read(
        &self,
        request: &HttpRequest,
        payload: Payload,
        limit: usize,
        key: &KeyId,
    ) -> Result<Body, Problem> {
        let came = BodyInConnection::of(request);
        let read = self.read_within(request, payload, &came, limit, key).await;
        match &read {
            Ok(_) => came.was_read(),
            Err(problem) => self.metrics.body_refused(reason(problem)),
        }
        read
    }

    async fn read_within(
        &self,
        request: &HttpRequest,
        mut payload: Payload,
        came: &BodyInConnection,
        limit: usize,
        key: &KeyId,
    ) -> Result<Body, Problem> {
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok());
        let announced = announced.and_then(|text| text.parse::<usize>().ok());
        if announced.is_some_and(|size| size > limit) {
            return Err(Problem::too_large(limit));
        }
        let (most, first) = (announced.unwrap_or(limit), announced.unwrap_or(0).min(FIRST_ROOM));
        let mut held = self.room.enter(key);
        let mut bytes = Vec::new();
        let mut due = Due::new(Instant::now(), &self.limits);
        let mut look = pin!(sleep_until(due.at()));
        loop {
            let is_framing =
                || came.framed_bytes() > bytes.len() as u64 * MOST_FRAMING + FREE_FRAMING;
            let next = tokio::select! {
                biased;
                // The connection looks after its request whenever it has read something.
                () = poll_fn(|_| if is_framing() { Poll::Ready(()) } else { Poll::Pending }) => {
                    return Err(Problem::bad_request("the chunks of the body are too small"));
                }
                next = payload.next() => next,
                () = look.as_mut() => {
                    // Set anew only when it has passed: most bodies come at once.
                    if Instant::now() >= due.at() {
                        return Err(Problem::body_too_slow());
                    }
                    look.as_mut().reset(due.at());
                    continue;
                }
            };
            let Some(chunk) = next else { break };
            let chunk = chunk
                .map_err(|error| Problem::bad_request(format!("the body broke off: {error}")))?;
            if chunk.len() > limit - bytes.len() {
                return Err(Problem::too_large(limit));
            }
            let needed = bytes.len() + chunk.len();
            if needed > bytes.capacity() {
                // Counted is what memory is taken, not what is used of it.
                let room = (bytes.capacity() * 2).max(first).min(most).max(needed);
                held.grow(room).map_err(|full| self.no_room(full))?;
                bytes.reserve_exact(room - bytes.len());
            }
            bytes.extend_from_slice(&chunk);
            due.came(chunk.len(), Instant::now(), &self.limits);
        }
        Ok(Body { bytes: bytes.into(), held })
    }

    /// Whoever holds room and falls silent has lost it after the wait that is told.
    fn no_room(&self, full: Full) -> Problem {
        match full {
            Full::All => Problem::no_room_for_bodies(self.limits.idle),
            Full::Key => Problem::no_room_for_bodies_of_key(self.limits.idle),
        }
    }
}

/// Why a body was not taken, as metrics call it.
fn reason(problem: &Problem) -> &'static str {
    match problem.status {
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::REQUEST_TIMEOUT => "too_slow",
        StatusCode::SERVICE_UNAVAILABLE => "no_room",
        StatusCode::TOO_MANY_REQUESTS => "no_room_for_key",
        _ => "malformed",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{FromRequest as _, error::PayloadError, test::TestRequest, web};
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        all_bytes: 200,
        largest_bytes: 60,
        grace: Duration::from_secs(10),
        min_bytes_per_second: 2,
        idle: Duration::from_secs(20),
    };

    /// A request whose body comes in pieces, each after a wait of so many seconds.
    async fn read(bodies: &Bodies, pieces: &[(u64, &'static str)]) -> Result<Body, Problem> {
        read_of("a", bodies, pieces).await
    }

    async fn read_of(
        key: &str,
        bodies: &Bodies,
        pieces: &[(u64, &'static str)],
    ) -> Result<Body, Problem> {
        let pieces = pieces.to_vec();
        let body = stream::iter(pieces).then(|(wait, piece)| async move {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            Ok::<_, PayloadError>(Bytes::from_static(piece.as_bytes()))
        });
        let request = TestRequest::default().to_http_request();
        let mut payload = actix_web::dev::Payload::Stream { payload: body.boxed_local() };
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        bodies.read(&request, payload, 60, &key.into()).await
    }

    fn bodies() -> Bodies {
        Bodies::new(LIMITS, Metrics::new())
    }

    fn taken(bodies: &Bodies) -> i64 {
        bodies.metrics.body_bytes.get()
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
    async fn what_is_sent_at_once_buys_no_silence() {
        tokio::time::pause();
        let most = "0123456789012345678901234567890123456789012345678901234567";
        for (grace, idle, expected) in [(10, 20, 11), (20, 10, 11), (3600, 10, 11)] {
            let (grace, idle) = (Duration::from_secs(grace), Duration::from_secs(idle));
            let bodies = Bodies::new(BodyLimits { grace, idle, ..LIMITS }, Metrics::new());
            let start = Instant::now();
            let refused = read(&bodies, &[(1, most), (3600, "8")]).await.err().unwrap();
            assert_eq!(refused.status.as_u16(), 408);
            assert_eq!(start.elapsed().as_secs(), expected, "{grace:?}, {idle:?}");
            assert_eq!(taken(&bodies), 0);
        }
    }

    #[actix::test]
    async fn one_key_has_a_share_of_the_room_and_is_told_when_to_come_again() {
        let bodies = bodies();
        let fifty = [(0, "0123456789012345678901234"), (0, "0123456789012345678901234")];
        let first = read(&bodies, &fifty).await.unwrap();
        let _second = read(&bodies, &fifty).await.unwrap();
        let refused = read(&bodies, &[(0, "0")]).await.err().unwrap();
        assert_eq!((refused.status.as_u16(), refused.retry_after), (429, Some(LIMITS.idle)));
        let _others = [
            read_of("b", &bodies, &fifty).await.unwrap(),
            read_of("c", &bodies, &fifty).await.unwrap(),
        ];
        let refused = read_of("b", &bodies, &[(0, "0")]).await.err().unwrap();
        assert_eq!((refused.status.as_u16(), refused.retry_after), (503, Some(LIMITS.idle)));
        drop(first);
        assert!(read(&bodies, &fifty).await.is_ok());
    }

    #[actix::test]
    async fn the_memory_that_a_body_takes_is_counted_until_it_is_dropped() {
        let bodies = bodies();
        let body = read(&bodies, &[(0, "0123456789"), (0, "0"), (0, "1")]).await.unwrap();
        assert_eq!((body.bytes.len(), taken(&bodies)), (12, 20));
        drop(body);
        assert_eq!(taken(&bodies), 0);
    }

    #[actix::test]
    async fn a_body_that_is_too_large_or_breaks_off_holds_no_room() {
        let bodies = bodies();
        let large =
            [(0, "0123456789012345678901234567890"), (0, "0123456789012345678901234567890")];
        assert_eq!(read(&bodies, &large).await.err().unwrap().status.as_u16(), 413);
        assert_eq!(taken(&bodies), 0);
    }

    proptest! {
        /// Whoever sends less than the least rate, in whatever pieces and after whatever was sent at
        /// once, is let go; whoever sends more, without long silence between, is not.
        #[test]
        fn a_body_must_come_on_at_the_least_rate(
            at_once in 0_usize..40_000_000, piece in 1_usize..20_000, wait_ms in 1_u64..9_000,
        ) {
            let limits = BodyLimits { min_bytes_per_second: 1000, ..LIMITS };
            let mut now = Instant::now();
            let (mut due, mut let_go) = (Due::new(now, &limits), false);
            due.came(at_once, now, &limits);
            for _ in 0..100_000 / wait_ms + 100 {
                now += Duration::from_millis(wait_ms);
                if now >= due.at() {
                    let_go = true;
                    break;
                }
                due.came(piece, now, &limits);
            }
            let rate = piece as u64 * 1000 / wait_ms;
            prop_assert!(let_go || rate >= 900, "{rate} bytes per second were enough");
            prop_assert!(!let_go || rate <= 1_001, "{rate} bytes per second were not enough");
        }
    }
}
