//! How many tokens a conversation has, estimated here: for upstreams that tell none, for limits, and
//! for clients that ask.
//!
//! Every model counts in its own way. Texts are counted with one vocabulary ([`text`]), and what is
//! counted is raised by [`BIAS_PERCENT`], so that an estimate is rather too high than too low.
//! Whoever shows one says that it is an estimate ([`Usage::is_estimated`]).

mod media;
mod output;
mod prompt;
mod rough;
mod text;

pub use self::{
    output::OutputEstimate,
    prompt::{count_prompt, estimate_prompt},
    rough::{PartialUsage, TextLength, rough_prompt},
};
use crate::domain::{chat::Usage, usage::TokenUsage};

/// What an estimate is of what was counted, in percent.
///
/// The vocabulary counts what OpenAI's models do within a few percent. Anthropic's count a tenth to a
/// fifth more for English and code, and Gemini's and Llama's are between the two.
pub const BIAS_PERCENT: u64 = 120;

fn biased(tokens: u64) -> u64 {
    tokens.saturating_mul(BIAS_PERCENT).div_ceil(100)
}

/// Unpacks the vocabulary on a thread of its own, so that nobody has to wait for it.
///
/// Errors: there is no thread to be had. Until another way is found to unpack it, estimates go by lengths.
pub fn warm_up() -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("vocabulary".to_owned());
    thread.spawn(|| _ = text::vocabulary()).map(|_| ())
}

/// The usage of an answer whose upstream told none. None of the prompt counts as cached.
pub fn estimated_usage(prompt: u64, output: &OutputEstimate) -> Usage {
    let (output, reasoning) = output.tokens();
    Usage {
        tokens: TokenUsage { input: prompt, output, ..TokenUsage::default() },
        reasoning: Some(reasoning).filter(|tokens| *tokens > 0),
        is_estimated: true,
    }
}
