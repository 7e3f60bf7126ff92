//! Log probabilities in the shape of the legacy API: a list for each thing that is told.

use crate::{
    domain::chat::TokenLogprob, gateway::dialect::openai_chat::wire::completion::TextLogprobs,
};

/// `offset`: where the first of the tokens begins in the text, in characters. It is moved on behind
/// the last.
pub(super) fn write<'a>(tokens: &'a [TokenLogprob], offset: &mut u64) -> TextLogprobs<'a> {
    let mut shown = TextLogprobs::default();
    let mut tops = Vec::with_capacity(tokens.len());
    for token in tokens {
        shown.tokens.push(&token.token);
        shown.token_logprobs.push(token.logprob);
        shown.text_offset.push(*offset);
        *offset += token.token.chars().count() as u64;
        tops.push(token.top.iter().map(|top| (&*top.token, top.logprob)).collect());
    }
    let has_tops = tokens.iter().any(|token| !token.top.is_empty());
    shown.top_logprobs = has_tops.then_some(tops);
    shown
}
