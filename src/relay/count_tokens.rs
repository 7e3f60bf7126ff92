//! How many tokens a prompt has: the provider is asked where it can tell, else it is estimated here.

use std::rc::Rc;

use super::{
    dispatch::{Dispatch, Won},
    error::RelayError,
    prove::prove_whole,
    serve::{Served, answered},
};
use crate::gateway::exchange::{ClientApi, WholeAnswer, counted};

/// Answers with a number, whoever it comes from.
///
/// Errors: [`RelayError`] when nobody could answer such a request at all; it is settled then.
pub(super) async fn count_tokens(
    api: ClientApi,
    attempts: Rc<Dispatch>,
) -> Result<Served, RelayError> {
    let count_prompt = attempts.inquiry.request.prompt_count(api);
    let relay = Rc::clone(attempts.relay());
    match attempts.win(prove_whole).await {
        Ok(Won { proof, place, attempts }) => {
            let by = answered(&attempts, &place);
            relay.tell_success(&place);
            drop(place);
            attempts.into_settlement().complete(proof.usage).await?;
            Ok(Served::Whole { by: Some(by), body: proof.body })
        }
        Err((error, attempts)) if is_no_word_on_the_prompt(&error) => {
            // A long prompt takes its time, in which the worker serves others.
            let tokens = tokio::task::spawn_blocking(count_prompt).await.ok().flatten();
            let Some(tokens) = tokens else { return Err(error) };
            let WholeAnswer { body, usage, .. } = counted(api, tokens);
            attempts.into_settlement().complete(usage).await?;
            Ok(Served::Whole { by: None, body })
        }
        Err((error, attempts)) => {
            attempts.state.borrow_mut().settlement.fail(&error);
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
