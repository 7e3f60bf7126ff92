//! What a user can set: one file per section, default, bounds and unit beside each field.

pub mod events;

pub use events::Events;
