//! Random pools, routes and requests.

use proptest::{prelude::*, strategy::Strategy as Generator};

use crate::domain::{
    model::{Capabilities, Capability},
    route::{Mode, Strategy},
};

/// Providers by number; the last of them are often not there.
pub(super) const PROVIDERS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// What providers list. A higher number is a newer version.
pub(super) const LISTED: [&str; 3] = ["m-1", "m-2", "m-3"];
/// What clients, fallbacks and targets ask for.
pub(super) const ASKED: [&str; 8] = ["m-1", "m-2", "m-3", "n-1", "other", "auto", "cloud", "local"];
pub(super) const ROUTES: [&str; 6] = ["m-1", "n-1", "other", "auto", "m-*", "*"];
pub(super) const ALIASES: [(&str, &str); 6] = [
    ("n-1", "m-1"),
    ("m-2", "m-3"),
    ("n-*", "m-*"),
    ("oth*", "auto"),
    ("*r", "*"),
    ("m-*", "other"),
];

/// How a credential does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Key {
    Ready,
    /// It is serving the one request that it may.
    Busy,
    /// For so many seconds.
    Cooling(u64),
    /// Counted as usable, and gone since.
    Gone,
}

#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) name: usize,
    pub(super) renamed: bool,
    pub(super) capabilities: Option<Capabilities>,
    pub(super) window: Option<u64>,
    pub(super) rank: Option<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) enabled: Option<bool>,
    pub(super) is_local: bool,
    /// Locked, without an address, of another dialect; else nothing is wrong.
    pub(super) flaw: usize,
    pub(super) priority: i32,
    pub(super) models: Vec<Listed>,
    pub(super) keys: Vec<Key>,
    pub(super) in_flight: usize,
    /// Milliseconds to the first event, and to the end of a whole answer.
    pub(super) latency: (Option<u64>, Option<u64>),
    /// Whether it speaks the client's dialect.
    pub(super) speaks: bool,
}

impl Row {
    pub(super) fn took(&self, is_streamed: bool) -> Option<u64> {
        if is_streamed { self.latency.0 } else { self.latency.1 }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) provider: Option<usize>,
    pub(super) model: Option<usize>,
    pub(super) weight: u32,
}

#[derive(Debug, Clone)]
pub(super) struct DrawnRoute {
    pub(super) name: usize,
    pub(super) targets: Vec<Target>,
    pub(super) strategy: Option<usize>,
    pub(super) across_tiers: bool,
    pub(super) fallbacks: Vec<usize>,
}

/// A provider, or one of its models by upstream name; for so many seconds.
#[derive(Debug, Clone)]
pub(super) struct Cooled {
    pub(super) provider: usize,
    pub(super) model: Option<usize>,
    pub(super) seconds: u64,
    pub(super) is_missing: bool,
    /// Whether somebody tries it when its time has come.
    pub(super) is_tried: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) asked: usize,
    pub(super) mode: Mode,
    pub(super) strategy: Option<usize>,
    pub(super) across_tiers: Option<bool>,
    pub(super) is_streamed: bool,
    pub(super) exclude: Vec<usize>,
    pub(super) prefer: Option<usize>,
    pub(super) bound: Option<usize>,
    pub(super) required: Capabilities,
    pub(super) needs: Capabilities,
    pub(super) relax: bool,
    pub(super) prompt: u64,
    /// Seconds after the cooldowns began.
    pub(super) after: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) rows: Vec<Row>,
    pub(super) routes: Vec<DrawnRoute>,
    pub(super) aliases: Vec<usize>,
    pub(super) cooled: Vec<Cooled>,
    pub(super) strategy: usize,
    pub(super) requests: Vec<Request>,
}

fn capabilities() -> impl Generator<Value = Capabilities> {
    let some = [Capability::Vision, Capability::Tools];
    prop::sample::subsequence(some.to_vec(), 0..=2).prop_map(|all| all.into_iter().collect())
}

fn few() -> impl Generator<Value = Capabilities> {
    prop_oneof![2 => Just(Capabilities::NONE), 1 => capabilities()]
}

fn provider() -> std::ops::Range<usize> {
    0..PROVIDERS.len()
}

fn strategy() -> impl Generator<Value = Option<usize>> {
    prop::option::of(0..Strategy::ALL.len())
}

fn took() -> impl Generator<Value = Option<u64>> {
    prop::option::of(prop_oneof![Just(100_u64), Just(200)])
}

fn row() -> impl Generator<Value = Row> {
    let listed = (
        0..LISTED.len(),
        prop::bool::weighted(0.2),
        prop::option::of(capabilities()),
        prop::option::of(prop_oneof![Just(100_u64), Just(1_000)]),
        prop::option::weighted(0.3, 1..3_u32),
    )
        .prop_map(|(name, renamed, capabilities, window, rank)| Listed {
            name,
            renamed,
            capabilities,
            window,
            rank,
        });
    let key = prop_oneof![
        5 => Just(Key::Ready),
        1 => Just(Key::Busy),
        1 => (1..90_u64).prop_map(Key::Cooling),
        1 => Just(Key::Gone),
    ];
    let enabled = prop_oneof![4 => Just(None), 2 => Just(Some(true)), 1 => Just(Some(false))];
    (
        enabled,
        prop::bool::weighted(0.3),
        0..20_usize,
        -1..=1,
        prop::collection::vec(listed, 0..4),
        prop::collection::vec(key, 0..=2),
        0..3_usize,
        (took(), took(), any::<bool>()),
    )
        .prop_map(|(enabled, is_local, flaw, priority, models, keys, in_flight, rest)| {
            let (first, whole, speaks) = rest;
            let latency = (first, whole);
            Row { enabled, is_local, flaw, priority, models, keys, in_flight, latency, speaks }
        })
}

fn route() -> impl Generator<Value = DrawnRoute> {
    let target = (prop::option::of(provider()), prop::option::of(0..ASKED.len()), 0..4_u32)
        .prop_map(|(provider, model, weight)| Target { provider, model, weight });
    let fallbacks = prop::collection::vec(0..ASKED.len(), 0..3);
    let targets = prop::collection::vec(target, 0..4);
    (0..ROUTES.len(), targets, strategy(), any::<bool>(), fallbacks).prop_map(
        |(name, targets, strategy, across_tiers, fallbacks)| DrawnRoute {
            name,
            targets,
            strategy,
            across_tiers,
            fallbacks,
        },
    )
}

fn request() -> impl Generator<Value = Request> {
    let mode = prop_oneof![4 => Just(Mode::Auto), 1 => Just(Mode::Cloud), 1 => Just(Mode::Local)];
    let prompt = prop_oneof![Just(0_u64), Just(500), Just(5_000)];
    (
        (0..ASKED.len(), mode, strategy(), prop::collection::vec(provider(), 0..2)),
        (prop::option::weighted(0.3, provider()), prop::option::weighted(0.3, provider())),
        (few(), few(), any::<bool>(), prompt, 0..120_u64),
        (any::<Option<bool>>(), any::<bool>()),
    )
        .prop_map(|((asked, mode, strategy, exclude), (prefer, bound), rest, ways)| {
            let (required, needs, relax, prompt, after) = rest;
            let (across_tiers, is_streamed) = ways;
            Request {
                asked,
                mode,
                strategy,
                across_tiers,
                is_streamed,
                exclude,
                prefer,
                bound,
                required,
                needs,
                relax,
                prompt,
                after,
            }
        })
}

pub(super) fn drawn() -> impl Generator<Value = Drawn> {
    let cooled =
        (provider(), prop::option::of(0..LISTED.len()), 1..90_u64, any::<bool>(), any::<bool>())
            .prop_map(|(provider, model, seconds, is_missing, is_tried)| Cooled {
                provider,
                model,
                seconds,
                is_missing,
                is_tried,
            });
    (
        prop::collection::vec(row(), 1..=PROVIDERS.len()),
        prop::collection::vec(route(), 0..4),
        prop::collection::vec(0..ALIASES.len(), 0..3),
        prop::collection::vec(cooled, 0..4),
        0..Strategy::ALL.len(),
        prop::collection::vec(request(), 1..6),
    )
        .prop_map(|(rows, routes, aliases, cooled, strategy, requests)| Drawn {
            rows,
            routes,
            aliases,
            cooled,
            strategy,
            requests,
        })
}
