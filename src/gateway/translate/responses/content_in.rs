//! Parts of messages and of results, as clients send them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{citations, media};
use crate::{
    domain::chat::{
        CacheHint, Content, Dialect, Document, ImageDetail, Json, Losses, Part, Source,
    },
    gateway::translate::{InvalidRequest, fields::Fields},
};

/// Reads what is a text or a list of parts.
pub(super) fn read_content(
    path: &str,
    raw: &RawValue,
    losses: &mut Losses,
) -> Result<Vec<Part>, InvalidRequest> {
    let wrong = || {
        InvalidRequest::about(path.to_owned(), format!("{path} must be a text or a list of parts"))
    };
    if raw.get().starts_with('"') {
        let text: String = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
        return Ok(vec![Part::text(text)]);
    }
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    let read = |(n, raw)| read_part(format!("{path}[{n}]"), raw, losses);
    list.into_iter().enumerate().map(read).collect()
}

fn read_part(path: String, raw: &RawValue, losses: &mut Losses) -> Result<Part, InvalidRequest> {
    let mut fields = Fields::at(path, raw)?;
    let Some(kind) = fields.text("type")? else { return Err(fields.wrong("type", "a text")) };
    let cache = read_cache(&mut fields)?;
    let content = match kind.as_str() {
        "input_text" | "output_text" | "text" => read_text(&mut fields)?,
        "refusal" => Content::Refusal(required(&mut fields, "refusal")?),
        "input_image" => read_image(&mut fields, losses)?,
        "input_file" => read_file(&mut fields)?,
        "input_audio" => read_audio(&mut fields)?,
        _ => {
            let json = Json::from(raw);
            return Ok(Part {
                content: Content::Opaque { by: Dialect::Responses, kind, json },
                cache,
            });
        }
    };
    fields.note_rest("input", losses);
    Ok(Part { content, cache })
}

fn required(fields: &mut Fields<'_>, name: &str) -> Result<String, InvalidRequest> {
    fields.text(name)?.ok_or_else(|| fields.wrong(name, "a text"))
}

fn read_cache(fields: &mut Fields<'_>) -> Result<Option<CacheHint>, InvalidRequest> {
    let Some(mut breakpoint) = fields.object("prompt_cache_breakpoint")? else { return Ok(None) };
    let is_long = breakpoint.text("ttl")?.is_some_and(|ttl| ttl == "12h");
    Ok(Some(if is_long { CacheHint::OneHour } else { CacheHint::FiveMinutes }))
}

fn read_text(fields: &mut Fields<'_>) -> Result<Content, InvalidRequest> {
    let annotations = fields.list("annotations")?;
    // Of no meaning for what comes next.
    fields.take("logprobs");
    Ok(Content::Text {
        text: required(fields, "text")?,
        citations: annotations.into_iter().filter_map(citations::read).collect(),
    })
}

fn read_image(fields: &mut Fields<'_>, losses: &mut Losses) -> Result<Content, InvalidRequest> {
    let detail = match fields.text("detail")?.as_deref() {
        None => None,
        Some("auto") => Some(ImageDetail::Auto),
        Some("low") => Some(ImageDetail::Low),
        Some("high") => Some(ImageDetail::High),
        Some("original") => Some(ImageDetail::Original),
        Some(_) => {
            losses.note("image.detail");
            None
        }
    };
    let file = fields.text("file_id")?.map(file_of);
    let source = match (fields.text("image_url")?, file) {
        (Some(url), _) => media::source_of_url(&url)
            .ok_or_else(|| fields.wrong("image_url", "an address, or data: with Base64"))?,
        (None, Some(file)) => file,
        (None, None) => return Err(fields.wrong("image_url", "a text, unless there is a file_id")),
    };
    Ok(Content::Image { source, detail })
}

fn file_of(id: String) -> Source {
    Source::File { by: Dialect::Responses, id }
}

fn read_file(fields: &mut Fields<'_>) -> Result<Content, InvalidRequest> {
    let title = fields.text("filename")?;
    fields.drop_default("detail", "\"auto\"");
    let (data, url) = (fields.text("file_data")?, fields.text("file_url")?);
    let source = match (data, url, fields.text("file_id")?) {
        (Some(data), ..) => media::source_of_file(&data, title.as_deref())
            .ok_or_else(|| fields.wrong("file_data", "Base64, or data: with Base64"))?,
        (None, Some(url), _) => media::source_of_url(&url)
            .ok_or_else(|| fields.wrong("file_url", "an address, or data: with Base64"))?,
        (None, None, Some(id)) => file_of(id),
        (None, None, None) => {
            return Err(fields.wrong("file_data", "a text, unless there is a file_url or file_id"));
        }
    };
    Ok(Content::Document(Document { source, title, context: None, citations: None }))
}

fn read_audio(fields: &mut Fields<'_>) -> Result<Content, InvalidRequest> {
    let Some(mut audio) = fields.object("input_audio")? else {
        return Err(fields.wrong("input_audio", "an object"));
    };
    let format = required(&mut audio, "format")?;
    let base64 = required(&mut audio, "data")?;
    Ok(Content::Audio(Source::Data { media_type: format!("audio/{format}"), base64 }))
}

/// A text of the kind that ids are, empty where there is none.
pub(super) fn id_in<'a>(fields: &mut Fields<'a>, name: &str) -> Result<String, InvalidRequest> {
    let id: Option<Cow<'a, str>> = fields.read(name, "a text")?;
    Ok(id.map(Cow::into_owned).unwrap_or_default())
}
