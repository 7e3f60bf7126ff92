//! The dialect against the fixtures of its published format, there and back.

mod answers;
mod requests;
mod streams;
mod support;
