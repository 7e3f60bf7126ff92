//! The last traces, and what is to be added to those that are not there yet.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::domain::{cooldown::CooldownView, id::RequestId, trace::Trace};

/// Most requests whose cooldowns wait for their trace.
const MAX_EARLY: usize = 1_000;

/// Most cooldowns that wait for one trace.
const MAX_EARLY_OF_ONE: usize = 100;

/// A cooldown and the number of the attempt that led to it.
type Caused = (u32, CooldownView);

/// Keeps the last traces. Past its capacity the oldest is forgotten.
pub struct TraceRing {
    capacity: usize,
    /// The latest last. Searched from its end: a trace is asked for rarely, and mostly while it is new,
    /// but every request adds one.
    traces: VecDeque<(RequestId, Arc<Trace>)>,
    /// Cooldowns of requests that are still under way.
    early: HashMap<RequestId, Vec<Caused>>,
    early_order: VecDeque<RequestId>,
}

impl TraceRing {
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            traces: VecDeque::new(),
            early: HashMap::new(),
            early_order: VecDeque::new(),
        }
    }

    pub fn add(&mut self, mut trace: Arc<Trace>) {
        if self.capacity == 0 {
            return;
        }
        let id = trace.request_id;
        if let Some(early) = self.early.remove(&id) {
            self.early_order.retain(|waiting| *waiting != id);
            for (attempt, cooldown) in early {
                attach(Arc::make_mut(&mut trace), attempt, cooldown);
            }
        }
        if self.traces.len() >= self.capacity {
            self.traces.pop_front();
        }
        self.traces.push_back((id, trace));
    }

    /// Adds a cooldown to the attempt that led to it, now or when its trace comes.
    pub fn note_cooldown(&mut self, id: RequestId, attempt: u32, cooldown: CooldownView) {
        if let Some((_, trace)) = self.traces.iter_mut().rfind(|(of, _)| *of == id) {
            attach(Arc::make_mut(trace), attempt, cooldown);
            return;
        }
        if !self.early.contains_key(&id) {
            self.early_order.push_back(id);
        }
        let waiting = self.early.entry(id).or_default();
        if waiting.len() < MAX_EARLY_OF_ONE {
            waiting.push((attempt, cooldown));
        }
        while self.early_order.len() > MAX_EARLY {
            if let Some(oldest) = self.early_order.pop_front() {
                self.early.remove(&oldest);
            }
        }
    }

    pub fn find(&self, id: RequestId) -> Option<Arc<Trace>> {
        self.traces.iter().rfind(|(of, _)| *of == id).map(|(_, trace)| Arc::clone(trace))
    }
}

fn attach(trace: &mut Trace, attempt: u32, cooldown: CooldownView) {
    if let Some(attempt) = trace.attempts.iter_mut().find(|a| a.number == attempt) {
        attempt.cooldowns.push(cooldown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        failure::FailureClass,
        format::FormatSource,
        id::{ModelName, ProviderId},
        provider::ApiFormat,
        time::Timestamp,
        trace::{AttemptEnd, AttemptKind, AttemptTrace},
        usage::Outcome,
    };

    fn trace(request_id: RequestId) -> Arc<Trace> {
        let model = ModelName::parse("m").unwrap();
        let attempt = AttemptTrace {
            number: 1,
            kind: AttemptKind::First,
            provider_id: ProviderId::parse("acme").unwrap(),
            model_id: model.clone(),
            api_format: ApiFormat::Openai,
            format_source: FormatSource::UserPinned,
            losses: Vec::new(),
            credential_id: None,
            credential_label: None,
            after_ms: 0,
            proved_ms: None,
            duration_ms: 1,
            end: AttemptEnd::Failed,
            failure: None,
            cooldowns: vec![],
        };
        Arc::new(Trace {
            request_id,
            at: Timestamp::from_millis(0),
            asked: model,
            streamed: false,
            substitution: None,
            plans: vec![],
            attempts: vec![attempt],
            attempts_left_out: 0,
            outcome: Outcome::Failed,
            failure: None,
            tokens: None,
            usage_estimated: false,
            duration_ms: 1,
        })
    }

    fn cooldown() -> CooldownView {
        CooldownView {
            scope: "provider",
            provider_id: ProviderId::parse("acme").unwrap(),
            credential_id: None,
            model_id: None,
            cause: FailureClass::Server,
            status: None,
            started_at: Timestamp::from_millis(0),
            until: Timestamp::from_millis(1),
            strikes: 1,
        }
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut ring = TraceRing::new(2);
        let ids = [(); 3].map(|()| RequestId::generate());
        for id in ids {
            ring.add(trace(id));
        }
        assert_eq!(ids.map(|id| ring.find(id).is_some()), [false, true, true]);
    }

    #[test]
    fn a_cooldown_finds_its_attempt_before_and_after_the_trace_has_come() {
        let mut ring = TraceRing::new(2);
        let id = RequestId::generate();
        ring.note_cooldown(id, 1, cooldown());
        ring.add(trace(id));
        ring.note_cooldown(id, 1, cooldown());
        ring.note_cooldown(id, 7, cooldown());
        assert_eq!(ring.find(id).unwrap().attempts[0].cooldowns, [cooldown(), cooldown()]);
        assert!(ring.early.is_empty());
    }

    #[test]
    fn what_waits_for_traces_that_never_come_is_bounded() {
        let mut ring = TraceRing::new(2);
        for _ in 0..MAX_EARLY + 5 {
            ring.note_cooldown(RequestId::generate(), 1, cooldown());
        }
        assert_eq!((ring.early.len(), ring.early_order.len()), (MAX_EARLY, MAX_EARLY));
    }
}
