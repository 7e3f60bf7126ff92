//! The content of a client's messages: a text, or parts.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    fields_in::{must_be, text, value},
    media::{source_of_file, source_of_url, standard},
};
use crate::{
    domain::chat::{CacheHint, Content, Dialect, Document, ImageDetail, Json, Part, Source},
    gateway::{
        dialect::{
            object::Borrowed,
            openai_chat::wire::request_in::{
                AskedAudio, AskedCache, AskedFile, AskedPart, AskedUrl,
            },
        },
        translate::InvalidRequest,
    },
};

/// Reads the value of `content`.
pub(super) fn read(path: &str, raw: &RawValue) -> Result<Vec<Part>, InvalidRequest> {
    match raw.get().as_bytes().first() {
        Some(b'"') => Ok(vec![Part::text(text(path, raw)?)]),
        Some(b'[') => {
            let items: Vec<&RawValue> = value(path, raw, "a list")?;
            let read = |(n, raw)| read_part(&format!("{path}[{n}]"), raw);
            items.into_iter().enumerate().map(read).collect()
        }
        _ => Err(must_be(path, "a text or a list of parts")),
    }
}

fn read_part(path: &str, raw: &RawValue) -> Result<Part, InvalidRequest> {
    let kind = kind_of(path, raw)?;
    let asked = || value::<AskedPart<'_>>(path, raw, &format!("a part of type {kind}"));
    let lacks = |field: &str, what: &str| must_be(&format!("{path}.{field}"), what);
    let (content, asked) = match &*kind {
        "text" => {
            let mut asked = asked()?;
            let text = asked.text.take().ok_or_else(|| lacks("text", "a text"))?;
            (Content::Text { text: text.0.into_owned(), citations: Vec::new() }, asked)
        }
        "refusal" => {
            let mut asked = asked()?;
            let text = asked.refusal.take().ok_or_else(|| lacks("refusal", "a text"))?;
            (Content::Refusal(text.0.into_owned()), asked)
        }
        "image_url" => {
            let mut asked = asked()?;
            let what = "an object with the url of a picture, or with its bytes as a data: url";
            let image = asked.image_url.take().ok_or_else(|| lacks("image_url", what))?;
            let (source, detail) =
                read_url(image).ok_or_else(|| lacks("image_url.url", "a url of Base64 data"))?;
            (Content::Image { source, detail: read_detail(path, detail.as_deref())? }, asked)
        }
        "video_url" => {
            let mut asked = asked()?;
            let video = asked.video_url.take();
            let video = video.ok_or_else(|| lacks("video_url", "an object with a url"))?;
            let (source, _) =
                read_url(video).ok_or_else(|| lacks("video_url.url", "a url of Base64 data"))?;
            (Content::Video(source), asked)
        }
        "input_audio" => {
            let mut asked = asked()?;
            let audio = asked.input_audio.take();
            let audio = audio.ok_or_else(|| lacks("input_audio", "an object with data"))?;
            let source = read_audio(&audio);
            (Content::Audio(source.ok_or_else(|| lacks("input_audio.data", "Base64"))?), asked)
        }
        "file" => {
            let mut asked = asked()?;
            let file = asked.file.take().ok_or_else(|| lacks("file", "an object"))?;
            (Content::Document(read_file(path, file)?), asked)
        }
        _ => {
            let json = Json::from(raw);
            let kind = kind.into_owned();
            return Ok(Content::Opaque { by: Dialect::Chat, kind, json }.into());
        }
    };
    let cache = asked.cache_control.or(asked.prompt_cache_breakpoint);
    Ok(Part { content, cache: cache.as_ref().map(cache_hint) })
}

/// What kind of part it is. The rest of a part is only read once that is known.
fn kind_of<'a>(path: &str, raw: &'a RawValue) -> Result<Cow<'a, str>, InvalidRequest> {
    #[derive(serde::Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Borrowed<'a>>,
    }

    let Kind { kind } = value(path, raw, "an object with a type")?;
    kind.map(|kind| kind.0).ok_or_else(|| must_be(&format!("{path}.type"), "a text"))
}

fn read_url(asked: AskedUrl<'_>) -> Option<(Source, Option<Cow<'_, str>>)> {
    let (url, detail) = match asked {
        AskedUrl::Bare(url) => (url, None),
        AskedUrl::Within { url, detail } => (url, detail),
    };
    Some((source_of_url(&url).filter(|_| !url.is_empty())?, detail))
}

fn read_detail(path: &str, detail: Option<&str>) -> Result<Option<ImageDetail>, InvalidRequest> {
    match detail {
        None => Ok(None),
        Some("auto") => Ok(Some(ImageDetail::Auto)),
        Some("low") => Ok(Some(ImageDetail::Low)),
        Some("high") => Ok(Some(ImageDetail::High)),
        Some("original") => Ok(Some(ImageDetail::Original)),
        Some(_) => Err(must_be(&format!("{path}.image_url.detail"), "auto, low, high or original")),
    }
}

/// The data is Base64; some clients send a `data:` URL or an address.
fn read_audio(audio: &AskedAudio<'_>) -> Option<Source> {
    if audio.data.is_empty() {
        return None;
    }
    if audio.data.contains(':') {
        return source_of_url(&audio.data);
    }
    let format = audio.format.as_ref().map_or("wav", |format| &*format.0);
    Some(Source::Data { media_type: format!("audio/{format}"), base64: standard(&audio.data) })
}

fn read_file(path: &str, file: AskedFile<'_>) -> Result<Document, InvalidRequest> {
    let title = file.filename.map(|name| name.0.into_owned());
    let source = match (file.file_data, file.file_id) {
        (Some(data), _) => source_of_file(&data.0, title.as_deref())
            .ok_or_else(|| must_be(&format!("{path}.file.file_data"), "Base64 or a url"))?,
        (None, Some(id)) => Source::File { by: Dialect::Chat, id: id.0.into_owned() },
        (None, None) => {
            return Err(must_be(&format!("{path}.file"), "an object with file_data or file_id"));
        }
    };
    Ok(Document { source, title, context: None, citations: None })
}

/// How long a client wants a beginning to be kept, as near as there are words for it.
pub(super) fn cache_hint(asked: &AskedCache<'_>) -> CacheHint {
    match asked.ttl.as_ref().map(|ttl| &*ttl.0) {
        Some("1h" | "12h") => CacheHint::OneHour,
        _ => CacheHint::FiveMinutes,
    }
}
