//! What each strategy promises about the order.

use proptest::{prelude::*, strategy::Strategy as Generator};

use super::*;
use crate::domain::{route::Strategy, turns::Turns};

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
        }
    }

    fn contender(&self) -> Contender<'_> {
        Contender {
            provider_id: &self.provider_id,
            model: &self.model,
            place: self.place,
            priority: self.priority,
            weight: self.weight,
            price: self.price,
            latency: self.latency,
            in_flight: self.in_flight,
            slots: self.slots,
        }
    }
}

fn measured(millis: u64, age: Duration) -> Measured {
    Measured { mean: Duration::from_millis(millis), last: NOW.minus(age) }
}

fn fresh(millis: u64) -> Measured {
    measured(millis, Duration::ZERO)
}

fn ranked(strategy: Strategy, entrants: &[Entrant], turn: &mut TakeTurn<'_>) -> Vec<Ranked> {
    let contenders: Vec<_> = entrants.iter().map(Entrant::contender).collect();
    order(NOW, strategy, &contenders, turn)
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
    turns: &mut Turns<(), Position>,
    strategy: Strategy,
    entrants: &[Entrant],
    count: usize,
) -> Vec<String> {
    let mut turn = |members: &[(Position, u32)], rotation| match rotation {
        Rotation::Slots => turns.rotate(&(), members),
        Rotation::Weights => turns.weigh(&(), members),
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
    let served = served(&mut Turns::default(), Strategy::RoundRobin, &entrants, 9).join("");
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
    let served = served(&mut Turns::default(), Strategy::RoundRobin, &entrants, 4);
    assert_eq!(served, ["gemini", "gemini", "claude", "gemini"]);
}

#[test]
fn weights_of_five_three_and_two_lead_fifty_thirty_and_twenty_of_a_hundred_orders() {
    let entrants = three(|entrant, index| entrant.weight = [5, 3, 2][index]);
    let served = served(&mut Turns::default(), Strategy::Weighted, &entrants, 100);
    let count = |id: &str| served.iter().filter(|first| *first == id).count();
    assert_eq!([count("a"), count("b"), count("c")], [50, 30, 20]);
    assert!(served.windows(3).all(|run| run != ["a", "a", "a"]));
}

#[test]
fn behind_the_one_whose_turn_it_is_the_others_stand_by_weight() {
    let entrants = three(|entrant, index| entrant.weight = [1, 2, 9][index]);
    let mut first = |members: &[(Position, u32)], rotation| {
        assert_eq!(rotation, Rotation::Weights);
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

fn entrants() -> impl Generator<Value = Vec<Entrant>> {
    let entrant = (
        0_usize..3,
        -2_i32..3,
        prop_oneof![Just(0_u32), 1..5_u32, Just(u32::MAX)],
        prop::option::of(prop_oneof![0..5_u64, Just(u64::MAX)]),
        prop::option::of((prop_oneof![0..2_000_u64, Just(u64::MAX)], -600_000..6_000_000_i64)),
        prop_oneof![0..3_u32, Just(u32::MAX)],
        0..4_u32,
    );
    prop::collection::vec(entrant, 0..12).prop_map(|drawn| {
        let mut entrants = Vec::new();
        for (place, priority, weight, price, latency, in_flight, slots) in drawn {
            let latency = latency.map(|(mean, age)| Measured {
                mean: Duration::from_millis(mean),
                last: Timestamp::from_millis(NOW.as_millis() - age),
            });
            let model = ModelName::parse(&format!("m{}", entrants.len() % 2)).unwrap();
            let named = Entrant { model, ..Entrant::new(&format!("p{}", entrants.len() / 2)) };
            let drawn = Entrant { place, priority, weight, price, latency, ..named };
            entrants.push(Entrant { in_flight, slots, ..drawn });
        }
        entrants
    })
}

proptest! {
    #[test]
    fn every_order_holds_each_contender_once_with_a_finite_score(
        entrants in entrants(), kind in 0..Strategy::ALL.len(), turn in prop::option::of(0_usize..20)
    ) {
        let strategy = Strategy::ALL[kind];
        let ranking = ranked(strategy, &entrants, &mut |_, _| turn);
        let mut indexes: Vec<_> = ranking.iter().map(|ranked| ranked.index).collect();
        indexes.sort_unstable();
        let is_in = |index: &usize| strategy != Strategy::Weighted || entrants[*index].weight > 0;
        let all: Vec<_> = (0..entrants.len()).filter(is_in).collect();
        prop_assert_eq!(indexes, all);
        prop_assert!(ranking.iter().all(|ranked| ranked.score.is_finite() && ranked.score >= 0.0));
    }

    #[test]
    fn the_order_does_not_depend_on_how_the_contenders_came_in(
        (entrants, shuffled) in entrants().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        kind in 0..Strategy::ALL.len(),
        turn in prop::option::of(0_usize..20),
    ) {
        let strategy = Strategy::ALL[kind];
        let names = |entrants: &[Entrant]| -> Vec<_> {
            let ranking = ranked(strategy, entrants, &mut |_, _| turn);
            let name = |r: &Ranked| (entrants[r.index].provider_id.clone(), entrants[r.index].model.clone());
            ranking.iter().map(name).collect()
        };
        prop_assert_eq!(names(&entrants), names(&shuffled));
    }

    #[test]
    fn the_comparison_is_total(entrants in entrants(), kind in 0..Strategy::ALL.len()) {
        let contenders: Vec<_> = entrants.iter().map(Entrant::contender).collect();
        for (i, a) in contenders.iter().enumerate() {
            for (j, b) in contenders.iter().enumerate() {
                let forth = compare(NOW, Strategy::ALL[kind], a, b);
                prop_assert_eq!(forth, compare(NOW, Strategy::ALL[kind], b, a).reverse());
                prop_assert_eq!(forth == Ordering::Equal, i == j);
            }
        }
    }
}
