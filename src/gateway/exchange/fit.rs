//! What a request asks of its model beyond what that can do, and the client can do without.

use crate::domain::{
    chat::{Request, ThinkingMode},
    model::{Capability, ModelFacts},
};

/// Whether a request asks a model to think that is known not to be able to.
pub(super) fn thinks_in_vain(request: &Request, facts: &ModelFacts) -> bool {
    let mode = request.thinking.as_ref().and_then(|thinking| thinking.mode);
    cannot_think(facts) && mode.is_some_and(|mode| mode != ThinkingMode::Off)
}

/// Whether a model is known not to think.
pub(super) fn cannot_think(facts: &ModelFacts) -> bool {
    facts.capabilities.is_some_and(|can| !can.has(Capability::Thinking))
}

/// The request without what a model is known not to be able to do, and the client can do without, and
/// with no larger answer than the model can give. `None`: it needs no change.
pub(super) fn fitted(request: &Request, facts: &ModelFacts) -> Option<Request> {
    let thinks_in_vain = thinks_in_vain(request, facts);
    let most = facts.output_tokens.unwrap_or(u64::MAX);
    let asks_too_much = request.max_output_tokens.is_some_and(|asked| asked > most);
    if !thinks_in_vain && !asks_too_much {
        return None;
    }
    let mut fitted = request.clone();
    if thinks_in_vain {
        fitted.thinking = None;
        fitted.losses.note("thinking");
    }
    if asks_too_much {
        fitted.max_output_tokens = Some(most);
        fitted.losses.note("max_output_tokens");
    }
    Some(fitted)
}

/// Most tokens that the answer may be told to have, where that is known. A client that wants a limit
/// of its own gets that, as far as the model goes; for others the prompt is left its place.
pub(super) fn output_limit(
    request: &Request,
    facts: &ModelFacts,
    prompt_tokens: u64,
) -> Option<u64> {
    match request.max_output_tokens {
        Some(_) => facts.output_tokens,
        None => facts.room_after(prompt_tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        chat::{Effort, Part, Role, Thinking, Turn},
        id::ModelName,
        model::Capabilities,
    };

    fn request() -> Request {
        let turn = Turn::new(Role::User, vec![Part::text("hi")]);
        Request::new(ModelName::parse("m").unwrap(), vec![turn])
    }

    #[test]
    fn a_model_that_cannot_think_is_asked_without() {
        let thinking =
            Thinking { mode: Some(ThinkingMode::Effort(Effort::High)), ..Thinking::default() };
        let request = Request { thinking: Some(thinking), ..request() };
        assert_eq!(fitted(&request, &ModelFacts::default()), None);
        let facts = ModelFacts { capabilities: Some(Capabilities::NONE), ..ModelFacts::default() };
        let fitted = fitted(&request, &facts).unwrap();
        assert_eq!(fitted.thinking, None);
        assert_eq!(fitted.losses.to_string(), "thinking");
    }

    #[test]
    fn no_more_is_asked_for_than_the_model_can_write() {
        let facts = ModelFacts { output_tokens: Some(4_096), ..ModelFacts::default() };
        for (asked, expected) in [(None, None), (Some(4_096), None), (Some(4_097), Some(4_096))] {
            let request = Request { max_output_tokens: asked, ..request() };
            let fitted = fitted(&request, &facts);
            assert_eq!(fitted.as_ref().and_then(|fitted| fitted.max_output_tokens), expected);
            let losses = fitted.map(|fitted| fitted.losses.to_string());
            assert_eq!(losses.as_deref(), expected.map(|_| "max_output_tokens"));
        }
    }
}
