//! In which order candidates are asked: one pure function for all strategies.

use std::{cmp::Ordering, time::Duration};

use crate::domain::{
    id::{ModelName, ProviderId},
    route::Strategy,
    time::Timestamp,
};

/// A measured time counts half as much after this long, so that what was slow once is tried again.
const HALF_LIFE: Duration = Duration::from_mins(10);

/// Names a candidate in a rotation.
pub type Position = (ProviderId, ModelName);

/// How long a candidate took lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    pub mean: Duration,
    /// When it was last measured.
    pub last: Timestamp,
}

/// One candidate as the strategies see it. No two have the same provider and model.
#[derive(Debug, Clone)]
pub struct RankInput<'a> {
    pub provider_id: &'a ProviderId,
    pub model: &'a ModelName,
    /// Its place in the route: lower is preferred. 0 for all when there is no route.
    pub place: usize,
    /// Higher is preferred.
    pub priority: i32,
    /// Its weight in the route.
    pub weight: u32,
    /// Nano-USD for a typical request. None: unknown.
    pub price: Option<u64>,
    /// None: it was never measured.
    pub latency: Option<Measured>,
    /// Requests under way.
    pub in_flight: u32,
    /// Credentials ready to be used; at least 1.
    pub slots: u32,
    /// Whether it speaks the client's dialect, so that nothing has to be translated.
    pub speaks: bool,
}

/// What the priority of providers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tiers {
    /// The highest comes first, and the strategy orders those of the same one.
    First,
    /// The strategy comes first, and then the place in the route.
    Last,
    /// Nothing, unless the strategy goes by it.
    Ignored,
}

/// What the number beside each member says when it is asked whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnCount {
    /// How many turns in a row it has.
    Slots,
    /// Its weight.
    Weights,
}

/// Says which of the members, sorted by id, has the turn: its position among them.
pub type TakeTurn<'t> = dyn FnMut(&[(Position, u32)], TurnCount) -> Option<usize> + 't;

/// A contender's place in the order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Its index among the contenders.
    pub index: usize,
    /// What the strategy thinks of it, for people to read: larger is better, always finite.
    pub score: f64,
}

/// Orders the contenders, best first. Those of weight 0 are left out under the weighted strategy.
/// `turn` is asked under round robin and weighted alone, and only when there is a choice.
pub fn order(
    now: Timestamp,
    (strategy, tiers): (Strategy, Tiers),
    contenders: &[RankInput<'_>],
    turn: &mut TakeTurn<'_>,
) -> Vec<Ranked> {
    let is_in = |index: &usize| strategy != Strategy::Weighted || contenders[*index].weight > 0;
    let mut ranked = Vec::with_capacity(contenders.len());
    ranked.extend((0..contenders.len()).filter(is_in).map(|index| Ranked { index, score: 0.0 }));
    if ranked.len() > 1 {
        ranked.sort_by(|a, b| {
            compare(now, (strategy, tiers), &contenders[a.index], &contenders[b.index])
        });
        let first = first_tier(tiers, &mut ranked, contenders);
        match strategy {
            _ if first.len() < 2 => {}
            Strategy::RoundRobin => start_at_turn(first, contenders, turn),
            Strategy::Weighted => put_turn_first(first, contenders, turn),
            Strategy::Priority
            | Strategy::Cost
            | Strategy::Latency
            | Strategy::FillFirst
            | Strategy::LeastBusy => {}
        }
    }
    let count = ranked.len();
    for (position, place) in ranked.iter_mut().enumerate() {
        place.score = score(strategy, &contenders[place.index], count - position);
    }
    ranked
}

/// Those among whom there are turns.
fn first_tier<'r>(
    tiers: Tiers,
    ranked: &'r mut [Ranked],
    contenders: &[RankInput<'_>],
) -> &'r mut [Ranked] {
    let priority = |place: &Ranked| contenders[place.index].priority;
    let is_first =
        |place: &Ranked| tiers != Tiers::First || priority(place) == priority(&ranked[0]);
    let end = ranked.partition_point(is_first);
    &mut ranked[..end]
}

/// Total: no two contenders are equal.
fn compare(
    now: Timestamp,
    (strategy, tiers): (Strategy, Tiers),
    a: &RankInput,
    b: &RankInput,
) -> Ordering {
    let by_id = || (a.provider_id, a.model).cmp(&(b.provider_id, b.model));
    let by_priority = b.priority.cmp(&a.priority);
    let tier = if tiers == Tiers::First { by_priority } else { Ordering::Equal };
    let preference = match strategy {
        Strategy::Priority | Strategy::FillFirst => Ordering::Equal,
        Strategy::Cost => (a.price.is_none(), a.price).cmp(&(b.price.is_none(), b.price)),
        Strategy::Latency => estimate(now, a).total_cmp(&estimate(now, b)),
        Strategy::RoundRobin => by_id(),
        Strategy::Weighted => b.weight.cmp(&a.weight),
        Strategy::LeastBusy => load(a).total_cmp(&load(b)),
    };
    // Where prices are unknown or equal it goes by preference.
    let goes_by_priority = matches!(strategy, Strategy::Priority | Strategy::Cost);
    let rest =
        if tiers == Tiers::Ignored && !goes_by_priority { Ordering::Equal } else { by_priority };
    tier.then(preference)
        .then(a.place.cmp(&b.place))
        .then(rest)
        .then(b.speaks.cmp(&a.speaks))
        .then_with(by_id)
}

/// The time it will take, in milliseconds, as far as one can say. What was never measured is as good
/// as can be for one request, and for the others the last choice until that one has measured it.
fn estimate(now: Timestamp, contender: &RankInput) -> f64 {
    match contender.latency {
        Some(Measured { mean, last }) => {
            let half_lives = now.since(last).as_secs_f64() / HALF_LIFE.as_secs_f64();
            millis(mean) * 0.5_f64.powf(half_lives)
        }
        None if contender.in_flight == 0 => 0.0,
        None => f64::INFINITY,
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Requests under way for each credential.
fn load(contender: &RankInput) -> f64 {
    f64::from(contender.in_flight) / f64::from(contender.slots.max(1))
}

/// `left` is the number of contenders from this one to the last.
fn score(strategy: Strategy, contender: &RankInput, left: usize) -> f64 {
    match strategy {
        Strategy::Priority | Strategy::RoundRobin | Strategy::Weighted | Strategy::FillFirst => {
            u32::try_from(left).unwrap_or(u32::MAX).into()
        }
        // Requests for one USD, of which a free one gives as many as one for a nano-USD.
        Strategy::Cost => contender.price.map_or(0.0, |price| 1.0 / dollars(price.max(1))),
        Strategy::Latency => match contender.latency {
            Some(measured) => 1.0 / millis(measured.mean).max(1.0),
            None if contender.in_flight == 0 => 1.0,
            None => 0.0,
        },
        Strategy::LeastBusy => 1.0 / (1.0 + load(contender)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "only people read it")]
fn dollars(nano_usd: u64) -> f64 {
    nano_usd as f64 / 1e9
}

/// Turns the ring, sorted by id, until the one whose turn it is stands first.
fn start_at_turn(ranked: &mut [Ranked], contenders: &[RankInput<'_>], turn: &mut TakeTurn<'_>) {
    let members: Vec<_> =
        ranked.iter().map(|place| member(&contenders[place.index], TurnCount::Slots)).collect();
    if let Some(first) = turn(&members, TurnCount::Slots) {
        let count = ranked.len();
        ranked.rotate_left(first % count);
    }
}

/// Moves the one whose turn it is to the front; the others keep their order.
fn put_turn_first(ranked: &mut [Ranked], contenders: &[RankInput<'_>], turn: &mut TakeTurn<'_>) {
    let mut ring: Vec<usize> = ranked.iter().map(|place| place.index).collect();
    ring.sort_by_key(|index| (contenders[*index].provider_id, contenders[*index].model));
    let members: Vec<_> =
        ring.iter().map(|index| member(&contenders[*index], TurnCount::Weights)).collect();
    let first = turn(&members, TurnCount::Weights).and_then(|first| ring.get(first));
    if let Some(at) = first.and_then(|first| ranked.iter().position(|it| it.index == *first)) {
        ranked[..=at].rotate_right(1);
    }
}

fn member(contender: &RankInput, rotation: TurnCount) -> (Position, u32) {
    let number = match rotation {
        TurnCount::Slots => contender.slots,
        TurnCount::Weights => contender.weight,
    };
    ((contender.provider_id.clone(), contender.model.clone()), number)
}

#[cfg(test)]
mod tests;
