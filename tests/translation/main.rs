//! Every dialect against every other, over the fixtures of all.
//!
//! What each fixture becomes elsewhere is compared with snapshots (`cargo insta review`, or
//! `INSTA_UPDATE=always cargo test --test translation`, after reading what changed). That nothing is
//! lost without being named is a law of its own, and so is what a stream may say when it is cut.
//!
//! A new dialect needs its entry in `dialects.rs` and its fixtures, nothing else here.

#![allow(clippy::unwrap_used)]

mod answers;
mod corpus;
mod dialects;
mod essence;
mod fixtures;
mod golden;
mod laws;
mod receipts;
mod requests;
mod streaming;
mod streams;
mod tiny;
mod usage;
