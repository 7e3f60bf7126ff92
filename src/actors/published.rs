//! Read-mostly state that its owner publishes whole, and anyone reads without asking.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Notify;

struct Shared<T> {
    value: ArcSwap<T>,
    /// How often it was replaced.
    version: AtomicU64,
    replaced: Arc<Notify>,
}

/// The owner's end: replaces the published value.
pub struct Publisher<T>(Arc<Shared<T>>);

/// A reader's end. Cheap to clone; every read sees one whole value, never half a change.
pub struct Published<T>(Arc<Shared<T>>);

/// Both ends of a value that is published from now on.
pub fn publish<T>(first: T) -> (Publisher<T>, Published<T>) {
    let value = ArcSwap::from_pointee(first);
    let shared = Arc::new(Shared { value, version: AtomicU64::new(0), replaced: Arc::default() });
    (Publisher(Arc::clone(&shared)), Published(shared))
}

impl<T> Publisher<T> {
    pub fn replace(&self, value: T) {
        self.0.value.store(Arc::new(value));
        self.0.version.fetch_add(1, Ordering::Release);
        self.0.replaced.notify_waiters();
    }
}

impl<T> Published<T> {
    /// For a look that ends before the next `await`.
    pub fn read(&self) -> Guard<Arc<T>> {
        self.0.value.load()
    }

    /// For keeping.
    pub fn snapshot(&self) -> Arc<T> {
        self.0.value.load_full()
    }

    /// The number of the value that is published now, or of an older one.
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// Done when the value is replaced after [`Self::version`] gave this number, polled by then or not.
    pub fn changed_since(&self, version: u64) -> impl Future<Output = ()> + use<T> {
        // In this order: what is replaced between the two is seen by the second.
        let replaced = Arc::clone(&self.0.replaced).notified_owned();
        let is_newer = self.version() != version;
        async move {
            if !is_newer {
                replaced.await;
            }
        }
    }
}

impl<T> Clone for Published<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
