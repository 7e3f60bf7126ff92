//! The fault matrix: each thing that can go wrong at a provider, by each way of asking, with each
//! kind of help beside it. What the client sees, who is asked how often, and what is left alone.
//!
//! A fault is one line and what it leads to is one line for each setting; what holds for all cells
//! is in `cell`.

/// Makes a test of each fault: its name, and the ways in which it shows itself.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident: [$($fault:expr),* $(,)?];)*) => {$(
        $(#[$doc])*
        #[actix_web::test]
        async fn $name() {
            $crate::faults::cell::check(stringify!($name), &[$($fault),*]).await;
        }
    )*};
}

mod all_cooling;
mod answers;
mod cell;
mod connections;
mod cut_streams;
mod law;
mod lines;
mod outages;
mod rate_limits;
mod repeated;
mod restarts;
mod settings;
mod statuses;
mod streams;
mod table;

pub use cell::{Wrong, check_all_at_once, ledger_is, named};
