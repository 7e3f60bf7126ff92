//! Contents of messages as upstreams get them.

use std::borrow::Cow;

use super::media::{data_url, file_name, standard};
use crate::{
    domain::{
        chat::{CacheHint, Content, Dialect, Document, ImageDetail, Losses, Part, Source},
        model_rules::ModelRules,
    },
    gateway::dialect::openai_chat::wire::request_out::{
        ImageUrl, KnownPart, SentAudio, SentCache, SentContent, SentFile, SentPart,
    },
};

/// What stands between texts that are joined for a server that takes only one.
pub(super) const BETWEEN_TEXTS: &str = "\n\n";

pub(super) fn sent_cache(
    hint: Option<CacheHint>,
    rules: &ModelRules,
    losses: &mut Losses,
) -> Option<SentCache> {
    let hint = hint?;
    if !rules.has_cache_control {
        losses.note("cache_control");
        return None;
    }
    let ttl = (hint == CacheHint::OneHour).then_some("1h");
    Some(SentCache { kind: "ephemeral", ttl })
}

pub(super) fn text_part(text: Cow<'_, str>, cache_control: Option<SentCache>) -> SentPart<'_> {
    SentPart::Known(KnownPart::Text { text, cache_control })
}

/// One text where there is one, else a list. OpenAI takes lists of texts; of others only some do.
pub(super) fn content<'a>(mut parts: Vec<SentPart<'a>>, rules: &ModelRules) -> SentContent<'a> {
    let is_plain = |part: &SentPart<'_>| {
        matches!(part, SentPart::Known(KnownPart::Text { cache_control: None, .. }))
    };
    if !parts.iter().all(is_plain) || (parts.len() > 1 && rules.is_openai()) {
        return SentContent::Parts(parts);
    }
    let text_of = |part| match part {
        SentPart::Known(KnownPart::Text { text, .. }) => text,
        _ => Cow::Borrowed(""),
    };
    if parts.len() <= 1 {
        return SentContent::Text(parts.pop().map_or(Cow::Borrowed(""), text_of));
    }
    let texts: Vec<_> = parts.into_iter().map(text_of).collect();
    SentContent::Text(texts.join(BETWEEN_TEXTS).into())
}

/// A part of what a user says. `None`: it cannot be said.
pub(super) fn user_part<'a>(
    part: &'a Part,
    rules: &ModelRules,
    losses: &mut Losses,
) -> Option<SentPart<'a>> {
    let known = match &part.content {
        Content::Text { text, citations } => {
            losses.note_if(!citations.is_empty(), "citations");
            let cache_control = sent_cache(part.cache, rules, losses);
            return Some(text_part(Cow::Borrowed(text), cache_control));
        }
        Content::Image { source, detail } => {
            let Some(url) = url_of(source) else {
                losses.note("image");
                return None;
            };
            let image_url = ImageUrl { url, detail: detail.map(detail_word) };
            let cache_control = sent_cache(part.cache, rules, losses);
            KnownPart::ImageUrl { image_url, cache_control }
        }
        Content::Document(document) => return document_part(part, document, rules, losses),
        Content::Audio(source) => match source {
            Source::Data { media_type, base64 } => KnownPart::InputAudio {
                input_audio: SentAudio { data: base64, format: audio_format(media_type) },
            },
            _ => {
                losses.note("audio");
                return None;
            }
        },
        Content::Video(source) => match url_of(source).filter(|_| !rules.is_openai()) {
            Some(url) => KnownPart::VideoUrl { video_url: ImageUrl { url, detail: None } },
            None => {
                losses.note("video");
                return None;
            }
        },
        Content::Opaque { by: Dialect::Chat, json, .. } => return Some(SentPart::Opaque(json)),
        other => {
            note(other, losses);
            return None;
        }
    };
    losses.note_if(part.cache.is_some() && !rules.has_cache_control, "cache_control");
    Some(SentPart::Known(known))
}

/// Notes that something has no place where it stands.
pub(in crate::gateway::translate) fn note(content: &Content, losses: &mut Losses) {
    match content {
        Content::Text { .. } => losses.note("content.text"),
        Content::Image { .. } => losses.note("image"),
        Content::Document(_) => losses.note("document"),
        Content::Audio(_) => losses.note("audio"),
        Content::Video(_) => losses.note("video"),
        Content::ToolCall(_) => losses.note("content.tool_call"),
        Content::ToolResult(_) => losses.note("content.tool_result"),
        Content::Reasoning(_) => losses.note("reasoning"),
        Content::Refusal(_) => losses.note("refusal"),
        Content::Opaque { kind, .. } => losses.note(format!("content.{kind}")),
    }
}

fn url_of(source: &Source) -> Option<Cow<'_, str>> {
    match source {
        Source::Url(url) => Some(Cow::Borrowed(url)),
        Source::Data { media_type, base64 } => Some(data_url(media_type, base64).into()),
        Source::Text(_) | Source::File { .. } => None,
    }
}

fn detail_word(detail: ImageDetail) -> &'static str {
    match detail {
        ImageDetail::Auto => "auto",
        ImageDetail::Low => "low",
        ImageDetail::High => "high",
        ImageDetail::Original => "original",
    }
}

fn audio_format(media_type: &str) -> &str {
    let kind = media_type.strip_prefix("audio/").unwrap_or(media_type);
    match kind.split(';').next().unwrap_or(kind) {
        "mpeg" => "mp3",
        "x-wav" | "wave" | "vnd.wave" => "wav",
        other => other,
    }
}

fn document_part<'a>(
    part: &'a Part,
    document: &'a Document,
    rules: &ModelRules,
    losses: &mut Losses,
) -> Option<SentPart<'a>> {
    losses.note_if(document.context.is_some(), "document.context");
    losses.note_if(document.citations == Some(true), "document.citations");
    let cache_control = sent_cache(part.cache, rules, losses);
    let title = document.title.as_deref();
    let file = match &document.source {
        Source::Text(text) => return Some(text_part(titled(title, text), cache_control)),
        Source::Data { media_type, base64 } => SentFile {
            filename: Some(title.map_or_else(|| file_name(media_type), Cow::Borrowed)),
            file_data: Some(data_url(media_type, base64).into()),
            file_id: None,
        },
        // An address in the place of the bytes is OpenRouter's.
        // Source: <https://openrouter.ai/docs/features/multimodal/pdfs> (2026-11).
        Source::Url(url) if !rules.is_openai() => SentFile {
            filename: title.map(Cow::Borrowed),
            file_data: Some(Cow::Borrowed(url)),
            file_id: None,
        },
        // Both dialects of OpenAI share its files.
        Source::File { by: Dialect::Chat | Dialect::Responses, id } => {
            SentFile { filename: title.map(Cow::Borrowed), file_data: None, file_id: Some(id) }
        }
        Source::Url(_) | Source::File { .. } => {
            losses.note("document");
            return None;
        }
    };
    Some(SentPart::Known(KnownPart::File { file, cache_control }))
}

fn titled<'a>(title: Option<&str>, text: &'a str) -> Cow<'a, str> {
    match title {
        Some(title) => format!("{title}{BETWEEN_TEXTS}{text}").into(),
        None => Cow::Borrowed(text),
    }
}

/// What a tool has given. Only texts may stand there: of anything else it says that it was there.
pub(super) fn result_part<'a>(
    part: &'a Part,
    rules: &ModelRules,
    losses: &mut Losses,
) -> SentPart<'a> {
    let missing = |what: &str| {
        format!("[Here the tool gave {what}, which cannot be passed on to this model.]").into()
    };
    let text = match &part.content {
        Content::Text { text, .. } => Cow::Borrowed(&**text),
        Content::Document(Document { source: Source::Text(text), title, .. }) => {
            titled(title.as_deref(), text)
        }
        Content::Document(Document {
            source: Source::Data { media_type, base64 }, title, ..
        }) if media_type.starts_with("text/") => match decoded(base64) {
            Some(text) => titled(title.as_deref(), &text).into_owned().into(),
            None => {
                losses.note("document");
                missing("a document")
            }
        },
        Content::Image { .. } => {
            losses.note("tool_result.image");
            missing("an image")
        }
        Content::Document(_) => {
            losses.note("document");
            missing("a document")
        }
        Content::Opaque { by: Dialect::Chat, json, .. } => return SentPart::Opaque(json),
        other => {
            note(other, losses);
            missing("something")
        }
    };
    text_part(text, sent_cache(part.cache, rules, losses))
}

fn decoded(base64: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};

    String::from_utf8(STANDARD.decode(standard(base64)).ok()?).ok()
}
