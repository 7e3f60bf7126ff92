//! A stream of an upstream, read into the common form chunk by chunk.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    answer_in::{MAX_CHOICES, addresses_cited, read_image, read_logprobs},
    calls_in::Calls,
    details::{self, Entry},
    finish,
    messages_in::citation_of,
    parts_out::BETWEEN_TEXTS,
};
use crate::{
    domain::{
        chat::{Delta, Losses},
        failure::{Failure, FailureClass},
    },
    gateway::{
        dialect::{
            openai_chat::{
                DONE, ErrorObject, is_blank, parse_usage,
                wire::{
                    lenient::{Items, Text},
                    reasoning::{Detail, ENCRYPTED},
                    response_in::{
                        Spoken, WireAnswer, WireCall, WireChoice, WireExtra, WireMessage, WirePart,
                    },
                },
            },
            unread,
        },
        failure::{AbnormalFinish, classify},
        translate::{EventOutcome, OutputKinds, ReadStream, Unparsable, said_text::SaidText},
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
    /// The finish reason of a choice that has failed.
    abnormal: Option<AbnormalFinish>,
    losses: Losses,
}

/// What is known of the thoughts of a choice.
#[derive(Debug, Default)]
struct Thoughts {
    /// Whether words of one have come, and no signature of it.
    are_open: bool,
    /// Whether their words come without entries, which then only repeat them.
    are_plain: bool,
}

#[derive(Debug, Default)]
struct Choice {
    index: u64,
    is_over: bool,
    has_citation: bool,
    thoughts: Thoughts,
    calls: Calls,
    text: SaidText,
    thought: SaidText,
    refusal: SaidText,
    /// How many bytes are kept of these.
    kept: usize,
    /// Whether there is something in the chunk that is being read which was not handed on.
    has_unread: bool,
}

impl ReadStream for Reader {
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<EventOutcome, Unparsable> {
        if data.trim_ascii() == DONE {
            let lack_names = self.choices.iter().any(|choice| choice.calls.lack_names());
            return Ok(if lack_names {
                let what = "a call of the stream has no name";
                EventOutcome::Failed(Box::new(Failure::new(FailureClass::Cut, what)))
            } else {
                EventOutcome::Done
            });
        }
        let text = std::str::from_utf8(data).map_err(|_| Unparsable)?;
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Unparsable);
        }
        let (wire, unread) = unread::from_str::<WireAnswer<'_>>(text).map_err(|_| Unparsable)?;
        let is_bare = wire.choices.is_none() && wire.usage.is_none();
        if is_bare || wire.error.is_some_and(|error| !is_blank(error)) {
            // Some servers send their error objects bare. Any other object without choices is
            // something of the vendor's own.
            return Ok(match ErrorObject::parse(data) {
                Some(error) => EventOutcome::Failed(Box::new(classify(200, Some(error)))),
                None if unread.is_text(&mut self.losses) => return Err(Unparsable),
                None => EventOutcome::Foreign,
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
        let mut is_lost = unread.is_text(&mut self.losses);
        for choice in wire.choices.unwrap_or_default().0 {
            is_lost |= !self.read_choice(choice, &mut addresses, sink);
        }
        if let Some(usage) = wire.usage.map(RawValue::get).and_then(parse_usage) {
            sink(Delta::Usage(usage));
        }
        match self.abnormal.take() {
            Some(finish) => Ok(EventOutcome::Failed(Box::new(finish.failure()))),
            None if is_lost => Err(Unparsable),
            None => Ok(EventOutcome::More),
        }
    }

    fn skip(&mut self, words: &str, are_thoughts: bool) {
        if let Some(at) = self.place_of(0) {
            let Choice { text, thought, kept, .. } = &mut self.choices[at];
            if are_thoughts { thought } else { text }.push(words, kept);
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl Reader {
    /// `false`: what it says may not be all that was said.
    fn read_choice<'a>(
        &mut self,
        wire: WireChoice<'a>,
        addresses: &mut Option<Items<Text<'a>>>,
        sink: Sink<'_>,
    ) -> bool {
        let index = wire.index.0.unwrap_or(0);
        let Some(at) = self.place_of(index) else { return true };
        let Self { choices, losses, abnormal, .. } = self;
        let state = &mut choices[at];
        let Ok(choice) = u32::try_from(index) else { return true };
        if let Some(message) = wire.delta {
            state.read_message(choice, message, losses, sink);
        }
        if let Some(message) = wire.message {
            state.read_whole(choice, message, losses, sink);
        }
        let word = wire.finish_reason.as_str();
        state.has_unread |= (state.is_over || !word.is_empty()) && state.calls.lack_names();
        let is_all = !std::mem::take(&mut state.has_unread);
        if let Some(tokens) = wire.logprobs.and_then(read_logprobs) {
            sink(Delta::Logprobs { choice, tokens });
        }
        if word.is_empty() {
            return is_all;
        }
        if let Some(finish) = AbnormalFinish::of_chat(word) {
            *abnormal = Some(finish);
            return is_all;
        }
        // Some servers go on after they have ended a choice, and end it again: the last word counts.
        let is_first = !std::mem::replace(&mut state.is_over, true);
        // Perplexity repeats them with each chunk: those of the last one count.
        if is_first && !state.has_citation {
            for citation in addresses_cited(addresses.take().unwrap_or_default()) {
                sink(Delta::Citation { choice, citation: Box::new(citation) });
            }
        }
        let said =
            OutputKinds { calls: !state.calls.is_empty(), refusal: !state.refusal.is_empty() };
        let stop_texts = [wire.stop_reason, wire.matched_stop];
        let reason = finish::read(word, said, stop_texts);
        sink(Delta::Stop { choice, reason });
        is_all
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
    /// Reads a whole message in a chunk: an answer that comes at once, or all that was said up to now, as
    /// Perplexity repeats it. What it says beyond that goes on.
    fn read_whole(
        &mut self,
        choice: u32,
        mut message: WireMessage<'_>,
        losses: &mut Losses,
        sink: Sink<'_>,
    ) {
        let is_new = [&self.text, &self.thought, &self.refusal].into_iter().all(SaidText::is_empty);
        if is_new && self.calls.is_empty() {
            return self.read_message(choice, message, losses, sink);
        }
        let (entries, has_unread) = details::entries(&message.reasoning_details.0, losses);
        let (words, are_all) = message.thoughts();
        self.has_unread |= has_unread || !are_all;
        let entries = entries.into_iter().map(|entry| (entry.text, entry.is_summary));
        for (text, is_summary) in entries.chain(words.map(|words| (words, false))) {
            let rest = self.thought.rest_of(&text);
            self.go_on(rest, |it, rest| it.think(choice, rest, is_summary, sink));
        }
        let (text, refusal) = (message.content.into_text(), message.refusal.filled());
        let rest = self.text.rest_of(&text);
        self.go_on(rest, |it, text| it.say(choice, text, sink));
        let refusal = refusal.unwrap_or_default();
        let rest = self.refusal.rest_of(&refusal);
        self.go_on(rest, |it, text| it.refuse(choice, Text(Some(text)), sink));
        let legacy = message
            .function_call
            .map(|called| (None, WireCall { function: Some(called), ..WireCall::default() }));
        let calls = message.tool_calls.0.into_iter().enumerate();
        for (place, call) in calls.map(|(place, call)| (Some(place), call)).chain(legacy) {
            self.has_unread |= !self.calls.add_whole(choice, place, call, losses, sink);
        }
    }

    fn read_message(
        &mut self,
        choice: u32,
        mut message: WireMessage<'_>,
        losses: &mut Losses,
        sink: Sink<'_>,
    ) {
        let (words, are_all) = message.thoughts();
        self.has_unread |= !are_all;
        self.read_thoughts(choice, words, &message.reasoning_details.0, losses, sink);
        match message.content {
            Spoken::Nothing => (),
            Spoken::Text(text) => self.say(choice, text, sink),
            Spoken::Parts(parts) => {
                for part in parts {
                    self.think(choice, part.thinking.into_text(), false, sink);
                    self.say(choice, part.text.0.unwrap_or_default(), sink);
                    self.refuse(choice, part.refusal, sink);
                    if part.image_url.is_some() {
                        let image = WirePart { image_url: part.image_url, ..WirePart::default() };
                        message.images.0.push(image);
                    }
                }
            }
        }
        self.refuse(choice, message.refusal, sink);
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
        let is_signed = message.extra_content.and_then(WireExtra::thought_signature).is_some();
        losses.note_if(is_signed, "reasoning.signature");
        for call in message.tool_calls.0 {
            self.has_unread |= !self.calls.add(choice, call, losses, sink);
        }
        if let Some(called) = message.function_call {
            self.has_unread |= !self.calls.add_function(choice, called, losses, sink);
        }
    }

    fn refuse(&mut self, choice: u32, text: Text<'_>, sink: Sink<'_>) {
        if let Some(text) = text.filled() {
            self.refusal.push(&text, &mut self.kept);
            sink(Delta::Refusal { choice, text });
        }
    }

    fn say(&mut self, choice: u32, text: Cow<'_, str>, sink: Sink<'_>) {
        if !text.is_empty() {
            self.text.push(&text, &mut self.kept);
            self.thoughts.are_open = false;
            sink(Delta::Text { choice, text });
        }
    }

    fn think(&mut self, choice: u32, text: Cow<'_, str>, is_summary: bool, sink: Sink<'_>) {
        if !text.is_empty() {
            self.thought.push(&text, &mut self.kept);
            self.thoughts.are_open = true;
            sink(Delta::Reasoning { choice, text, is_summary });
        }
    }

    /// Entries tell what the plain words beside them do not: whether they are a summary, and what
    /// signs them. Some servers, ours among them, send the words plain and then the whole entry.
    fn read_thoughts(
        &mut self,
        choice: u32,
        mut words: Option<Cow<'_, str>>,
        entries: &[&RawValue],
        losses: &mut Losses,
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
        let (entries, has_unread) = details::entries(entries, losses);
        self.has_unread |= has_unread;
        let begin = self.thought.len();
        let is_summary = entries.first().is_some_and(|entry| entry.is_summary);
        if self.thoughts.are_plain || entries.iter().all(|entry| entry.text.is_empty()) {
            self.think(choice, words.take().unwrap_or_default(), is_summary, sink);
        }
        for Entry { detail, text, is_summary } in entries {
            let is_repeated = self.thoughts.are_plain;
            let rest = if is_repeated { self.thought.rest_of(&text) } else { Some(&*text) };
            self.go_on(rest, |it, text| it.think(choice, text, is_summary, sink));
            self.sign(choice, &detail, sink);
        }
        let words = words.unwrap_or_default();
        let rest = self.thought.rest_between(begin, self.thought.len(), &words);
        self.go_on(rest.map(|(_, rest)| rest), |it, text| it.think(choice, text, is_summary, sink));
    }

    /// Says the rest of a whole. `None`: it has none, being something else than what was said.
    fn go_on<'t>(&mut self, rest: Option<&'t str>, say: impl FnOnce(&mut Self, Cow<'t, str>)) {
        match rest {
            Some(rest) => say(self, rest.into()),
            None => self.has_unread = true,
        }
    }

    fn sign(&mut self, choice: u32, entry: &Detail<'_>, sink: Sink<'_>) {
        if let Some(signature) = details::signature_of(entry) {
            let is_redacted = entry.kind == ENCRYPTED && !self.thoughts.are_open;
            self.thoughts.are_open = false;
            sink(Delta::ReasoningSignature { choice, signature, is_redacted });
        }
    }
}
