//! Gemini `generateContent`: what stands on the wire, as it is read and as it is written.
//!
//! Requests of clients are read field by field where they are translated, because each mistake in
//! them is told with its path.
//!
//! Sources, read 2026-11: <https://ai.google.dev/api/generate-content>,
//! <https://ai.google.dev/api/caching#Part>, and the types of
//! <https://github.com/googleapis/python-genai>.

mod answer;
mod metadata;
mod part;
mod written_answer;
mod written_part;
mod written_request;

pub use answer::{
    Candidate, GenerateContentResponse, LogprobsResult, PromptFeedback, TokenCandidate,
    UsageMetadata,
};
pub use metadata::{CitationMetadata, GroundingMetadata};
pub use part::{Blob, FileData, FunctionCall, Part, Text};
pub use written_answer::{
    WrittenAnswer, WrittenCandidate, WrittenGrounding, WrittenGroundingChunk, WrittenLogprob,
    WrittenLogprobs, WrittenSegment, WrittenSupport, WrittenTop, WrittenUsage, WrittenWeb,
};
pub use written_part::{
    WrittenBlob, WrittenCall, WrittenContent, WrittenData, WrittenFile, WrittenPart, WrittenResult,
    WrittenResultPart,
};
pub use written_request::{
    WrittenCalling, WrittenConfig, WrittenFunction, WrittenRequest, WrittenThinking, WrittenTool,
    WrittenToolConfig,
};
