//! When a model cools, when all of its provider does, and what frees them.

use super::*;
use crate::domain::{
    cooling::{CoolingSettings, TallySettings},
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
    book: HealthBook,
    rules: CoolingRules,
    purpose: Purpose,
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
            is_listed: true,
            usable: 2,
        };
        self.book.failed(at, attempted, &self.rules, 0.0)
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
        self.book.succeeded(second(at), Use { provider: &acme(), credential: None, model: &model })
    }

    /// For how many seconds more a scope is left alone.
    fn left(&self, at: u64, scope: &CooldownScope) -> Option<u64> {
        let cooldown = self.book.view().cooldowns().active(second(at), scope)?;
        Some(cooldown.until.since(second(at)).as_secs())
    }

    /// Asks for a model, and says whether it may be had; the right to try it is judged.
    fn enter(&self, at: u64, model: &str) -> bool {
        let model = ModelName::parse(model).unwrap();
        let used = Use { provider: &acme(), credential: None, model: &model };
        let entered = self.book.view().enter(second(at), used);
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

#[test]
fn after_its_cooldown_one_request_asks_at_once_and_one_good_answer_frees_it() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    acme.fails(3, 0, "n", FailureClass::Server);
    assert!(!acme.enter(9, "o") && acme.enter(10, "o"));
    assert!(!acme.enter(10, "o"), "somebody tries it already");
    let ended = acme.answer(11, "o");
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].kind, &ended[0].cooldown.scope), (ChangeKind::Ended, &whole()));
    assert!(acme.enter(11, "o") && acme.enter(11, "o"));
    assert!(acme.book.expire(second(12)).0.iter().all(|change| change.cooldown.scope != whole()));
}

#[test]
fn a_trial_that_fails_cools_again_and_for_longer() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    acme.fails(3, 0, "n", FailureClass::Server);
    assert!(acme.enter(10, "o"));
    acme.fail(10, "o", FailureClass::Overload);
    assert_eq!(acme.left(10, &whole()), Some(10), "of an overload 5, then 10");
    let mut model = Acme::default();
    model.fails(3, 0, "m", FailureClass::Server);
    assert!(model.enter(100, "m"), "long after");
    model.fail(100, "m", FailureClass::Silent);
    assert_eq!((model.left(100, &of_model("m")), model.left(100, &whole())), (Some(20), None));
}

#[test]
fn two_keys_that_are_limited_are_no_incident_and_two_that_are_refused_are() {
    let failure = |class| Failure::new(class, "no");
    let mut acme = Acme::default();
    acme.fail_with(START, "m", Some("a"), &failure(FailureClass::RateLimit));
    let second = acme.fail_with(START, "m", Some("b"), &failure(FailureClass::RateLimit));
    assert!(!second.is_incident);
    assert_eq!((acme.left(0, &whole()), acme.book.view().cooldowns().list(START).len()), (None, 2));

    let mut refused = Acme::default();
    refused.fail_with(START, "m", Some("a"), &failure(FailureClass::Auth));
    let second = refused.fail_with(START, "m", Some("b"), &failure(FailureClass::Auth));
    assert!(second.is_incident);
    let kinds: Vec<ChangeKind> = second.changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Cleared, ChangeKind::New]);
    assert_eq!(refused.left(0, &whole()), Some(10));
    assert_eq!(refused.book.view().cooldowns().list(START).len(), 1, "the keys are spared");
}

#[test]
fn what_a_rule_or_the_proxy_of_a_key_leads_to_is_no_incident() {
    let auth = Failure::new(FailureClass::Auth, "no");
    let rule = Some(RuleAction::ContinueAndCooldown);
    for failure in [Failure { rule, ..auth.clone() }, Failure { by_proxy: true, ..auth }] {
        let mut acme = Acme::default();
        acme.fail_with(START, "m", Some("a"), &failure);
        let second = acme.fail_with(START, "m", Some("b"), &failure);
        assert!(!second.is_incident, "{failure:?}");
    }
}

#[test]
fn an_incident_spares_keys_what_began_with_it_alone() {
    let key = |model: Option<&str>| {
        let model = model.map(|model| ModelName::parse(model).unwrap());
        CooldownScope::from_parts(acme(), Some("a".into()), model)
    };
    let failure = |class| Failure::new(class, "no");
    let auth = failure(FailureClass::Auth);
    let mut pool = Acme::default();
    let hint = Some(seconds(90));
    let limited = Failure { retry_after: hint, ..failure(FailureClass::RateLimit) };
    pool.fail_with(second(20), "m", Some("a"), &limited);
    pool.fail_with(second(20), "m", Some("a"), &auth);
    assert!(pool.fail_with(second(21), "m", Some("b"), &auth).is_incident);
    assert_eq!(pool.left(21, &key(None)), None, "spared");
    assert_eq!(pool.left(21, &key(Some("m"))), Some(89), "a limit of its own");

    // What was held against it before the incident still is.
    let mut before = Acme::default();
    before.fail_with(second(0), "m", Some("a"), &failure(FailureClass::Payment));
    before.fail_with(second(20), "m", Some("a"), &auth);
    assert!(before.fail_with(second(21), "m", Some("b"), &auth).is_incident);
    assert!(before.left(21, &key(None)).is_some());
}

#[test]
fn a_key_that_has_answered_since_is_of_no_incident() {
    let auth = Failure::new(FailureClass::Auth, "no");
    let mut pool = Acme::default();
    pool.fail_with(second(0), "m", Some("a"), &auth);
    let (provider, key, model) = (acme(), "a".into(), ModelName::parse("m").unwrap());
    let used = Use { provider: &provider, credential: Some(&key), model: &model };
    pool.book.succeeded(second(1), used);
    assert!(!pool.fail_with(second(2), "m", Some("b"), &auth).is_incident);
}

// Whoever is on trial by another rule is free again after a failure that cools nobody.
#[test]
fn what_never_cools_is_not_kept_for_one_request_alone() {
    let never = TallySettings { failures: Some(0), ..TallySettings::default() };
    let set = CoolingSettings { server: never, overload: never };
    let rules = CoolingRules::default().with(Some(set));
    let all = [whole(), of_model("m")];
    for (class, purpose, on_trial) in [
        (FailureClass::Server, Purpose::Answer, &all[..]),
        (FailureClass::Overload, Purpose::Answer, &all[..]),
        (FailureClass::Connect, Purpose::Answer, &all[..1]),
        (FailureClass::Server, Purpose::OwnModel, &all[1..]),
        (FailureClass::Connect, Purpose::OwnModel, &all[1..]),
    ] {
        let mut acme = Acme { rules, purpose, ..Acme::default() };
        for scope in on_trial {
            let length = Length::Fixed(seconds(5));
            acme.book.cooldowns().impose(START, scope.clone(), length, (class, None), 0.0);
        }
        assert!(acme.enter(5, "m"));
        assert!(!acme.enter(5, "m"), "somebody is trying it");
        let blamed = acme.fail(5, "m", class);
        assert!(blamed.is_news && blamed.changes.is_empty(), "{class:?} {purpose:?}");
        assert!(acme.enter(5, "m"), "{class:?} {purpose:?}");
    }
}

#[test]
fn a_failure_is_news_when_somebody_begins_to_be_counted_or_to_cool() {
    let mut acme = Acme::default();
    let news: Vec<bool> =
        (0..3).map(|at| acme.fail(at, "m", FailureClass::Server).is_news).collect();
    assert_eq!(news, [true, false, true]);
    assert_eq!(acme.fail(4, "m", FailureClass::ClientFault), Blamed::default());
}

#[test]
fn a_trial_is_judged_by_what_says_something_of_it_and_else_left_to_the_next() {
    for (class, is_judged) in [(FailureClass::Server, true), (FailureClass::ClientFault, false)] {
        let mut acme = Acme::default();
        acme.fails(3, 0, "m", FailureClass::Server);
        let (provider, model) = (super::tests::acme(), ModelName::parse("m").unwrap());
        let used = Use { provider: &provider, credential: None, model: &model };
        let passes = acme.book.view().enter(second(10), used).unwrap();
        Purpose::Answer.judge(passes, used, &Failure::new(class, "no"));
        assert_eq!(acme.book.view().kept_from(second(10), used).is_some(), is_judged, "{class:?}");
        assert_eq!(acme.enter(10, "m"), !is_judged, "{class:?}");
    }
}

// Two routes may count the same failures by rules of their own.
#[test]
fn each_rule_counts_what_is_as_old_as_it_says() {
    let tally = |failures, window_ms| TallySettings {
        failures: Some(failures),
        window_ms: Some(window_ms),
        ..TallySettings::default()
    };
    let set = CoolingSettings { server: tally(5, 600_000), ..CoolingSettings::default() };
    let patient = CoolingRules::default().with(Some(set));
    let mut pool = Acme { rules: patient, ..Acme::default() };
    pool.rules = CoolingRules::default();
    pool.fail(0, "m", FailureClass::Server);
    pool.fail(1, "m", FailureClass::Server);
    // What is too old for this rule is not for the other.
    pool.book.expire(second(65));
    pool.fail(70, "m", FailureClass::Server);
    assert_eq!(pool.left(70, &of_model("m")), None, "one in the last minute");
    pool.rules = patient;
    pool.fail(71, "m", FailureClass::Server);
    assert_eq!(pool.left(71, &of_model("m")), None, "four in ten minutes");
    pool.fail(72, "m", FailureClass::Server);
    assert_eq!(pool.left(72, &of_model("m")), Some(10));
}

#[test]
fn a_failure_beside_answers_does_not_judge_a_provider_on_trial() {
    let (provider, model) = (acme(), ModelName::parse("m").unwrap());
    let used = Use { provider: &provider, credential: None, model: &model };
    let failure = Failure::new(FailureClass::Server, "no");
    assert!(Purpose::Answer.judges(&whole(), used, &failure));
    assert!(!Purpose::OwnModel.judges(&whole(), used, &failure));
    assert!(Purpose::OwnModel.judges(&of_model("m"), used, &failure));
}

#[test]
fn what_is_asked_beside_answers_holds_nothing_against_them_unless_it_names_the_model() {
    for class in FailureClass::ALL {
        let mut acme = Acme { purpose: Purpose::Aside, ..Acme::default() };
        let hint = Some(seconds(9));
        let failure = Failure { retry_after: hint, ..Failure::new(class, "no") };
        for key in [None, Some("a"), Some("b")] {
            for _ in 0..6 {
                assert_eq!(acme.fail_with(START, "m", key, &failure), Blamed::default());
            }
        }
        let used_to_judge = Purpose::Aside.judges(
            &whole(),
            Use {
                provider: &super::tests::acme(),
                credential: None,
                model: &ModelName::parse("m").unwrap(),
            },
            &failure,
        );
        assert!(!used_to_judge, "{class:?}");
        let named = Failure { names_model: true, ..failure };
        acme.fail_with(START, "m", None, &named);
        let is_cooled = acme.left(0, &of_model("m")).is_some();
        assert_eq!(is_cooled, class == FailureClass::ModelMissing, "{class:?}");
    }
}

#[test]
fn a_model_that_is_there_for_something_else_is_blamed_alone() {
    for class in FailureClass::ALL {
        let mut acme = Acme { purpose: Purpose::OwnModel, ..Acme::default() };
        for model in ["embed", "other"] {
            for key in [None, Some("a"), Some("b")] {
                for _ in 0..6 {
                    acme.fail_with(START, model, key, &Failure::new(class, "no"));
                }
            }
        }
        for cooldown in acme.book.view().cooldowns().list(START) {
            assert!(cooldown.scope.model().is_some(), "{class:?}: {cooldown:?}");
        }
    }
}

#[test]
fn the_numbers_are_those_of_the_provider_and_may_be_none() {
    let none = TallySettings { failures: Some(0), ..TallySettings::default() };
    let server = TallySettings {
        failures: Some(1),
        base_ms: Some(2_000),
        cap_ms: Some(3_000),
        ..TallySettings::default()
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
    assert!(never.book.view().cooldowns().is_empty());
    let hinted =
        Failure { retry_after: Some(seconds(5)), ..Failure::new(FailureClass::Server, "no") };
    never.fail_with(START, "m", None, &hinted);
    assert_eq!(never.left(0, &of_model("m")), Some(5), "what it asks for itself is granted");
    assert!(never.enter(5, "m"));
    never.fail(5, "m", FailureClass::Server);
    assert!(never.enter(5, "m") && never.enter(5, "m"), "it is kept for nobody alone");
}

#[test]
fn what_a_filter_picks_is_forgotten_with_its_counts() {
    let mut acme = Acme::default();
    acme.fails(2, 0, "m", FailureClass::Server);
    acme.fails(3, 0, "n", FailureClass::Server);
    acme.fail_with(START, "m", Some("a"), &Failure::new(FailureClass::Auth, "401"));
    let models = vec![ModelName::parse("m").unwrap()];
    assert!(acme.book.clear(&ScopeFilter { models, ..ScopeFilter::default() }).is_empty());
    acme.fail(1, "m", FailureClass::Server);
    assert_eq!(acme.left(1, &of_model("m")), None, "it is counted anew");
    let key = ScopeFilter { credential: Some("a".into()), ..ScopeFilter::of(super::tests::acme()) };
    assert_eq!(acme.book.clear(&key).len(), 1);
    assert_eq!(acme.book.clear(&ScopeFilter::default()).len(), 1);
    assert!(acme.book.view().cooldowns().is_empty());
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

#[test]
fn whatever_the_clock_said_no_more_is_left_after_a_restart_than_the_length() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    let stored = acme.book.view().cooldowns().list(START);
    let left = |now: Timestamp| {
        let mut book = HealthBook::default();
        book.restore(now, stored.clone());
        let cooldown = book.view().cooldowns().active(now, &of_model("m")).cloned();
        cooldown.map(|cooldown| cooldown.until.since(now).as_secs())
    };
    assert_eq!(left(second(4)), Some(6));
    assert_eq!(left(second(10)), None);
    assert_eq!(left(START.minus(Duration::from_hours(24 * 365))), Some(10), "made a year ahead");
}

#[test]
fn what_is_counted_is_bounded_whatever_models_clients_make_up() {
    let mut acme = Acme::default();
    for n in 0..2 * counts::MAX_COUNTED as u64 {
        acme.fail(n / 100, &format!("m{n}"), FailureClass::Server);
    }
    let last = format!("m{}", 2 * counts::MAX_COUNTED - 1);
    let remembers = |acme: &Acme, model: &str| {
        let model = ModelName::parse(model).unwrap();
        let used = Use { provider: &super::tests::acme(), credential: None, model: &model };
        acme.book.view().wants_success(used)
    };
    assert!(remembers(&acme, &last) && !remembers(&acme, "m0"));
    assert!(!acme.book.expire(second(1_000)).1, "a rule may look back for an hour");
    assert!(acme.book.expire(second(3_700)).1);
    assert!(!remembers(&acme, &last));
}
