//! The client for upstreams that are reached without a proxy: hyper's own, which does for a request
//! what has to be done and no more.
//!
//! reqwest, which is built on it, parses the URL of a request twice more and copies its headers twice,
//! for redirects that are not followed here. That was a seventh of what an answer costs the relay.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use thiserror::Error;
use tokio::net::TcpStream;
use tower_service::Service;

use super::{
    client::{POOL_IDLE, POOL_MAX_IDLE, Unanswered},
    resolver::PermittedAddresses,
    reused_connection::{Answered, Kept},
    settings::UpstreamSettings,
};
use crate::domain::provider::Location;

/// How long a connection may be silent before the other side is asked whether it is still there, and
/// the pause after which it is asked again.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How often it is asked before the connection is given up.
const KEEPALIVE_RETRIES: u32 = 3;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connecting, encryption included, took longer than it may.
#[derive(Debug, Clone, Copy, Error)]
#[error("connecting took too long")]
pub(super) struct ConnectTooSlow;

/// A client with connections of its own. Clones share them.
#[derive(Clone)]
pub(super) struct DirectClient {
    kept: Client<Connector, Full<Bytes>>,
    /// Opens a connection for each request, and keeps none.
    fresh: Client<Connector, Full<Bytes>>,
}

impl DirectClient {
    pub(super) fn new(settings: &UpstreamSettings, location: Location) -> Self {
        let connector = Connector::new(settings, location);
        let client = |max_idle| {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(POOL_IDLE)
                .pool_max_idle_per_host(max_idle)
                .build(connector.clone())
        };
        Self { kept: client(POOL_MAX_IDLE), fresh: client(0) }
    }

    /// Sends a request and waits for the head of its answer, as long as that takes.
    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
        on_fresh: bool,
    ) -> Result<Response<Incoming>, Unanswered> {
        let client = if on_fresh { &self.fresh } else { &self.kept };
        let answer = client.request(request.map(Full::new)).await;
        let response = answer.map_err(|error| Unanswered {
            resent_within: error.connect_info().and_then(Answered::take),
            error: error.into(),
        })?;
        Answered::note(response.extensions());
        Ok(response)
    }
}

/// Opens connections. One clone goes with each request, most of which need no new connection.
#[derive(Clone)]
struct Connector {
    https: Arc<HttpsConnector<HttpConnector<PermittedAddresses>>>,
    /// The longest time for name, connection and encryption together.
    timeout: Duration,
}

impl Connector {
    fn new(settings: &UpstreamSettings, location: Location) -> Self {
        let resolver = PermittedAddresses { location, proxy_hosts: Arc::default() };
        let mut http = HttpConnector::new_with_resolver(resolver);
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEPALIVE));
        http.set_keepalive_interval(Some(KEEPALIVE));
        http.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(settings.tls_without_alpn())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        Self { https: Arc::new(https), timeout: settings.connect_timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = Kept<MaybeHttpsStream<TokioIo<TcpStream>>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = HttpsConnector::clone(&self.https).call(uri);
        let (timeout, began) = (self.timeout, Instant::now());
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(connected) => connected.map(|stream| Kept::new(stream, began.elapsed())),
                Err(_) => Err(ConnectTooSlow.into()),
            }
        })
    }
}

impl Service<Name> for PermittedAddresses {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let finding = self.find(name.as_str().to_owned());
        Box::pin(async move { Ok(finding.await?.into_iter()) })
    }
}
