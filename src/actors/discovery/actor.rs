//! The shell: asks all questions of a provider at once, and tells the Registry what came of them.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use bytes::Bytes;
use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::time::Instant;

use super::messages::{DetectFormats, DiscoveryError};
use crate::{
    actors::{
        credentials::{CredentialDirectory, Held},
        published::Published,
        registry::{FormatsDetected, ProviderTable, RegistryError},
        supervise::{crashes_on_request, stops_on_request},
    },
    domain::{
        credential::{Egress, StoredSecret},
        failure::FailureClass,
        format_evidence::{FormatVerdict, Heard, Probe, judge, probes},
        id::ProviderId,
        provider::{ApiFormat, FormatBasis, Provider},
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
}

impl Discovery {
    pub fn new(
        upstream: Upstream,
        providers: Published<ProviderTable>,
        credentials: Published<CredentialDirectory>,
        registry: Recipient<FormatsDetected>,
    ) -> Self {
        Self { upstream, providers, credentials, registry, under_way: 0 }
    }

    /// The provider to ask, and as whom.
    fn find(&self, id: &ProviderId) -> Result<(Arc<Provider>, Option<Arc<Held>>), DiscoveryError> {
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
}

impl Actor for Discovery {
    type Context = Context<Self>;
}

impl Supervised for Discovery {
    /// What was under way is gone.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.under_way = 0;
    }
}

impl Handler<DetectFormats> for Discovery {
    type Result = ResponseActFuture<Self, Result<FormatVerdict, DiscoveryError>>;

    fn handle(&mut self, msg: DetectFormats, _: &mut Self::Context) -> Self::Result {
        let id = msg.provider_id;
        let (provider, caller) = match self.find(&id) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(provider = %id, %error, "what a provider speaks cannot be asked");
                return Box::pin(fut::ready(Err(error)));
            }
        };
        self.under_way += 1;
        let (upstream, registry) = (self.upstream.clone(), self.registry.clone());
        let detecting = async move {
            let verdict = detect(&upstream, &provider, caller.as_deref()).await;
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
        };
        Box::pin(detecting.into_actor(self).map(|found, discovery, _| {
            discovery.under_way = discovery.under_way.saturating_sub(1);
            found
        }))
    }
}

async fn detect(upstream: &Upstream, provider: &Provider, caller: Option<&Held>) -> FormatVerdict {
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
    caller: Option<&Held>,
    probe: &Probe,
) -> Result<Heard, FailureClass> {
    let credential = caller.map(|held| &held.credential);
    let secret = credential.and_then(|credential| match &credential.secret {
        StoredSecret::Open(secret) => Some(secret),
        StoredSecret::Locked { .. } => None,
    });
    // Copilot's API does not take a GitHub token, and need not see it.
    let is_githubs = |secret: &SecretString| {
        let endpoints = provider.endpoints();
        endpoints.iter().any(|endpoint| endpoint.format == ApiFormat::Copilot)
            && is_exchanged(secret)
    };
    let secret = secret.filter(|secret| !is_githubs(secret));
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
    upstream.hear(probe.method, request).await.map_err(|failure| failure.class)
}

stops_on_request!(Discovery);
crashes_on_request!(Discovery);
