//! Who stands beside the provider `acme` that fails.

use providerpool::{
    config::{Config, RouteConfig},
    domain::{id::ModelName, pattern::NamePattern},
};

use super::super::support::{Setup, served};

/// Who stands beside the provider `acme` that fails. All of them are well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Nobody: `acme` has one key.
    Alone,
    /// A second key of `acme`.
    SecondKey,
    /// Three more keys of `acme`.
    FourKeys,
    /// The provider `backup`, which serves the same model.
    SecondProvider,
    /// The provider `backup`, which serves another model, and that is named as the fallback.
    Fallback,
    /// As `SecondProvider`; its model is known to read more.
    LargerWindow,
    /// As `SecondProvider`; its model is known to read as much.
    EqualWindow,
    /// As `Fallback`; it is known to read more.
    LargerFallback,
    /// As `Fallback`; it is known to read as much.
    EqualFallback,
}

pub const FALLBACK: &str = "other-model";

impl Setting {
    pub fn setup(self) -> Setup {
        let lay_out: fn(&mut Config) = match self {
            Self::Alone | Self::SecondKey | Self::FourKeys | Self::SecondProvider => usual,
            Self::Fallback => |config| serve(config, FALLBACK, [None, None]),
            Self::LargerWindow => |config| serve(config, "test-model", [Some(1_000), Some(2_000)]),
            Self::EqualWindow => |config| serve(config, "test-model", [Some(1_000), Some(1_000)]),
            Self::LargerFallback => |config| serve(config, FALLBACK, [Some(1_000), Some(2_000)]),
            Self::EqualFallback => |config| serve(config, FALLBACK, [Some(1_000), Some(1_000)]),
        };
        Setup {
            keys: match self {
                Self::SecondKey => 2,
                Self::FourKeys => 4,
                _ => 1,
            },
            backup: !matches!(self, Self::Alone | Self::SecondKey | Self::FourKeys),
            lay_out,
            ..Setup::default()
        }
    }
}

/// Nobody waits long, and no stream that breaks off is taken up again.
fn usual(config: &mut Config) {
    config.relay.max_wait_ms = 6_000;
    config.relay.retry_pause_ms = 1;
    config.relay.resume = false;
}

/// `acme` serves the model asked for, and `backup` that of the name given, with these windows.
fn serve(config: &mut Config, at_backup: &str, windows: [Option<u64>; 2]) {
    usual(config);
    for (n, name) in ["test-model", at_backup].into_iter().enumerate() {
        let mut model = served(name, None);
        model.context_tokens = windows[n];
        config.providers[n].models = vec![model];
    }
    if at_backup == FALLBACK {
        config.routes.push(RouteConfig {
            name: NamePattern::parse("test-model").unwrap(),
            targets: Vec::new(),
            strategy: None,
            fallbacks: vec![ModelName::parse(FALLBACK).unwrap()],
            hedge: true,
            across_tiers: false,
            attempt_timeout_ms: None,
            cooling: None,
        });
    }
}

/// Long enough for everyone who is well, and short enough to be waited for.
pub fn little_patience(config: &mut Config) {
    config.relay.idle_timeout_ms = 1_500;
}

/// The client is told that there will be more while most of the patience is left: what comes then
/// does not make the upstream less silent.
pub fn told_early(config: &mut Config) {
    little_patience(config);
    config.relay.keep_alive_ms = 300;
}

/// Shorter than most cooldowns.
pub fn short_deadline(config: &mut Config) {
    config.relay.timeout_ms = 4_000;
}
