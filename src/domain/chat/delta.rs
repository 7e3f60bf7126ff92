//! A stream in the common form: what each event adds to the answer.

use std::borrow::Cow;

use super::{CallKind, Citation, Part, ReasoningSignature, StopReason, TokenLogprob, Usage};

/// What one event of a stream adds. Deltas of one choice come in the order of its parts: one of
/// another kind than before begins a new part, and so does whatever follows a [`Break`](Self::Break).
/// Calls are told apart by their number, and their pieces may be mixed.
///
/// Texts borrow from the event they came with.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta<'a> {
    /// The stream has begun. At most once, and not by every dialect.
    Begin {
        id: Option<Cow<'a, str>>,
        model: Option<Cow<'a, str>>,
    },
    /// In which tier of service it is given. Each one counts in the place of those before it.
    Tier(Cow<'a, str>),
    Text {
        choice: u32,
        text: Cow<'a, str>,
    },
    /// Thoughts begin that are of an item with an id. Others begin with their words or their signature.
    ReasoningBegin {
        choice: u32,
        id: Cow<'a, str>,
    },
    /// More of its thoughts, or of their summary.
    Reasoning {
        choice: u32,
        text: Cow<'a, str>,
        is_summary: bool,
    },
    /// Completes the thoughts before it; or stands for thoughts that are not shown.
    ReasoningSignature {
        choice: u32,
        signature: ReasoningSignature,
        is_redacted: bool,
    },
    Refusal {
        choice: u32,
        text: Cow<'a, str>,
    },
    /// A call begins. `number` counts the calls of a choice from 0.
    CallBegin {
        choice: u32,
        number: u32,
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        kind: CallKind,
        signature: Option<ReasoningSignature>,
    },
    /// More of a call's input.
    CallInput {
        choice: u32,
        number: u32,
        text: Cow<'a, str>,
    },
    /// A source of the text before it.
    Citation {
        choice: u32,
        citation: Box<Citation>,
    },
    /// A part that comes all at once: a picture, or what only one dialect knows.
    Whole {
        choice: u32,
        part: Box<Part>,
    },
    Logprobs {
        choice: u32,
        tokens: Vec<TokenLogprob>,
    },
    /// The part that was growing is complete.
    Break {
        choice: u32,
    },
    /// A choice is complete.
    Stop {
        choice: u32,
        reason: StopReason,
    },
    /// What was used up to now: each one counts in the place of those before it.
    Usage(Usage),
}

impl Delta<'_> {
    /// Whether it carries anything of the answer: a candidate that has sent it has proved itself.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Text { text, .. } | Self::Reasoning { text, .. } | Self::Refusal { text, .. } => {
                !text.is_empty()
            }
            Self::CallBegin { .. }
            | Self::CallInput { .. }
            | Self::ReasoningSignature { .. }
            | Self::Citation { .. }
            | Self::Whole { .. } => true,
            Self::Begin { .. }
            | Self::Tier(_)
            | Self::ReasoningBegin { .. }
            | Self::Logprobs { .. }
            | Self::Break { .. }
            | Self::Stop { .. }
            | Self::Usage(_) => false,
        }
    }

    /// The choice that it is about. What is about all of them counts as the first one's.
    pub fn choice(&self) -> u32 {
        match self {
            Self::Text { choice, .. }
            | Self::ReasoningBegin { choice, .. }
            | Self::Reasoning { choice, .. }
            | Self::ReasoningSignature { choice, .. }
            | Self::Refusal { choice, .. }
            | Self::CallBegin { choice, .. }
            | Self::CallInput { choice, .. }
            | Self::Citation { choice, .. }
            | Self::Whole { choice, .. }
            | Self::Logprobs { choice, .. }
            | Self::Break { choice }
            | Self::Stop { choice, .. } => *choice,
            Self::Begin { .. } | Self::Tier(_) | Self::Usage(_) => 0,
        }
    }

    /// The same, borrowing nothing.
    pub fn into_owned(self) -> Delta<'static> {
        fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        match self {
            Self::Begin { id, model } => {
                Delta::Begin { id: id.map(owned), model: model.map(owned) }
            }
            Self::Tier(tier) => Delta::Tier(owned(tier)),
            Self::Text { choice, text } => Delta::Text { choice, text: owned(text) },
            Self::ReasoningBegin { choice, id } => Delta::ReasoningBegin { choice, id: owned(id) },
            Self::Reasoning { choice, text, is_summary } => {
                Delta::Reasoning { choice, text: owned(text), is_summary }
            }
            Self::ReasoningSignature { choice, signature, is_redacted } => {
                Delta::ReasoningSignature { choice, signature, is_redacted }
            }
            Self::Refusal { choice, text } => Delta::Refusal { choice, text: owned(text) },
            Self::CallBegin { choice, number, id, name, kind, signature } => Delta::CallBegin {
                choice,
                number,
                id: owned(id),
                name: owned(name),
                kind,
                signature,
            },
            Self::CallInput { choice, number, text } => {
                Delta::CallInput { choice, number, text: owned(text) }
            }
            Self::Citation { choice, citation } => Delta::Citation { choice, citation },
            Self::Whole { choice, part } => Delta::Whole { choice, part },
            Self::Logprobs { choice, tokens } => Delta::Logprobs { choice, tokens },
            Self::Break { choice } => Delta::Break { choice },
            Self::Stop { choice, reason } => Delta::Stop { choice, reason },
            Self::Usage(usage) => Delta::Usage(usage),
        }
    }
}
