//! The way in: counts the requests inside, and closes when the process is about to stop.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use super::error::RelayError;
use crate::telemetry::Metrics;

/// Shared by all worker threads. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    limit: usize,
    inside: AtomicUsize,
    draining: AtomicBool,
    closed: Notify,
    emptied: Notify,
    metrics: Arc<Metrics>,
}

/// One request inside. Dropping it lets the next one in.
pub struct Permit(Gate);

impl Gate {
    /// Lets at most `limit` requests in at once.
    pub fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            limit,
            inside: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            closed: Notify::new(),
            emptied: Notify::new(),
            metrics,
        }))
    }

    /// Errors: [`RelayError::Draining`] when closed, [`RelayError::Busy`] when full.
    pub fn enter(&self) -> Result<Permit, RelayError> {
        // Counted first: whoever closes the gate and then sees it empty can rely on it.
        let before = self.0.inside.fetch_add(1, Ordering::SeqCst);
        self.0.metrics.in_flight.inc();
        let permit = Permit(self.clone());
        if self.is_draining() {
            self.0.metrics.requests_refused.inc();
            return Err(RelayError::Draining);
        }
        if before >= self.0.limit {
            self.0.metrics.requests_refused.inc();
            return Err(RelayError::Busy { limit: self.0.limit });
        }
        Ok(permit)
    }

    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    pub fn inside(&self) -> usize {
        self.0.inside.load(Ordering::SeqCst)
    }

    /// Closes the gate for good.
    pub fn close(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        self.0.closed.notify_waiters();
    }

    /// Waits until the gate is closed.
    pub async fn closed(&self) {
        let closed = self.0.closed.notified();
        if !self.is_draining() {
            closed.await;
        }
    }

    /// Waits until nobody is inside.
    pub async fn empty(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.inside() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let inner = &self.0.0;
        let left = inner.inside.fetch_sub(1, Ordering::SeqCst) - 1;
        inner.metrics.in_flight.dec();
        if left == 0 {
            inner.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_limit_to_the_unit() {
        let gate = Gate::new(2, Metrics::new());
        let (one, two) = (gate.enter(), gate.enter());
        assert!(one.is_ok() && two.is_ok());
        assert!(matches!(gate.enter(), Err(RelayError::Busy { limit: 2 })));
        drop(one);
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn a_closed_gate_lets_nobody_in_and_those_inside_finish() {
        let gate = Gate::new(2, Metrics::new());
        let inside = gate.enter();
        gate.close();
        assert!(matches!(gate.enter(), Err(RelayError::Draining)));
        assert_eq!(gate.inside(), 1);
        drop(inside);
        assert_eq!(gate.inside(), 0);
    }

    #[actix_web::test]
    async fn whoever_waits_for_it_to_close_is_woken_and_later_ones_need_not_wait() {
        let gate = Gate::new(2, Metrics::new());
        let waiting = gate.clone();
        let closed = actix_web::rt::spawn(async move { waiting.closed().await });
        tokio::task::yield_now().await;
        assert!(!closed.is_finished());
        gate.close();
        closed.await.unwrap();
        gate.closed().await;
    }

    #[actix_web::test]
    async fn waiting_for_it_to_empty_ends_with_the_last_request() {
        let gate = Gate::new(2, Metrics::new());
        let inside = gate.enter();
        let waiting = gate.clone();
        let emptied = actix_web::rt::spawn(async move { waiting.empty().await });
        tokio::task::yield_now().await;
        assert!(!emptied.is_finished());
        drop(inside);
        emptied.await.unwrap();
    }
}
