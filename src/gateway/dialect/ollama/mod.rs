//! Ollama: what goes over the wire of `/api/chat` and `/api/generate`.
//!
//! Sources, read 2026-11: <https://docs.ollama.com/api>, and where it is silent the server's own types,
//! <https://github.com/ollama/ollama/blob/main/api/types.go>, and how it uses them,
//! <https://github.com/ollama/ollama/blob/main/server/routes.go>.

mod answer;
mod line;
mod logprob;
mod request;

pub use answer::{AnswerLine, SaidCall, SaidMessage, Words};
pub use line::{ChatLine, End, ErrorLine, GenerateLine, Message as ShownMessage};
pub use logprob::{Logprob, TokenLogprob};
pub use request::{
    CalledFunction, ChatRequest, Format, Function, Message, Options, Think, Tool, ToolCall,
};
