//! Read-mostly state that its owner publishes whole, and anyone reads without asking.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

/// The owner's end: replaces the published value.
pub struct Publisher<T>(Arc<ArcSwap<T>>);

/// A reader's end. Cheap to clone; every read sees one whole value, never half a change.
pub struct Published<T>(Arc<ArcSwap<T>>);

/// Both ends of a value that is published from now on.
pub fn publish<T>(first: T) -> (Publisher<T>, Published<T>) {
    let shared = Arc::new(ArcSwap::from_pointee(first));
    (Publisher(Arc::clone(&shared)), Published(shared))
}

impl<T> Publisher<T> {
    pub fn replace(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}

impl<T> Published<T> {
    /// For a look that ends before the next `await`.
    pub fn read(&self) -> Guard<Arc<T>> {
        self.0.load()
    }

    /// For keeping.
    pub fn snapshot(&self) -> Arc<T> {
        self.0.load_full()
    }
}

impl<T> Clone for Published<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
