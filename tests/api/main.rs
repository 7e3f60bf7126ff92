//! The whole pool as its callers see it: the real application on a port of its own, in front of an
//! upstream that does what a test says. One file per resource or law.

#![allow(clippy::unwrap_used)]

mod support;

mod abnormal_finish;
mod bad_input;
mod cloudcode;
mod continued_responses;
mod cooldowns;
mod cooling;
mod copilot;
mod crashes;
mod credentials;
mod deadline;
mod dialects;
mod embeddings;
mod environment;
mod events;
mod explain;
mod failover;
mod failures;
mod faults;
mod formats;
mod health;
mod hedging;
mod honest_entries;
mod keys;
mod large_events;
mod models;
mod odd_texts;
mod operations;
mod output_limits;
mod providers;
mod relay;
mod released;
mod resume;
mod routes;
mod routing;
mod scenarios;
mod secrets;
mod settlement;
mod simulated;
mod stored_names;
mod stream_errors;
mod streams;
mod switched_off;
mod thinking;
mod traces;
mod unreadable_rows;
mod usage;
mod waiting;
