//! How long a query is waited for: a person hears within two seconds that the database is away, and the
//! ledger waits longer, since nobody waits for it.

use std::time::Duration;

/// How long a query is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Somebody waits for the answer.
    Prompt,
    /// What is waiting is the ledger, or the start.
    Long,
}

impl Patience {
    /// The time a query has, waits for its turn, a connection and the locks of others included.
    pub const fn limit(self) -> Duration {
        match self {
            Self::Prompt => Duration::from_millis(1_250),
            Self::Long => Duration::from_secs(10),
        }
    }

    /// When whoever asks gives up: a little later, so that they hear the reason and not a mere timeout.
    pub const fn given_up_after(self) -> Duration {
        match self {
            Self::Prompt => Duration::from_millis(1_500),
            Self::Long => Duration::from_millis(10_250),
        }
    }

    /// How long to wait for a connection, of the time that is left.
    pub fn for_a_connection(self, left: Duration) -> Duration {
        left.min(self.limit() / 2)
    }

    /// How long the query may wait for the locks of others, of the time that is left.
    pub fn for_a_query(self, left: Duration) -> Duration {
        left.min(self.limit())
    }
}
