//! What the simulation of the retry core draws, over real sockets: for a sample of seeds, the whole
//! application in front of providers that do what the seed says, and the laws that hold whatever they do.
//!
//! To see one seed again: `SOCKET_SEED=n`. To try more: `SOCKET_SEEDS=1000`. Through the released binary:
//! `PROVIDERPOOL_BIN=target/release/providerpool`.

mod laws;
mod play;

#[path = "../../../src/relay/retry/simulation/drawn.rs"]
mod drawn;

use providerpool::domain::{
    cooling::{CoolingRuleSettings, CoolingSettings},
    failure::FailureClass,
};

use super::{
    faults::{check_all_at_once, named},
    support::Released,
};

/// Seeds tried by default.
const SEEDS: u64 = 40;
/// Seeds that are tried at once.
const AT_ONCE: usize = 8;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[actix_web::test]
async fn the_laws_hold_over_sockets_whatever_providers_do() {
    let seeds = match number("SOCKET_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SOCKET_SEEDS").unwrap_or(SEEDS),
    };
    let is_released =
        Released::is_there("simulated::the_laws_hold_over_sockets_whatever_providers_do");
    let play = |seed| named(format!("SOCKET_SEED={seed}"), play::play(seed, is_released));
    check_all_at_once(AT_ONCE, seeds.map(play).collect()).await;
}
