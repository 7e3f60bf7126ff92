//! OpenAI Responses: what is read of answers and events, and what is written of everything.
//!
//! Sources, read 2026-11: <https://developers.openai.com/api/reference/resources/responses>, its
//! streaming events <https://developers.openai.com/api/reference/resources/responses/streaming-events>,
//! and the types of openai-python 3.57 (`openai/types/responses`).

mod logprob;
mod read;
mod usage;
mod written_event;
mod written_item;
mod written_request;
mod written_response;

pub use logprob::{WrittenLogprob, parse_logprobs};
pub use read::{RawEvent, RawItem, RawPart, RawResponse, count_of, elements_of, text_in};
pub use usage::{WrittenUsage, parse_usage};
pub use written_event::{WrittenEvent, write_named};
pub use written_item::{
    InputAudio, OutputText, Piece, PromptCacheBreakpoint, ReasoningText, SummaryText, TextOrParts,
    WrittenContent, WrittenItem,
};
pub use written_request::{
    AllowedTool, RequestBody, WrittenChoice, WrittenFormat, WrittenReasoning, WrittenText,
    WrittenTool,
};
pub use written_response::{IncompleteDetails, ResponseError, ResponseObject};
