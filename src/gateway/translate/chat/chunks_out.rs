//! The chunks of a stream, byte by byte.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer_out::answer_id;
use crate::{
    domain::chat::Usage,
    gateway::{
        dialect::openai_chat::{
            ShownUsage,
            wire::response_out::{ChunkChoice, ChunkDelta},
        },
        translate::ResponseContext,
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
    /// What the chunks before had in common, which these go on after.
    shared: Shared,
}

/// What the chunks of a stream have in common, as it was written.
#[derive(Debug, Default)]
struct Shared {
    id: Option<Box<RawValue>>,
    created: Option<Box<RawValue>>,
    model: Option<Box<RawValue>>,
    system_fingerprint: Option<Box<RawValue>>,
}

/// Longest of these values that is kept, in bytes: longer than any real one.
const MAX_SHARED_BYTES: usize = 1024;

impl Shared {
    /// Reads it from a chunk. `None`: it is no object, or one of the values is too long.
    fn parse(data: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            created: Option<&'a RawValue>,
            #[serde(borrow)]
            model: Option<&'a RawValue>,
            #[serde(borrow)]
            system_fingerprint: Option<&'a RawValue>,
        }

        let head: Head<'_> = serde_json::from_slice(data).ok()?;
        let values = [head.id, head.created, head.model, head.system_fingerprint];
        if values.into_iter().flatten().any(|value| value.get().len() > MAX_SHARED_BYTES) {
            return None;
        }
        let [id, created, model, system_fingerprint] = values.map(|it| it.map(ToOwned::to_owned));
        Some(Self { id, created, model, system_fingerprint })
    }
}

impl Chunks {
    pub fn new(shown: &ResponseContext<'_>) -> Self {
        let mut chunks = Self {
            head: Vec::new(),
            model: shown.model.as_str().to_owned(),
            tier: None,
            shared: Shared::default(),
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

    /// All chunks from here on are of the stream that this one is of. `false`: it tells too little.
    pub fn adopt(&mut self, data: &[u8]) -> bool {
        let Some(shared) = Shared::parse(data) else { return false };
        self.shared = shared;
        self.write_head();
        true
    }

    fn write_head(&mut self) {
        self.head.clear();
        self.head.extend_from_slice(b"data: {\"id\":");
        append_or(&mut self.head, self.shared.id.as_deref(), &self.id);
        self.head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        append_or(&mut self.head, self.shared.created.as_deref(), &self.created);
        self.head.extend_from_slice(b",\"model\":");
        append_or(&mut self.head, self.shared.model.as_deref(), &self.model);
        if let Some(fingerprint) = &self.shared.system_fingerprint {
            self.head.extend_from_slice(b",\"system_fingerprint\":");
            append_json(&mut self.head, fingerprint);
        }
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

fn append_or<T: serde::Serialize>(out: &mut Vec<u8>, known: Option<&RawValue>, ours: &T) {
    match known {
        Some(known) => append_json(out, known),
        None => append_json(out, ours),
    }
}
