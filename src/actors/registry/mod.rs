//! Providers: the catalogue below, the configuration file and the user's settings above, and how
//! each is doing. Publishes a [`ProviderTable`] that everyone reads.
//!
//! Keys are not here (see `credentials`), nor is the choice between providers (see `router`).

mod actor;
mod catalog;
mod change;
mod layers;
mod messages;
mod model_catalog;
mod provider_state;
mod provider_stats;
mod provider_table;
mod unasked;

pub use actor::{Registry, RegistryRecipients};
pub use catalog::{CatalogEntry, CatalogError, builtin};
pub use messages::*;
pub use model_catalog::{ModelCatalog, ModelCatalogError};
pub use provider_state::ProviderState;
pub use provider_stats::{InFlight, ProviderStats, StatsStore};
pub use provider_table::{AUTO_SHORTLIST, ListedProvider, ProviderTable, Serving};
