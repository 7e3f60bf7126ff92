//! The whole path after admission: attempts, then what the client gets of the one that won.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;

use super::{
    attempt::Attempt,
    client_stream::{ClientStream, KeepAlive, KeyWatch},
    commit::{CommittedStream, commit_stream, commit_whole},
    count_tokens::count_tokens,
    dispatch::{Committed, Dispatch},
    error::RelayError,
    live_stream::LiveStream,
};
use crate::{
    actors::{access_keys::fault_of_key, clock::now},
    domain::{
        chat::Losses,
        id::{ModelName, ProviderId},
    },
    gateway::exchange::ClientCall,
};

/// Who answered.
#[derive(Debug, Clone)]
pub struct Answered {
    pub provider_id: ProviderId,
    /// The upstream name.
    pub model: ModelName,
    pub attempts: u32,
    /// What was put in the place of the model that the client named: by an alias, or as a fallback.
    pub substitution: Option<&'static str>,
    /// What was lost in translation, as far as it is known when the answer begins.
    pub losses: Losses,
}

/// What the client gets.
pub enum Served {
    /// A complete answer, on the ledger already. `by` is absent when the pool has found it by itself.
    Whole { by: Option<Answered>, body: Bytes },
    /// A stream. `by` is unknown when it was opened before anyone had answered.
    Stream { by: Option<Answered>, body: ClientStream },
}

/// Serves an admitted request. A stream that nobody has answered in time is opened all the same, and
/// goes on trying behind keep-alives.
///
/// Errors: [`RelayError`]; the request is settled then.
pub async fn serve(dispatch: Rc<Dispatch>) -> Result<Served, RelayError> {
    if let ClientCall::TokenCount(api) = dispatch.admitted.request.asked() {
        return count_tokens(api, dispatch).await;
    }
    if !dispatch.is_streamed() {
        let Committed { answer, attempt, dispatch } = dispatch.run(commit_whole).await?;
        dispatch.note_losses(&attempt, &answer.losses);
        let mut by = answered(&dispatch, &attempt);
        by.losses.absorb(&answer.losses);
        dispatch.relay().tell_success(&attempt);
        dispatch.remember(&answer.body);
        drop(attempt);
        dispatch.into_settlement().complete(answer.usage).await?;
        return Ok(Served::Whole { by: Some(by), body: answer.body });
    }
    let relay = Rc::clone(dispatch.relay());
    let request = &dispatch.admitted.request;
    let keep_alive = KeepAlive {
        every: relay.settings.keep_alive,
        bytes: request.api().keep_alive(request.model(), now()),
    };
    let deadline = dispatch.deadline;
    let key = key_watch(&dispatch);
    let account = Rc::downgrade(&dispatch);
    let mut winning = Box::pin(win_stream(dispatch));
    match tokio::time::timeout(keep_alive.every, &mut winning).await {
        Ok(won) => {
            let (by, live) = won?;
            Ok(Served::Stream { by: Some(by), body: ClientStream::live(live, keep_alive, key) })
        }
        Err(_) => {
            let proving = Box::pin(async move { Ok(winning.await?.1) });
            Ok(Served::Stream {
                by: None,
                body: ClientStream::waiting(proving, account, keep_alive, deadline, key),
            })
        }
    }
}

/// What ends a stream whose client's key does, where streams are not finished.
fn key_watch(dispatch: &Dispatch) -> KeyWatch {
    let relay = dispatch.relay();
    let key = || fault_of_key(relay.snapshots.keys.clone(), Arc::clone(&dispatch.admitted.owner));
    relay.settings.end_streams_of_revoked_keys.then(|| key().boxed_local())
}

async fn win_stream(dispatch: Rc<Dispatch>) -> Result<(Answered, Box<LiveStream>), RelayError> {
    let won: Committed<CommittedStream> = dispatch.run(commit_stream).await?;
    let by = answered(&won.dispatch, &won.attempt);
    {
        let mut state = won.dispatch.state.borrow_mut();
        let waited = state.settlement.arrived().elapsed();
        won.dispatch.relay().metrics.first_event.observe(waited.as_secs_f64());
        if let Some(entry) = state.settlement.entry() {
            entry.first_event_ms = u64::try_from(waited.as_millis()).ok();
        }
    }
    Ok((by, Box::new(LiveStream::new(won))))
}

pub(super) fn answered(dispatch: &Dispatch, attempt: &Attempt) -> Answered {
    Answered {
        provider_id: attempt.candidate.provider.id.clone(),
        model: attempt.candidate.model.clone(),
        attempts: dispatch.made(),
        substitution: dispatch.substitution(),
        losses: attempt.losses().clone(),
    }
}
