//! What each strategy promises about the order.

use std::cmp::Reverse;

use proptest::{prelude::*, strategy::Strategy as Generator};

use super::*;
use crate::domain::{rotation::Rotation, route::Strategy};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A contender that owns its names.
#[derive(Debug, Clone)]
struct Entrant {
    provider_id: ProviderId,
    model: ModelName,
    place: usize,
    priority: i32,
    weight: u32,
    price: Option<u64>,
    latency: Option<Measured>,
    in_flight: u32,
    slots: u32,
    speaks: bool,
}

impl Entrant {
    fn new(provider: &str) -> Self {
        Self {
            provider_id: ProviderId::parse(provider).unwrap(),
            model: ModelName::parse("m").unwrap(),
            place: 0,
            priority: 0,
            weight: 1,
            price: None,
            latency: None,
            in_flight: 0,
            slots: 1,
            speaks: false,
        }
    }

    fn contender(&self) -> RankInput<'_> {
        RankInput {
            provider_id: &self.provider_id,
            model: &self.model,
            place: self.place,
            priority: self.priority,
            weight: self.weight,
            price: self.price,
            latency: self.latency,
            in_flight: self.in_flight,
            slots: self.slots,
            speaks: self.speaks,
        }
    }
}

fn measured(millis: u64, age: Duration) -> Measured {
    Measured { mean: Duration::from_millis(millis), last: NOW.minus(age) }
}

fn fresh(millis: u64) -> Measured {
    measured(millis, Duration::ZERO)
}

/// In the order of a strategy to which priorities mean nothing but what they mean to itself.
fn ranked(strategy: Strategy, entrants: &[Entrant], turn: &mut TakeTurn<'_>) -> Vec<Ranked> {
    tiered((strategy, Tiers::Ignored), entrants, turn)
}

fn tiered(by: (Strategy, Tiers), entrants: &[Entrant], turn: &mut TakeTurn<'_>) -> Vec<Ranked> {
    let contenders: Vec<_> = entrants.iter().map(Entrant::contender).collect();
    order(NOW, by, &contenders, turn)
}

/// The providers in the order of a strategy that asks for no turn.
fn ordered(strategy: Strategy, entrants: &[Entrant]) -> Vec<&str> {
    let mut nobody = |_: &[(Position, u32)], _| unreachable!("there are no turns here");
    named(entrants, &ranked(strategy, entrants, &mut nobody))
}

fn named<'e>(entrants: &'e [Entrant], ranking: &[Ranked]) -> Vec<&'e str> {
    ranking.iter().map(|ranked| entrants[ranked.index].provider_id.as_str()).collect()
}

/// The first of each of `count` orders, each of which takes a turn.
fn served(
    turns: &mut Rotation<(), Position>,
    strategy: Strategy,
    entrants: &[Entrant],
    count: usize,
) -> Vec<String> {
    let mut turn = |members: &[(Position, u32)], rotation| match rotation {
        TurnCount::Slots => turns.rotate(&(), members),
        TurnCount::Weights => turns.weigh(&(), members),
    };
    let mut first = || {
        let ranking = ranked(strategy, entrants, &mut turn);
        named(entrants, &ranking)[0].to_owned()
    };
    (0..count).map(|_| first()).collect()
}

fn three(set: impl Fn(&mut Entrant, usize)) -> [Entrant; 3] {
    let mut entrants = ["a", "b", "c"].map(Entrant::new);
    entrants.iter_mut().enumerate().for_each(|(index, entrant)| set(entrant, index));
    entrants
}

#[test]
fn the_highest_priority_is_first_and_the_others_follow() {
    let entrants = three(|entrant, index| entrant.priority = [10, 100, 50][index]);
    assert_eq!(ordered(Strategy::Priority, &entrants), ["b", "c", "a"]);
}

#[test]
fn the_place_in_the_route_goes_before_the_priority() {
    let entrants = three(|entrant, index| {
        entrant.place = [1, 0, 1][index];
        entrant.priority = [5, 0, 9][index];
    });
    assert_eq!(ordered(Strategy::Priority, &entrants), ["b", "c", "a"]);
}

#[test]
fn the_lower_priority_serves_when_the_higher_one_is_not_there() {
    let entrants = three(|entrant, index| entrant.priority = [10, 100, 50][index]);
    let without = [entrants[0].clone(), entrants[2].clone()];
    assert_eq!(ordered(Strategy::Priority, &without), ["c", "a"]);
}

#[test]
fn equals_are_ordered_by_provider_and_then_by_model() {
    let mut entrants = three(|_, _| ()).to_vec();
    entrants.push(Entrant { model: ModelName::parse("l").unwrap(), ..Entrant::new("b") });
    entrants.reverse();
    for strategy in Strategy::ALL {
        let mut first = |_: &[(Position, u32)], _| Some(0);
        let ranking = ranked(strategy, &entrants, &mut first);
        assert_eq!(named(&entrants, &ranking), ["a", "b", "b", "c"], "{strategy:?}");
        assert_eq!(entrants[ranking[1].index].model.as_str(), "l", "{strategy:?}");
    }
}

#[test]
fn the_cheapest_is_first_and_an_unknown_price_last() {
    let entrants = three(|entrant, index| entrant.price = [None, Some(9), Some(0)][index]);
    assert_eq!(ordered(Strategy::Cost, &entrants), ["c", "b", "a"]);
    let unknown = three(|entrant, index| entrant.priority = [10, 100, 50][index]);
    assert_eq!(ordered(Strategy::Cost, &unknown), ["b", "c", "a"]);
    let dearest = three(|entrant, index| entrant.price = [None, Some(u64::MAX), Some(1)][index]);
    assert_eq!(ordered(Strategy::Cost, &dearest), ["c", "b", "a"]);
}

#[test]
fn the_fastest_is_first() {
    let entrants = three(|entrant, index| entrant.latency = Some(fresh([300, 100, 500][index])));
    assert_eq!(ordered(Strategy::Latency, &entrants), ["b", "a", "c"]);
}

#[test]
fn what_was_never_measured_is_tried_first_by_one_request_alone() {
    let mut entrants = three(|entrant, index| entrant.latency = Some(fresh([300, 100, 1][index])));
    entrants[2].latency = None;
    assert_eq!(ordered(Strategy::Latency, &entrants), ["c", "b", "a"]);
    entrants[2].in_flight = 1;
    assert_eq!(ordered(Strategy::Latency, &entrants), ["b", "a", "c"]);
}

#[test]
fn what_was_slow_long_ago_is_tried_again() {
    let mut entrants =
        three(|entrant, index| entrant.latency = Some(fresh([100, 200, 900][index])));
    entrants[2].latency = Some(measured(900, Duration::from_mins(30)));
    assert_eq!(ordered(Strategy::Latency, &entrants), ["a", "c", "b"]);
    entrants[2].latency = Some(measured(900, Duration::from_mins(40)));
    assert_eq!(ordered(Strategy::Latency, &entrants), ["c", "a", "b"]);
}

#[test]
fn nine_round_robin_orders_over_three_are_led_by_each_three_times() {
    let entrants = three(|_, _| ());
    let served = served(&mut Rotation::default(), Strategy::RoundRobin, &entrants, 9).join("");
    assert_eq!(served, "abcabcabc");
}

#[test]
fn after_the_one_whose_turn_it_is_the_ring_goes_on() {
    let entrants = three(|entrant, index| {
        entrant.place = 9 - index;
        entrant.priority = i32::try_from(index).unwrap();
    });
    let mut second = |_: &[(Position, u32)], _| Some(1);
    let ranking = ranked(Strategy::RoundRobin, &entrants, &mut second);
    assert_eq!(named(&entrants, &ranking), ["b", "c", "a"]);
}

#[test]
fn a_provider_has_a_turn_for_each_of_its_credentials() {
    let entrants = [
        Entrant { slots: 2, ..Entrant::new("gemini") },
        Entrant { slots: 1, ..Entrant::new("claude") },
    ];
    let served = served(&mut Rotation::default(), Strategy::RoundRobin, &entrants, 4);
    assert_eq!(served, ["gemini", "gemini", "claude", "gemini"]);
}

#[test]
fn weights_of_five_three_and_two_lead_fifty_thirty_and_twenty_of_a_hundred_orders() {
    let entrants = three(|entrant, index| entrant.weight = [5, 3, 2][index]);
    let served = served(&mut Rotation::default(), Strategy::Weighted, &entrants, 100);
    let count = |id: &str| served.iter().filter(|first| *first == id).count();
    assert_eq!([count("a"), count("b"), count("c")], [50, 30, 20]);
    assert!(served.windows(3).all(|run| run != ["a", "a", "a"]));
}

#[test]
fn behind_the_one_whose_turn_it_is_the_others_stand_by_weight() {
    let entrants = three(|entrant, index| entrant.weight = [1, 2, 9][index]);
    let mut first = |members: &[(Position, u32)], rotation| {
        assert_eq!(rotation, TurnCount::Weights);
        assert!(members.is_sorted());
        Some(0)
    };
    let ranking = ranked(Strategy::Weighted, &entrants, &mut first);
    assert_eq!(named(&entrants, &ranking), ["a", "c", "b"]);
}

#[test]
fn weight_zero_is_left_out_of_the_weighted_order_alone() {
    let entrants = three(|entrant, index| entrant.weight = [0, 2, 0][index]);
    assert_eq!(ordered(Strategy::Weighted, &entrants), ["b"]);
    assert_eq!(ordered(Strategy::Weighted, &entrants[..1]), [""; 0]);
    assert_eq!(ordered(Strategy::Priority, &entrants), ["a", "b", "c"]);
}

#[test]
fn fill_first_stays_with_the_first_whatever_the_priority() {
    let mut entrants = three(|entrant, index| {
        entrant.priority = [1, 5, 9][index];
        entrant.in_flight = [100, 0, 0][index];
    });
    assert_eq!(ordered(Strategy::FillFirst, &entrants), ["a", "b", "c"]);
    assert_eq!(ordered(Strategy::FillFirst, &entrants[1..]), ["b", "c"]);
    entrants[0].place = 1;
    assert_eq!(ordered(Strategy::FillFirst, &entrants), ["b", "c", "a"]);
}

#[test]
fn the_one_with_the_fewest_requests_for_each_credential_is_the_least_busy() {
    let entrants = three(|entrant, index| {
        entrant.in_flight = [2, 3, 9][index];
        entrant.slots = [1, 2, 8][index];
    });
    assert_eq!(ordered(Strategy::LeastBusy, &entrants), ["c", "b", "a"]);
}

/// Four of one model: `a` and `b` of a low priority, `c` and `d` of a high one. To every strategy `b` is
/// the best, and `d` is better than `c`.
fn two_tiers() -> Vec<Entrant> {
    let entrant = |(name, priority, rank): (&str, i32, u32)| Entrant {
        priority,
        weight: 5 - rank,
        price: Some(rank.into()),
        latency: Some(fresh(100 * u64::from(rank))),
        in_flight: rank,
        ..Entrant::new(name)
    };
    [("a", 1, 2), ("b", 1, 1), ("c", 9, 4), ("d", 9, 3)].map(entrant).to_vec()
}

#[test]
fn the_highest_tier_comes_first_unless_there_are_targets_or_tiers_do_not_count() {
    use Strategy::{Cost, FillFirst, Latency, LeastBusy, Priority, RoundRobin, Weighted};
    // Whose turn it is among those that there are turns of: always the second's.
    let mut second = |members: &[(Position, u32)], _: TurnCount| Some(members.len().min(2) - 1);
    for (strategy, first, last, ignored) in [
        (Priority, "cdab", "cdab", "cdab"),
        (Cost, "dcba", "badc", "badc"),
        (Latency, "dcba", "badc", "badc"),
        (LeastBusy, "dcba", "badc", "badc"),
        // Among the first tier alone there are turns.
        (RoundRobin, "dcab", "bcda", "bcda"),
        (Weighted, "dcba", "badc", "badc"),
        (FillFirst, "cdab", "cdab", "abcd"),
    ] {
        for (tiers, expected) in
            [(Tiers::First, first), (Tiers::Last, last), (Tiers::Ignored, ignored)]
        {
            let entrants = two_tiers();
            let ranking = tiered((strategy, tiers), &entrants, &mut second);
            assert_eq!(named(&entrants, &ranking).concat(), expected, "{strategy:?} {tiers:?}");
        }
    }
}

#[test]
fn the_place_of_a_target_goes_before_the_priority_under_every_strategy() {
    for strategy in Strategy::ALL.into_iter().filter(|it| *it != Strategy::RoundRobin) {
        let entrants = three(|entrant, index| {
            entrant.place = [1, 0, 1][index];
            entrant.priority = [5, 0, 9][index];
        });
        let mut second = |_: &[(Position, u32)], _| Some(1);
        let ranking = tiered((strategy, Tiers::Last), &entrants, &mut second);
        assert_eq!(named(&entrants, &ranking), ["b", "c", "a"], "{strategy:?}");
    }
}

#[test]
fn of_equals_the_one_that_speaks_the_clients_dialect_is_first() {
    for strategy in Strategy::ALL {
        let entrants = three(|entrant, index| entrant.speaks = index == 1);
        // Who has a turn has it whatever it speaks.
        let mut first = |_: &[(Position, u32)], _| Some(0);
        let ranking = ranked(strategy, &entrants, &mut first);
        let expected = match strategy {
            Strategy::RoundRobin | Strategy::Weighted => ["a", "b", "c"],
            _ => ["b", "a", "c"],
        };
        assert_eq!(named(&entrants, &ranking), expected, "{strategy:?}");
    }
    let unequal = three(|entrant, index| {
        entrant.speaks = index == 0;
        entrant.priority = [1, 2, 3][index];
    });
    assert_eq!(ordered(Strategy::Priority, &unequal), ["c", "b", "a"]);
}

#[test]
fn one_contender_asks_for_no_turn_and_none_is_no_order() {
    for strategy in Strategy::ALL {
        assert_eq!(ordered(strategy, &[Entrant::new("a")]), ["a"]);
        assert_eq!(ordered(strategy, &[]), [""; 0]);
    }
}

#[test]
fn no_time_and_no_price_give_a_score_that_is_a_number() {
    let entrant =
        Entrant { latency: Some(fresh(0)), price: Some(0), slots: 0, ..Entrant::new("a") };
    for strategy in [Strategy::Latency, Strategy::Cost, Strategy::LeastBusy] {
        let ranking = ranked(strategy, std::slice::from_ref(&entrant), &mut |_, _| None);
        assert!(ranking[0].score.is_finite() && ranking[0].score > 0.0, "{strategy:?}");
    }
    let ranking = ranked(
        Strategy::Latency,
        &[Entrant { latency: Some(fresh(250)), ..entrant }],
        &mut |_, _| None,
    );
    assert!((ranking[0].score - 0.004).abs() < 1e-12);
}

fn tiers() -> impl Generator<Value = Tiers> {
    prop_oneof![Just(Tiers::First), Just(Tiers::Last), Just(Tiers::Ignored)]
}

fn entrants() -> impl Generator<Value = Vec<Entrant>> {
    let entrant = (
        0_usize..3,
        -2_i32..3,
        prop_oneof![Just(0_u32), 1..5_u32, Just(u32::MAX)],
        prop::option::of(prop_oneof![0..5_u64, Just(u64::MAX)]),
        prop::option::of((prop_oneof![0..2_000_u64, Just(u64::MAX)], -600_000..6_000_000_i64)),
        prop_oneof![0..3_u32, Just(u32::MAX)],
        0..4_u32,
        any::<bool>(),
    );
    prop::collection::vec(entrant, 0..12).prop_map(|drawn| {
        let mut entrants = Vec::new();
        for (place, priority, weight, price, latency, in_flight, slots, speaks) in drawn {
            let latency = latency.map(|(mean, age)| Measured {
                mean: Duration::from_millis(mean),
                last: Timestamp::from_millis(NOW.as_millis() - age),
            });
            let model = ModelName::parse(&format!("m{}", entrants.len() % 2)).unwrap();
            let named = Entrant { model, ..Entrant::new(&format!("p{}", entrants.len() / 2)) };
            let drawn = Entrant { place, priority, weight, price, latency, ..named };
            entrants.push(Entrant { in_flight, slots, speaks, ..drawn });
        }
        entrants
    })
}

proptest! {
    #[test]
    fn every_order_holds_each_contender_once_with_a_finite_score(
        entrants in entrants(),
        kind in 0..Strategy::ALL.len(),
        tiers in tiers(),
        turn in prop::option::of(0_usize..20),
    ) {
        let strategy = Strategy::ALL[kind];
        let ranking = tiered((strategy, tiers), &entrants, &mut |_, _| turn);
        let mut indexes: Vec<_> = ranking.iter().map(|ranked| ranked.index).collect();
        indexes.sort_unstable();
        let is_in = |index: &usize| strategy != Strategy::Weighted || entrants[*index].weight > 0;
        let all: Vec<_> = (0..entrants.len()).filter(is_in).collect();
        prop_assert_eq!(indexes, all);
        prop_assert!(ranking.iter().all(|ranked| ranked.score.is_finite() && ranked.score >= 0.0));
        let priority = |ranked: &Ranked| Reverse(entrants[ranked.index].priority);
        prop_assert!(tiers != Tiers::First || ranking.iter().is_sorted_by_key(priority));
    }

    #[test]
    fn the_order_does_not_depend_on_how_the_contenders_came_in(
        (entrants, shuffled) in entrants().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        kind in 0..Strategy::ALL.len(),
        tiers in tiers(),
        turn in prop::option::of(0_usize..20),
    ) {
        let by = (Strategy::ALL[kind], tiers);
        let names = |entrants: &[Entrant]| -> Vec<_> {
            let ranking = tiered(by, entrants, &mut |_, _| turn);
            let name = |r: &Ranked| (entrants[r.index].provider_id.clone(), entrants[r.index].model.clone());
            ranking.iter().map(name).collect()
        };
        prop_assert_eq!(names(&entrants), names(&shuffled));
    }

    #[test]
    fn the_comparison_is_total(
        entrants in entrants(), kind in 0..Strategy::ALL.len(), tiers in tiers()
    ) {
        let by = (Strategy::ALL[kind], tiers);
        let contenders: Vec<_> = entrants.iter().map(Entrant::contender).collect();
        for (i, a) in contenders.iter().enumerate() {
            for (j, b) in contenders.iter().enumerate() {
                let forth = compare(NOW, by, a, b);
                prop_assert_eq!(forth, compare(NOW, by, b, a).reverse());
                prop_assert_eq!(forth == Ordering::Equal, i == j);
            }
        }
    }
}
