//! How many tokens a prompt has: the provider is asked where it can tell, else it is estimated here.

use std::rc::Rc;

use super::{
    commit::commit_whole,
    dispatch::{Committed, Dispatch},
    error::RelayError,
    serve::{Served, answered},
};
use crate::gateway::exchange::{ClientApi, WholeAnswer, counted};

/// Answers with a number, whoever it comes from.
///
/// Errors: [`RelayError`] when nobody could answer such a request at all; it is settled then.
pub(super) async fn count_tokens(
    api: ClientApi,
    dispatch: Rc<Dispatch>,
) -> Result<Served, RelayError> {
    let count_prompt = dispatch.admitted.request.prompt_count(api);
    let relay = Rc::clone(dispatch.relay());
    match dispatch.win(commit_whole).await {
        Ok(Committed { answer, attempt, dispatch }) => {
            let by = answered(&dispatch, &attempt);
            relay.tell_success(&attempt);
            drop(attempt);
            dispatch.into_settlement().complete(answer.usage).await?;
            Ok(Served::Whole { by: Some(by), body: answer.body })
        }
        Err((error, dispatch)) if is_no_word_on_the_prompt(&error) => {
            // A long prompt takes its time, in which the worker serves others.
            let tokens = tokio::task::spawn_blocking(count_prompt).await.ok().flatten();
            let Some(tokens) = tokens else { return Err(error) };
            let WholeAnswer { body, usage, .. } = counted(api, tokens);
            dispatch.into_settlement().complete(usage).await?;
            Ok(Served::Whole { by: None, body })
        }
        Err((error, dispatch)) => {
            dispatch.state.borrow_mut().settlement.fail(&error);
            Err(error)
        }
    }
}

/// Whether the prompt may be good all the same.
fn is_no_word_on_the_prompt(error: &RelayError) -> bool {
    matches!(
        error,
        RelayError::NotOffered { .. }
            | RelayError::ProvidersBusy { .. }
            | RelayError::Exhausted { .. }
            | RelayError::Cooling { .. }
            | RelayError::DeadlinePassed
    )
}
