//! Which provider should take a request: plans, provider health, and the retry budget.
//!
//! Which key is used there is chosen by `credentials`; the attempts are made by `relay`.

mod actor;
mod messages;
mod plan;
mod retry_budget;
mod view;

pub use actor::{Router, RouterPeers};
pub use messages::*;
pub use plan::{Candidate, Exclusion, ExclusionReason, Plan, PlanError, exclusions};
pub use view::RouterView;
