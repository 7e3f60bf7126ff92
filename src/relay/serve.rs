//! The whole path after admission: attempts, then what the client gets of the one that won.

use std::rc::Rc;

use bytes::Bytes;

use super::{
    attempt::{Attempts, Won},
    client_stream::ClientStream,
    error::RelayError,
    live_stream::LiveStream,
    prove::{ProvedStream, prove_stream, prove_whole},
};
use crate::domain::id::{ModelName, ProviderId};

/// Who answered.
#[derive(Debug, Clone)]
pub struct Answered {
    pub provider_id: ProviderId,
    /// The upstream name.
    pub model: ModelName,
    pub attempts: u32,
}

/// What the client gets.
pub enum Served {
    /// A complete answer, on the ledger already.
    Whole { by: Answered, body: Bytes },
    /// A stream. `by` is unknown when it was opened before anyone had answered.
    Stream { by: Option<Answered>, body: ClientStream },
}

/// Serves an admitted request. A stream that nobody has answered in time is opened all the same, and
/// goes on trying behind keep-alives.
///
/// Errors: [`RelayError`]; the request is settled then.
pub async fn serve(attempts: Attempts) -> Result<Served, RelayError> {
    if !attempts.is_streamed() {
        let mut won = attempts.run(prove_whole).await?;
        let by = won.answered();
        won.tell_success();
        won.settlement.complete(won.proof.answer.usage).await?;
        return Ok(Served::Whole { by, body: won.proof.body });
    }
    let relay = Rc::clone(attempts.relay());
    let (keep_alive, deadline) = (relay.settings.keep_alive, attempts.deadline());
    let mut winning = Box::pin(win_stream(attempts));
    match tokio::time::timeout(keep_alive, &mut winning).await {
        Ok(won) => {
            let (by, live) = won?;
            Ok(Served::Stream { by: Some(by), body: ClientStream::live(live, keep_alive) })
        }
        Err(_) => {
            let proving = Box::pin(async move { Ok(winning.await?.1) });
            Ok(Served::Stream {
                by: None,
                body: ClientStream::waiting(proving, keep_alive, deadline),
            })
        }
    }
}

async fn win_stream(attempts: Attempts) -> Result<(Answered, Box<LiveStream>), RelayError> {
    let strip_usage = attempts.strips_usage();
    let mut won: Won<ProvedStream> = attempts
        .run(async |relay, request| prove_stream(relay, request, strip_usage).await)
        .await?;
    let waited = won.settlement.arrived().elapsed();
    won.settlement.relay().metrics.first_event.observe(waited.as_secs_f64());
    if let Some(entry) = won.settlement.entry() {
        entry.first_event_ms = u64::try_from(waited.as_millis()).ok();
    }
    Ok((won.answered(), Box::new(LiveStream::new(won))))
}

impl<P> Won<P> {
    fn answered(&self) -> Answered {
        Answered {
            provider_id: self.candidate.provider.id.clone(),
            model: self.candidate.model.clone(),
            attempts: self.attempts,
        }
    }
}
