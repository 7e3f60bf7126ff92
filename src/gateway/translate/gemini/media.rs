//! Pictures, sounds, films and documents: bytes in the request, or the address of a file of Google's.
//!
//! Sources, read 2026-11: <https://ai.google.dev/api/caching#Blob>,
//! <https://ai.google.dev/gemini-api/docs/files>.

use std::borrow::Cow;

use super::base64;
use crate::{
    domain::chat::{Content, Dialect, Document, ImageDetail, Losses, Source},
    gateway::dialect::gemini::{WrittenBlob, WrittenData, WrittenFile, WrittenPart},
};

/// What bytes without a media type are.
const UNKNOWN_TYPE: &str = "application/octet-stream";

pub(super) fn of_blob(media_type: Option<&str>, data: &str, title: Option<&str>) -> Content {
    let media_type = media_type.filter(|kind| !kind.is_empty()).unwrap_or(UNKNOWN_TYPE);
    let base64 = base64::standard(data).into_owned();
    of_source(media_type, Source::Data { media_type: media_type.to_owned(), base64 }, title)
}

pub(super) fn of_file(media_type: Option<&str>, uri: &str, title: Option<&str>) -> Content {
    let source = if is_googles(uri) {
        Source::File { by: Dialect::Gemini, id: uri.to_owned() }
    } else {
        Source::Url(uri.to_owned())
    };
    let usual = if is_youtube(uri) { "video/*" } else { UNKNOWN_TYPE };
    of_source(media_type.unwrap_or(usual), source, title)
}

fn of_source(media_type: &str, source: Source, title: Option<&str>) -> Content {
    match media_type.split('/').next() {
        Some("image") => Content::Image { source, detail: None },
        Some("audio") => Content::Audio(source),
        Some("video") => Content::Video(source),
        _ => Content::Document(Document {
            source,
            title: title.map(str::to_owned),
            context: None,
            citations: None,
        }),
    }
}

/// Writes what has bytes or an address. `None`, with its loss noted, where it cannot be said.
pub(super) fn write<'a>(content: &'a Content, losses: &mut Losses) -> Option<WrittenPart<'a>> {
    match content {
        Content::Image { source, detail } => {
            losses.note_if(!matches!(detail, None | Some(ImageDetail::Auto)), "image.detail");
            write_source(source, "image.url", losses)
        }
        Content::Document(document) => {
            losses.note_if(document.title.is_some(), "document.title");
            losses.note_if(document.context.is_some(), "document.context");
            losses.note_if(document.citations == Some(true), "document.citations");
            write_source(&document.source, "image.url", losses)
        }
        Content::Audio(source) => write_source(source, "audio", losses),
        Content::Video(source) => write_source(source, "video", losses),
        _ => None,
    }
}

fn write_source<'a>(
    source: &'a Source,
    lost_url: &'static str,
    losses: &mut Losses,
) -> Option<WrittenPart<'a>> {
    let uri = match source {
        Source::Data { .. } => {
            let inline_data = blob(source);
            return Some(WrittenData { inline_data, ..WrittenData::default() }.into());
        }
        Source::Text(text) => return Some(WrittenPart::text(text)),
        Source::File { by: Dialect::Gemini, id } => id,
        Source::Url(url) if is_googles(url) => url,
        Source::Url(_) => {
            losses.note(lost_url);
            return None;
        }
        Source::File { .. } => {
            losses.note("file");
            return None;
        }
    };
    let file_data = Some(WrittenFile { file_uri: uri });
    Some(WrittenData { file_data, ..WrittenData::default() }.into())
}

/// The bytes of a source that has them.
pub(super) fn blob(source: &Source) -> Option<WrittenBlob<'_>> {
    match source {
        Source::Data { media_type, base64 } => {
            Some(WrittenBlob { mime_type: canonical(media_type), data: base64 })
        }
        _ => None,
    }
}

/// The name Google knows a media type by.
fn canonical(media_type: &str) -> &str {
    match media_type {
        "image/jpg" => "image/jpeg",
        "audio/mpeg" => "audio/mp3",
        other => other,
    }
}

/// Whether Google fetches what is there: a file uploaded to it, an object of its cloud, a film on
/// YouTube.
fn is_googles(uri: &str) -> bool {
    uri.starts_with("gs://")
        || uri.starts_with("https://generativelanguage.googleapis.com/")
        || is_youtube(uri)
}

fn is_youtube(uri: &str) -> bool {
    ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"]
        .iter()
        .any(|host| uri.starts_with(host))
}

/// The text of a part that has one.
pub(super) fn text_of(content: &Content) -> Option<Cow<'_, str>> {
    match content {
        Content::Text { text, .. }
        | Content::Document(Document { source: Source::Text(text), .. }) => {
            Some(Cow::Borrowed(text))
        }
        _ => None,
    }
}
