//! From the deltas of a stream to the answer they make, and back.

use std::{borrow::Cow, collections::BTreeMap};

use thiserror::Error;

use super::{
    Answer, Choice, Citation, Content, Delta, Part, Reasoning, ReasoningSignature, StopReason,
    TokenLogprob, ToolCall,
    memory_size::{EACH, memory_size},
};

/// Most choices an answer may have.
pub const MAX_CHOICES: usize = 128;

/// Most calls a choice may have.
pub const MAX_CALLS: usize = 1024;

/// Why deltas do not make an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AssemblyError {
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the answer has more than {MAX_CHOICES} choices")]
    TooManyChoices,
    #[error("a choice has more than {MAX_CALLS} calls")]
    TooManyCalls,
    /// A call that has begun already, or input of one that has not.
    #[error("call {number} of choice {choice} is out of order")]
    CallOutOfOrder { choice: u32, number: u32 },
}

/// An answer that is still coming.
///
/// Empty pieces of text begin no part: many streams open with one. Numbers of choices that nothing is
/// said of are no choices: those after them move up.
#[derive(Debug)]
pub struct Assembly {
    /// All of it but its choices.
    answer: Answer,
    /// By number.
    choices: BTreeMap<u32, Growing>,
    bytes: usize,
    limit: usize,
}

impl Assembly {
    /// `limit`: most bytes that the answer may take, roughly as they are held in memory.
    pub fn new(limit: usize) -> Self {
        Self { answer: Answer::default(), choices: BTreeMap::new(), bytes: 0, limit }
    }

    /// Adds what one event says.
    ///
    /// Errors: [`AssemblyError`] when it does not fit; then it is not added, and the answer cannot
    /// become whole.
    pub fn add(&mut self, delta: Delta<'_>) -> Result<(), AssemblyError> {
        self.bytes = self.bytes.saturating_add(memory_size(&delta));
        if self.bytes > self.limit {
            return Err(AssemblyError::TooLarge { limit: self.limit });
        }
        let parts = self.parts();
        match delta {
            Delta::Begin { id, model } => {
                self.answer.id = id.map(Cow::into_owned).or(self.answer.id.take());
                self.answer.model = model.map(Cow::into_owned).or(self.answer.model.take());
            }
            Delta::Tier(tier) => self.answer.service_tier = Some(tier.into_owned()),
            Delta::Text { choice, text } => self.choice(choice)?.text(&text),
            Delta::ReasoningBegin { choice, id } => {
                self.choice(choice)?.begin_reasoning(id.into_owned());
            }
            Delta::Reasoning { choice, text, is_summary } => {
                self.choice(choice)?.reasoning(&text, is_summary);
            }
            Delta::ReasoningSignature { choice, signature, is_redacted } => {
                self.choice(choice)?.sign(signature, is_redacted);
            }
            Delta::Refusal { choice, text } => self.choice(choice)?.refusal(&text),
            Delta::CallBegin { choice, number, id, name, kind, signature } => {
                let (id, name) = (id.into_owned(), name.into_owned());
                let call = ToolCall { id, name, kind, input: String::new(), signature };
                self.choice(choice)?.call(choice, number, call)?;
            }
            Delta::CallInput { choice, number, text } => {
                self.choice(choice)?.input(choice, number, &text)?;
            }
            Delta::Citation { choice, citation } => self.choice(choice)?.citation(*citation),
            Delta::Whole { choice, part } => self.choice(choice)?.add_closed(*part),
            Delta::Logprobs { choice, tokens } => self.choice(choice)?.logprobs(tokens),
            Delta::Break { choice } => self.choice(choice)?.is_open = false,
            Delta::Stop { choice, reason } => self.choice(choice)?.stop = Some(reason),
            Delta::Usage(usage) => self.answer.usage = Some(usage),
        }
        self.bytes += EACH * (self.parts() - parts);
        Ok(())
    }

    /// Whether there is at least one choice and each has been given its stop.
    pub fn is_complete(&self) -> bool {
        !self.choices.is_empty() && self.choices.values().all(|choice| choice.stop.is_some())
    }

    /// The answer. `None` unless it [is complete](Self::is_complete).
    pub fn finish(self) -> Option<Answer> {
        let choices =
            self.choices.into_values().map(Growing::finish).collect::<Option<Vec<_>>>()?;
        (!choices.is_empty()).then_some(Answer { choices, ..self.answer })
    }

    fn parts(&self) -> usize {
        self.choices.values().map(|choice| choice.parts.len()).sum()
    }

    fn choice(&mut self, number: u32) -> Result<&mut Growing, AssemblyError> {
        if usize::try_from(number).unwrap_or(usize::MAX) >= MAX_CHOICES {
            return Err(AssemblyError::TooManyChoices);
        }
        Ok(self.choices.entry(number).or_default())
    }
}

/// A choice that is still coming.
#[derive(Debug, Default)]
struct Growing {
    parts: Vec<Part>,
    /// Whether the last part may go on.
    is_open: bool,
    /// Of thoughts that have begun and not said anything yet.
    reasoning_id: Option<String>,
    /// Where the part of each call is, by its number.
    calls: BTreeMap<u32, usize>,
    stop: Option<StopReason>,
    logprobs: Option<Vec<TokenLogprob>>,
}

impl Growing {
    fn finish(self) -> Option<Choice> {
        Some(Choice { parts: self.parts, stop: self.stop?, logprobs: self.logprobs })
    }

    /// The part that is growing, if there is one.
    fn open(&mut self) -> Option<&mut Content> {
        self.parts.last_mut().filter(|_| self.is_open).map(|part| &mut part.content)
    }

    fn begin(&mut self, content: Content) {
        self.reasoning_id = None;
        self.parts.push(content.into());
        self.is_open = true;
    }

    fn add_closed(&mut self, part: Part) {
        self.reasoning_id = None;
        self.parts.push(part);
        self.is_open = false;
    }

    fn text(&mut self, more: &str) {
        match self.open() {
            _ if more.is_empty() => (),
            Some(Content::Text { text, .. }) => text.push_str(more),
            _ => self.begin(Content::Text { text: more.to_owned(), citations: Vec::new() }),
        }
    }

    fn refusal(&mut self, more: &str) {
        match self.open() {
            _ if more.is_empty() => (),
            Some(Content::Refusal(text)) => text.push_str(more),
            _ => self.begin(Content::Refusal(more.to_owned())),
        }
    }

    fn begin_reasoning(&mut self, id: String) {
        self.reasoning_id = Some(id);
        self.is_open = false;
    }

    fn reasoning(&mut self, more: &str, is_summary: bool) {
        match self.open() {
            _ if more.is_empty() => (),
            Some(Content::Reasoning(thought)) if thought.is_summary == is_summary => {
                thought.text.push_str(more);
            }
            _ => {
                let (text, id) = (more.to_owned(), self.reasoning_id.take());
                let thought = Reasoning { text, is_summary, id, ..Reasoning::default() };
                self.begin(Content::Reasoning(thought));
            }
        }
    }

    fn sign(&mut self, signature: ReasoningSignature, is_redacted: bool) {
        if let Some(Content::Reasoning(thought)) = self.open().filter(|_| !is_redacted) {
            thought.signature = Some(signature);
        } else {
            let (signature, id) = (Some(signature), self.reasoning_id.take());
            let thought = Reasoning { signature, is_redacted, id, ..Reasoning::default() };
            self.begin(Content::Reasoning(thought));
        }
        self.is_open = false;
    }

    fn call(&mut self, choice: u32, number: u32, call: ToolCall) -> Result<(), AssemblyError> {
        if self.calls.contains_key(&number) {
            return Err(AssemblyError::CallOutOfOrder { choice, number });
        }
        if self.calls.len() >= MAX_CALLS {
            return Err(AssemblyError::TooManyCalls);
        }
        self.calls.insert(number, self.parts.len());
        self.begin(Content::ToolCall(call));
        Ok(())
    }

    fn input(&mut self, choice: u32, number: u32, more: &str) -> Result<(), AssemblyError> {
        let place = self.calls.get(&number).copied();
        let part = place.and_then(|place| self.parts.get_mut(place));
        let Some(Part { content: Content::ToolCall(call), .. }) = part else {
            return Err(AssemblyError::CallOutOfOrder { choice, number });
        };
        call.input.push_str(more);
        Ok(())
    }

    /// A source belongs to the text before it, also when that is complete.
    fn citation(&mut self, citation: Citation) {
        if let Some(Part { content: Content::Text { citations, .. }, .. }) = self.parts.last_mut() {
            citations.push(citation);
        } else {
            self.begin(Content::Text { text: String::new(), citations: vec![citation] });
        }
    }

    fn logprobs(&mut self, tokens: Vec<TokenLogprob>) {
        match &mut self.logprobs {
            Some(known) => known.extend(tokens),
            none => *none = Some(tokens),
        }
    }
}

/// The deltas that an answer is made of, each part in one piece and closed by a
/// [`Break`](Delta::Break): how a whole answer is given to a client that has asked for a stream.
///
/// A stream says all of an answer but its losses.
pub fn deltas_of(answer: &Answer) -> Vec<Delta<'_>> {
    let mut deltas = Vec::new();
    if answer.id.is_some() || answer.model.is_some() {
        let id = answer.id.as_deref().map(Cow::Borrowed);
        let model = answer.model.as_deref().map(Cow::Borrowed);
        deltas.push(Delta::Begin { id, model });
    }
    deltas.extend(answer.service_tier.as_deref().map(|tier| Delta::Tier(tier.into())));
    for (number, choice) in (0_u32..).zip(&answer.choices) {
        push_choice(&mut deltas, number, choice);
    }
    deltas.extend(answer.usage.map(Delta::Usage));
    deltas
}

fn push_choice<'a>(deltas: &mut Vec<Delta<'a>>, choice: u32, told: &'a Choice) {
    let mut calls = 0;
    for part in &told.parts {
        match &part.content {
            Content::Text { text, citations } => {
                deltas.push(Delta::Text { choice, text: text.into() });
                deltas.extend(citations.iter().map(|citation| {
                    let citation = Box::new(citation.clone());
                    Delta::Citation { choice, citation }
                }));
            }
            Content::Refusal(text) => deltas.push(Delta::Refusal { choice, text: text.into() }),
            Content::Reasoning(thought) => push_thought(deltas, choice, thought),
            Content::ToolCall(call) => {
                push_call(deltas, choice, calls, call);
                calls += 1;
            }
            Content::Image { .. }
            | Content::Document(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::ToolResult(_)
            | Content::Opaque { .. } => {
                deltas.push(Delta::Whole { choice, part: Box::new(part.clone()) });
            }
        }
        deltas.push(Delta::Break { choice });
    }
    if let Some(tokens) = &told.logprobs {
        deltas.push(Delta::Logprobs { choice, tokens: tokens.clone() });
    }
    deltas.push(Delta::Stop { choice, reason: told.stop.clone() });
}

fn push_thought<'a>(deltas: &mut Vec<Delta<'a>>, choice: u32, thought: &'a Reasoning) {
    let Reasoning { text, is_summary, signature, is_redacted, id } = thought;
    if let Some(id) = id {
        deltas.push(Delta::ReasoningBegin { choice, id: id.into() });
    }
    if !text.is_empty() {
        let text = text.into();
        deltas.push(Delta::Reasoning { choice, text, is_summary: *is_summary });
    }
    if let Some(signature) = signature.clone() {
        deltas.push(Delta::ReasoningSignature { choice, signature, is_redacted: *is_redacted });
    }
}

fn push_call<'a>(deltas: &mut Vec<Delta<'a>>, choice: u32, number: u32, call: &'a ToolCall) {
    let ToolCall { id, name, kind, input, signature } = call;
    deltas.push(Delta::CallBegin {
        choice,
        number,
        id: id.into(),
        name: name.into(),
        kind: *kind,
        signature: signature.clone(),
    });
    if !input.is_empty() {
        deltas.push(Delta::CallInput { choice, number, text: input.into() });
    }
}

#[cfg(test)]
mod tests;
