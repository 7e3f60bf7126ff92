//! A stream of an upstream: each event is a whole response that holds the next parts.
//!
//! There is no terminal event. A signature may come by itself, after what it belongs to.
//!
//! Sources, read 2026-11: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>,
//! <https://ai.google.dev/gemini-api/docs/thought-signatures> (signatures in streams).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{citations_in, compact::compact, logprobs, media, signatures, stops, usage};
use crate::{
    domain::chat::{CallKind, Content, Delta, Dialect, Json, Losses, StopReason, Usage},
    gateway::{
        dialect::{
            gemini::{
                Candidate, FunctionCall, GenerateContentResponse, Part, PromptFeedback, Text,
            },
            openai_chat::ErrorObject,
            unread::{self, Unread},
        },
        failure::{AbnormalFinish, classify},
        translate::{EventOutcome, ReadStream, Unparsable, said_text::SaidText},
    },
};

/// Most answers of one request that are told apart.
const MAX_CHOICES: u32 = 128;

#[derive(Default)]
pub(super) struct Reader {
    has_begun: bool,
    choices: Vec<ChoiceState>,
    /// The finish reason of a choice that has failed.
    abnormal: Option<AbnormalFinish>,
    losses: Losses,
}

/// What must be known of a choice to tell what the next event means.
#[derive(Default)]
struct ChoiceState {
    calls: u32,
    is_stopped: bool,
    /// Its text up to now, for the places that citations name.
    text: SaidText,
    /// How many bytes are kept of it.
    kept: usize,
}

impl ReadStream for Reader {
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<EventOutcome, Unparsable> {
        let (response, unread) = match parse(data) {
            Some((response, unread)) if response.error.is_none() => (response, unread),
            parsed => {
                let error = ErrorObject::parse(data);
                return match (parsed, error) {
                    (None, None) => Err(Unparsable),
                    (_, error) => Ok(EventOutcome::Failed(Box::new(classify(200, error)))),
                };
            }
        };
        let is_foreign = is_blank(&response);
        if !is_foreign {
            self.add(response, sink);
        }
        if let Some(finish) = self.abnormal {
            return Ok(EventOutcome::Failed(Box::new(finish.failure())));
        }
        match unread.is_text(&mut self.losses) {
            true => Err(Unparsable),
            false if is_foreign => Ok(EventOutcome::Foreign),
            false => Ok(EventOutcome::More),
        }
    }

    fn skip(&mut self, words: &str, are_thoughts: bool) {
        if let (Some(state), false) = (state_of(&mut self.choices, 0), are_thoughts) {
            state.text.push(words, &mut state.kept);
        }
    }

    fn usage(&self, json: &str) -> Option<Usage> {
        usage::read(json)
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// `None` when it is no object of this shape.
pub(super) fn parse(data: &[u8]) -> Option<(GenerateContentResponse<'_>, Unread<'_>)> {
    let text = std::str::from_utf8(data).ok()?;
    // A struct is read from a list too.
    text.trim_ascii_start().starts_with('{').then(|| unread::from_str(text).ok()).flatten()
}

/// Whether it says nothing that this dialect has.
fn is_blank(response: &GenerateContentResponse<'_>) -> bool {
    response.candidates.is_none()
        && response.prompt_feedback.is_none()
        && response.usage_metadata.is_none()
        && response.model_version.is_none()
        && response.response_id.is_none()
}

impl Reader {
    /// The finish reason of a choice that has failed, if one has.
    pub fn abnormal(&self) -> Option<AbnormalFinish> {
        self.abnormal
    }

    /// Hands on what a response adds.
    pub fn add(&mut self, response: GenerateContentResponse<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        if !self.has_begun {
            self.has_begun = true;
            let (id, model) = (response.response_id, response.model_version);
            sink(Delta::Begin { id: id.map(|id| id.0), model: model.map(|model| model.0) });
        }
        let has_candidates = response.candidates.as_ref().is_some_and(|list| !list.is_empty());
        for candidate in response.candidates.unwrap_or_default() {
            self.add_candidate(candidate, sink);
        }
        if let Some(feedback) = response.prompt_feedback.filter(|_| !has_candidates) {
            self.add_feedback(feedback, sink);
        }
        if let Some(usage) = response.usage_metadata.map(RawValue::get).and_then(usage::read) {
            sink(Delta::Usage(usage));
        }
    }

    /// A prompt that was blocked has no candidates: it is an answer that a filter holds back.
    fn add_feedback(&mut self, feedback: PromptFeedback<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        if feedback.block_reason.is_none_or(|word| word.0.ends_with("_UNSPECIFIED")) {
            return;
        }
        let Some(state) = state_of(&mut self.choices, 0) else { return };
        if let Some(Text(text)) = feedback.block_reason_message.filter(|text| !text.0.is_empty()) {
            sink(Delta::Refusal { choice: 0, text });
        }
        if !std::mem::replace(&mut state.is_stopped, true) {
            sink(Delta::Stop { choice: 0, reason: StopReason::Filtered });
        }
    }

    fn add_candidate(&mut self, candidate: Candidate<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let choice = index_of(candidate.index);
        let Some(state) = state_of(&mut self.choices, choice) else {
            self.losses.note("n");
            return;
        };
        let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
        for part in parts {
            add_part(part, choice, state, &mut self.losses, sink);
        }
        let mut cite = |citation| sink(Delta::Citation { choice, citation: Box::new(citation) });
        if let Some(raw) = candidate.grounding_metadata {
            citations_in::read_grounding(raw, &state.text, &mut self.losses, &mut cite);
        }
        if let Some(raw) = candidate.citation_metadata {
            citations_in::read_recited(raw, &state.text, &mut self.losses, &mut cite);
        }
        self.losses.note_if(candidate.url_context_metadata.is_some(), "urlContextMetadata");
        if let Some(tokens) = candidate.logprobs_result.and_then(logprobs::read) {
            sink(Delta::Logprobs { choice, tokens });
        }
        let word = candidate.finish_reason.unwrap_or_default();
        let is_last = !matches!(&*word, "" | stops::UNSPECIFIED);
        if let Some(finish) = AbnormalFinish::of_gemini(&word) {
            self.abnormal = Some(finish);
        } else if is_last && !std::mem::replace(&mut state.is_stopped, true) {
            sink(Delta::Stop { choice, reason: stops::read(&word, state.calls > 0) });
        }
    }
}

/// The place of a choice; the first one's, where it cannot be told.
fn index_of(raw: Option<&RawValue>) -> u32 {
    raw.and_then(|raw| raw.get().trim_matches('"').parse().ok()).unwrap_or(0)
}

fn state_of(choices: &mut Vec<ChoiceState>, choice: u32) -> Option<&mut ChoiceState> {
    if choice >= MAX_CHOICES {
        return None;
    }
    let place = choice as usize;
    while choices.len() <= place {
        choices.push(ChoiceState::default());
    }
    choices.get_mut(place)
}

fn add_part(
    part: Part<'_>,
    choice: u32,
    state: &mut ChoiceState,
    losses: &mut Losses,
    sink: &mut dyn FnMut(Delta<'_>),
) {
    losses.note_if(part.is_unknown(), "content.part");
    let signature = part.thought_signature.map(|signature| signature.0);
    let mut signature = signature.filter(|signature| !signature.is_empty());
    // Mostly it stands alone.
    if let Some(Text(text)) = part.text.filter(|text| !text.0.is_empty()) {
        if part.thought == Some(true) {
            sink(Delta::Reasoning { choice, text, is_summary: true });
        } else {
            state.text.push(&text, &mut state.kept);
            sink(Delta::Text { choice, text });
        }
    }
    if let Some(call) = part.function_call {
        add_call(call, choice, state.calls, signature.take().as_deref(), sink);
        state.calls += 1;
    }
    let own = [
        ("executableCode", part.executable_code),
        ("codeExecutionResult", part.code_execution_result),
        ("toolCall", part.tool_call),
        ("toolResponse", part.tool_response),
    ];
    for (kind, json) in own.into_iter().filter_map(|(kind, json)| Some((kind, json?))) {
        let whole = own_part(kind, json, signature.take().as_deref());
        sink(Delta::Whole { choice, part: Box::new(whole.into()) });
    }
    let media = if let Some(blob) = part.inline_data {
        let data = text(blob.data.as_ref()).unwrap_or_default();
        Some(media::of_blob(text(blob.mime_type.as_ref()), data, text(blob.display_name.as_ref())))
    } else if let Some(file) = part.file_data {
        let uri = text(file.file_uri.as_ref()).unwrap_or_default();
        Some(media::of_file(text(file.mime_type.as_ref()), uri, text(file.display_name.as_ref())))
    } else {
        None
    };
    if let Some(content) = media {
        sink(Delta::Whole { choice, part: Box::new(content.into()) });
    }
    if let Some(signature) = signature {
        let signature = signatures::from_maker(&signature);
        sink(Delta::ReasoningSignature { choice, signature, is_redacted: false });
    }
}

fn add_call(
    call: FunctionCall<'_>,
    choice: u32,
    number: u32,
    signature: Option<&str>,
    sink: &mut dyn FnMut(Delta<'_>),
) {
    let or_empty =
        |text: Option<Text<'_>>| text.map_or(Cow::Borrowed(""), |text| text.0.into_owned().into());
    sink(Delta::CallBegin {
        choice,
        number,
        id: or_empty(call.id),
        name: or_empty(call.name),
        kind: CallKind::Function,
        signature: signature.map(signatures::from_maker),
    });
    let text = call.args.map_or(Cow::Borrowed("{}"), |args| compact(args.get()));
    sink(Delta::CallInput { choice, number, text });
}

fn own_part(kind: &str, json: &RawValue, signature: Option<&str>) -> Content {
    let mut text = format!(r#"{{"{kind}":{}"#, compact(json.get()));
    if let Some(signature) = signature {
        let quoted = serde_json::to_string(signature).expect("a text is always JSON");
        text.push_str(r#","thoughtSignature":"#);
        text.push_str(&quoted);
    }
    text.push('}');
    let json = Json::parse(text).expect("names and JSON values make an object");
    Content::Opaque { by: Dialect::Gemini, kind: kind.to_owned(), json }
}

fn text<'t>(text: Option<&'t Text<'_>>) -> Option<&'t str> {
    text.map(|text| &*text.0)
}
