//! Which provider should take a request: plans, and the retry budget.
//!
//! Which key is used there is chosen by `credentials`, whom to leave alone is known to `health`; the
//! attempts are made by `relay`.

mod actor;
mod doubts;
mod entries;
mod fallback_chain;
mod messages;
mod order;
mod plan;
mod retry_budget;
mod route_messages;
mod route_state;
mod route_table;
mod routes;
mod view;

pub use actor::Router;
pub use entries::Entries;
pub use fallback_chain::{FallbackChain, Stage};
pub use messages::*;
#[cfg(test)]
pub(crate) use plan::pool;
pub use plan::{Candidate, Exclusion, ExclusionReason, Plan, PlanRequest, never_asked};
#[cfg(test)]
pub(crate) use retry_budget::RetryBudget;
pub use route_messages::*;
pub use route_state::RouteState;
pub use route_table::{Locked, RouteTable, Substitution};
pub use routes::RouteStore;
pub use view::RouterView;
