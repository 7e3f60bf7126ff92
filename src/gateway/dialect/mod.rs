//! One module per API: its wire types and cheap looks at its bytes. No I/O, no policy.

pub mod gemini;
pub mod messages;
pub mod object;
pub mod ollama;
pub mod openai_chat;
pub mod responses;
pub mod strict;
pub mod unread;
mod word;
