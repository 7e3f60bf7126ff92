//! How many connections the descriptors of this process are enough for. Who runs out of them accepts
//! nobody, not even to say so.

use crate::config::Server;

/// Descriptors that are not for connections: the database, the journal, the log, the runtime.
const OTHERS: u64 = 128;

/// Most connections at each listener: as many as are configured, or as there are descriptors for.
pub fn connections(server: &Server) -> usize {
    // Every request may take another descriptor, for its upstream.
    let listeners = 1 + u64::from(server.management_bind.is_some());
    let wanted = (server.max_connections as u64).saturating_mul(2 * listeners) + OTHERS;
    let available = match rlimit::increase_nofile_limit(wanted) {
        Ok(available) => available,
        Err(error) => {
            tracing::warn!(%error, "how many descriptors there may be is not known");
            return server.max_connections;
        }
    };
    let enough_for = enough_for(available, listeners);
    if enough_for >= server.max_connections {
        return server.max_connections;
    }
    tracing::warn!(
        connections = enough_for,
        configured = server.max_connections,
        descriptors = available,
        "there are not enough descriptors for server.max_connections; raise their limit (ulimit -n)"
    );
    enough_for
}

fn enough_for(descriptors: u64, listeners: u64) -> usize {
    let others = OTHERS.min(descriptors / 2);
    usize::try_from((descriptors - others) / (2 * listeners)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_take_two_descriptors() {
        assert_eq!(enough_for(1024, 1), 448);
        assert_eq!(enough_for(1024, 2), 224);
        assert_eq!(enough_for(64, 1), 16);
        assert_eq!(enough_for(0, 1), 1);
    }
}
