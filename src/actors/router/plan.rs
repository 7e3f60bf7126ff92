//! The choice of candidates: a pure function of the providers, their cooldowns and the time.

use std::sync::Arc;

use thiserror::Error;
use url::Url;

use crate::{
    actors::registry::{ListedProvider, ProviderTable},
    domain::{
        cooldown::{CooldownBook, CooldownScope},
        failure::FailureClass,
        id::{ModelName, ProviderId},
        provider::Provider,
        time::Timestamp,
    },
};

/// One provider and model that could serve a request.
#[derive(Clone)]
pub struct Candidate {
    pub provider: Arc<Provider>,
    /// The upstream name.
    pub model: ModelName,
    /// Where it is asked.
    pub url: Arc<Url>,
    /// Whether a credential has to be leased; a local provider may have none.
    pub needs_credential: bool,
}

/// Why a provider that exists is not a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExclusionReason {
    Disabled,
    Locked,
    NoCredential,
    NoAddress,
    /// Does not speak the client's dialect.
    OtherDialect,
    OtherModel,
    Cooling {
        until: Timestamp,
        cause: FailureClass,
    },
}

/// A provider that was looked at and not chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    pub provider_id: ProviderId,
    pub reason: ExclusionReason,
}

/// Who could serve a request, best first.
pub struct Plan {
    pub candidates: Vec<Candidate>,
    /// When the first of those left out for a while comes back, and why it was left out.
    pub soonest_back: Option<(Timestamp, FailureClass)>,
}

/// Why nobody can serve a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    #[error("no provider is set up: add a key to one, or set its usual environment variable")]
    NoProvider,
    #[error("no provider in use serves the model {0}")]
    NoSuchModel(ModelName),
    #[error("every provider of the model {model} is cooling down")]
    Cooling { model: ModelName, until: Timestamp, cause: FailureClass },
}

/// Picks and orders the candidates for a model: by priority, then by id.
pub fn plan(
    now: Timestamp,
    asked: &ModelName,
    table: &ProviderTable,
    cooldowns: &CooldownBook,
) -> Result<Plan, PlanError> {
    let mut candidates = Vec::new();
    let mut soonest_back = None;
    for row in table.rows() {
        match consider(now, asked, row, cooldowns) {
            Ok(candidate) => candidates.push(candidate),
            Err(reason) => soonest_back = sooner(soonest_back, &reason),
        }
    }
    if candidates.is_empty() {
        return Err(nobody(asked, soonest_back, &exclusions(now, asked, table, cooldowns)));
    }
    Ok(Plan { candidates, soonest_back })
}

/// Why each of the others is no candidate, best first. Apart from [`plan`], since most requests get
/// an answer and nobody asks.
pub fn exclusions(
    now: Timestamp,
    asked: &ModelName,
    table: &ProviderTable,
    cooldowns: &CooldownBook,
) -> Vec<Exclusion> {
    let exclusion = |row: &ListedProvider| {
        let reason = consider(now, asked, row, cooldowns).err()?;
        Some(Exclusion { provider_id: row.provider.id.clone(), reason })
    };
    table.rows().iter().filter_map(exclusion).collect()
}

fn consider(
    now: Timestamp,
    asked: &ModelName,
    row: &ListedProvider,
    cooldowns: &CooldownBook,
) -> Result<Candidate, ExclusionReason> {
    let ListedProvider { provider, credentials, chat_url } = row;
    let credentials = *credentials;
    if !provider.is_enabled(credentials) {
        return Err(ExclusionReason::Disabled);
    }
    if provider.locked.is_some() {
        return Err(ExclusionReason::Locked);
    }
    if !provider.is_usable(credentials) {
        let reason = ExclusionReason::NoCredential;
        return Err(if provider.base_url.is_none() { ExclusionReason::NoAddress } else { reason });
    }
    let url = chat_url.as_ref().ok_or(ExclusionReason::OtherDialect)?;
    let model = provider.upstream_model(asked).ok_or(ExclusionReason::OtherModel)?;
    let whole = CooldownScope::Provider(provider.id.clone());
    let with_model = CooldownScope::ProviderModel(provider.id.clone(), model.clone());
    let longest = [&whole, &with_model]
        .into_iter()
        .filter_map(|scope| cooldowns.active(now, scope))
        .max_by_key(|cooldown| cooldown.until);
    match longest {
        Some(cooldown) => {
            Err(ExclusionReason::Cooling { until: cooldown.until, cause: cooldown.cause })
        }
        None => Ok(Candidate {
            provider: Arc::clone(provider),
            model,
            url: Arc::clone(url),
            needs_credential: credentials > 0,
        }),
    }
}

/// The error that helps most: someone who would serve it is cooling; else someone is in use but
/// does not serve it; else nobody is in use.
fn nobody(
    asked: &ModelName,
    soonest_back: Option<(Timestamp, FailureClass)>,
    excluded: &[Exclusion],
) -> PlanError {
    if let Some((until, cause)) = soonest_back {
        return PlanError::Cooling { model: asked.clone(), until, cause };
    }
    let serves_others = |exclusion: &Exclusion| {
        matches!(exclusion.reason, ExclusionReason::OtherModel | ExclusionReason::Cooling { .. })
    };
    if excluded.iter().any(serves_others) {
        return PlanError::NoSuchModel(asked.clone());
    }
    PlanError::NoProvider
}

/// The end of a cooldown that comes first, of those whose end would help: a model that is missing
/// there will still be missing.
fn sooner(
    known: Option<(Timestamp, FailureClass)>,
    reason: &ExclusionReason,
) -> Option<(Timestamp, FailureClass)> {
    match *reason {
        ExclusionReason::Cooling { until, cause }
            if cause != FailureClass::ModelMissing
                && known.is_none_or(|(known, _)| until < known) =>
        {
            Some((until, cause))
        }
        _ => known,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        actors::registry::builtin,
        domain::{cooldown::Length, model::ServedModel},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn model(name: &str) -> ModelName {
        ModelName::parse(name).unwrap()
    }

    fn provider(id: &str, priority: i32, models: &[&str]) -> Provider {
        let entries = builtin().unwrap();
        let openai = entries.iter().find(|entry| entry.id.as_str() == "openai").unwrap();
        Provider {
            id: ProviderId::parse(id).unwrap(),
            priority,
            models: models.iter().map(|name| ServedModel::named(model(name))).collect(),
            ..openai.to_provider()
        }
    }

    fn table(rows: Vec<(Provider, usize)>) -> ProviderTable {
        ProviderTable::new(rows.into_iter().map(|(provider, n)| (Arc::new(provider), n)))
    }

    fn ids(plan: &Plan) -> Vec<&str> {
        plan.candidates.iter().map(|candidate| candidate.provider.id.as_str()).collect()
    }

    fn cooling(id: &str, seconds: u64, cause: FailureClass) -> CooldownBook {
        let mut book = CooldownBook::default();
        let scope = CooldownScope::Provider(ProviderId::parse(id).unwrap());
        book.impose(NOW, scope, Length::Fixed(Duration::from_secs(seconds)), (cause, None), 0.0);
        book
    }

    #[test]
    fn candidates_come_by_priority_then_id() {
        let table = table(vec![
            (provider("c", 1, &[]), 1),
            (provider("b", 9, &["m"]), 1),
            (provider("a", 1, &["m"]), 1),
        ]);
        let plan = plan(NOW, &model("m"), &table, &CooldownBook::default()).unwrap();
        assert_eq!(ids(&plan), ["b", "a", "c"]);
    }

    #[test]
    fn every_exclusion_has_its_reason() {
        let mut disabled = provider("disabled", 0, &[]);
        disabled.enabled = Some(false);
        let mut locked = provider("locked", 0, &[]);
        locked.locked = Some("k1".into());
        let mut keyless = provider("keyless", 0, &[]);
        keyless.enabled = Some(true);
        let mut mute = provider("mute", 0, &[]);
        mute.chat_path = None;
        let mut nowhere = provider("nowhere", 0, &[]);
        nowhere.base_url = None;
        let table = table(vec![
            (provider("good", 1, &["m"]), 1),
            (disabled, 1),
            (keyless, 0),
            (locked, 1),
            (mute, 1),
            (nowhere, 1),
            (provider("other", 0, &["x"]), 1),
        ]);
        let none = CooldownBook::default();
        let plan = plan(NOW, &model("m"), &table, &none).unwrap();
        let excluded = exclusions(NOW, &model("m"), &table, &none);
        let reasons: Vec<_> = excluded.into_iter().map(|e| e.reason).collect();
        assert_eq!(ids(&plan), ["good"]);
        assert_eq!(
            reasons,
            [
                ExclusionReason::Disabled,
                ExclusionReason::NoCredential,
                ExclusionReason::Locked,
                ExclusionReason::OtherDialect,
                ExclusionReason::NoAddress,
                ExclusionReason::OtherModel,
            ]
        );
    }

    #[test]
    fn a_cooling_provider_is_passed_over() {
        let table = table(vec![(provider("a", 9, &["m"]), 1), (provider("b", 1, &["m"]), 1)]);
        let cooldowns = cooling("a", 60, FailureClass::Server);
        assert_eq!(ids(&plan(NOW, &model("m"), &table, &cooldowns).unwrap()), ["b"]);
        let later = NOW.plus(Duration::from_mins(1));
        assert_eq!(ids(&plan(later, &model("m"), &table, &cooldowns).unwrap()), ["a", "b"]);
    }

    #[test]
    fn when_all_are_cooling_the_soonest_end_is_told() {
        let table = table(vec![(provider("a", 9, &["m"]), 1)]);
        let error = plan(NOW, &model("m"), &table, &cooling("a", 60, FailureClass::Server)).err();
        let until = NOW.plus(Duration::from_mins(1));
        let expected = PlanError::Cooling { model: model("m"), until, cause: FailureClass::Server };
        assert_eq!(error, Some(expected));
    }

    #[test]
    fn a_missing_model_is_not_waited_for_but_a_failing_server_is() {
        let table = table(vec![(provider("a", 9, &[]), 1), (provider("b", 1, &["m"]), 1)]);
        let mut cooldowns = cooling("b", 300, FailureClass::Server);
        let missing = CooldownScope::ProviderModel(ProviderId::parse("a").unwrap(), model("m"));
        let length = Length::Fixed(Duration::from_secs(5));
        cooldowns.impose(NOW, missing, length, (FailureClass::ModelMissing, None), 0.0);
        let until = NOW.plus(Duration::from_mins(5));
        let expected = PlanError::Cooling { model: model("m"), until, cause: FailureClass::Server };
        assert_eq!(plan(NOW, &model("m"), &table, &cooldowns).err(), Some(expected));
    }

    #[test]
    fn an_unknown_model_and_an_empty_pool_are_told_apart() {
        let none = CooldownBook::default();
        let one = table(vec![(provider("a", 9, &["m"]), 1)]);
        assert_eq!(
            plan(NOW, &model("x"), &one, &none).err(),
            Some(PlanError::NoSuchModel(model("x")))
        );
        let unset = table(vec![(provider("a", 9, &["m"]), 0)]);
        assert_eq!(plan(NOW, &model("m"), &unset, &none).err(), Some(PlanError::NoProvider));
    }
}
