//! A pool of LLM providers behind one address: it relays, fails over, and accounts for every token.

pub mod actors;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod gateway;
pub mod persistence;
pub mod telemetry;
pub mod ws;
