//! A connection from its first byte to its end.

use std::{
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::{
    HttpServiceBuilder, KeepAlive, Request, Response, body::BoxBody, error::DispatchError,
    h1::H1Service,
};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_factory};
use actix_web::Error;
use futures_util::future::LocalBoxFuture;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep_until},
};

use super::{
    deadlines::{CLOCK_LAG, Deadline, Timeouts},
    limits::{Connections, Full},
    malformed::MalformedLog,
    requests::{Refuse, Tracked, told},
    socket::Socket,
    state::State,
};
use crate::telemetry::Metrics;

/// What a connection hears that is one too many, before it is closed.
const TURNED_AWAY: &str = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    content-type: application/json\r\nretry-after: 1\r\ncontent-length: 95\r\n\r\n\
    {\"error\":{\"code\":\"too_many_connections\",\"message\":\"there are too many connections; try again\"}}";

/// How long a connection that is one too many may take to hear so, and how often it is read from.
const REFUSAL_LINGER: Duration = Duration::from_millis(500);
const REFUSAL_READS: usize = 64;

/// Most bytes that the kernel keeps to be sent when the client has room for them.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 128 * 1024;

/// What all connections of one address that we listen on have in common. Cheap to clone.
#[derive(Clone)]
pub struct Listener {
    /// As metrics call it.
    pub name: &'static str,
    pub timeouts: Timeouts,
    pub connections: Connections,
    pub malformed: MalformedLog,
    pub metrics: Arc<Metrics>,
    pub refuse: Refuse,
}

impl Listener {
    /// Serves `app` over each connection, on the thread it is made on.
    pub fn services<I, S>(
        self,
        app: I,
        shutdown: GracefulShutdownSignal,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()>
    where
        I: IntoServiceFactory<S, Request> + 'static,
        S: ServiceFactory<Request, Config = (), Error = Error, InitError = ()> + 'static,
        S::Response: Into<Response<BoxBody>>,
    {
        let http: H1Service<Socket, _, Tracked> = HttpServiceBuilder::default()
            .graceful_shutdown_signal(move || {
                let shutdown = shutdown.clone();
                async move { shutdown.notified().await }
            })
            // Kept here, by one timer for each connection in place of one for each request.
            .keep_alive(KeepAlive::Os)
            // Later heads have their time here; the first is answered with 408, up to the lag early.
            .client_request_timeout(self.timeouts.head + CLOCK_LAG)
            // Not reached but by a connection that is closed: the deadline here comes first.
            .client_disconnect_timeout(self.timeouts.drain() + self.timeouts.linger)
            // Who closes its end has left: its request must not go on, nor the upstream's work for it.
            .h1_allow_half_closed(false)
            .on_connect_ext(|socket: &Socket, data| {
                data.insert(Rc::clone(&socket.state));
            })
            .h1(told(app, self.connections.clone(), Arc::clone(&self.metrics), self.refuse));
        fn_factory(move || {
            let (made, listener) = (http.new_service(()), self.clone());
            async move { Ok::<_, ()>(Accepted { http: Rc::new(made.await?), listener }) }
        })
    }

    async fn serve<H>(&self, io: TcpStream, http: &H)
    where
        H: Service<(Socket, Option<SocketAddr>), Response = (), Error = DispatchError>,
    {
        // Who is gone already has no address.
        let Ok(peer) = io.peer_addr() else { return };
        let _place = match self.connections.enter(peer.ip()) {
            Ok(place) => place,
            Err(full) => return self.turn_away(io, full).await,
        };
        let _open = self.metrics.connection_opened(self.name);
        // These fail when the client is gone already, which the next read tells.
        let _ = io.set_nodelay(true);
        let _ = hold_little_back(&io);
        let state = State::new(self.timeouts);
        let work = http.call((Socket::new(io, Rc::clone(&state)), Some(peer)));
        let ended = watched(work, &state).await;
        self.account(peer.ip(), &state, ended);
    }

    /// Says why, and waits until it was heard: a connection that is closed with bytes unread is reset,
    /// and its answer lost. Not for long, and not for many.
    async fn turn_away(&self, mut io: TcpStream, full: Full) {
        self.metrics.connection_refused(full.as_str());
        let Some(_place) = self.connections.linger() else { return };
        let heard = async {
            io.write_all(TURNED_AWAY.as_bytes()).await?;
            io.shutdown().await?;
            let mut sent = [0; 1024];
            for _ in 0..REFUSAL_READS {
                if io.read(&mut sent).await? == 0 {
                    break;
                }
            }
            std::io::Result::Ok(())
        };
        // Whether it was heard or not, it is over.
        let _ = tokio::time::timeout(REFUSAL_LINGER, heard).await;
    }

    fn account(
        &self,
        peer: IpAddr,
        state: &State,
        ended: Result<Result<(), DispatchError>, Deadline>,
    ) {
        let progress = state.progress.borrow();
        let (late, malformed) = match ended {
            Err(deadline) => (Some(deadline), None),
            Ok(Err(DispatchError::Parse(error))) => (None, Some(error.to_string())),
            Ok(_) if progress.first_is_late(Instant::now()) => (Some(Deadline::Head), None),
            Ok(_) => (None, None),
        };
        if let Some(deadline) = late {
            self.metrics.connection_closed(deadline.as_str());
        }
        if let Some(error) = malformed {
            self.metrics.malformed_requests.inc();
            let tls = "TLS, which is not spoken at this address";
            self.malformed.tell(peer, if state.began_with_tls() { tls } else { &error });
        } else if late == Some(Deadline::Head) && progress.received_in_phase() > 0 {
            self.metrics.malformed_requests.inc();
            self.malformed.tell(peer, "a head that did not come to its end in time");
        }
    }
}

/// Lets the kernel keep little of what the client has no room for: megabytes otherwise, of each that
/// does not read. What is on its way to the client is not bounded by it.
#[cfg(target_os = "linux")]
fn hold_little_back(io: &TcpStream) -> std::io::Result<()> {
    SockRef::from(io).set_tcp_notsent_lowat(MAX_UNSENT)
}

#[cfg(not(target_os = "linux"))]
fn hold_little_back(_: &TcpStream) -> std::io::Result<()> {
    Ok(())
}

/// Takes the connections of a listener, on one worker's thread.
struct Accepted<H> {
    http: Rc<H>,
    listener: Listener,
}

impl<H> Service<TcpStream> for Accepted<H>
where
    H: Service<(Socket, Option<SocketAddr>), Response = (), Error = DispatchError> + 'static,
{
    type Response = ();
    type Error = ();
    type Future = LocalBoxFuture<'static, Result<(), ()>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.http.poll_ready(cx).map_err(|_| ())
    }

    fn call(&self, io: TcpStream) -> Self::Future {
        let (http, listener) = (Rc::clone(&self.http), self.listener.clone());
        Box::pin(async move {
            listener.serve(io, &*http).await;
            Ok(())
        })
    }
}

/// Does the work of a connection until it is done or a deadline has passed.
///
/// Errors: the [`Deadline`].
async fn watched<F: Future>(work: F, state: &State) -> Result<F::Output, Deadline> {
    let mut work = pin!(work);
    let first_look = state.progress.borrow().next_look(Instant::now());
    let mut look = pin!(sleep_until(first_look));
    poll_fn(|cx| {
        state.begin_turn();
        if let Poll::Ready(output) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if state.is_flooded() {
            return Poll::Ready(Err(Deadline::Drain));
        }
        while look.as_mut().poll(cx).is_ready() {
            let (now, progress) = (Instant::now(), state.progress.borrow());
            if let Some(deadline) = progress.overdue(now) {
                return Poll::Ready(Err(deadline));
            }
            look.as_mut().reset(progress.next_look(now));
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_hears_a_whole_answer() {
        let (head, body) = TURNED_AWAY.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
