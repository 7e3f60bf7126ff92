//! Conversations by chance, for the laws of translation.

mod answers;
mod requests;

use proptest::{collection::vec, option, prelude::*};

pub(crate) use self::{
    answers::{answer, deltas},
    requests::request,
};
use super::{Dialect, Json, ReasoningSignature};

/// What a dialect can say: the values made by chance hold nothing else. What is not named here
/// (texts, functions and their calls, stop reasons that all know) every dialect can say.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is one thing that a dialect can say or not")]
pub(crate) struct Vocabulary {
    /// Whose signatures and own parts there are.
    pub dialect: Dialect,
    pub images: bool,
    pub image_urls: bool,
    pub image_detail: bool,
    pub documents: bool,
    pub audio: bool,
    pub reasoning: bool,
    /// Whether thoughts may be without a signature.
    pub unsigned: bool,
    pub signatures: bool,
    /// Whether calls have signatures.
    pub call_signatures: bool,
    pub redacted: bool,
    pub summaries: bool,
    /// Ids of thoughts.
    pub reasoning_ids: bool,
    pub refusals: bool,
    pub citations: bool,
    pub call_ids: bool,
    pub custom_tools: bool,
    /// Parts that only this dialect knows.
    pub own: bool,
    /// Whether parts stand in any order. If not: thoughts, then one text, then calls.
    pub any_order: bool,
    /// Whether one answer has several choices.
    pub choices: bool,
    pub logprobs: bool,
    /// Which stop text has come.
    pub stop_texts: bool,
    pub cache_reads: bool,
    pub cache_writes: bool,
    /// The share of thoughts in the output.
    pub reasoning_usage: bool,
    pub cache_hints: bool,
    pub developer: bool,
    /// Names of speakers.
    pub names: bool,
    pub tool_errors: bool,
    pub top_k: bool,
    pub penalties: bool,
    pub seed: bool,
    pub schemas: bool,
    pub json_mode: bool,
    pub metadata: bool,
    /// The tier of service of an answer.
    pub tiers: bool,
}

impl Vocabulary {
    /// All that the common form can say.
    pub const fn all(dialect: Dialect) -> Self {
        Self::with(dialect, true)
    }

    /// What every dialect can say.
    pub const fn least(dialect: Dialect) -> Self {
        Self::with(dialect, false)
    }

    const fn with(dialect: Dialect, can: bool) -> Self {
        Self {
            dialect,
            images: can,
            image_urls: can,
            image_detail: can,
            documents: can,
            audio: can,
            reasoning: can,
            unsigned: can,
            signatures: can,
            call_signatures: can,
            redacted: can,
            summaries: can,
            reasoning_ids: can,
            refusals: can,
            citations: can,
            call_ids: can,
            custom_tools: can,
            own: can,
            any_order: can,
            choices: can,
            logprobs: can,
            stop_texts: can,
            cache_reads: can,
            cache_writes: can,
            reasoning_usage: can,
            cache_hints: can,
            developer: can,
            names: can,
            tool_errors: can,
            top_k: can,
            penalties: can,
            seed: can,
            schemas: can,
            json_mode: can,
            metadata: can,
            tiers: can,
        }
    }
}

/// What `strategy` makes where `can` holds, and sometimes nothing; nothing elsewhere.
fn where_said<T: Clone + std::fmt::Debug>(
    can: bool,
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    option::of(strategy).prop_map(move |value| value.filter(|_| can))
}

/// `true` only where `can` holds.
fn flag(can: bool) -> impl Strategy<Value = bool> {
    any::<bool>().prop_map(move |is| is && can)
}

/// A text that is not blank, which some dialects refuse, with all that makes texts hard to write: quotes, control characters,
/// line separators, and characters of several bytes and of several code units.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z ]{1,12}",
        1 => "[ -~]{1,8}",
        1 => prop::sample::select(vec![
            "\"", "\\", "\n", "\r\n", "\t", "\0", "\u{1f}", "\u{7f}", "\u{2028}", "é", "語", "🙂",
            "\u{feff}", "data: ", "</s>", "{}", "[DONE]",
        ]).prop_map(str::to_owned),
    ];
    vec(piece, 1..4).prop_map(|pieces| {
        let text = pieces.concat();
        if text.trim().is_empty() { text + "x" } else { text }
    })
}

/// A word as ids and names are made of.
fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,10}"
}

fn signature(dialect: Dialect) -> impl Strategy<Value = ReasoningSignature> {
    "[A-Za-z0-9+/]{4,16}".prop_map(move |data| ReasoningSignature::new(dialect, data))
}

/// A JSON object of a few members.
fn object() -> impl Strategy<Value = Json> {
    let value = prop_oneof![
        text().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        vec(any::<u8>(), 0..3).prop_map(serde_json::Value::from),
    ];
    vec((word(), value), 0..3).prop_map(|members| {
        let object: serde_json::Map<_, _> = members.into_iter().collect();
        let text = serde_json::Value::from(object).to_string();
        Json::parse(text).expect("a map is written as an object")
    })
}

/// Base64 of a few bytes.
fn base64() -> impl Strategy<Value = String> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    vec(any::<u8>(), 1..12).prop_map(|bytes| BASE64_STANDARD.encode(bytes))
}
