//! A pool of LLM providers behind one address: it relays, fails over, and accounts for every token.

pub mod actors;
pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod gateway;
pub mod http;
pub mod persistence;
pub mod relay;
pub mod telemetry;
pub mod ws;
