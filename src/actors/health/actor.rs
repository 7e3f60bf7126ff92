//! The shell: hears what attempts came to, decides in memory, publishes, and stores after.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::prelude::*;

use super::{
    messages::{
        AttemptFailed, AttemptSucceeded, AwaitHealth, ClearCooldowns, Forget, ListCooldowns,
        TrialPassed,
    },
    store::{CooldownStore, Word},
};
use crate::{
    actors::{
        clock::{steady, wall_shift},
        credentials::CredentialDirectory,
        db::DbHandle,
        events::Record,
        loading::load_first,
        published::{Published, Publisher},
        registry::{ProviderAnswered, ProviderFailed, ProviderTable},
        supervise::{crashes_on_request, stops_on_request},
        traces::CooldownCaused,
    },
    domain::{
        cooldown::{Cooldown, CooldownScope, CooldownView},
        cooling::CoolingRules,
        event::{EventType, Fact},
        failure::{Failure, FailureClass},
        health::{
            Attempted, Blamed, ChangeKind, HealthChange, HealthState, HealthView, is_counted,
        },
        id::{ProviderId, RequestId},
        model::ServedModel,
        scope_map::Use,
        time::Timestamp,
    },
    telemetry::Metrics,
};

/// How often the ends of cooldowns are looked for, to tell them. Choosing looks at the clock itself.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// Whom Health tells.
pub struct HealthRecipients {
    pub events: Recipient<Record>,
    pub traces: Recipient<CooldownCaused>,
    /// Told when all of a provider is left alone, whole or model by model, or none of its credentials is
    /// taken.
    pub failed: Recipient<ProviderFailed>,
    /// Told when one has answered that was in error.
    pub answered: Recipient<ProviderAnswered>,
}

/// Owns the health of providers, models and credentials.
///
/// Its mailbox holds one fact for each attempt of a request, two when a trial has passed: admission
/// bounds them. It waits for storage only before the first of them.
pub struct Health {
    /// Outlives a restart: it is right, and the last of it may not be stored yet.
    state: HealthState,
    is_loaded: bool,
    store: CooldownStore,
    db: DbHandle,
    view: Publisher<HealthView>,
    providers: Published<ProviderTable>,
    credentials: Published<CredentialDirectory>,
    /// When the Registry was last told that a provider has answered: once a second is enough, however
    /// long it takes to write that down.
    answered: HashMap<ProviderId, Timestamp>,
    metrics: Arc<Metrics>,
    recipients: HealthRecipients,
}

impl Health {
    pub fn new(
        db: DbHandle,
        view: Publisher<HealthView>,
        providers: Published<ProviderTable>,
        credentials: Published<CredentialDirectory>,
        metrics: Arc<Metrics>,
        recipients: HealthRecipients,
    ) -> Self {
        Self {
            state: HealthState::default(),
            is_loaded: false,
            store: CooldownStore::new(db.clone()),
            db,
            view,
            providers,
            credentials,
            answered: HashMap::new(),
            metrics,
            recipients,
        }
    }

    fn load(&mut self, stored: Vec<Cooldown>) {
        let shift = wall_shift();
        self.state.restore(steady(), stored.into_iter().map(|cooldown| cooldown.shifted(-shift)));
        self.is_loaded = true;
        self.publish();
    }

    fn publish(&self) {
        self.view.replace(self.state.view().clone());
    }

    fn tick(&mut self, _: &mut Context<Self>) {
        let now = steady();
        self.answered.retain(|_, at| now.since(*at) < EXPIRY_INTERVAL);
        let (ended, is_news) = self.state.expire(now);
        self.carry_out(&ended, None);
        if is_news {
            self.publish();
        }
    }

    /// Tells and stores what has changed. `attempt`: the one that led to it.
    fn carry_out(&self, changes: &[HealthChange], attempt: Option<(RequestId, u32)>) {
        if changes.is_empty() {
            return;
        }
        let shift = wall_shift();
        let stored = changes.iter().map(|HealthChange { kind, cooldown }| {
            let cooldown = cooldown.shifted(shift);
            let (event, is_cooling) = match kind {
                ChangeKind::New | ChangeKind::Started => (EventType::CooldownStarted, true),
                ChangeKind::Extended => (EventType::CooldownExtended, true),
                ChangeKind::Ended | ChangeKind::Dropped => (EventType::CooldownEnded, false),
                ChangeKind::Cleared => (EventType::CooldownCleared, false),
            };
            if *kind == ChangeKind::Dropped {
                self.metrics.cooldowns_dropped.inc();
            }
            let shown = CooldownView::from(&cooldown);
            if is_cooling {
                log(&cooldown);
                self.metrics.cooldown_started(&cooldown.scope, cooldown.cause);
                if let Some((request_id, attempt)) = attempt {
                    let cooldown = shown.clone();
                    self.recipients.traces.do_send(CooldownCaused {
                        request_id,
                        attempt,
                        cooldown,
                    });
                }
            }
            self.recipients.events.do_send(Record(Fact::of_cooldown(event, shown)));
            let scope = cooldown.scope.clone();
            let word = match kind {
                ChangeKind::New => Word::New(cooldown),
                ChangeKind::Started | ChangeKind::Extended => Word::Changed(cooldown),
                ChangeKind::Ended | ChangeKind::Cleared | ChangeKind::Dropped => Word::Gone,
            };
            (scope, word)
        });
        self.store.note(stored.collect::<Vec<_>>());
    }

    /// Tells when a provider is left alone as a whole, or takes none of its credentials any more.
    fn report_failed(&mut self, provider: &ProviderId, failure: &Failure, blamed: &Blamed) {
        let is_cooled = |is: fn(&CooldownScope) -> bool| {
            let mut changes = blamed.changes.iter();
            changes.any(|HealthChange { kind, cooldown }| {
                let begins =
                    matches!(kind, ChangeKind::New | ChangeKind::Started | ChangeKind::Extended);
                begins && is(&cooldown.scope)
            })
        };
        let why = if blamed.is_incident {
            ", from most of its keys at once"
        } else if is_cooled(|scope| matches!(scope, CooldownScope::Provider(_)))
            || is_cooled(|scope| matches!(scope, CooldownScope::ProviderModel(..)))
                && is_counted(failure.class)
                && self.is_left_alone(provider)
        {
            ""
        } else if is_cooled(|scope| matches!(scope, CooldownScope::Credential(..)))
            && matches!(failure.class, FailureClass::Auth | FailureClass::Payment)
            && self.is_locked_out(provider)
        {
            ", with every key"
        } else {
            return;
        };
        self.answered.remove(provider);
        let message = format!("{}{why}", failure.detail);
        self.recipients.failed.do_send(ProviderFailed { id: provider.clone(), message });
    }

    /// Whether all models that a provider is known for are cooling.
    fn is_left_alone(&self, provider: &ProviderId) -> bool {
        let (state, now) = (self.state.view().cooldowns(), steady());
        let providers = self.providers.read();
        let Some((known, _)) = providers.find(provider) else { return false };
        let cools = |served: &ServedModel| {
            let name = served.upstream().clone();
            state.active(now, &CooldownScope::ProviderModel(provider.clone(), name)).is_some()
        };
        !known.models.is_empty() && known.models.iter().all(cools)
    }

    /// When failures of a provider cool, where the route does not say otherwise.
    fn rules(&self, provider: &ProviderId) -> CoolingRules {
        let providers = self.providers.read();
        let set = providers.find(provider).and_then(|(known, _)| known.cooling);
        CoolingRules::default().with(set)
    }

    fn is_locked_out(&self, provider: &ProviderId) -> bool {
        let (state, now) = (self.state.view().cooldowns(), steady());
        let directory = self.credentials.read();
        let mut usable = directory.of(provider).iter().filter(|held| held.credential.is_usable());
        usable.all(|held| {
            let scope = CooldownScope::Credential(provider.clone(), held.credential.id.clone());
            state.active(now, &scope).is_some()
        })
    }

    /// Tells the Registry of an answer, if it holds an error against the provider.
    fn report_answered(&mut self, now: Timestamp, provider_id: ProviderId) {
        let providers = self.providers.read();
        let known = providers.find(&provider_id);
        let is_in_error = known.is_some_and(|(provider, _)| provider.last_error.is_some());
        if is_in_error && !self.answered.contains_key(&provider_id) {
            self.answered.insert(provider_id.clone(), now);
            self.recipients.answered.do_send(ProviderAnswered { id: provider_id });
        }
    }
}

fn log(cooldown: &Cooldown) {
    tracing::info!(
        scope = cooldown.scope.kind(),
        provider = %cooldown.scope.provider(),
        credential = cooldown.scope.credential().map(tracing::field::display),
        model = cooldown.scope.model().map(tracing::field::display),
        cause = cooldown.cause.as_str(),
        until = %cooldown.until,
        "cooling down"
    );
}

impl Actor for Health {
    type Context = Context<Self>;

    /// Runs at the first start and after each restart.
    fn started(&mut self, ctx: &mut Self::Context) {
        if !self.is_loaded {
            let db = self.db.clone();
            let load = move || {
                let db = db.clone();
                async move { db.load_cooldowns().await }
            };
            load_first(self, ctx, "cooldowns", load, Self::load);
        }
        ctx.run_interval(EXPIRY_INTERVAL, Self::tick);
    }
}

impl Supervised for Health {}

impl Handler<AwaitHealth> for Health {
    type Result = ();

    fn handle(&mut self, _: AwaitHealth, _: &mut Self::Context) {}
}

impl Handler<AttemptFailed> for Health {
    type Result = ();

    fn handle(&mut self, msg: AttemptFailed, _: &mut Self::Context) {
        let AttemptFailed { provider_id, model, credential_id, failure, purpose, .. } = msg;
        let (provider, credential) = (&provider_id, credential_id.as_ref());
        let attempted = Attempted {
            used: Use { provider, credential, model: &model },
            failure: &failure,
            purpose,
            is_listed: msg.is_listed,
            usable: self.credentials.read().usable_count(provider),
        };
        let rules = self.rules(provider).with(msg.cooling);
        let blamed = self.state.failed(steady(), attempted, &rules, rand::random());
        if blamed.is_news {
            self.publish();
        }
        self.carry_out(&blamed.changes, msg.attempt);
        self.report_failed(provider, &failure, &blamed);
    }
}

impl Handler<AttemptSucceeded> for Health {
    type Result = ();

    fn handle(&mut self, msg: AttemptSucceeded, _: &mut Self::Context) {
        let AttemptSucceeded { provider_id, model, credential_id } = msg;
        let now = steady();
        let used =
            Use { provider: &provider_id, credential: credential_id.as_ref(), model: &model };
        let ended = self.state.succeeded(now, used);
        self.publish();
        self.carry_out(&ended, None);
        self.report_answered(now, provider_id);
    }
}

impl Handler<TrialPassed> for Health {
    type Result = ();

    fn handle(&mut self, msg: TrialPassed, _: &mut Self::Context) {
        if self.state.passed(steady(), &msg.scope) {
            self.publish();
        }
    }
}

impl Handler<Forget> for Health {
    type Result = ();

    fn handle(&mut self, msg: Forget, _: &mut Self::Context) {
        let cleared = self.state.clear(&msg.0);
        self.publish();
        self.carry_out(&cleared, None);
    }
}

impl Handler<ListCooldowns> for Health {
    type Result = MessageResult<ListCooldowns>;

    fn handle(&mut self, _: ListCooldowns, _: &mut Self::Context) -> Self::Result {
        let (shift, all) = (wall_shift(), self.state.view().cooldowns().list(steady()));
        MessageResult(all.iter().map(|cooldown| cooldown.shifted(shift)).collect())
    }
}

impl Handler<ClearCooldowns> for Health {
    type Result = MessageResult<ClearCooldowns>;

    fn handle(&mut self, msg: ClearCooldowns, _: &mut Self::Context) -> Self::Result {
        let cleared = self.state.clear(&msg.0);
        self.publish();
        self.carry_out(&cleared, None);
        let shift = wall_shift();
        MessageResult(cleared.iter().map(|it| it.cooldown.shifted(shift)).collect())
    }
}

stops_on_request!(Health);
crashes_on_request!(Health);
