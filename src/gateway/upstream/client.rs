//! The HTTP client of one worker thread.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client,
    header::{ACCEPT_ENCODING, HeaderMap, HeaderValue},
    redirect,
};
use tokio::time::{Instant, sleep_until};
use url::Host;

use super::{
    address::check_literal,
    request::UpstreamRequest,
    resolver::PermittedAddresses,
    response::UpstreamResponse,
    settings::{UpstreamSettings, UpstreamSetupError},
    transport,
};
use crate::domain::{
    failure::{Failure, FailureClass},
    provider::Location,
};

/// How long an unused connection is kept. Servers close theirs after anything from 5 s to some
/// minutes without saying when. Ninety seconds keep a connection through the pauses of a person at
/// work; one the server has closed first is noticed, or the request is sent again on a fresh one as
/// long as none of it had been taken.
const POOL_IDLE: Duration = Duration::from_secs(90);

/// Most unused connections kept to one host.
const POOL_MAX_IDLE: usize = 256;

/// An HTTP client with its connections. Meant one for each worker thread: a connection is driven by
/// the thread that opened it. Clones share connections.
#[derive(Clone)]
pub struct Upstream {
    // The resolver of a client does not learn which request it resolves for, so that each location
    // has a client of its own, and with it connections of its own.
    cloud: Client,
    local: Client,
    proxy_hosts: Arc<[String]>,
}

impl Upstream {
    /// Errors: [`UpstreamSetupError::Client`].
    pub fn new(settings: &UpstreamSettings) -> Result<Self, UpstreamSetupError> {
        Ok(Self {
            cloud: client(settings, Location::Cloud)?,
            local: client(settings, Location::Local)?,
            proxy_hosts: settings.proxy_hosts.clone(),
        })
    }

    /// Sends a request and waits for the head of a good answer.
    ///
    /// Errors: what any other answer means, its body read for the cause; or
    /// [`FailureClass::Connect`] when there is no connection, [`FailureClass::Silent`] when there is
    /// no answer in time.
    pub async fn send(&self, request: UpstreamRequest<'_>) -> Result<UpstreamResponse, Failure> {
        self.check_host(&request)?;
        let wire = request.to_wire()?;
        let client = match request.location {
            Location::Cloud => &self.cloud,
            Location::Local => &self.local,
        };
        let mut timer = Box::pin(sleep_until(request.waits.head_by(Instant::now())));
        let head = tokio::select! {
            biased;
            head = client.execute(wire) => head.map_err(|error| transport::before_head(&error))?,
            () = timer.as_mut() => {
                return Err(Failure::new(FailureClass::Silent, "there was no answer in time"));
            }
        };
        let is_good = head.status().is_success();
        let response = UpstreamResponse::new(head, request.waits, timer);
        if is_good { Ok(response) } else { Err(response.into_failure().await) }
    }

    /// Refuses what the resolver does not get to see: an address in the URL, and a proxy, for which
    /// it makes an exception, as an upstream.
    fn check_host(&self, request: &UpstreamRequest<'_>) -> Result<(), Failure> {
        let refuse = |detail: String| Failure::new(FailureClass::Connect, detail);
        check_literal(request.url, request.location).map_err(|error| refuse(error.to_string()))?;
        if request.location == Location::Cloud
            && let Some(Host::Domain(name)) = request.url.host()
            && self.proxy_hosts.iter().any(|host| host == name)
        {
            return Err(refuse("the host is the proxy, which is only called for others".into()));
        }
        Ok(())
    }
}

fn client(settings: &UpstreamSettings, location: Location) -> Result<Client, UpstreamSetupError> {
    let proxy_hosts = settings.proxy_hosts.clone();
    // Bodies go through as they are, so they must come as they are meant.
    let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    let builder = match location {
        Location::Cloud => Client::builder(),
        // What is near by is not reached through a proxy that leads out.
        Location::Local => Client::builder().no_proxy(),
    };
    let client = builder
        .user_agent(concat!("providerpool/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(redirect::Policy::none())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_MAX_IDLE)
        .tcp_nodelay(true)
        .tls_backend_preconfigured(settings.tls.clone())
        .dns_resolver(PermittedAddresses { location, proxy_hosts })
        .build()?;
    Ok(client)
}
