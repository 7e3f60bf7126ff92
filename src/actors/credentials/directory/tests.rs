use std::time::Duration;

use super::*;
use crate::{
    actors::credentials::CredentialPool,
    domain::{
        cooldown::{CooldownDuration, CooldownScope, CooldownState},
        credential::CredentialSettings,
        provider::Origin,
    },
};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

pub fn acme() -> ProviderId {
    ProviderId::parse("acme").unwrap()
}

fn model() -> ModelName {
    ModelName::parse("m").unwrap()
}

pub fn credential(id: &str) -> Credential {
    Credential {
        id: id.into(),
        provider_id: acme(),
        settings: CredentialSettings::default(),
        origin: Origin::Api,
        secret: StoredSecret::open("secret"),
        mask: "****".into(),
        fingerprint: id.into(),
        created_at: NOW,
    }
}

fn with(id: &str, change: impl FnOnce(&mut CredentialSettings)) -> Credential {
    let mut credential = credential(id);
    change(&mut credential.settings);
    credential
}

/// A pool and what is held against its credentials.
pub(super) struct Desk {
    pub(super) pool: CredentialPool,
    pub(super) cooldowns: CooldownState,
    pub(super) strategy: CredentialStrategy,
}

impl Desk {
    pub(super) fn new(
        strategy: CredentialStrategy,
        credentials: impl IntoIterator<Item = Credential>,
    ) -> Self {
        let pool = CredentialPool::new(credentials);
        Self { pool, cooldowns: CooldownState::default(), strategy }
    }

    fn rotating(credentials: impl IntoIterator<Item = Credential>) -> Self {
        Self::new(CredentialStrategy::RoundRobin, credentials)
    }

    fn cool(&mut self, scope: CooldownScope, seconds: u64) {
        let length = CooldownDuration::Fixed(Duration::from_secs(seconds));
        self.cooldowns.impose(NOW, scope, length, (FailureClass::RateLimit, Some(429)), 0.0);
    }

    fn cool_whole(&mut self, id: &str, seconds: u64) {
        self.cool(CooldownScope::Credential(acme(), id.into()), seconds);
    }

    pub(super) fn health(&self) -> HealthView {
        HealthView::new(self.cooldowns.clone())
    }

    fn lease(&self, now: Timestamp, model: &str, tried: &[&str]) -> Result<Lease, LeaseError> {
        self.lease_preferring(now, model, tried, None)
    }

    pub(super) fn lease_preferring(
        &self,
        now: Timestamp,
        model: &str,
        tried: &[&str],
        preferred: Option<&str>,
    ) -> Result<Lease, LeaseError> {
        let tried: Vec<CredentialId> = tried.iter().map(|id| (*id).into()).collect();
        let preferred = preferred.map(CredentialId::from);
        self.pool.directory().lease(
            now,
            &self.health(),
            LeaseRequest {
                provider: &acme(),
                model: &ModelName::parse(model).unwrap(),
                strategy: self.strategy,
                tried: &tried,
                preferred: preferred.as_ref(),
            },
        )
    }

    fn would_lease(&self, now: Timestamp, preferred: Option<&str>) -> Result<String, LeaseError> {
        let preferred = preferred.map(CredentialId::from);
        let request = LeaseRequest {
            provider: &acme(),
            model: &model(),
            strategy: self.strategy,
            tried: &[],
            preferred: preferred.as_ref(),
        };
        let directory = self.pool.directory();
        directory
            .would_lease(now, &self.health(), request)
            .map(|credential| credential.id.to_string())
    }

    fn id(&self, now: Timestamp) -> Result<String, LeaseError> {
        self.lease(now, "m", &[]).map(|lease| lease.id().to_string())
    }

    /// The ids of so many leases, one after the other.
    fn ids(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.id(NOW).unwrap()).collect()
    }
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

#[test]
fn enabled_keys_take_turns() {
    let off = with("b", |settings| settings.enabled = false);
    let desk = Desk::rotating([credential("a"), off, credential("c")]);
    assert_eq!(desk.ids(4), ["a", "c", "a", "c"]);
}

#[test]
fn those_of_a_lower_priority_are_not_used_as_long_as_one_of_a_higher_can_be() {
    let high = |id| with(id, |settings| settings.priority = 10);
    let mut desk = Desk::rotating([high("b"), high("a"), credential("c")]);
    assert_eq!(desk.ids(4), ["a", "b", "a", "b"]);
    desk.cool_whole("a", 60);
    desk.cool_whole("b", 60);
    assert_eq!(desk.ids(2), ["c", "c"]);
    assert_eq!(desk.id(later(60)).unwrap(), "a", "the higher ones are back");
}

#[test]
fn weights_are_kept_exactly_and_interleaved() {
    let weighted = |id, weight| with(id, |settings| settings.weight = weight);
    let all = [weighted("a", 5), weighted("b", 3), weighted("c", 2)];
    let desk = Desk::new(CredentialStrategy::Weighted, all);
    let ids = desk.ids(100);
    let count = |id: &str| ids.iter().filter(|one| *one == id).count();
    assert_eq!((count("a"), count("b"), count("c")), (50, 30, 20));
    assert!(!ids.windows(4).any(|run| run.iter().all(|id| id == "a")), "in blocks: {ids:?}");
}

#[test]
fn one_that_cools_and_comes_back_is_not_made_up_for() {
    let weighted = |id, weight| with(id, |settings| settings.weight = weight);
    let all = [weighted("a", 8), weighted("b", 1), weighted("c", 1)];
    let mut desk = Desk::new(CredentialStrategy::Weighted, all);
    desk.cool_whole("a", 60);
    assert_eq!(desk.ids(4), ["b", "c", "b", "c"]);
    desk.cooldowns = CooldownState::default();
    let ids = desk.ids(10);
    assert_eq!(ids.iter().filter(|id| *id == "a").count(), 8, "{ids:?}");
}

#[test]
fn a_tier_of_weights_of_nought_is_passed_over() {
    let nought = with("a", |settings| (settings.priority, settings.weight) = (9, 0));
    let desk = Desk::new(CredentialStrategy::Weighted, [nought, credential("b")]);
    assert_eq!(desk.ids(2), ["b", "b"]);
    let only = with("a", |settings| settings.weight = 0);
    let desk = Desk::new(CredentialStrategy::Weighted, [only.clone()]);
    assert_eq!(desk.id(NOW), Err(LeaseError::NoneLeft));
    assert_eq!(Desk::rotating([only]).ids(1), ["a"], "a weight counts by weight alone");
}

#[test]
fn fill_first_keeps_to_the_first_until_it_cannot_be_used_and_returns_to_it() {
    let mut desk = Desk::new(CredentialStrategy::FillFirst, [credential("b"), credential("a")]);
    assert_eq!(desk.ids(3), ["a", "a", "a"]);
    desk.cool_whole("a", 60);
    assert_eq!(desk.id(NOW).unwrap(), "b");
    assert_eq!(desk.id(later(60)).unwrap(), "a");
}

#[test]
fn the_least_busy_is_the_one_with_the_fewest_requests_under_way() {
    let desk = Desk::new(CredentialStrategy::LeastBusy, [credential("a"), credential("b")]);
    let first = desk.lease(NOW, "m", &[]).unwrap();
    let second = desk.lease(NOW, "m", &[]).unwrap();
    assert_eq!((first.id().as_str(), second.id().as_str()), ("a", "b"));
    drop(second);
    assert_eq!(desk.id(NOW).unwrap(), "b");
}

#[test]
fn each_model_has_turns_of_its_own() {
    let desk = Desk::rotating([credential("a"), credential("b")]);
    let id = |model| desk.lease(NOW, model, &[]).unwrap().id().to_string();
    assert_eq!([id("m"), id("n"), id("m"), id("n")], ["a", "a", "b", "b"]);
}

#[test]
fn a_disabled_or_locked_key_is_never_used_even_when_it_is_the_only_one() {
    let off = with("a", |settings| settings.enabled = false);
    let mut locked = credential("b");
    locked.secret = StoredSecret::Locked { key_id: "k1".into() };
    let desk = Desk::rotating([off, locked]);
    assert_eq!(desk.id(NOW), Err(LeaseError::NoneLeft));
    assert_eq!(desk.pool.directory().usable_counts()[&acme()], 0);
}

#[test]
fn a_tried_key_is_not_leased_again() {
    let desk = Desk::rotating([credential("a"), credential("b")]);
    assert_eq!(desk.lease(NOW, "m", &["a"]).unwrap().id().as_str(), "b");
    assert!(matches!(desk.lease(NOW, "m", &["a", "b"]), Err(LeaseError::NoneLeft)));
}

#[test]
fn a_cooling_key_is_passed_over_and_the_soonest_end_is_told() {
    let mut desk = Desk::rotating([credential("a"), credential("b")]);
    desk.cool_whole("a", 60);
    assert_eq!(desk.id(NOW).unwrap(), "b");
    desk.cool(CooldownScope::CredentialModel(acme(), "b".into(), model()), 5);
    let cooling = LeaseError::Cooling { until: later(5), cause: FailureClass::RateLimit };
    assert_eq!(desk.id(NOW), Err(cooling));
    let directory = desk.pool.directory();
    assert_eq!(
        directory.availability(NOW, &desk.health(), &acme(), &model(), desk.strategy, |_| true),
        Availability::Cooling { until: later(5), cause: FailureClass::RateLimit }
    );
}

#[test]
fn a_limit_on_one_model_leaves_the_others_alone() {
    let mut desk = Desk::rotating([credential("a")]);
    let other = ModelName::parse("other").unwrap();
    desk.cool(CooldownScope::CredentialModel(acme(), "a".into(), other), 60);
    assert!(desk.id(NOW).is_ok());
}

#[test]
fn a_key_whose_cooldown_is_over_is_tried_by_one_request_alone() {
    let mut desk = Desk::rotating([credential("a")]);
    desk.cool_whole("a", 60);
    let trial = desk.lease(later(60), "m", &[]).unwrap();
    assert!(matches!(desk.lease(later(60), "m", &[]), Err(LeaseError::Cooling { .. })));
    drop(trial);
    assert!(desk.lease(later(60), "m", &[]).is_ok(), "a trial that says nothing is over");
}

#[test]
fn a_key_never_serves_more_requests_than_it_may() {
    let narrow = with("a", |settings| settings.max_in_flight = Some(2));
    let desk = Desk::rotating([narrow]);
    let (directory, health) = (desk.pool.directory(), desk.health());
    let available =
        || directory.availability(NOW, &health, &acme(), &model(), desk.strategy, |_| true);
    let first = desk.lease(NOW, "m", &[]).unwrap();
    let _second = desk.lease(NOW, "m", &[]).unwrap();
    assert!(matches!(desk.lease(NOW, "m", &[]), Err(LeaseError::Busy)));
    assert_eq!(available(), Availability::Busy);
    drop(first);
    assert_eq!(available(), Availability::Ready(1));
    assert!(desk.lease(NOW, "m", &[]).is_ok());
}

#[test]
fn many_threads_never_pass_the_limit_of_a_key_and_give_back_every_place() {
    let narrow = with("a", |settings| settings.max_in_flight = Some(3));
    let desk = Desk::rotating([narrow, with("b", |settings| settings.max_in_flight = Some(1))]);
    let directory = desk.pool.directory();
    let at_most = [3, 1];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let lease = desk.lease(NOW, "m", &[]);
                    for (pooled, limit) in directory.of(&acme()).iter().zip(at_most) {
                        assert!(pooled.stats.in_flight() <= limit);
                    }
                    drop(lease);
                }
            });
        }
    });
    assert!(directory.of(&acme()).iter().all(|pooled| pooled.stats.in_flight() == 0));
}

#[test]
fn the_preferred_key_is_taken_whatever_the_turn_and_the_priority_but_not_when_it_cools() {
    let high = with("a", |settings| settings.priority = 10);
    let mut desk = Desk::rotating([high, credential("b")]);
    let lease = |desk: &Desk| {
        let lease = desk.lease_preferring(NOW, "m", &[], Some("b")).unwrap();
        lease.id().to_string()
    };
    assert_eq!([lease(&desk), lease(&desk)], ["b", "b"]);
    desk.cool_whole("b", 60);
    assert_eq!(lease(&desk), "a");
}

#[test]
fn to_look_who_would_be_next_takes_no_turn_no_place_and_no_trial() {
    use CredentialStrategy::{FillFirst, LeastBusy, RoundRobin, Weighted};
    for strategy in [RoundRobin, Weighted, FillFirst, LeastBusy] {
        let all = ["a", "b", "c"].map(|id| with(id, |settings| settings.weight = 2));
        let desk = Desk::new(strategy, all);
        let mut under_way = Vec::new();
        for _ in 0..9 {
            let next = desk.would_lease(NOW, None).unwrap();
            assert_eq!(desk.would_lease(NOW, None).unwrap(), next, "{strategy:?}");
            let lease = desk.lease(NOW, "m", &[]).unwrap();
            assert_eq!(lease.id().as_str(), next, "{strategy:?}");
            under_way.push(lease);
        }
    }
    let narrow = with("a", |settings| settings.max_in_flight = Some(1));
    let mut desk = Desk::rotating([narrow]);
    desk.cool_whole("a", 60);
    let cooling = LeaseError::Cooling { until: later(60), cause: FailureClass::RateLimit };
    assert_eq!(desk.would_lease(NOW, None), Err(cooling));
    assert_eq!(desk.would_lease(later(60), None).unwrap(), "a");
    let trial = desk.lease(later(60), "m", &[]);
    assert!(trial.is_ok(), "looking has taken the trial or the place");
    assert!(desk.would_lease(later(60), None).is_err());
}

#[test]
fn who_would_be_next_is_the_preferred_one_while_it_can_be_used() {
    let mut desk = Desk::rotating([credential("a"), credential("b")]);
    assert_eq!(desk.would_lease(NOW, Some("b")).unwrap(), "b");
    assert_eq!(desk.would_lease(NOW, Some("gone")).unwrap(), "a");
    desk.cool_whole("b", 60);
    assert_eq!(desk.would_lease(NOW, Some("b")).unwrap(), "a");
    assert_eq!(Desk::rotating([]).would_lease(NOW, None), Err(LeaseError::NoneLeft));
}

#[test]
fn a_key_says_how_it_stands() {
    use CredentialStatus::{Active, Cooling, Disabled, Locked};
    let off = with("c", |settings| settings.enabled = false);
    let mut locked = credential("d");
    locked.secret = StoredSecret::Locked { key_id: "k1".into() };
    let mut desk = Desk::rotating([credential("a"), credential("b"), off, locked]);
    for id in ["b", "c", "d"] {
        desk.cool_whole(id, 60);
    }
    desk.cool(CooldownScope::CredentialModel(acme(), "a".into(), model()), 60);
    let (directory, health) = (desk.pool.directory(), desk.health());
    let statuses = |now| -> Vec<CredentialStatus> {
        let status =
            |pooled: &Arc<PooledKey>| CredentialStatus::of(now, &health, &pooled.credential);
        directory.of(&acme()).iter().map(status).collect()
    };
    assert_eq!(statuses(NOW), [Active, Cooling, Disabled, Locked]);
    assert_eq!(statuses(later(60)), [Active, Active, Disabled, Locked]);
}
