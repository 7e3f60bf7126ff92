//! Which provider should take a request: plans, and the retry budget.
//!
//! Which key is used there is chosen by `credentials`, whom to leave alone is known to `health`; the
//! attempts are made by `relay`.

mod actor;
mod course;
mod entries;
mod messages;
mod order;
mod plan;
mod retry_budget;
mod route_book;
mod route_messages;
mod route_table;
mod routes;
mod view;

pub use actor::Router;
pub use course::{Course, Stage};
pub use entries::Entries;
pub use messages::*;
#[cfg(test)]
pub(crate) use plan::pool;
pub use plan::{Ask, Candidate, Exclusion, ExclusionReason, Plan, never_asked};
#[cfg(test)]
pub(crate) use retry_budget::RetryBudget;
pub use route_book::RouteBook;
pub use route_messages::*;
pub use route_table::{Locked, RouteTable, Substitution};
pub use routes::RouteKeeper;
pub use view::RouterView;
