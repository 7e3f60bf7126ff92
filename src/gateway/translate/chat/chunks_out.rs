//! The chunks of a stream, byte by byte.

use super::answer_out::answer_id;
use crate::{
    domain::chat::Usage,
    gateway::{
        dialect::openai_chat::{
            ShownUsage,
            wire::shown::{ChunkChoice, ChunkDelta},
        },
        translate::Shown,
    },
};

/// What all chunks have in common.
#[derive(Debug)]
pub(super) struct Chunks {
    /// From `data:` to the opening of the list of choices.
    head: Vec<u8>,
    wants_usage: bool,
    created: i64,
    id: String,
    model: String,
    tier: Option<String>,
}

impl Chunks {
    pub fn new(shown: &Shown<'_>) -> Self {
        let mut chunks = Self {
            head: Vec::new(),
            model: shown.model.as_str().to_owned(),
            tier: None,
            wants_usage: shown.request.wants_stream_usage,
            created: shown.created.as_millis() / 1000,
            id: answer_id(shown.id),
        };
        chunks.write_head();
        chunks
    }

    /// All chunks from here on are of this model.
    pub fn name_model(&mut self, model: &str) {
        model.clone_into(&mut self.model);
        self.write_head();
    }

    /// All chunks from here on are of this tier.
    pub fn name_tier(&mut self, tier: &str) {
        self.tier = Some(tier.to_owned());
        self.write_head();
    }

    fn write_head(&mut self) {
        self.head.clear();
        self.head.extend_from_slice(b"data: {\"id\":");
        append_json(&mut self.head, &self.id);
        self.head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        append_json(&mut self.head, &self.created);
        self.head.extend_from_slice(b",\"model\":");
        append_json(&mut self.head, &self.model);
        if let Some(tier) = &self.tier {
            self.head.extend_from_slice(b",\"service_tier\":");
            append_json(&mut self.head, tier);
        }
        self.head.extend_from_slice(b",\"choices\":[");
    }

    pub fn write(&self, choice: &ChunkChoice<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        append_json(out, choice);
        // Whoever asks for usage gets it in each chunk, as `null` in all but the last.
        out.extend_from_slice(if self.wants_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" });
    }

    pub fn write_delta(&self, index: u32, delta: ChunkDelta<'_>, out: &mut Vec<u8>) {
        let choice =
            ChunkChoice { index, delta, logprobs: None, finish_reason: None, stop_reason: None };
        self.write(&choice, out);
    }

    /// Writes the last chunk, for those who ask for it.
    pub fn write_usage(&self, usage: &Usage, out: &mut Vec<u8>) {
        if !self.wants_usage {
            return;
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"],\"usage\":");
        append_json(out, &ShownUsage::from(usage));
        out.extend_from_slice(b"}\n\n");
    }
}

fn append_json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value)
        .expect("texts and finite numbers are always JSON, and a vector takes any bytes");
}
