//! The shell: asks all questions of a provider at once, and tells the Registry what came of them.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    messages::{DetectFormats, DetectSoon, DiscoveryError, DiscoveryView, ShowDiscovery},
    queue::Queue,
};
use crate::{
    actors::{
        credentials::{CredentialDirectory, PooledKey},
        published::Published,
        registry::{FormatsDetected, ProviderTable, RegistryError},
        supervise::{crashes_on_request, stops_on_request},
    },
    domain::{
        credential::{Egress, StoredSecret},
        failure::FailureClass,
        format_evidence::{FormatVerdict, Probe, ProbeAnswer, judge, probes},
        id::ProviderId,
        provider::{FormatBasis, Provider},
    },
    gateway::{
        copilot_token::is_exchanged,
        upstream::{Upstream, UpstreamRequest, Waits},
    },
};

/// The longest wait for one answer, its body included.
const PATIENCE: Duration = Duration::from_secs(4);

/// Most providers asked at once.
const MAX_UNDER_WAY: usize = 8;

/// Asks providers what they speak.
pub struct Discovery {
    upstream: Upstream,
    providers: Published<ProviderTable>,
    credentials: Published<CredentialDirectory>,
    registry: Recipient<FormatsDetected>,
    under_way: usize,
    queue: Queue,
}

impl Discovery {
    pub fn new(
        upstream: Upstream,
        providers: Published<ProviderTable>,
        credentials: Published<CredentialDirectory>,
        registry: Recipient<FormatsDetected>,
    ) -> Self {
        let queue = Queue::default();
        Self { upstream, providers, credentials, registry, under_way: 0, queue }
    }

    /// The provider to ask, and as whom.
    fn find(
        &self,
        id: &ProviderId,
    ) -> Result<(Arc<Provider>, Option<Arc<PooledKey>>), DiscoveryError> {
        let table = self.providers.read();
        let Some((provider, _)) = table.find(id) else {
            return Err(RegistryError::NotFound(id.clone()).into());
        };
        if provider.locked.is_some() {
            return Err(DiscoveryError::Locked(id.clone()));
        }
        let endpoints = provider.endpoints();
        if endpoints.is_empty() {
            return Err(DiscoveryError::NoAddress(id.clone()));
        }
        if endpoints.basis == FormatBasis::Locked {
            return Err(DiscoveryError::OneFormat(id.clone()));
        }
        if self.under_way >= MAX_UNDER_WAY {
            return Err(DiscoveryError::Busy(self.under_way));
        }
        let directory = self.credentials.read();
        let usable = directory.of(id).iter().filter(|held| held.credential.is_usable());
        let caller = usable.max_by_key(|held| held.credential.settings.priority);
        Ok((Arc::clone(provider), caller.map(Arc::clone)))
    }

    /// Asks a provider, and has the Registry keep what it tells.
    fn detect(
        &mut self,
        (provider, caller): (Arc<Provider>, Option<Arc<PooledKey>>),
    ) -> impl Future<Output = Result<FormatVerdict, DiscoveryError>> + use<> {
        self.under_way += 1;
        let (upstream, registry) = (self.upstream.clone(), self.registry.clone());
        async move {
            let verdict = detect(&upstream, &provider, caller.as_deref()).await;
            let id = provider.id.clone();
            tracing::info!(provider = %id, formats = ?verdict.formats, "a provider was asked what it speaks");
            if let Some(base_url) = provider.base_url.clone() {
                let formats = verdict.formats.clone();
                // It may be gone by now, and then this is of no use to anyone.
                match registry.send(FormatsDetected { id, base_url, formats }).await {
                    Ok(kept) => drop(kept?),
                    Err(error) => tracing::warn!(%error, "what a provider speaks was not kept"),
                }
            }
            Ok(verdict)
        }
    }

    fn detected(&mut self, ctx: &mut Context<Self>) {
        self.under_way = self.under_way.saturating_sub(1);
        self.go_on(ctx);
    }

    /// Asks those who wait, as far as there is room.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        while self.under_way < MAX_UNDER_WAY
            && let Some(id) = self.queue.next()
        {
            // It may be gone since, or somebody has said what it speaks.
            let found = self.find(&id).ok();
            let is_unknown =
                |provider: &Provider| provider.endpoints().basis == FormatBasis::Unknown;
            let Some(found) = found.filter(|(provider, _)| is_unknown(provider)) else {
                self.queue.done(&id);
                continue;
            };
            let detecting = self.detect(found).into_actor(self);
            ctx.spawn(detecting.map(move |found, discovery, ctx| {
                if let Err(error) = found {
                    tracing::warn!(provider = %id, %error, "what a provider speaks was not kept");
                }
                discovery.queue.done(&id);
                discovery.detected(ctx);
            }));
        }
    }
}

impl Actor for Discovery {
    type Context = Context<Self>;

    /// Runs at the first start, when nobody waits yet, and after each restart.
    fn started(&mut self, ctx: &mut Self::Context) {
        self.go_on(ctx);
    }
}

impl Supervised for Discovery {
    /// What was under way is gone.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.under_way = 0;
        self.queue.forget_under_way();
    }
}

impl Handler<DetectFormats> for Discovery {
    type Result = ResponseActFuture<Self, Result<FormatVerdict, DiscoveryError>>;

    fn handle(&mut self, msg: DetectFormats, _: &mut Self::Context) -> Self::Result {
        let id = msg.provider_id;
        match self.find(&id) {
            Ok(found) => {
                let detecting = self.detect(found).into_actor(self);
                Box::pin(detecting.map(|found, discovery, ctx| {
                    discovery.detected(ctx);
                    found
                }))
            }
            Err(error) => {
                tracing::warn!(provider = %id, %error, "what a provider speaks cannot be asked");
                Box::pin(fut::ready(Err(error)))
            }
        }
    }
}

impl Handler<DetectSoon> for Discovery {
    type Result = ();

    fn handle(&mut self, msg: DetectSoon, ctx: &mut Self::Context) {
        if !self.queue.push(msg.provider_id.clone()) {
            let id = &msg.provider_id;
            tracing::warn!(provider = %id, "too many wait to be asked what they speak: it is not");
        }
        self.go_on(ctx);
    }
}

impl Handler<ShowDiscovery> for Discovery {
    type Result = DiscoveryView;

    fn handle(&mut self, _: ShowDiscovery, _: &mut Self::Context) -> Self::Result {
        DiscoveryView { under_way: self.under_way, waiting: self.queue.waiting() }
    }
}

async fn detect(
    upstream: &Upstream,
    provider: &Provider,
    caller: Option<&PooledKey>,
) -> FormatVerdict {
    let Some(base) = &provider.base_url else { return judge(Vec::new()) };
    let nobodys = [rand::random::<u64>(), rand::random()].map(|number| format!("{number:016x}"));
    let nobodys = nobodys.each_ref().map(String::as_str);
    let questions = probes(base, &provider.usual_endpoints(), nobodys);
    let asked = questions.into_iter().map(async |probe| {
        let answer = ask(upstream, provider, caller, &probe).await;
        (probe, answer)
    });
    judge(join_all(asked).await)
}

async fn ask(
    upstream: &Upstream,
    provider: &Provider,
    caller: Option<&PooledKey>,
    probe: &Probe,
) -> Result<ProbeAnswer, FailureClass> {
    let credential = caller.map(|held| &held.credential);
    let secret = credential.and_then(|credential| match &credential.secret {
        StoredSecret::Open(secret) => Some(&**secret),
        StoredSecret::Locked { .. } => None,
    });
    // Copilot's API does not take a GitHub token, and need not see it.
    let secret = secret.filter(|secret| !is_exchanged(&provider.endpoints(), secret));
    let request = UpstreamRequest {
        url: &probe.url,
        format: probe.asked_as,
        credential: secret,
        forwarded: &[],
        headers: &provider.headers,
        own_headers: credential.map_or(&[], |credential| &credential.settings.headers),
        egress: credential.map_or(&Egress::Usual, |credential| &credential.settings.egress),
        rules: &[],
        body: Bytes::from_static(b"{}"),
        stream: false,
        location: provider.location,
        waits: Waits { deadline: Instant::now() + PATIENCE, head: PATIENCE, idle: PATIENCE },
    };
    upstream.probe(probe.method, request).await.map_err(|failure| failure.class)
}

stops_on_request!(Discovery);
crashes_on_request!(Discovery);
