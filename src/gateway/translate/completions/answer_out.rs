//! A whole answer as a client gets it: its text.

use std::borrow::Cow;

use super::logprobs;
use crate::{
    domain::chat::{Answer, Choice, Content, Losses},
    gateway::{
        dialect::openai_chat::{
            ShownUsage,
            wire::completion::{ShownCompletion, TextChoice},
        },
        translate::{
            OutputKinds, ResponseContext,
            chat::{finish, note_content},
            tier,
        },
    },
};

pub(super) fn write(answer: &Answer, shown: &ResponseContext<'_>, losses: &mut Losses) -> Vec<u8> {
    let stops: Vec<_> = answer
        .choices
        .iter()
        .map(|choice| finish::write(&choice.stop, OutputKinds::default(), losses))
        .collect();
    let mut choices = Vec::with_capacity(answer.choices.len());
    for (index, (choice, stop)) in answer.choices.iter().zip(&stops).enumerate() {
        choices.push(TextChoice {
            text: text_of(choice, losses),
            index,
            logprobs: choice.logprobs.as_deref().map(|tokens| logprobs::write(tokens, &mut 0)),
            finish_reason: Some(finish_word(stop.0)),
            stop_reason: stop.1.as_deref(),
        });
    }
    tier::note_lost(answer.service_tier.as_deref(), losses);
    let completion = ShownCompletion {
        id: &completion_id(shown.id),
        object: "text_completion",
        created: shown.created.as_millis() / 1000,
        model: answer.model.as_deref().unwrap_or(shown.model.as_str()),
        choices: &choices,
        usage: answer.usage.as_ref().map(ShownUsage::from),
    };
    serde_json::to_vec(&completion).expect("texts and finite numbers are always JSON")
}

pub(super) fn completion_id(id: &str) -> String {
    format!("cmpl-{id}")
}

/// There are no calls here, so that none can be a reason to stop.
pub(super) fn finish_word(word: &'static str) -> &'static str {
    if word == "tool_calls" { "stop" } else { word }
}

fn text_of<'a>(choice: &'a Choice, losses: &mut Losses) -> Cow<'a, str> {
    let mut whole = Cow::Borrowed("");
    for part in &choice.parts {
        match &part.content {
            Content::Text { text, citations } => {
                losses.note_if(!citations.is_empty(), "citations");
                whole += &**text;
            }
            other => note_content(other, losses),
        }
    }
    whole
}
