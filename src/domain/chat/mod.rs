//! The common form of a conversation: what every chat API can say, in one shape.
//!
//! A request is read from the client's dialect into it and written from it in the upstream's; an
//! answer goes the other way, whole ([`Answer`]) or piece by piece ([`Delta`]). What a dialect cannot
//! say is never dropped in silence: whoever drops it notes that in [`Losses`].
//!
//! Values only: no bytes of any dialect, no I/O, no clock.

mod answer;
#[cfg(test)]
pub(crate) mod arbitrary;
mod assembly;
mod citation;
mod delta;
mod json;
mod losses;
mod memory_size;
mod part;
mod reasoning_signature;
mod request;
mod thinking;
mod tool;

pub use answer::{Answer, Choice, StopReason, TokenLogprob, TopLogprob, Usage};
pub use assembly::{Assembly, AssemblyError, MAX_CALLS, MAX_CHOICES, deltas_of};
pub use citation::{Citation, Place};
pub use delta::Delta;
pub use json::Json;
pub use losses::Losses;
pub use memory_size::memory_size;
pub use part::{
    CacheHint, Content, Document, ImageDetail, Part, Reasoning, Role, Source, ToolCall, ToolResult,
    Turn,
};
pub use reasoning_signature::{Dialect, ReasoningSignature};
pub use request::{OutputFormat, Request, Sampling};
pub use thinking::{Effort, Thinking, ThinkingMode};
pub use tool::{CallKind, FunctionTool, Namespaced, Tool, ToolChoice};
