//! Read-mostly state that its owner publishes whole, and anyone reads without asking.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Notify;

struct Shared<T> {
    value: ArcSwap<T>,
    replaced: Arc<Notify>,
}

/// The owner's end: replaces the published value.
pub struct Publisher<T>(Arc<Shared<T>>);

/// A reader's end. Cheap to clone; every read sees one whole value, never half a change.
pub struct Published<T>(Arc<Shared<T>>);

/// Both ends of a value that is published from now on.
pub fn publish<T>(first: T) -> (Publisher<T>, Published<T>) {
    let value = ArcSwap::from_pointee(first);
    let shared = Arc::new(Shared { value, replaced: Arc::default() });
    (Publisher(Arc::clone(&shared)), Published(shared))
}

impl<T> Publisher<T> {
    pub fn replace(&self, value: T) {
        self.0.value.store(Arc::new(value));
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

    /// Done when the value is replaced after this call, polled by then or not.
    pub fn changed(&self) -> impl Future<Output = ()> + use<T> {
        Arc::clone(&self.0.replaced).notified_owned()
    }
}

impl<T> Clone for Published<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
