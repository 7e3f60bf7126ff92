//! When a model cools, when all of its provider does, and what frees them.

mod incidents;
mod memory;
mod news;
mod purposes;
mod trials;

use super::*;
use crate::domain::{
    cooldown::MAX_UNLISTED,
    cooling::{CoolingRuleSettings, CoolingSettings, WINDOWS_MS},
    failure::MAX_HINT,
    id::{CredentialId, ModelName, ProviderId},
    rule::RuleAction,
};

const START: Timestamp = Timestamp::from_millis(1_000_000);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn second(n: u64) -> Timestamp {
    START.plus(seconds(n))
}

fn acme() -> ProviderId {
    ProviderId::parse("acme").unwrap()
}

fn of_model(model: &str) -> CooldownScope {
    CooldownScope::ProviderModel(acme(), ModelName::parse(model).unwrap())
}

fn whole() -> CooldownScope {
    CooldownScope::Provider(acme())
}

/// A provider with two keys, and what attempts there come to.
#[derive(Default)]
struct Acme {
    state: HealthState,
    rules: CoolingRules,
    purpose: Purpose,
    /// Whether its models are in no list.
    is_unlisted: bool,
}

impl Acme {
    fn fail_with(
        &mut self,
        at: Timestamp,
        model: &str,
        key: Option<&str>,
        failure: &Failure,
    ) -> Blamed {
        let (model, key) = (ModelName::parse(model).unwrap(), key.map(CredentialId::from));
        let attempted = Attempted {
            used: Use { provider: &acme(), credential: key.as_ref(), model: &model },
            failure,
            purpose: self.purpose,
            is_listed: !self.is_unlisted,
            usable: 2,
        };
        self.state.failed(at, attempted, &self.rules, 0.0)
    }

    fn fail(&mut self, at: u64, model: &str, class: FailureClass) -> Blamed {
        self.fail_with(second(at), model, None, &Failure::new(class, "no"))
    }

    fn fails(&mut self, times: usize, at: u64, model: &str, class: FailureClass) {
        for _ in 0..times {
            self.fail(at, model, class);
        }
    }

    fn answer(&mut self, at: u64, model: &str) -> Vec<HealthChange> {
        let model = ModelName::parse(model).unwrap();
        self.state.succeeded(second(at), Use { provider: &acme(), credential: None, model: &model })
    }

    /// For how many seconds more a scope is left alone.
    fn left(&self, at: u64, scope: &CooldownScope) -> Option<u64> {
        let cooldown = self.state.view().cooldowns().active(second(at), scope)?;
        Some(cooldown.until.since(second(at)).as_secs())
    }

    /// Asks for a model, and says whether it may be had; the right to try it is judged.
    fn enter(&self, at: u64, model: &str) -> bool {
        let model = ModelName::parse(model).unwrap();
        let used = Use { provider: &acme(), credential: None, model: &model };
        let entered = self.state.view().enter(second(at), used);
        entered.is_ok_and(|passes| {
            passes.into_iter().for_each(TrialPass::judged);
            true
        })
    }
}

#[test]
fn the_third_failure_of_a_model_in_a_minute_cools_the_model_alone() {
    use FailureClass::{Cut, Server, Silent, Stalled};
    let mut acme = Acme::default();
    acme.fail(0, "m", Server);
    acme.fail(30, "m", Cut);
    assert_eq!(acme.left(59, &of_model("m")), None);
    acme.fail(59, "m", Stalled);
    assert_eq!((acme.left(59, &of_model("m")), acme.left(59, &whole())), (Some(10), None));
    assert!(acme.enter(59, "n"), "the other models are not to blame");

    let mut late = Acme::default();
    for at in [0, 30, 61, 122] {
        late.fail(at, "m", Silent);
        assert_eq!(late.left(at, &of_model("m")), None, "older than a minute");
    }
}

#[test]
fn an_overload_is_counted_apart_and_is_short() {
    let mut acme = Acme::default();
    acme.fails(2, 0, "m", FailureClass::Server);
    acme.fails(4, 0, "m", FailureClass::Overload);
    assert_eq!(acme.left(0, &of_model("m")), None);
    let mut now = 0;
    let mut lengths = Vec::new();
    for _ in 0..4 {
        acme.fail(now, "m", FailureClass::Overload);
        lengths.push(acme.left(now, &of_model("m")).unwrap());
        now += lengths.last().unwrap();
    }
    assert_eq!(lengths, [5, 10, 15, 15]);
}

#[test]
fn a_provider_cools_when_two_of_its_models_do_within_a_minute() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    acme.fails(3, 59, "n", FailureClass::Server);
    assert_eq!(acme.left(59, &whole()), Some(10));
    assert!(!acme.enter(59, "any"));

    let mut apart = Acme::default();
    apart.fails(3, 0, "m", FailureClass::Server);
    apart.fails(3, 61, "n", FailureClass::Server);
    assert_eq!(apart.left(61, &whole()), None);

    let mut answered = Acme::default();
    answered.fails(3, 0, "m", FailureClass::Server);
    answered.answer(20, "m");
    answered.fails(3, 30, "n", FailureClass::Server);
    assert_eq!(answered.left(30, &whole()), None, "the first works again");

    let mut limited = Acme::default();
    limited.fail(0, "m", FailureClass::RateLimit);
    limited.fail(0, "o", FailureClass::ModelMissing);
    limited.fails(3, 0, "n", FailureClass::Server);
    assert_eq!(limited.left(0, &whole()), None, "limits are no failing models");
}

#[test]
fn what_cannot_be_reached_is_the_provider() {
    let mut acme = Acme::default();
    for model in ["m", "n", "o"] {
        assert_eq!(acme.left(0, &whole()), None);
        acme.fail(0, model, FailureClass::Connect);
    }
    assert_eq!(acme.left(0, &whole()), Some(10));
    let mut answered = Acme::default();
    answered.fails(2, 0, "m", FailureClass::Connect);
    answered.answer(1, "other");
    answered.fails(2, 2, "m", FailureClass::Connect);
    assert_eq!(answered.left(2, &whole()), None, "who answers can be reached");
}

#[test]
fn the_good_answer_of_one_model_does_not_free_another() {
    let mut acme = Acme::default();
    acme.fails(2, 0, "m", FailureClass::Server);
    acme.answer(1, "n");
    acme.fail(2, "m", FailureClass::Server);
    assert_eq!(acme.left(2, &of_model("m")), Some(10));
    let mut own = Acme::default();
    own.fails(2, 0, "m", FailureClass::Server);
    own.answer(1, "m");
    own.fails(2, 2, "m", FailureClass::Server);
    assert_eq!(own.left(2, &of_model("m")), None);
}

#[test]
fn a_hint_cools_at_once_and_for_as_long_as_it_says() {
    for class in [FailureClass::Server, FailureClass::Overload, FailureClass::RateLimit] {
        let mut acme = Acme::default();
        let hinted = |hint| Failure { retry_after: Some(hint), ..Failure::new(class, "no") };
        acme.fail_with(START, "m", None, &hinted(seconds(20)));
        assert_eq!(acme.left(0, &of_model("m")), Some(20), "{class:?}");
        assert_eq!(acme.left(0, &whole()), None);
        acme.fail_with(START, "n", None, &hinted(Duration::MAX));
        assert_eq!(acme.left(0, &of_model("n")), Some(MAX_HINT.as_secs()), "{class:?}");
    }
    let mut acme = Acme::default();
    let hinted =
        Failure { retry_after: Some(seconds(2)), ..Failure::new(FailureClass::Server, "no") };
    for at in [0, 2, 4, 6] {
        acme.fail_with(second(at), "m", None, &hinted);
        assert_eq!(acme.left(at, &of_model("m")), Some(2), "it is obeyed however often it comes");
    }
    acme.fail(8, "m", FailureClass::Server);
    assert_eq!(acme.left(8, &of_model("m")), Some(160), "and counted, should none come");
}

#[test]
fn without_a_key_a_limit_is_that_of_the_model() {
    let mut acme = Acme::default();
    let mut lengths = Vec::new();
    let mut now = 0;
    for _ in 0..3 {
        acme.fail(now, "m", FailureClass::RateLimit);
        lengths.push(acme.left(now, &of_model("m")).unwrap());
        now += lengths.last().unwrap();
    }
    assert_eq!(lengths, [1, 2, 4]);
    assert!(acme.enter(0, "n"));
}

// Two routes may count the same failures by rules of their own.
#[test]
fn each_rule_counts_what_is_as_old_as_it_says() {
    let rule = |failures, window_ms| CoolingRuleSettings {
        failures: Some(failures),
        window_ms: Some(window_ms),
        ..CoolingRuleSettings::default()
    };
    let set = CoolingSettings { server: rule(5, 600_000), ..CoolingSettings::default() };
    let patient = CoolingRules::default().with(Some(set));
    let mut pool = Acme { rules: patient, ..Acme::default() };
    pool.rules = CoolingRules::default();
    pool.fail(0, "m", FailureClass::Server);
    pool.fail(1, "m", FailureClass::Server);
    // What is too old for this rule is not for the other.
    pool.state.expire(second(65));
    pool.fail(70, "m", FailureClass::Server);
    assert_eq!(pool.left(70, &of_model("m")), None, "one in the last minute");
    pool.rules = patient;
    pool.fail(71, "m", FailureClass::Server);
    assert_eq!(pool.left(71, &of_model("m")), None, "four in ten minutes");
    pool.fail(72, "m", FailureClass::Server);
    assert_eq!(pool.left(72, &of_model("m")), Some(10));
}

#[test]
fn the_numbers_are_those_of_the_provider_and_may_be_none() {
    let none = CoolingRuleSettings { failures: Some(0), ..CoolingRuleSettings::default() };
    let server = CoolingRuleSettings {
        failures: Some(1),
        base_ms: Some(2_000),
        cap_ms: Some(3_000),
        ..CoolingRuleSettings::default()
    };
    let rules =
        |server| CoolingRules::default().with(Some(CoolingSettings { server, overload: none }));
    let mut acme = Acme { rules: rules(server), ..Acme::default() };
    acme.fail(0, "m", FailureClass::Server);
    assert_eq!(acme.left(0, &of_model("m")), Some(2));
    acme.fail(2, "m", FailureClass::Server);
    assert_eq!(acme.left(2, &of_model("m")), Some(3));

    let mut never = Acme { rules: rules(none), ..Acme::default() };
    for class in [FailureClass::Server, FailureClass::Overload, FailureClass::Connect] {
        never.fails(20, 0, "m", class);
        never.fails(20, 0, "n", class);
    }
    assert!(never.state.view().cooldowns().is_empty());
    let hinted =
        Failure { retry_after: Some(seconds(5)), ..Failure::new(FailureClass::Server, "no") };
    never.fail_with(START, "m", None, &hinted);
    assert_eq!(never.left(0, &of_model("m")), Some(5), "what it asks for itself is granted");
    assert!(never.enter(5, "m"));
    never.fail(5, "m", FailureClass::Server);
    assert!(never.enter(5, "m") && never.enter(5, "m"), "it is kept for nobody alone");
}

#[test]
fn a_rule_of_the_provider_comes_before_the_count() {
    let mut acme = Acme::default();
    for class in FailureClass::ALL {
        let rule = Some(RuleAction::Continue);
        let failure = Failure { rule, ..Failure::new(class, "no") };
        for _ in 0..6 {
            assert_eq!(acme.fail_with(START, "m", Some("a"), &failure), Blamed::default());
        }
    }
}
