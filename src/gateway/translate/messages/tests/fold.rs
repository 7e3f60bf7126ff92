//! Deltas folded into the answer they make.

use std::collections::HashMap;

use crate::domain::chat::{Answer, Choice, Content, Delta, Part, Reasoning, ToolCall};

#[derive(Default)]
pub(super) struct Fold {
    answer: Answer,
    choice: Choice,
    is_open: bool,
    calls: HashMap<u32, usize>,
}

impl Fold {
    pub fn add(&mut self, delta: Delta<'_>) {
        match delta {
            Delta::Begin { id, model } => {
                self.answer.id = id.map(Into::into);
                self.answer.model = model.map(Into::into);
            }
            Delta::Tier(tier) => self.answer.service_tier = Some(tier.into_owned()),
            Delta::ReasoningBegin { .. } => panic!("there are no ids of thoughts"),
            Delta::Text { text: more, .. } => match self.open() {
                Some(Content::Text { text, .. }) => text.push_str(&more),
                _ => self.begin(Part::text(more).content),
            },
            Delta::Refusal { text: more, .. } => match self.open() {
                Some(Content::Refusal(text)) => text.push_str(&more),
                _ => self.begin(Content::Refusal(more.into_owned())),
            },
            Delta::Reasoning { text: more, .. } => match self.open() {
                Some(Content::Reasoning(Reasoning { text, signature: None, .. })) => {
                    text.push_str(&more);
                }
                _ => self.begin(Content::Reasoning(Reasoning {
                    text: more.into_owned(),
                    ..Reasoning::default()
                })),
            },
            Delta::ReasoningSignature { signature, is_redacted, .. } => match self.open() {
                Some(Content::Reasoning(reasoning)) if !is_redacted => {
                    reasoning.signature = Some(signature);
                }
                _ => {
                    let signature = Some(signature);
                    self.begin(Content::Reasoning(Reasoning {
                        signature,
                        is_redacted,
                        ..Reasoning::default()
                    }));
                }
            },
            Delta::CallBegin { number, id, name, kind, signature, .. } => {
                self.calls.insert(number, self.choice.parts.len());
                let (id, name) = (id.into_owned(), name.into_owned());
                let input = String::new();
                self.begin(Content::ToolCall(ToolCall { id, name, kind, input, signature }));
            }
            Delta::CallInput { number, text, .. } => {
                match &mut self.choice.parts[self.calls[&number]].content {
                    Content::ToolCall(call) => call.input.push_str(&text),
                    _ => unreachable!("a call was put there"),
                }
            }
            Delta::Citation { citation, .. } => match self.open() {
                Some(Content::Text { citations, .. }) => citations.push(*citation),
                other => panic!("a source of {other:?}"),
            },
            Delta::Whole { part, .. } => {
                self.choice.parts.push(*part);
                self.is_open = false;
            }
            Delta::Logprobs { .. } => panic!("there are none"),
            Delta::Break { .. } => self.is_open = false,
            Delta::Stop { reason, .. } => self.choice.stop = reason,
            Delta::Usage(usage) => self.answer.usage = Some(usage),
        }
    }

    pub fn finish(mut self) -> Answer {
        self.answer.choices = vec![self.choice];
        self.answer
    }

    fn open(&mut self) -> Option<&mut Content> {
        self.choice.parts.last_mut().filter(|_| self.is_open).map(|part| &mut part.content)
    }

    fn begin(&mut self, content: Content) {
        self.choice.parts.push(content.into());
        self.is_open = true;
    }
}
