//! Providers: the catalogue below, the configuration file and the user's settings above, and how
//! each is doing. Publishes a [`ProviderTable`] that everyone reads.
//!
//! Keys are not here (see `credentials`), nor is the choice between providers (see `router`).

mod actor;
mod catalog;
mod messages;
mod provider_book;
mod provider_table;

pub use actor::{Registry, RegistryPeers};
pub use catalog::{CatalogEntry, CatalogError, builtin};
pub use messages::*;
pub use provider_book::ProviderBook;
pub use provider_table::{ListedProvider, ProviderTable};
