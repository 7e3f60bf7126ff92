//! Parts of messages and of results, as an upstream gets them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{citations, media};
use crate::{
    domain::{
        chat::{
            CacheHint, Citation, Content, Dialect, Document, ImageDetail, Json, Losses, Part,
            Source,
        },
        model_rules::ModelRules,
    },
    gateway::dialect::responses::{
        InputAudio, OutputText, Piece, PromptCacheBreakpoint, WrittenContent,
    },
};

pub(super) type WrittenPart<'a> = Piece<'a, WrittenContent<'a>>;

/// A part of what is said to a model. `None`: it cannot be said here.
pub(super) fn input<'a>(
    part: &'a Part,
    rules: &ModelRules,
    losses: &mut Losses,
) -> Option<WrittenPart<'a>> {
    let prompt_cache_breakpoint = cache(part.cache, rules, losses);
    let written = match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => {
            WrittenContent::InputText { text, prompt_cache_breakpoint }
        }
        Content::Image { source, detail } => {
            image(source, *detail, prompt_cache_breakpoint, losses)?
        }
        Content::Document(document) => file(document, prompt_cache_breakpoint, losses)?,
        Content::Audio(source) => audio(source, losses)?,
        Content::Video(_) => return lost("video", losses),
        Content::Opaque { by: Dialect::Responses, json, .. } => return Some(Piece::Raw(raw(json))),
        Content::Opaque { kind, .. } => {
            losses.note(format!("content.{kind}"));
            return None;
        }
        Content::Reasoning(_) => return lost("reasoning", losses),
        Content::ToolCall(_) => return lost("content.tool_call", losses),
        Content::ToolResult(_) => return lost("content.tool_result", losses),
    };
    Some(Piece::Ours(written))
}

/// A text of the model's own.
pub(super) fn output_text<'a>(
    text: &'a str,
    cited: &'a [Citation],
    losses: &mut Losses,
) -> OutputText<'a> {
    let mut annotations = Vec::with_capacity(cited.len());
    let chars = if cited.is_empty() { 0 } else { text.chars().count() as u64 };
    for citation in cited {
        match citations::write(citation, chars) {
            Some(annotation) => annotations.push(annotation),
            None => losses.note("citations"),
        }
    }
    OutputText { text, annotations, logprobs: None }
}

pub(super) fn raw(json: &Json) -> &RawValue {
    serde_json::from_str(json.as_str()).expect("it was JSON when it was made")
}

fn lost<T>(name: &'static str, losses: &mut Losses) -> Option<T> {
    losses.note(name);
    None
}

/// A shorter life than was asked for is never written: there are one of half an hour and one of half
/// a day.
fn cache(
    hint: Option<CacheHint>,
    rules: &ModelRules,
    losses: &mut Losses,
) -> Option<PromptCacheBreakpoint> {
    let hint = hint?;
    if !rules.has_breakpoints() {
        return lost("cache_control", losses);
    }
    let ttl = match hint {
        CacheHint::FiveMinutes => None,
        CacheHint::OneHour => Some("12h"),
    };
    Some(PromptCacheBreakpoint { mode: "explicit", ttl })
}

fn image<'a>(
    source: &'a Source,
    detail: Option<ImageDetail>,
    prompt_cache_breakpoint: Option<PromptCacheBreakpoint>,
    losses: &mut Losses,
) -> Option<WrittenContent<'a>> {
    let detail = match detail {
        None | Some(ImageDetail::Auto) => "auto",
        Some(ImageDetail::Low) => "low",
        Some(ImageDetail::High) => "high",
        Some(ImageDetail::Original) => "original",
    };
    let (image_url, file_id) = match source {
        Source::Url(url) => (Some(Cow::Borrowed(&**url)), None),
        Source::Data { media_type, base64 } => {
            (Some(Cow::Owned(media::data_url(media_type, base64))), None)
        }
        Source::File { by, id } if is_of_openai(*by) => (None, Some(&**id)),
        Source::File { .. } | Source::Text(_) => return lost("image", losses),
    };
    Some(WrittenContent::InputImage { detail, image_url, file_id, prompt_cache_breakpoint })
}

/// Its files are the same in both of its dialects.
fn is_of_openai(maker: Dialect) -> bool {
    matches!(maker, Dialect::Responses | Dialect::Chat)
}

fn file<'a>(
    document: &'a Document,
    prompt_cache_breakpoint: Option<PromptCacheBreakpoint>,
    losses: &mut Losses,
) -> Option<WrittenContent<'a>> {
    let Document { source, title, context, citations } = document;
    losses.note_if(context.is_some(), "document.context");
    losses.note_if(*citations == Some(true), "document.citations");
    let title = title.as_deref();
    let mut filename = title.map(Cow::Borrowed);
    let (mut file_data, mut file_url, mut file_id) = (None, None, None);
    match source {
        Source::Url(url) => file_url = Some(&**url),
        Source::Data { media_type, base64 } => {
            file_data = Some(media::data_url(media_type, base64));
            filename = Some(media::file_name(title, media_type));
        }
        Source::Text(text) => {
            file_data = Some(media::text_url(text));
            filename = Some(media::file_name(title, "text/plain"));
        }
        Source::File { by, id } if is_of_openai(*by) => {
            file_id = Some(&**id);
            // It has a name already, and a request must not give it another.
            filename = None;
            losses.note_if(title.is_some(), "document.title");
        }
        Source::File { .. } => return lost("file", losses),
    }
    Some(WrittenContent::InputFile {
        filename,
        file_data,
        file_url,
        file_id,
        prompt_cache_breakpoint,
    })
}

fn audio<'a>(source: &'a Source, losses: &mut Losses) -> Option<WrittenContent<'a>> {
    let Source::Data { media_type, base64 } = source else { return lost("audio", losses) };
    let Some(format) = media::audio_format(media_type) else { return lost("audio", losses) };
    Some(WrittenContent::InputAudio { input_audio: InputAudio { data: base64, format } })
}
