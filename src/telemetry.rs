//! What can be seen from outside: the log, and the metrics with their names.
//!
//! No label has values that a client chooses; provider ids are the only open set. Nothing here is
//! static: whoever counts is handed the [`Metrics`], or the one counter it needs.

use std::{
    env, fmt,
    io::{self, IsTerminal},
    sync::Arc,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};
use thiserror::Error;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::{
        format::{Writer, debug_fn},
        layer,
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    config::{FilterError, Log, LogFormat, parse_filter},
    domain::{
        cooldown::CooldownScope, failure::FailureClass, id::ProviderId, trace::AttemptKind,
        usage::Outcome,
    },
};

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bucket limits of our own time per request, in seconds.
const OVERHEAD_BUCKETS: [f64; 11] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0];

/// Bucket limits of the time to a first event, in seconds.
const FIRST_EVENT_BUCKETS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];

/// Why the log could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    #[error("{variable} is {filter:?}: {source}")]
    Filter { variable: &'static str, filter: String, source: FilterError },
    #[error("the log was set up before")]
    AlreadySet,
}

/// Sets up the log of this process, on standard error. `RUST_LOG` goes before the configured level.
///
/// Errors: [`TelemetryError`].
pub fn init(config: &Log) -> Result<(), TelemetryError> {
    let filter = filter(config)?;
    let layer = layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    match config.format {
        LogFormat::Text => {
            let fields = debug_fn(|writer, field, value| write_field(writer, field.name(), value))
                .delimited(" ");
            registry.with(layer.fmt_fields(fields)).try_init()
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    }
    .map_err(|_| TelemetryError::AlreadySet)
}

/// Writes `name=value`; in quotes where it might pass for several fields, since clients choose some values.
fn write_field(writer: &mut Writer<'_>, name: &str, value: &dyn fmt::Debug) -> fmt::Result {
    let value = format!("{value:?}");
    if name == "message" {
        return writer.write_str(&value);
    }
    let is_quoted = serde_json::from_str::<String>(&value).is_ok();
    let is_one = is_quoted || !value.contains([' ', '=', '"']);
    if is_one { write!(writer, "{name}={value}") } else { write!(writer, "{name}={value:?}") }
}

/// Looks whether the log can be set up so, and sets up nothing.
///
/// Errors: [`TelemetryError::Filter`].
pub fn check(config: &Log) -> Result<(), TelemetryError> {
    filter(config).map(drop)
}

fn filter(config: &Log) -> Result<EnvFilter, TelemetryError> {
    let from_environment = env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let (variable, filter) = match from_environment {
        Some(filter) => (EnvFilter::DEFAULT_ENV, filter),
        // The server's own tale of its start and end says nothing that ours does not, and malformed
        // requests are told by us, not each of them.
        None => (
            "log.level",
            format!("actix_server=warn,actix_http::h1::dispatcher=off,{}", config.level),
        ),
    };
    parse_filter(&filter).map_err(|source| TelemetryError::Filter { variable, filter, source })
}

/// All metrics of the process. Counting takes no lock where the labels are known beforehand.
pub struct Metrics {
    registry: Registry,
    completed: Counter,
    failed: Counter,
    cancelled: Counter,
    attempts: Family<AttemptLabels, Counter>,
    extra_attempts: Family<[Label; 1], Counter>,
    cooldowns_started: Family<[Label; 2], Counter>,
    actor_restarts: Family<[Label; 1], Counter>,
    /// Requests admitted and not yet settled.
    pub in_flight: Gauge,
    /// Our own time per request, in seconds: from its arrival until an upstream is called.
    pub overhead: Histogram,
    /// Time from the arrival of a streamed request to its first event, in seconds.
    pub first_event: Histogram,
    pub retry_budget_empty: Counter,
    /// Events of upstream streams that could not be parsed and were left out.
    pub stream_events_dropped: Counter,
    /// Event subscribers dropped as too slow.
    pub event_subscribers_dropped: Counter,
    /// Cooldowns forgotten because there were too many.
    pub cooldowns_dropped: Counter,
    /// Usage entries that the queue to the database had no room for: the journal keeps them.
    pub usage_dropped: Counter,
    /// Usage entries that neither the journal nor the database took, and memory had no room for.
    pub usage_lost: Counter,
    /// Requests turned away because the pool was full or about to stop.
    pub requests_refused: Counter,
    /// Usage entries that wait to be written to the database.
    pub usage_pending: Gauge,
    connections: Family<[Label; 1], Gauge>,
    connections_refused: Family<[Label; 1], Counter>,
    connections_closed: Family<[Label; 1], Counter>,
    /// What came over connections and was no request.
    pub malformed_requests: Counter,
    /// Bytes of memory that the bodies of requests take.
    pub body_bytes: Gauge,
    bodies_refused: Family<[Label; 1], Counter>,
    /// Journal files of which not everything could be read.
    pub journal_files_damaged: Counter,
}

/// A connection that is open. Counted until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    provider: ProviderId,
    class: &'static str,
}

impl EncodeLabelValue for ProviderId {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        self.as_str().encode(encoder)
    }
}

type Label = (&'static str, &'static str);

/// Registers a metric and keeps a handle to it.
fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("providerpool");
        let to = &mut registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        to.register("build", "What is running", version);

        let requests: Family<[Label; 1], Counter> =
            add(to, "requests", "Requests by how they ended", Family::default());
        let outcome =
            |outcome: Outcome| requests.get_or_create_owned(&[("outcome", outcome.as_str())]);
        let dropped: Family<[Label; 1], Counter> =
            add(to, "dropped", "What found no room in a bounded queue", Family::default());
        let what = |what| dropped.get_or_create_owned(&[("what", what)]);

        let attempts =
            add(to, "attempts", "Attempts by provider and class of failure", Family::default());
        let help = "Attempts that draw from the retry budget, by kind";
        let extra_attempts = add(to, "extra_attempts", help, Family::default());
        let help = "Attempts that were not made because the retry budget was used up";
        let retry_budget_empty = add(to, "retry_budget_empty", help, Counter::default());
        let cooldowns_started =
            add(to, "cooldowns_started", "Cooldowns by scope and cause", Family::default());
        let actor_restarts =
            add(to, "actor_restarts", "Restarts of actors after a panic", Family::default());
        let help = "Requests admitted and not yet settled";
        let in_flight = add(to, "requests_in_flight", help, Gauge::default());
        let help = "Own time per request until an upstream is called";
        let overhead = add(to, "overhead_seconds", help, Histogram::new(OVERHEAD_BUCKETS));
        let help = "Time to the first event of a stream";
        let first_event = add(to, "first_event_seconds", help, Histogram::new(FIRST_EVENT_BUCKETS));
        let help = "Unparsable events of upstream streams";
        let stream_events_dropped = add(to, "stream_events_dropped", help, Counter::default());
        let help = "Usage entries waiting for the database";
        let usage_pending = add(to, "usage_pending", help, Gauge::default());
        let connections = add(to, "connections", "Open connections by listener", Family::default());
        let help = "Connections and requests turned away, by the limit that was met";
        let connections_refused = add(to, "connections_refused", help, Family::default());
        let help =
            "Connections closed because the client was too slow, by the deadline that passed";
        let connections_closed = add(to, "connections_closed", help, Family::default());
        let help = "What came over connections and was no request";
        let malformed_requests = add(to, "malformed_requests", help, Counter::default());
        let help = "Bytes of memory that request bodies take";
        let body_bytes = add(to, "body_bytes", help, Gauge::default());
        let help = "Request bodies that were not taken, by the reason";
        let bodies_refused = add(to, "bodies_refused", help, Family::default());
        let help = "Journal files that were set aside because not all of them could be read";
        let journal_files_damaged = add(to, "journal_files_damaged", help, Counter::default());

        Arc::new(Self {
            completed: outcome(Outcome::Completed),
            failed: outcome(Outcome::Failed),
            cancelled: outcome(Outcome::Cancelled),
            attempts,
            extra_attempts,
            retry_budget_empty,
            cooldowns_started,
            actor_restarts,
            in_flight,
            overhead,
            first_event,
            stream_events_dropped,
            event_subscribers_dropped: what("event_subscriber"),
            usage_dropped: what("usage_entry"),
            usage_lost: what("unjournaled_usage_entry"),
            cooldowns_dropped: what("cooldown"),
            requests_refused: what("request"),
            usage_pending,
            connections,
            connections_refused,
            connections_closed,
            malformed_requests,
            body_bytes,
            bodies_refused,
            journal_files_damaged,
            registry,
        })
    }

    pub fn request_finished(&self, outcome: Outcome) {
        match outcome {
            Outcome::Completed => &self.completed,
            Outcome::Failed => &self.failed,
            Outcome::Cancelled => &self.cancelled,
        }
        .inc();
    }

    /// Counts one attempt; without a failure it was good.
    pub fn attempted(&self, provider: &ProviderId, failure: Option<FailureClass>) {
        let class = failure.map_or("ok", FailureClass::as_str);
        self.attempts.get_or_create(&AttemptLabels { provider: provider.clone(), class }).inc();
    }

    /// Counts an attempt that there would not be if all went well at once.
    pub fn extra_attempt(&self, kind: AttemptKind) {
        self.extra_attempts.get_or_create(&[("kind", kind.as_str())]).inc();
    }

    pub fn cooldown_started(&self, scope: &CooldownScope, cause: FailureClass) {
        let labels = [("scope", scope.kind()), ("cause", cause.as_str())];
        self.cooldowns_started.get_or_create(&labels).inc();
    }

    pub fn actor_restarted(&self, actor: &'static str) {
        self.actor_restarts.get_or_create(&[("actor", actor)]).inc();
    }

    /// Counts an open connection of `listener`.
    pub fn connection_opened(&self, listener: &'static str) -> OpenConnection {
        let open = self.connections.get_or_create_owned(&[("listener", listener)]);
        open.inc();
        OpenConnection(open)
    }

    /// Counts a connection, or a request, that met this limit.
    pub fn connection_refused(&self, limit: &'static str) {
        self.connections_refused.get_or_create(&[("limit", limit)]).inc();
    }

    /// Counts a connection whose client missed this deadline.
    pub fn connection_closed(&self, deadline: &'static str) {
        self.connections_closed.get_or_create(&[("deadline", deadline)]).inc();
    }

    /// Counts a body that was not taken.
    pub fn body_refused(&self, reason: &'static str) {
        self.bodies_refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// All metrics as OpenMetrics text, of type [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a string takes all that is written to it");
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_in_the_log_passes_for_several_fields() {
        let shown = |value: &dyn fmt::Debug| {
            let mut line = String::new();
            write_field(&mut Writer::new(&mut line), "model", value).unwrap();
            line
        };
        assert_eq!(shown(&format_args!("gpt-5.5")), "model=gpt-5.5");
        assert_eq!(shown(&"two words"), r#"model="two words""#);
        for forged in ["x provider=evil", "a=b", r#""a" b"#, r#""a\\" b="c""#] {
            assert_eq!(shown(&format_args!("{forged}")), format!("model={forged:?}"));
        }
    }

    #[test]
    fn every_metric_has_the_documented_name() {
        let metrics = Metrics::new();
        let acme = ProviderId::parse("acme").unwrap();
        metrics.request_finished(Outcome::Completed);
        metrics.attempted(&acme, None);
        metrics.attempted(&acme, Some(FailureClass::RateLimit));
        metrics.attempted(&acme, Some(FailureClass::RateLimit));
        metrics.extra_attempt(AttemptKind::Hedge);
        metrics.cooldown_started(&CooldownScope::Provider(acme), FailureClass::Server);
        metrics.actor_restarted("events");
        metrics.in_flight.inc();
        metrics.overhead.observe(0.000_2);
        metrics.first_event.observe(0.3);
        metrics.stream_events_dropped.inc();
        metrics.usage_pending.set(3);
        let open = metrics.connection_opened("relay");
        drop(metrics.connection_opened("relay"));
        metrics.connection_refused("max_connections");
        metrics.connection_closed("head");
        metrics.malformed_requests.inc();
        metrics.body_bytes.inc_by(7);
        metrics.body_refused("too_slow");

        let page = metrics.render();
        for line in [
            concat!("providerpool_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "providerpool_requests_total{outcome=\"completed\"} 1",
            "providerpool_requests_total{outcome=\"cancelled\"} 0",
            "providerpool_requests_in_flight 1",
            "providerpool_attempts_total{provider=\"acme\",class=\"ok\"} 1",
            "providerpool_attempts_total{provider=\"acme\",class=\"rate_limit\"} 2",
            "providerpool_extra_attempts_total{kind=\"hedge\"} 1",
            "providerpool_overhead_seconds_bucket{le=\"0.00025\"} 1",
            "providerpool_first_event_seconds_count 1",
            "providerpool_cooldowns_started_total{scope=\"provider\",cause=\"server\"} 1",
            "providerpool_stream_events_dropped_total 1",
            "providerpool_dropped_total{what=\"event_subscriber\"} 0",
            "providerpool_dropped_total{what=\"usage_entry\"} 0",
            "providerpool_usage_pending 3",
            "providerpool_actor_restarts_total{actor=\"events\"} 1",
            "providerpool_connections{listener=\"relay\"} 1",
            "providerpool_connections_refused_total{limit=\"max_connections\"} 1",
            "providerpool_connections_closed_total{deadline=\"head\"} 1",
            "providerpool_malformed_requests_total 1",
            "providerpool_body_bytes 7",
            "providerpool_bodies_refused_total{reason=\"too_slow\"} 1",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
        drop(open);
    }
}
