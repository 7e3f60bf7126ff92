//! Chat Completions field by field, for those who take messages apart or put them together. The
//! [`ChatRequest`](super::ChatRequest), [`WholeAnswer`](super::WholeAnswer) and
//! [`Chunk`](super::Chunk) beside it only look at bytes that are passed on.
//!
//! Types only. What comes from upstreams is read leniently, what goes out is written exactly.
//!
//! Sources, read 2026-11: <https://platform.openai.com/docs/api-reference/chat>, the types of
//! openai-python 3.57, and for what others add the pages named where they are.

pub mod completion;
pub mod lenient;
pub mod reasoning;
pub mod request_in;
pub mod request_out;
pub mod response_in;
pub mod response_out;
