//! Why an answer ends: a status and its details here.

use crate::{
    domain::chat::{Losses, StopReason},
    gateway::{dialect::responses::IncompleteDetails, translate::OutputKinds},
};

/// `incomplete_reason`: absent when it is complete.
pub(super) fn read(incomplete_reason: Option<&str>, said: OutputKinds) -> StopReason {
    match incomplete_reason {
        None if said.calls => StopReason::ToolCalls,
        None if said.refusal => StopReason::Refused,
        None => StopReason::Finished,
        // Some servers call it incomplete and do not say why: it is the limit there.
        Some("max_output_tokens" | "max_tokens" | "") => StopReason::MaxTokens,
        Some("content_filter") => StopReason::Filtered,
        Some(other) => StopReason::Other(other.to_owned()),
    }
}

/// `None`: the answer is complete.
pub(super) fn write(
    reason: &StopReason,
    said: OutputKinds,
    losses: &mut Losses,
) -> Option<IncompleteDetails> {
    let incomplete = |reason| Some(IncompleteDetails { reason });
    match reason {
        StopReason::Finished | StopReason::ToolCalls => None,
        StopReason::MaxTokens => incomplete("max_output_tokens"),
        StopReason::Refused if said.refusal => None,
        // Without a refusal said, a client would take it for an answer.
        StopReason::Filtered | StopReason::Refused => incomplete("content_filter"),
        StopReason::WindowFull => {
            losses.note("stop_reason");
            incomplete("max_output_tokens")
        }
        StopReason::StopText(_) | StopReason::Paused | StopReason::Other(_) => {
            losses.note("stop_reason");
            None
        }
    }
}
