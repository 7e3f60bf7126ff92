//! Everything there and back, from the fixtures of this dialect.

mod answers;
mod fold;
mod malformed;
mod requests;
mod streams;

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::domain::{
    chat::{Losses, Request},
    id::ModelName,
    time::Timestamp,
};

use super::super::{ClientSide, PathParams, ResponseContext, Target};
use super::Messages;

/// The fixtures in one of the folders: their names without the ending, and their bytes.
fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages").join(folder);
    let mut found: Vec<_> = fs::read_dir(path)
        .expect("the folder is there")
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn fixture(folder: &str, name: &str) -> Vec<u8> {
    fixtures(folder).into_iter().find(|(found, _)| found == name).expect(name).1
}

fn model(name: &str) -> ModelName {
    ModelName::parse(name).unwrap()
}

fn target(model: &ModelName) -> Target<'_> {
    Target { model, max_output_tokens: None, asks_stream_usage: true }
}

fn read(body: impl AsRef<[u8]>) -> Request {
    Messages.read_request(body.as_ref(), &PathParams::default()).unwrap()
}

fn shown(request: &Request) -> ResponseContext<'_> {
    ResponseContext { id: "42", created: Timestamp::from_millis(0), model: &request.model, request }
}

fn a_request() -> Request {
    Request::new(model("asked"), Vec::new())
}

fn json(bytes: impl AsRef<[u8]>) -> Value {
    serde_json::from_slice(bytes.as_ref()).expect("it is JSON")
}

fn lossless(losses: &Losses) {
    assert_eq!(losses.to_string(), "lossless");
}
