//! What holds for every fixture, and what exact words are read and written.

mod answers;
mod edges;
mod requests;
mod streams;
mod support;
