//! What routing asks of a request in the common form.

use crate::{
    domain::{
        chat::{Content, OutputFormat, Part, Request, Role, ThinkingMode, Tool},
        model::{Capabilities, Capability, ModelFacts},
        session::{SessionSignal, session_id},
    },
    gateway::dialect::openai_chat::{
        CHARACTERS_PER_TOKEN, MAX_OPENING_BYTES, SESSION_HEADERS, TOKENS_PER_MEDIUM,
    },
};

/// What a model must be able to do. To think is no such thing: where a model cannot, the request is
/// put to it without, and the client is told.
pub(super) fn needs(request: &Request) -> Capabilities {
    let has = |wanted: fn(&Content) -> bool| {
        request.parts().any(|part| match &part.content {
            Content::ToolResult(result) => result.parts.iter().any(|part| wanted(&part.content)),
            content => wanted(content),
        })
    };
    let needed = [
        (Capability::Vision, has(|content| matches!(content, Content::Image { .. }))),
        (Capability::Audio, has(|content| matches!(content, Content::Audio(_)))),
        (Capability::Tools, !request.tools.is_empty()),
        (Capability::Json, request.output != OutputFormat::Text),
        (Capability::Streaming, request.stream),
    ];
    needed.into_iter().filter(|(_, is_needed)| *is_needed).map(|(which, _)| which).collect()
}

/// So many tokens the prompt and the longest answer allowed have at least.
pub(super) fn prompt_tokens(request: &Request) -> u64 {
    let mut size = Size::default();
    for part in request.parts() {
        size.add(part);
    }
    for tool in &request.tools {
        size.characters += match tool {
            Tool::Function(tool) => {
                let schema = tool.parameters.as_ref().map_or(0, |json| json.as_str().len());
                tool.description.as_ref().map_or(0, |text| text.chars().count()) + schema
            }
            Tool::Custom { description, .. } => {
                description.as_ref().map_or(0, |text| text.chars().count())
            }
            Tool::Own { json, .. } => json.as_str().len(),
        };
    }
    (size.characters as u64 / CHARACTERS_PER_TOKEN)
        .saturating_add(size.media.saturating_mul(TOKENS_PER_MEDIUM))
        .saturating_add(request.max_output_tokens.unwrap_or(0))
}

#[derive(Default)]
struct Size {
    characters: usize,
    media: u64,
}

impl Size {
    fn add(&mut self, part: &Part) {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) => {
                self.characters += text.chars().count();
            }
            Content::Reasoning(reasoning) => self.characters += reasoning.text.chars().count(),
            Content::ToolCall(call) => self.characters += call.input.chars().count(),
            Content::ToolResult(result) => result.parts.iter().for_each(|part| self.add(part)),
            Content::Image { .. }
            | Content::Document(_)
            | Content::Audio(_)
            | Content::Video(_) => self.media += 1,
            Content::Own { json, .. } => self.characters += json.as_str().len(),
        }
    }
}

/// Finds what tells the session: a name the client gave, in a header or in the body, else how the
/// conversation begins.
pub(super) fn with_session<'h, T>(
    request: &Request,
    header: impl Fn(&str) -> Option<&'h str>,
    then: impl FnOnce(SessionSignal<'_>) -> T,
) -> Option<T> {
    for kind in SESSION_HEADERS {
        if let Some(id) = header(kind).and_then(session_id) {
            return Some(then(SessionSignal::Named { kind, id }));
        }
    }
    let named = [
        ("body.prompt_cache_key", request.cache_key.as_deref()),
        // Claude Code names the session in it; of other clients it is a person, which is close.
        ("body.metadata.user_id", request.user.as_deref().filter(|user| user.contains("session"))),
    ];
    for (kind, text) in named {
        if let Some(id) = text.and_then(session_id) {
            return Some(then(SessionSignal::Named { kind, id }));
        }
    }
    let opening = opening(request);
    (!opening.is_empty()).then(|| then(SessionSignal::Opening(opening.as_bytes())))
}

/// The instructions in front and what the user says first; the end of it, because that is where
/// conversations with one system prompt differ.
fn opening(request: &Request) -> String {
    let mut opening = String::new();
    for turn in &request.turns {
        for part in &turn.parts {
            if let Content::Text { text, .. } = &part.content {
                opening.push_str(text);
                opening.push('\u{0}');
            }
        }
        if !matches!(turn.role, Role::System | Role::Developer) {
            break;
        }
    }
    let mut start = opening.len().saturating_sub(MAX_OPENING_BYTES);
    while !opening.is_char_boundary(start) {
        start += 1;
    }
    opening.split_off(start)
}

/// Whether someone has answered in this conversation already.
pub(super) fn is_continuation(request: &Request) -> bool {
    request.turns.iter().any(|turn| matches!(turn.role, Role::Assistant | Role::Tool))
}

/// The request without what a model is known not to be able to do, and the client can do without, and
/// with no larger answer than the model can give. `None`: it needs no change.
pub(super) fn fitted(request: &Request, facts: &ModelFacts) -> Option<Request> {
    let can_think = facts.capabilities.is_none_or(|can| can.has(Capability::Thinking));
    let thinks = |thinking: &crate::domain::chat::Thinking| {
        thinking.mode.is_some_and(|mode| mode != ThinkingMode::Off)
    };
    let thinks_in_vain = !can_think && request.thinking.as_ref().is_some_and(thinks);
    let most = facts.output_tokens.unwrap_or(u64::MAX);
    let asks_too_much = request.max_output_tokens.is_some_and(|asked| asked > most);
    if !thinks_in_vain && !asks_too_much {
        return None;
    }
    let mut fitted = request.clone();
    if thinks_in_vain {
        fitted.thinking = None;
        fitted.losses.note("thinking");
    }
    if asks_too_much {
        fitted.max_output_tokens = Some(most);
        fitted.losses.note("max_output_tokens");
    }
    Some(fitted)
}

/// Most tokens that the answer may be told to have, where that is known. A client that wants a limit
/// of its own gets that, as far as the model goes; for others the prompt is left its place.
pub(super) fn output_limit(request: &Request, facts: &ModelFacts) -> Option<u64> {
    match request.max_output_tokens {
        Some(_) => facts.output_tokens,
        None => facts.room_after(prompt_tokens(request)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        chat::{CacheHint, Effort, Source, Thinking, Turn},
        id::ModelName,
    };

    fn request(turns: Vec<Turn>) -> Request {
        Request::new(ModelName::parse("m").unwrap(), turns)
    }

    fn user(text: &str) -> Turn {
        Turn::new(Role::User, vec![Part::text(text)])
    }

    fn signal(request: &Request) -> String {
        let told = |signal: SessionSignal<'_>| match signal {
            SessionSignal::Named { kind, id } => format!("{kind}={id}"),
            SessionSignal::Opening(text) => String::from_utf8_lossy(text).into_owned(),
        };
        with_session(request, |_| None, told).unwrap()
    }

    #[test]
    fn a_picture_in_the_result_of_a_tool_needs_a_model_that_sees() {
        let picture = Content::Image { source: Source::Url("u".into()), detail: None };
        let result = crate::domain::chat::ToolResult {
            call_id: "c".into(),
            name: None,
            kind: crate::domain::chat::CallKind::Function,
            parts: vec![Part { content: picture, cache: Some(CacheHint::OneHour) }],
            is_error: false,
        };
        let turn = Turn::new(Role::Tool, vec![Content::ToolResult(result).into()]);
        assert!(needs(&request(vec![turn])).has(Capability::Vision));
    }

    #[test]
    fn later_turns_do_not_change_how_a_conversation_begins() {
        let system = Turn::new(Role::System, vec![Part::text("be brief")]);
        let answer = Turn::new(Role::Assistant, vec![Part::text("hello")]);
        let first = request(vec![system.clone(), user("hi")]);
        let second = request(vec![system, user("hi"), answer, user("more")]);
        assert_eq!(signal(&first), signal(&second));
        assert!(!is_continuation(&first) && is_continuation(&second));
        let named = Request { user: Some("user_1_session_2".into()), ..second };
        assert_eq!(signal(&named), "body.metadata.user_id=user_1_session_2");
    }

    #[test]
    fn a_model_that_cannot_think_is_asked_without() {
        let thinking =
            Thinking { mode: Some(ThinkingMode::Effort(Effort::High)), ..Thinking::default() };
        let request = Request { thinking: Some(thinking), ..request(vec![user("hi")]) };
        assert_eq!(fitted(&request, &ModelFacts::default()), None);
        let facts = ModelFacts { capabilities: Some(Capabilities::NONE), ..ModelFacts::default() };
        let fitted = fitted(&request, &facts).unwrap();
        assert_eq!(fitted.thinking, None);
        assert_eq!(fitted.losses.to_string(), "thinking");
    }

    #[test]
    fn no_more_is_asked_for_than_the_model_can_write() {
        let facts = ModelFacts { output_tokens: Some(4_096), ..ModelFacts::default() };
        for (asked, expected) in [(None, None), (Some(4_096), None), (Some(4_097), Some(4_096))] {
            let request = Request { max_output_tokens: asked, ..request(vec![user("hi")]) };
            let fitted = fitted(&request, &facts);
            assert_eq!(fitted.as_ref().and_then(|fitted| fitted.max_output_tokens), expected);
            let losses = fitted.map(|fitted| fitted.losses.to_string());
            assert_eq!(losses.as_deref(), expected.map(|_| "max_output_tokens"));
        }
    }
}
