//! The HTTP clients of one worker thread.

use std::{
    error::Error,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method as HttpMethod, Request, Response, header::CONTENT_TYPE};
use reqwest::{Proxy, redirect};
use secrecy::SecretString;
use tokio::time::{Instant, sleep_until};
use url::{Host, Url};

use super::{
    address::check_literal,
    body::Body,
    direct::DirectClient,
    proxy_clients::{ProxyClient, ProxyClients},
    request::UpstreamRequest,
    resolver::PermittedAddresses,
    response::UpstreamResponse,
    settings::{UpstreamSettings, UpstreamSetupError},
    transport,
};
use crate::{
    domain::{
        chat::Losses,
        credential::Egress,
        failure::{Failure, FailureClass},
        format_evidence::{Method, ProbeAnswer},
        provider::Location,
    },
    gateway::secret_mask::Secrets,
};

/// How long an unused connection is kept. Servers close theirs after anything from 5 s to some
/// minutes without saying when. Ninety seconds keep a connection through the pauses of a person at
/// work; one the server has closed first is noticed, or the request is sent again on a fresh one as
/// long as none of it had been taken.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(90);

/// Most unused connections kept to one host.
pub(super) const POOL_MAX_IDLE: usize = 256;

/// The HTTP clients of a thread, with their connections. Meant one for each worker thread: a connection
/// is driven by the thread that opened it. Clones share connections.
#[derive(Clone)]
pub struct Upstream {
    // The resolver of a client does not learn which request it resolves for, so that each location
    // has a client of its own, and with it connections of its own. So has each way out.
    cloud: DirectClient,
    local: DirectClient,
    /// Through the proxies of the environment, where it names any.
    by_environment: Option<reqwest::Client>,
    proxied: Arc<Mutex<ProxyClients>>,
    proxy_hosts: Arc<[String]>,
    proxies: Arc<[SecretString]>,
}

/// The client for one request.
enum Client<'u> {
    Direct(&'u DirectClient),
    Proxied(reqwest::Client),
}

/// The way out of one request.
struct Chosen<'u> {
    client: Client<'u>,
    /// The hosts that the resolver of the client takes for proxies.
    proxy_hosts: Arc<[String]>,
    /// Whether the credential has a proxy of its own.
    has_own_proxy: bool,
}

/// Why no answer has begun.
pub(super) struct Unanswered {
    pub error: Box<dyn Error>,
    /// It may be sent again if it was lost within this time: on a connection by which an answer had come
    /// before, and none of the answer to this one.
    pub resent_within: Option<Duration>,
}

impl From<reqwest::Error> for Unanswered {
    fn from(error: reqwest::Error) -> Self {
        Self { error: error.into(), resent_within: None }
    }
}

impl Client<'_> {
    /// `is_resent`: it was lost on a kept connection, and others of that time may be as dead.
    async fn send(
        &self,
        request: Request<Bytes>,
        is_resent: bool,
    ) -> Result<Response<Body>, Unanswered> {
        match self {
            Self::Direct(client) => Ok(client.send(request, is_resent).await?.map(Body::Direct)),
            Self::Proxied(client) => {
                let request = reqwest::Request::try_from(request)?;
                let response = Response::from(client.execute(request).await?);
                Ok(response.map(Body::Proxied))
            }
        }
    }
}

impl Upstream {
    /// Errors: [`UpstreamSetupError::Client`].
    pub fn new(settings: &UpstreamSettings) -> Result<Self, UpstreamSetupError> {
        let by_environment = settings
            .has_proxy()
            .then(|| proxied(settings, Location::Cloud, Through::Environment))
            .transpose()?;
        Ok(Self {
            cloud: DirectClient::new(settings, Location::Cloud),
            local: DirectClient::new(settings, Location::Local),
            by_environment,
            proxied: Arc::new(Mutex::new(ProxyClients::new(settings.clone()))),
            proxy_hosts: settings.proxy_hosts.clone(),
            proxies: settings.proxies.clone(),
        })
    }

    /// Sends a request and waits for the head of a good answer.
    ///
    /// Errors: what any other answer means, its body read for the cause; or
    /// [`FailureClass::Connect`] when there is no connection or the way out cannot be taken,
    /// [`FailureClass::Silent`] when there is no answer in time, [`FailureClass::Server`] when the
    /// head of a good answer shows that it is none.
    pub async fn send(&self, request: UpstreamRequest<'_>) -> Result<UpstreamResponse, Failure> {
        let response = self.receive(&request, || request.to_wire()).await?;
        if !(200..300).contains(&response.status()) {
            let failure = response.into_failure(request.format, request.rules).await;
            return Err(self.masked(request.secrets(), failure));
        }
        response.check_head()?;
        Ok(response)
    }

    /// A failure as it may be shown and kept: without what its attempt has sent in secret. Every one that
    /// an answer tells of goes through here; those of an answer with an error status have already.
    pub fn masked(&self, secrets: Secrets<'_>, failure: Failure) -> Failure {
        Secrets { proxies: &self.proxies, ..secrets }.masked(failure)
    }

    /// The same for what is passed on of an answer: beside its text there may be errors, refusals and
    /// remarks in it. `foreign`: the parts known to be no part of the answer. `None`: it passes as it is.
    pub fn masked_answer(
        &self,
        secrets: Secrets<'_>,
        bytes: &[u8],
        foreign: &[Range<usize>],
    ) -> Option<Bytes> {
        Secrets { proxies: &self.proxies, ..secrets }.masked_answer(bytes, foreign)
    }

    /// The same for the receipt of an answer.
    pub fn masked_losses(&self, secrets: Secrets<'_>, losses: Losses) -> Losses {
        Secrets { proxies: &self.proxies, ..secrets }.masked_losses(losses)
    }

    /// Sends a request to learn what any answer to it looks like. A GET has no body.
    ///
    /// Errors: as [`send`](Self::send), when there is no answer at all.
    pub async fn probe(
        &self,
        method: Method,
        request: UpstreamRequest<'_>,
    ) -> Result<ProbeAnswer, Failure> {
        let response = match method {
            Method::Get => self.fetch(request).await?,
            Method::Post => self.receive(&request, || request.to_wire()).await?,
        };
        Ok(response.into_heard().await)
    }

    /// Asks with a GET, without a body, and waits for the head of any answer.
    ///
    /// Errors: as [`send`](Self::send), when there is no answer at all.
    pub async fn fetch(&self, request: UpstreamRequest<'_>) -> Result<UpstreamResponse, Failure> {
        let wire = || {
            let mut wire = request.to_wire()?;
            *wire.method_mut() = HttpMethod::GET;
            *wire.body_mut() = Bytes::new();
            wire.headers_mut().remove(CONTENT_TYPE);
            Ok(wire)
        };
        self.receive(&request, wire).await
    }

    async fn receive(
        &self,
        request: &UpstreamRequest<'_>,
        wire: impl Fn() -> Result<Request<Bytes>, Failure>,
    ) -> Result<UpstreamResponse, Failure> {
        let Chosen { client, proxy_hosts, has_own_proxy } =
            self.choose(request.location, request.egress)?;
        check_host(request.url, request.location, &proxy_hosts)?;
        let mut timer = Box::pin(sleep_until(request.waits.head_by(Instant::now())));
        let mut is_resent = false;
        let head = loop {
            let sent = Instant::now();
            let head = tokio::select! {
                biased;
                head = client.send(wire()?, is_resent) => head,
                () = timer.as_mut() => {
                    return Err(Failure::new(FailureClass::Silent, "there was no answer in time"));
                }
            };
            match head {
                Ok(head) => break head,
                // Once: nothing excuses that it is lost on a new connection.
                Err(lost)
                    if !is_resent
                        && lost.resent_within.is_some_and(|within| sent.elapsed() < within) =>
                {
                    is_resent = true;
                }
                Err(Unanswered { error, .. }) => {
                    let failure = transport::before_head(&*error, has_own_proxy);
                    // The provider may be well behind a proxy that is not.
                    let by_proxy = has_own_proxy && failure.class == FailureClass::Connect;
                    return Err(Failure { by_proxy, ..failure });
                }
            }
        };
        Ok(UpstreamResponse::new(head, request.waits, timer))
    }

    /// The client for a way out. A way that cannot be taken is an error, and never another way.
    fn choose(&self, location: Location, egress: &Egress) -> Result<Chosen<'_>, Failure> {
        let direct = |client| Chosen {
            client: Client::Direct(client),
            proxy_hosts: Arc::default(),
            has_own_proxy: false,
        };
        match (egress, location) {
            // What is near by is not reached through a proxy that leads out, unless it is asked for.
            (Egress::Usual | Egress::Direct, Location::Local) => Ok(direct(&self.local)),
            (Egress::Direct, Location::Cloud) => Ok(direct(&self.cloud)),
            (Egress::Usual, Location::Cloud) => Ok(match &self.by_environment {
                None => direct(&self.cloud),
                Some(client) => Chosen {
                    client: Client::Proxied(client.clone()),
                    proxy_hosts: self.proxy_hosts.clone(),
                    has_own_proxy: false,
                },
            }),
            (Egress::Proxy(proxy), _) => {
                // The clients are whole between any two of their changes.
                let mut proxied = self.proxied.lock().unwrap_or_else(PoisonError::into_inner);
                let ProxyClient { client, proxy_hosts, .. } =
                    proxied.take(location, proxy).map_err(|error| Failure {
                        by_proxy: true,
                        ..Failure::new(FailureClass::Connect, error.to_string())
                    })?;
                Ok(Chosen { client: Client::Proxied(client), proxy_hosts, has_own_proxy: true })
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

/// The proxies of a client.
pub(super) enum Through {
    /// As the proxy variables say.
    Environment,
    /// This one takes the place of those in the environment, their exceptions included.
    Own { proxy: Box<Proxy>, hosts: Arc<[String]> },
}

/// Makes a client that goes through proxies, with connections of its own.
pub(super) fn proxied(
    settings: &UpstreamSettings,
    location: Location,
    through: Through,
) -> Result<reqwest::Client, UpstreamSetupError> {
    let (builder, proxy_hosts) = match through {
        Through::Environment => (reqwest::Client::builder(), settings.proxy_hosts.clone()),
        Through::Own { proxy, hosts } => (reqwest::Client::builder().proxy(*proxy), hosts),
    };
    let client = builder
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
