//! From sections of the configuration to the settings of the parts.

use std::{sync::Arc, time::Duration};

use super::{descriptors, wiring::Wired};
use crate::{
    actors::usage_tracker::UsageSettings,
    config::Config,
    domain::response_history::HistoryBounds,
    gateway::upstream::{Upstream, UpstreamSettings},
    http::{BodyLimits, Limits, ServerSettings, Timeouts, TrustedProxies},
    relay::{Gate, Recipients, Relay, RelaySettings, Snapshots, SoftLimits},
};

/// Most answers that can be continued by their id.
const MAX_HISTORIES: usize = 100_000;

/// How long an answer can be continued: as long as OpenAI keeps what it is told to store.
const MAX_HISTORY_AGE: Duration = Duration::from_hours(30 * 24);

/// How many answers can be continued, and for how long.
pub fn histories(config: &Config) -> HistoryBounds {
    HistoryBounds {
        entries: MAX_HISTORIES,
        bytes: config.relay.stored_response_bytes,
        age: MAX_HISTORY_AGE,
    }
}

pub fn server(config: &Config) -> ServerSettings {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let server = &config.server;
    let connections = descriptors::connections(server);
    ServerSettings {
        bind: server.bind,
        management_bind: server.management_bind,
        workers: if server.workers == 0 { cores() } else { server.workers },
        limits: Limits {
            connections,
            for_loopback: server.reserved_connections.min(connections / 2),
            per_address: server.max_connections_per_address,
        },
        proxies: TrustedProxies::new(&server.trusted_networks()),
        timeouts: Timeouts {
            head: Duration::from_millis(server.head_timeout_ms),
            keep_alive: Duration::from_millis(server.keep_alive_timeout_ms),
            linger: Duration::from_millis(server.linger_timeout_ms),
            write: Duration::from_millis(server.write_timeout_ms),
            min_bytes_per_second: server.min_bytes_per_second,
            // Who sends too much hears so only after all of it, if it reads nothing before.
            max_drained_bytes: (server.max_body_bytes as u64).saturating_mul(4),
        },
        max_body_bytes: server.max_body_bytes,
        bodies: BodyLimits {
            all_bytes: server.max_bodies_bytes,
            largest_bytes: server.max_body_bytes,
            grace: Duration::from_millis(server.body_timeout_ms),
            min_bytes_per_second: server.min_bytes_per_second,
            idle: Duration::from_millis(server.body_idle_timeout_ms),
        },
        allowed_origins: server.allowed_origins.clone(),
        heartbeat: Duration::from_millis(config.events.heartbeat_ms),
        traces: config.relay.traces,
    }
}

pub fn usage(config: &Config) -> UsageSettings {
    UsageSettings {
        retention: Duration::from_hours(24 * u64::from(config.usage.retention_days)),
        totals_retention: Duration::from_hours(24 * u64::from(config.usage.totals_retention_days)),
        flush_interval: Duration::from_millis(config.usage.flush_interval_ms),
        max_pending: config.usage.max_pending,
    }
}

fn relay(config: &Config) -> RelaySettings {
    RelaySettings {
        timeout: Duration::from_millis(config.relay.timeout_ms),
        attempt_timeout: Duration::from_millis(config.relay.attempt_timeout_ms),
        max_wait: Duration::from_millis(config.relay.max_wait_ms),
        idle_timeout: Duration::from_millis(config.relay.idle_timeout_ms),
        end_wait: Duration::from_millis(config.relay.end_wait_ms),
        keep_alive: Duration::from_millis(config.relay.keep_alive_ms),
        hold_back_bytes: config.relay.hold_back_bytes,
        max_answer_bytes: config.relay.max_answer_bytes,
        max_event_bytes: config.relay.max_event_bytes,
        ask_stream_usage: config.relay.ask_stream_usage,
        retry_pause: Duration::from_millis(config.relay.retry_pause_ms),
        hedge: config.relay.hedge.then(|| SoftLimits {
            unknown: Duration::from_millis(config.relay.hedge_unknown_ms),
            at_least: Duration::from_millis(config.relay.hedge_min_ms),
            at_most: Duration::from_millis(config.relay.hedge_max_ms),
            whole_at_least: Duration::from_millis(config.relay.hedge_whole_min_ms),
        }),
        resume: config.relay.resume,
        end_streams_of_revoked_keys: config.relay.end_streams_of_revoked_keys,
        session_affinity: config.routing.session_affinity,
    }
}

/// How upstreams are called.
///
/// Errors: the HTTP client cannot be set up.
pub fn upstream(config: &Config) -> anyhow::Result<UpstreamSettings> {
    let settings = UpstreamSettings::load(Duration::from_millis(config.relay.connect_timeout_ms))?;
    // What could fail has not failed here, and so will not on another thread.
    Upstream::new(&settings)?;
    Ok(settings)
}

/// Makes the relay of a worker thread, on that thread.
pub fn relay_maker(
    config: &Config,
    wired: &Wired,
    gate: &Gate,
    upstream: UpstreamSettings,
) -> impl Fn() -> Relay + Send + Clone + 'static {
    let actors = &wired.actors;
    let recipients = Recipients {
        take_retry: actors.router.clone().recipient(),
        health_ready: actors.health.clone().recipient(),
        attempt_failed: actors.health.clone().recipient(),
        attempt_succeeded: actors.health.clone().recipient(),
        trial_passed: actors.health.clone().recipient(),
        copilot_token: actors.copilot_tokens.clone().recipient(),
        usage_journaled: actors.usage_tracker.clone().recipient(),
        journal_closed: actors.usage_tracker.clone().recipient(),
        commit_usage: actors.usage_tracker.clone().recipient(),
        usage_not_journaled: actors.usage_tracker.clone().recipient(),
        traces: actors.traces.clone().recipient(),
        find_history: actors.histories.clone().recipient(),
        answer_given: actors.histories.clone().recipient(),
    };
    let snapshots = Snapshots {
        providers: actors.providers.clone(),
        routing: actors.routing.clone(),
        credentials: actors.directory.clone(),
        health: actors.health_view.clone(),
        affinity: actors.affinity.clone(),
        keys: actors.key_ring.clone(),
    };
    let settings = relay(config);
    let (gate, journal, metrics) =
        (gate.clone(), wired.journal.clone(), Arc::clone(&actors.metrics));
    move || {
        let upstream = Upstream::new(&upstream).expect("the same settings worked before");
        Relay::new(
            upstream,
            recipients.clone(),
            snapshots.clone(),
            settings.clone(),
            gate.clone(),
            journal.writer(),
            Arc::clone(&metrics),
        )
    }
}
