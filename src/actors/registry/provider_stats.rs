//! How each provider is doing right now: requests under way, how fast its models answer, and in which
//! formats. Written and read by all threads; kept across publications of the table, lost with the
//! process.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};

use crate::domain::{
    failure::WrongFormat,
    format::FormatMemory,
    id::{ModelName, ProviderId},
    provider::ApiFormat,
    running_stats::History,
    time::Timestamp,
};

/// Most models of one provider whose times are kept; past it, the least recently noted is dropped.
const MAX_MODELS: usize = 256;

/// Running readings of one provider: requests under way, how fast its models answer, in which formats.
#[derive(Default)]
pub struct ProviderStats {
    in_flight: AtomicU32,
    models: Mutex<HashMap<ModelName, Arc<ModelStats>>>,
    /// How many times were noted: says which model was noted last, whatever the clock does.
    noted: AtomicU64,
    /// Read by each request and hardly ever changed.
    formats: ArcSwap<FormatMemory>,
}

/// How fast one model of a provider answers.
#[derive(Default)]
struct ModelStats {
    first_event: Mutex<History>,
    whole_answer: Mutex<History>,
    /// The number of its last note.
    noted: AtomicU64,
}

/// One request under way at a provider, until it is dropped.
pub struct InFlight(Arc<ProviderStats>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ProviderStats {
    /// Requests under way there.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request as under way until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// How long a stream of this model (upstream name) took to its first event. Empty when unknown.
    pub fn first_event(&self, model: &ModelName) -> History {
        self.find(model).map_or_else(History::default, |known| locked(&known.first_event).clone())
    }

    /// The mean of [`Self::first_event`], and when it was last noted. `None` when unknown.
    pub fn mean_first_event(&self, model: &ModelName) -> Option<(Duration, Timestamp)> {
        mean_of(&self.find(model)?.first_event)
    }

    /// The mean of [`Self::whole_answer`], and when it was last noted. `None` when unknown.
    pub fn mean_whole_answer(&self, model: &ModelName) -> Option<(Duration, Timestamp)> {
        mean_of(&self.find(model)?.whole_answer)
    }

    /// How long a whole answer of this model (upstream name) took. Empty when unknown.
    pub fn whole_answer(&self, model: &ModelName) -> History {
        self.find(model).map_or_else(History::default, |known| locked(&known.whole_answer).clone())
    }

    /// The mean time to the first event of each model (upstream name) of which it is known.
    pub fn first_events(&self) -> BTreeMap<ModelName, Duration> {
        let models: Vec<_> =
            locked(&self.models).iter().map(|(m, known)| (m.clone(), Arc::clone(known))).collect();
        let mean = |(model, known): (_, Arc<ModelStats>)| {
            let mean = locked(&known.first_event).mean()?;
            Some((model, mean))
        };
        models.into_iter().filter_map(mean).collect()
    }

    pub fn note_first_event(&self, now: Timestamp, model: &ModelName, took: Duration) {
        locked(&self.find_or_add(model).first_event).note(now, took);
    }

    pub fn note_whole_answer(&self, now: Timestamp, model: &ModelName, took: Duration) {
        locked(&self.find_or_add(model).whole_answer).note(now, took);
    }

    /// What its answers have told of its formats. For a look that ends before the next `await`.
    pub fn formats(&self) -> Guard<Arc<FormatMemory>> {
        self.formats.load()
    }

    /// A model (upstream name) has answered in this format.
    pub fn note_answer_in(&self, model: &ModelName, format: ApiFormat) {
        if self.formats.load().is_news(model, format) {
            self.learn(|memory| memory.note_answer(model, format));
        }
    }

    /// A model (upstream name) could not be asked in this format.
    pub fn note_absence_of(
        &self,
        now: Timestamp,
        model: &ModelName,
        format: ApiFormat,
        wrong: WrongFormat,
    ) {
        self.learn(|memory| memory.note_absence(now, model, format, wrong));
    }

    /// Forgets what was learnt of its formats: it is elsewhere now, or another.
    pub fn forget_formats(&self) {
        self.formats.store(Arc::default());
    }

    fn learn(&self, note: impl Fn(&mut FormatMemory)) {
        self.formats.rcu(|known| {
            let mut memory = FormatMemory::clone(known);
            note(&mut memory);
            memory
        });
    }

    fn find(&self, model: &ModelName) -> Option<Arc<ModelStats>> {
        locked(&self.models).get(model).map(Arc::clone)
    }

    fn find_or_add(&self, model: &ModelName) -> Arc<ModelStats> {
        let number = self.noted.fetch_add(1, Ordering::Relaxed);
        let mut models = locked(&self.models);
        if let Some(known) = models.get(model) {
            known.noted.store(number, Ordering::Relaxed);
            return Arc::clone(known);
        }
        if models.len() >= MAX_MODELS {
            let number_of = |known: &Arc<ModelStats>| known.noted.load(Ordering::Relaxed);
            let oldest = models.iter().min_by_key(|(_, known)| number_of(known));
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                models.remove(&oldest);
            }
        }
        let known = models.entry(model.clone()).or_default();
        known.noted.store(number, Ordering::Relaxed);
        Arc::clone(known)
    }
}

fn mean_of(history: &Mutex<History>) -> Option<(Duration, Timestamp)> {
    let history = locked(history);
    Some((history.mean()?, history.last()?))
}

/// A panic elsewhere cannot have left half a reading that matters: it is taken as it is.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The vitals of every provider. A change of its settings does not touch them.
#[derive(Default)]
pub struct StatsStore(HashMap<ProviderId, Arc<ProviderStats>>);

impl StatsStore {
    /// Those of a provider, which are made when there are none.
    pub fn of(&mut self, id: &ProviderId) -> Arc<ProviderStats> {
        if let Some(known) = self.0.get(id) {
            return Arc::clone(known);
        }
        Arc::clone(self.0.entry(id.clone()).or_default())
    }

    /// Forgets a provider. Requests that are under way there still end their count.
    pub fn remove(&mut self, id: &ProviderId) {
        self.0.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const TOOK: Duration = Duration::from_millis(40);

    fn model(name: &str) -> ModelName {
        ModelName::parse(name).unwrap()
    }

    #[test]
    fn guards_on_many_threads_balance_to_zero() {
        let stats = Arc::new(ProviderStats::default());
        let held = stats.enter();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let _first = stats.enter();
                        let _second = stats.enter();
                        assert!(stats.in_flight() >= 3);
                    }
                });
            }
        });
        assert_eq!(stats.in_flight(), 1);
        drop(held);
        assert_eq!(stats.in_flight(), 0);
    }

    #[test]
    fn times_are_kept_by_model_and_by_what_was_waited_for() {
        let stats = ProviderStats::default();
        stats.note_first_event(NOW, &model("a"), TOOK);
        stats.note_whole_answer(NOW, &model("b"), TOOK * 2);
        assert_eq!(stats.first_event(&model("a")).mean(), Some(TOOK));
        assert_eq!(stats.whole_answer(&model("a")).mean(), None);
        assert_eq!(stats.whole_answer(&model("b")).mean(), Some(TOOK * 2));
        assert_eq!(stats.first_event(&model("unknown")).mean(), None);
        assert_eq!(stats.first_events(), BTreeMap::from([(model("a"), TOOK)]));
    }

    #[test]
    fn what_is_learnt_of_formats_is_there_for_all_at_once_and_forgotten_on_request() {
        let stats = ProviderStats::default();
        stats.note_answer_in(&model("a"), ApiFormat::Ollama);
        let everywhere = WrongFormat::Everywhere;
        stats.note_absence_of(NOW, &model("a"), ApiFormat::Openai, everywhere);
        assert!(stats.formats().about(&model("a")).answered(ApiFormat::Ollama).is_some());
        assert!(stats.formats().about(&model("b")).absent(NOW, ApiFormat::Openai).is_some());
        stats.forget_formats();
        assert!(stats.formats().about(&model("a")).answered(ApiFormat::Ollama).is_none());
    }

    #[test]
    fn at_the_bound_the_least_recently_noted_model_is_dropped() {
        let stats = ProviderStats::default();
        for n in 0..MAX_MODELS {
            stats.note_first_event(NOW, &model(&format!("m{n}")), TOOK);
        }
        stats.note_whole_answer(NOW, &model("m0"), TOOK);
        stats.note_first_event(NOW, &model("new"), TOOK);
        assert_eq!(locked(&stats.models).len(), MAX_MODELS);
        assert_eq!(stats.first_event(&model("m1")).mean(), None);
        for kept in ["m0", "m2", "new"] {
            assert_eq!(stats.first_event(&model(kept)).mean(), Some(TOOK), "{kept}");
        }
    }

    #[test]
    fn a_panic_with_the_lock_held_does_not_end_the_readings() {
        let stats = Arc::new(ProviderStats::default());
        let other = Arc::clone(&stats);
        let panicked = thread::spawn(move || {
            let _held = other.models.lock();
            panic!("while the lock is held");
        });
        assert!(panicked.join().is_err());
        stats.note_first_event(NOW, &model("a"), TOOK);
        assert_eq!(stats.first_event(&model("a")).mean(), Some(TOOK));
    }

    #[test]
    fn the_vitals_of_a_provider_last_until_it_is_removed() {
        let mut state = StatsStore::default();
        let id = ProviderId::parse("acme").unwrap();
        let first = state.of(&id);
        let held = first.enter();
        assert!(Arc::ptr_eq(&first, &state.of(&id)));
        state.remove(&id);
        assert_eq!(state.of(&id).in_flight(), 0);
        drop(held);
        assert_eq!(first.in_flight(), 0);
    }
}
