//! What routing needs of a request is read without a copy of it, in every dialect.

use std::sync::PoisonError;

use providerpool::gateway::exchange::ClientRequest;
use stats_alloc::Region;

use crate::{
    ALLOCATOR, COUNTING, ROUNDS,
    conversation::{APIS, asked},
};

/// Most bytes allocated for a body of any length: where its own fields stand, and a few names.
const MOST: usize = 4 * 1024;

#[test]
fn a_long_request_costs_next_to_nothing_to_read_in_every_dialect() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, api, format) in APIS {
        let (asked, body, addressed) = asked(api, format);
        assert!(body.len() > 500_000, "{name}: {}", body.len());
        let read = || {
            let region = Region::new(ALLOCATOR);
            let request = ClientRequest::parse(asked, body.clone(), &addressed).unwrap();
            let told = (request.needs(), request.prompt_tokens(), request.is_continuation());
            let session = request.with_session_signals(|_| None, |_| Some(()));
            assert!(told.1 > 50_000 && told.2 && session.is_some(), "{name}: {told:?}");
            region.change().bytes_allocated
        };
        let allocated = (0..ROUNDS).map(|_| read()).min().unwrap();
        println!("{name}: {allocated} bytes for a body of {}", body.len());
        assert!(allocated < MOST, "{name}: {allocated} bytes for a body of {}", body.len());
    }
}
