//! Turns as messages for an upstream.

use std::borrow::Cow;

use super::{
    details,
    parts_out::{BETWEEN_TEXTS, content, note, result_part, sent_cache, text_part, user_part},
};
use crate::{
    domain::{
        chat::{
            CallKind, Content, Dialect, Losses, Part, Reasoning, Role, Source, ToolCall,
            ToolResult, Turn,
        },
        model_rules::{ModelRules, ThoughtField},
    },
    gateway::{
        dialect::openai_chat::wire::request_out::{
            CallOut, CustomOut, ExtraOut, FunctionOut, KnownPart, SentContent, SentId, SentMessage,
            SentPart,
        },
        translate::call_ids::CallIds,
    },
};

pub(super) fn write<'a>(
    turns: &'a [Turn],
    rules: &ModelRules,
    losses: &mut Losses,
) -> Vec<SentMessage<'a>> {
    let ids = CallIds::new(rules.call_ids(), "call");
    let mut writer = Writer { rules, losses, ids, messages: Vec::with_capacity(turns.len()) };
    // Calls that are made together must stand in one message: an assistant's turns are joined.
    let is_same = |a: &Turn, b: &Turn| {
        (a.role, b.role) == (Role::Assistant, Role::Assistant) && a.name == b.name
    };
    for group in turns.chunk_by(is_same) {
        match group {
            [turn] if turn.role != Role::Assistant => writer.add(turn),
            _ => writer.add_assistant(group),
        }
    }
    writer.messages
}

struct Writer<'a, 'w> {
    rules: &'w ModelRules,
    losses: &'w mut Losses,
    ids: CallIds,
    messages: Vec<SentMessage<'a>>,
}

impl<'a> Writer<'a, '_> {
    fn add(&mut self, turn: &'a Turn) {
        let role = match turn.role {
            Role::Developer if self.rules.reasons() => "developer",
            Role::System | Role::Developer => "system",
            Role::User | Role::Tool | Role::Assistant => "user",
        };
        let mut parts = Vec::with_capacity(turn.parts.len());
        let mut is_nothing_but_results = turn.role == Role::Tool;
        for part in &turn.parts {
            match &part.content {
                Content::ToolResult(result) => {
                    self.add_result(result, part);
                    is_nothing_but_results |= parts.is_empty();
                }
                Content::Text { .. } => parts.extend(user_part(part, self.rules, self.losses)),
                other if role != "user" => note(other, self.losses),
                _ => parts.extend(user_part(part, self.rules, self.losses)),
            }
        }
        if parts.is_empty() && is_nothing_but_results {
            return;
        }
        let content = Some(content(parts, self.rules));
        let name = turn.name.as_deref();
        self.messages.push(SentMessage { role, content, name, ..SentMessage::default() });
    }

    fn add_result(&mut self, result: &'a ToolResult, part: &'a Part) {
        self.losses.note_if(result.is_error, "tool_result.is_error");
        let mut parts: Vec<_> =
            result.parts.iter().map(|part| result_part(part, self.rules, self.losses)).collect();
        let cache = sent_cache(part.cache, self.rules, self.losses);
        if let (Some(cache), Some(SentPart::Known(last))) = (cache, parts.last_mut())
            && let KnownPart::Text { cache_control, .. } = last
        {
            cache_control.get_or_insert(cache);
        }
        let message = SentMessage {
            role: "tool",
            content: Some(content(parts, self.rules)),
            tool_call_id: Some(self.ids.of_result(result)),
            ..SentMessage::default()
        };
        self.messages.push(message);
    }

    fn add_assistant(&mut self, turns: &'a [Turn]) {
        self.ids.begin_message();
        let mut said = Assistant::default();
        for turn in turns {
            said.begins_turn = !said.parts.is_empty();
            for part in &turn.parts {
                self.add_said(&mut said, part);
            }
        }
        let mut message = SentMessage {
            role: "assistant",
            name: turns.first().and_then(|turn| turn.name.as_deref()),
            ..SentMessage::default()
        };
        self.write_thoughts(&mut message, &said.thoughts);
        message.content = match said.parts.is_empty() {
            // Only beside calls or a refusal may there be no content.
            true if said.calls.is_empty() && said.refusal.is_none() => {
                Some(SentContent::Text(Cow::Borrowed("")))
            }
            true => None,
            false => Some(joined(said.parts)),
        };
        message.refusal = said.refusal;
        message.audio = said.audio;
        message.tool_calls = said.calls;
        self.messages.push(message);
    }

    fn add_said(&mut self, said: &mut Assistant<'a>, part: &'a Part) {
        match &part.content {
            Content::Text { text, citations } => {
                self.losses.note_if(!citations.is_empty(), "citations");
                let cache = sent_cache(part.cache, self.rules, self.losses);
                let text = if std::mem::take(&mut said.begins_turn) && !text.is_empty() {
                    format!("{BETWEEN_TEXTS}{text}").into()
                } else {
                    Cow::Borrowed(&**text)
                };
                said.parts.push(text_part(text, cache));
                return;
            }
            Content::Refusal(text) => said.refusal.get_or_insert_default().push_str(text),
            Content::Reasoning(thought) => said.thoughts.push(thought),
            Content::ToolCall(call) => {
                let id = self.ids.of_call(call);
                said.calls.push(self.call(call, id));
            }
            Content::Audio(Source::File { by: Dialect::Chat, id }) => {
                said.audio = Some(SentId { id });
            }
            Content::Opaque { by: Dialect::Chat, json, .. } => {
                said.parts.push(SentPart::Opaque(json));
            }
            other => note(other, self.losses),
        }
        self.losses.note_if(part.cache.is_some(), "cache_control");
    }

    fn call(&mut self, call: &'a ToolCall, id: Cow<'a, str>) -> CallOut<'a> {
        let signature = call.signature.as_ref().and_then(|signature| {
            let signature =
                signature.for_maker(Dialect::Gemini).filter(|_| self.rules.has_google_signatures);
            self.losses.note_if(signature.is_none(), "reasoning.signature");
            signature
        });
        let mut written = call_out(call, id);
        written.extra_content = signature.map(ExtraOut::signature);
        written
    }

    /// Signed thoughts go back to whoever speaks of `reasoning_details`; plain ones to models that
    /// take them. Others get none.
    fn write_thoughts(&mut self, message: &mut SentMessage<'a>, thoughts: &[&'a Reasoning]) {
        let mut words: Vec<&str> = Vec::new();
        for thought in thoughts {
            let is_own = thought
                .signature
                .as_ref()
                .map(|signature| signature.for_maker(Dialect::Chat).is_some());
            if is_own == Some(true) {
                let index = message.reasoning_details.len() as u64;
                message.reasoning_details.extend(details::write(thought, index));
            }
            let takes_words = self.rules.thoughts().is_some() && !thought.text.is_empty();
            match is_own {
                Some(false) => self.losses.note("reasoning"),
                None if !takes_words => {
                    self.losses.note_if(!thought.text.is_empty(), "reasoning");
                }
                _ if takes_words => words.push(&thought.text),
                _ => (),
            }
        }
        if words.is_empty() {
            return;
        }
        let words = Some(words.join(BETWEEN_TEXTS));
        match self.rules.thoughts() {
            Some(ThoughtField::ReasoningContent) => message.reasoning_content = words,
            Some(ThoughtField::Reasoning) => message.reasoning = words,
            None => (),
        }
    }
}

/// What an assistant says in one message.
#[derive(Default)]
struct Assistant<'a> {
    parts: Vec<SentPart<'a>>,
    /// Whether the next text is the first one of a turn that is joined to another.
    begins_turn: bool,
    thoughts: Vec<&'a Reasoning>,
    refusal: Option<String>,
    audio: Option<SentId<'a>>,
    calls: Vec<CallOut<'a>>,
}

/// The pieces of one text, put together. Pieces that are to be cached stay apart.
fn joined(parts: Vec<SentPart<'_>>) -> SentContent<'_> {
    let is_plain = |part: &SentPart<'_>| {
        matches!(part, SentPart::Known(KnownPart::Text { cache_control: None, .. }))
    };
    if !parts.iter().all(is_plain) {
        return SentContent::Parts(parts);
    }
    let mut texts = parts.into_iter().filter_map(|part| match part {
        SentPart::Known(KnownPart::Text { text, .. }) => Some(text),
        _ => None,
    });
    let first = texts.next().unwrap_or_default();
    SentContent::Text(texts.fold(first, |all, text| all + text))
}

/// A call, without its signature.
pub(super) fn call_out<'a>(call: &'a ToolCall, id: Cow<'a, str>) -> CallOut<'a> {
    let name = Some(&*call.name);
    let (kind, function, custom) = match call.kind {
        CallKind::Function => {
            // A function without parameters may be called with nothing; clients and servers parse it.
            let arguments = if call.input.trim().is_empty() { "{}" } else { &*call.input };
            ("function", Some(FunctionOut { name, arguments }), None)
        }
        CallKind::Custom => ("custom", None, Some(CustomOut { name, input: &call.input })),
    };
    let kind = Some(kind);
    CallOut { index: None, id: Some(id), kind, function, custom, extra_content: None }
}
