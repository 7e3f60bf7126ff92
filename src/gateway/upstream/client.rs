//! The HTTP clients of one worker thread.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Client, Proxy,
    header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect,
};
use tokio::time::{Instant, sleep_until};
use url::{Host, Url};

use super::{
    address::check_literal,
    proxy_clients::{ProxyClient, ProxyClients},
    request::UpstreamRequest,
    resolver::PermittedAddresses,
    response::UpstreamResponse,
    settings::{UpstreamSettings, UpstreamSetupError},
    transport,
};
use crate::domain::{
    credential::Egress,
    failure::{Failure, FailureClass},
    format_evidence::{Heard, Method},
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
    // has a client of its own, and with it connections of its own. So has each way out.
    cloud: Client,
    cloud_direct: Client,
    local: Client,
    proxied: Arc<Mutex<ProxyClients>>,
    proxy_hosts: Arc<[String]>,
}

/// The client for one request, and the hosts that its resolver takes for proxies.
struct Chosen {
    client: Client,
    proxy_hosts: Arc<[String]>,
    is_proxied: bool,
}

impl Upstream {
    /// Errors: [`UpstreamSetupError::Client`].
    pub fn new(settings: &UpstreamSettings) -> Result<Self, UpstreamSetupError> {
        Ok(Self {
            cloud: client(settings, Location::Cloud, Way::Environment)?,
            cloud_direct: client(settings, Location::Cloud, Way::Direct)?,
            local: client(settings, Location::Local, Way::Direct)?,
            proxied: Arc::new(Mutex::new(ProxyClients::new(settings.clone()))),
            proxy_hosts: settings.proxy_hosts.clone(),
        })
    }

    /// Sends a request and waits for the head of a good answer.
    ///
    /// Errors: what any other answer means, its body read for the cause; or
    /// [`FailureClass::Connect`] when there is no connection or the way out cannot be taken,
    /// [`FailureClass::Silent`] when there is no answer in time, [`FailureClass::Server`] when the
    /// head of a good answer shows that it is none.
    pub async fn send(&self, request: UpstreamRequest<'_>) -> Result<UpstreamResponse, Failure> {
        let response = self.receive(&request, request.to_wire()?).await?;
        if !(200..300).contains(&response.status()) {
            return Err(response.into_failure(request.format, request.rules).await);
        }
        response.check_head()?;
        Ok(response)
    }

    /// Sends a request to learn what any answer to it looks like. A GET has no body.
    ///
    /// Errors: as [`send`](Self::send), when there is no answer at all.
    pub async fn hear(
        &self,
        method: Method,
        request: UpstreamRequest<'_>,
    ) -> Result<Heard, Failure> {
        let mut wire = request.to_wire()?;
        if method == Method::Get {
            *wire.method_mut() = reqwest::Method::GET;
            *wire.body_mut() = None;
            wire.headers_mut().remove(CONTENT_TYPE);
        }
        Ok(self.receive(&request, wire).await?.into_heard().await)
    }

    async fn receive(
        &self,
        request: &UpstreamRequest<'_>,
        wire: reqwest::Request,
    ) -> Result<UpstreamResponse, Failure> {
        let chosen = self.choose(request.location, request.egress)?;
        check_host(request.url, request.location, &chosen.proxy_hosts)?;
        let mut timer = Box::pin(sleep_until(request.waits.head_by(Instant::now())));
        let head = tokio::select! {
            biased;
            head = chosen.client.execute(wire) => {
                head.map_err(|error| {
                    let failure = transport::before_head(&error, chosen.is_proxied);
                    // The provider may be well behind a proxy that is not.
                    let by_proxy = chosen.is_proxied && failure.class == FailureClass::Connect;
                    Failure { by_proxy, ..failure }
                })?
            }
            () = timer.as_mut() => {
                return Err(Failure::new(FailureClass::Silent, "there was no answer in time"));
            }
        };
        Ok(UpstreamResponse::new(head, request.waits, timer))
    }

    /// The client for a way out. A way that cannot be taken is an error, and never another way.
    fn choose(&self, location: Location, egress: &Egress) -> Result<Chosen, Failure> {
        let own = |client: &Client, proxy_hosts| {
            Ok(Chosen { client: client.clone(), proxy_hosts, is_proxied: false })
        };
        match (egress, location) {
            // What is near by is not reached through a proxy that leads out, unless it is asked for.
            (Egress::Usual | Egress::Direct, Location::Local) => own(&self.local, Arc::default()),
            (Egress::Usual, Location::Cloud) => own(&self.cloud, self.proxy_hosts.clone()),
            (Egress::Direct, Location::Cloud) => own(&self.cloud_direct, Arc::default()),
            (Egress::Proxy(proxy), _) => {
                // The clients are whole between any two of their changes.
                let mut proxied = self.proxied.lock().unwrap_or_else(PoisonError::into_inner);
                let ProxyClient { client, proxy_hosts, .. } =
                    proxied.take(location, proxy).map_err(|error| Failure {
                        by_proxy: true,
                        ..Failure::new(FailureClass::Connect, error.to_string())
                    })?;
                Ok(Chosen { client, proxy_hosts, is_proxied: true })
            }
        }
    }
}

/// Refuses what the resolver does not get to see: an address in the URL, and a proxy, for which it
/// makes an exception, as an upstream.
///
/// Through a proxy this is all that is checked here: a proxy resolves names itself (but for
/// `socks5://`, which is given an address that the resolver let pass), and whether a name leads to a
/// private address where it stands is the proxy's to judge. It reaches no service of this host that
/// is not open to the proxy.
fn check_host(url: &Url, location: Location, proxy_hosts: &[String]) -> Result<(), Failure> {
    let refuse = |detail: String| Failure::new(FailureClass::Connect, detail);
    check_literal(url, location).map_err(|error| refuse(error.to_string()))?;
    if location == Location::Cloud
        && let Some(Host::Domain(name)) = url.host()
        && proxy_hosts.iter().any(|host| host == name)
    {
        return Err(refuse("the host is the proxy, which is only called for others".into()));
    }
    Ok(())
}

/// The way out of a client.
pub(super) enum Way {
    /// As the proxy variables say.
    Environment,
    Direct,
    Proxy {
        through: Box<Proxy>,
        hosts: Arc<[String]>,
    },
}

/// Makes a client with connections of its own.
pub(super) fn client(
    settings: &UpstreamSettings,
    location: Location,
    way: Way,
) -> Result<Client, UpstreamSetupError> {
    // Bodies go through as they are, so they must come as they are meant.
    let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    let (builder, proxy_hosts) = match way {
        Way::Environment => (Client::builder(), settings.proxy_hosts.clone()),
        Way::Direct => (Client::builder().no_proxy(), Arc::default()),
        // It takes the place of those in the environment, their exceptions included.
        Way::Proxy { through, hosts } => (Client::builder().proxy(*through), hosts),
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
