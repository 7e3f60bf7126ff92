//! A stream of an upstream, read into the common form chunk by chunk.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer_in::{MAX_CHOICES, addresses_cited, read_image, read_logprobs},
    calls_in::Calls,
    details,
    finish::{self, Said as Done},
    messages_in::citation_of,
    parts_out::BETWEEN_TEXTS,
};
use crate::{
    domain::chat::{Delta, Losses},
    gateway::{
        dialect::openai_chat::{
            Chunk, DONE, ErrorObject, is_blank, parse_usage,
            wire::{
                answer::{Spoken, WireAnswer, WireChoice, WireExtra, WireMessage},
                lenient::{Items, Text},
                reasoning::{Detail, ENCRYPTED},
            },
        },
        failure::classify,
        translate::{ReadStream, Said, Unparsable},
    },
};

type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

/// See [`ReadStream`].
#[derive(Debug, Default)]
pub(super) struct Reader {
    has_begun: bool,
    /// The one that was told last: most servers repeat it with each chunk.
    tier: String,
    choices: Vec<Choice>,
    losses: Losses,
}

/// What is known of the thoughts of a choice.
#[derive(Debug, Default)]
struct Thoughts {
    /// Whether words of one have come, and no seal of it.
    are_open: bool,
    /// Whether their words come without entries, which then only repeat them.
    are_plain: bool,
}

#[derive(Debug, Default)]
struct Choice {
    index: u64,
    is_over: bool,
    has_refusal: bool,
    has_citation: bool,
    thoughts: Thoughts,
    calls: Calls,
}

impl ReadStream for Reader {
    fn read(&mut self, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<Said, Unparsable> {
        if data.trim_ascii() == DONE {
            return Ok(Said::Done);
        }
        let text = std::str::from_utf8(data).map_err(|_| Unparsable)?;
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Unparsable);
        }
        let wire: WireAnswer<'_> = serde_json::from_str(text).map_err(|_| Unparsable)?;
        let is_bare = wire.choices.is_none() && wire.usage.is_none();
        if is_bare || wire.error.is_some_and(|error| !is_blank(error)) {
            // Some servers send their error objects bare. Any other object without choices is
            // something of the vendor's own.
            return Ok(match ErrorObject::parse(data) {
                Some(error) => Said::Failed(Box::new(classify(200, Some(error)))),
                None => Said::Foreign,
            });
        }
        if !self.has_begun {
            self.has_begun = true;
            sink(Delta::Begin { id: wire.id.filled(), model: wire.model.filled() });
        }
        if let Some(tier) = wire.service_tier.filled().filter(|tier| *tier != self.tier) {
            (*tier).clone_into(&mut self.tier);
            sink(Delta::Tier(tier));
        }
        let mut addresses = Some(wire.citations);
        let mut has_read = false;
        for choice in wire.choices.unwrap_or_default().0 {
            has_read |= choice.delta.as_ref().is_some_and(says_something);
            self.read_choice(choice, &mut addresses, sink);
        }
        if !has_read && has_unread(data) {
            return Err(Unparsable);
        }
        if let Some(usage) = wire.usage.and_then(parse_usage) {
            sink(Delta::Usage(usage));
        }
        Ok(Said::More)
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// Whether anything of the answer was read from a message.
fn says_something(message: &WireMessage<'_>) -> bool {
    let has_content = match &message.content {
        Spoken::Nothing => false,
        Spoken::Text(text) => !text.is_empty(),
        Spoken::Parts(parts) => parts.iter().any(|part| {
            !part.text.as_str().is_empty() || !matches!(part.thinking, Spoken::Nothing)
        }),
    };
    let texts =
        [&message.reasoning_content, &message.reasoning, &message.reasoning_text, &message.refusal];
    has_content
        || texts.iter().any(|text| !text.as_str().is_empty())
        || !message.tool_calls.0.is_empty()
        || message.function_call.is_some()
}

/// Whether a chunk of which nothing was read has words or calls all the same, in another shape.
fn has_unread(data: &[u8]) -> bool {
    // Choices that are no list are no chunk's.
    let Ok(chunk) = Chunk::parse(data) else { return !has_choices(data) };
    let is_odd = |written: &&str| written.starts_with(['{', '[']);
    chunk.has_tool_call || chunk.words.texts.iter().flatten().any(is_odd)
}

fn has_choices(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Listed<'a> {
        #[serde(borrow)]
        choices: Option<Vec<&'a RawValue>>,
    }
    serde_json::from_slice::<Listed<'_>>(data).is_ok_and(|it| it.choices.is_some())
}

impl Reader {
    fn read_choice<'a>(
        &mut self,
        wire: WireChoice<'a>,
        addresses: &mut Option<Items<Text<'a>>>,
        sink: Sink<'_>,
    ) {
        let index = wire.index.0.unwrap_or(0);
        let Some(at) = self.place_of(index) else { return };
        let Self { choices, losses, .. } = self;
        let state = &mut choices[at];
        let Ok(choice) = u32::try_from(index) else { return };
        if let Some(message) = wire.delta {
            state.read_message(choice, message, losses, sink);
        }
        if let Some(tokens) = wire.logprobs.and_then(read_logprobs) {
            sink(Delta::Logprobs { choice, tokens });
        }
        if wire.finish_reason.as_str().is_empty() {
            return;
        }
        // Some servers go on after they have ended a choice, and end it again: the last word counts.
        let is_first = !std::mem::replace(&mut state.is_over, true);
        state.calls.finish(losses);
        // Perplexity repeats them with each chunk: those of the last one count.
        if is_first && !state.has_citation {
            for citation in addresses_cited(addresses.take().unwrap_or_default()) {
                sink(Delta::Citation { choice, citation: Box::new(citation) });
            }
        }
        let said = Done { calls: !state.calls.is_empty(), refusal: state.has_refusal };
        let stop_texts = [wire.stop_reason, wire.matched_stop];
        let reason = finish::read(wire.finish_reason.as_str(), said, stop_texts);
        sink(Delta::Stop { choice, reason });
    }

    /// `None`: there are too many choices.
    fn place_of(&mut self, index: u64) -> Option<usize> {
        if let Some(at) = self.choices.iter().position(|choice| choice.index == index) {
            return Some(at);
        }
        if index >= MAX_CHOICES as u64 {
            self.losses.note("n");
            return None;
        }
        self.choices.push(Choice { index, ..Choice::default() });
        Some(self.choices.len() - 1)
    }
}

impl Choice {
    fn read_message(
        &mut self,
        choice: u32,
        mut message: WireMessage<'_>,
        losses: &mut Losses,
        sink: Sink<'_>,
    ) {
        let words = message.thoughts();
        self.read_thoughts(choice, words, &message.reasoning_details.0, sink);
        match message.content {
            Spoken::Nothing => (),
            Spoken::Text(text) => self.say(choice, text, sink),
            Spoken::Parts(parts) => {
                for part in parts {
                    self.think(choice, part.thinking.into_text(), false, sink);
                    self.say(choice, part.text.0.unwrap_or_default(), sink);
                }
            }
        }
        if let Some(text) = message.refusal.filled() {
            self.has_refusal = true;
            sink(Delta::Refusal { choice, text });
        }
        for citation in message.annotations.0.into_iter().filter_map(citation_of) {
            self.has_citation = true;
            sink(Delta::Citation { choice, citation: Box::new(citation) });
        }
        for image in message.images.0 {
            if let Some(part) = read_image(image, losses) {
                sink(Delta::Whole { choice, part: Box::new(part) });
            }
        }
        losses.note_if(message.audio.is_some_and(|audio| !is_blank(audio)), "audio");
        let is_sealed = message.extra_content.and_then(WireExtra::thought_signature).is_some();
        losses.note_if(is_sealed, "reasoning.signature");
        for call in message.tool_calls.0 {
            self.calls.add(choice, call, losses, sink);
        }
        if let Some(called) = message.function_call {
            self.calls.add_function(choice, called, losses, sink);
        }
    }

    fn say(&mut self, choice: u32, text: Cow<'_, str>, sink: Sink<'_>) {
        if !text.is_empty() {
            self.thoughts.are_open = false;
            sink(Delta::Text { choice, text });
        }
    }

    fn think(&mut self, choice: u32, text: Cow<'_, str>, is_summary: bool, sink: Sink<'_>) {
        if !text.is_empty() {
            self.thoughts.are_open = true;
            sink(Delta::Reasoning { choice, text, is_summary });
        }
    }

    /// Entries tell what the plain words beside them do not: whether they are a summary, and what
    /// seals them. Some servers, ours among them, send the words plain and then the whole entry.
    fn read_thoughts(
        &mut self,
        choice: u32,
        mut words: Option<Cow<'_, str>>,
        entries: &[&RawValue],
        sink: Sink<'_>,
    ) {
        if entries.is_empty() {
            let Some(words) = words else { return };
            let is_separator = self.thoughts.are_plain && !self.thoughts.are_open;
            self.thoughts.are_plain = true;
            if !is_separator || words != BETWEEN_TEXTS {
                self.think(choice, words, false, sink);
            }
            return;
        }
        for raw in entries {
            let Ok(mut entry) = serde_json::from_str::<Detail<'_>>(raw.get()) else { continue };
            let (text, is_summary) = details::take_text(&mut entry);
            if !self.thoughts.are_plain {
                words = words.filter(|_| text.is_empty());
                self.think(choice, text, is_summary, sink);
            }
            if let Some(words) = words.take() {
                self.think(choice, words, is_summary, sink);
            }
            self.seal(choice, &entry, sink);
        }
        if let Some(words) = words {
            self.think(choice, words, false, sink);
        }
    }

    fn seal(&mut self, choice: u32, entry: &Detail<'_>, sink: Sink<'_>) {
        if let Some(seal) = details::seal_of(entry) {
            let is_redacted = entry.kind == ENCRYPTED && !self.thoughts.are_open;
            self.thoughts.are_open = false;
            sink(Delta::ReasoningSeal { choice, seal, is_redacted });
        }
    }
}
