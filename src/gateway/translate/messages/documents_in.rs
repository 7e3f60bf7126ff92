//! Document blocks, with all the places their bytes may be in.

use serde_json::value::RawValue;

use super::{
    super::{InvalidRequest, fields::Fields},
    blocks_in::{self, base64, blocks_at, cache_hint, file, missing, required_text, text_at},
};
use crate::domain::chat::{Content, Document, Losses, Part, Source};

/// Reads a document. One that is made of blocks becomes a document of their texts, followed by their
/// pictures.
pub(super) fn read(
    mut fields: Fields<'_>,
    parts: &mut Vec<Part>,
    losses: &mut Losses,
) -> Result<(), InvalidRequest> {
    let mut pictures = Vec::new();
    let source = source(&mut fields, &mut pictures, losses)?;
    let citations = match fields.object("citations")? {
        Some(mut config) => config.flag("enabled")?,
        None => None,
    };
    let document = Document {
        source,
        title: fields.text("title")?,
        context: fields.text("context")?,
        citations,
    };
    let cache = cache_hint(&mut fields, losses)?;
    fields.note_rest("content", losses);
    parts.push(Part { content: Content::Document(document), cache });
    parts.append(&mut pictures);
    Ok(())
}

fn source(
    fields: &mut Fields<'_>,
    pictures: &mut Vec<Part>,
    losses: &mut Losses,
) -> Result<Source, InvalidRequest> {
    let Some(mut source) = fields.object("source")? else {
        return Err(missing(fields, "source"));
    };
    match &*required_text(&mut source, "type")? {
        "base64" => base64(&mut source),
        "url" => Ok(Source::Url(required_text(&mut source, "url")?)),
        "file" => file(&mut source),
        "text" => Ok(Source::Text(required_text(&mut source, "data")?)),
        "content" => {
            let Some(raw) = source.take("content") else {
                return Err(missing(&source, "content"));
            };
            content(&source.path_of("content"), raw, pictures, losses)
        }
        _ => Err(source.wrong("type", "base64, url, file, text or content")),
    }
}

/// Blocks are what answers cite; in one text they cannot be told apart.
fn content(
    path: &str,
    raw: &RawValue,
    pictures: &mut Vec<Part>,
    losses: &mut Losses,
) -> Result<Source, InvalidRequest> {
    if raw.get().starts_with('"') {
        return Ok(Source::Text(text_at(path, raw)?));
    }
    let mut texts = Vec::new();
    for (n, block) in blocks_at(path, raw)?.into_iter().enumerate() {
        let mut block = Fields::at(format!("{path}.{n}"), block)?;
        match &*required_text(&mut block, "type")? {
            "text" => texts.push(required_text(&mut block, "text")?),
            "image" => {
                let source = blocks_in::image_source(&mut block)?;
                pictures.push(Content::Image { source, detail: None }.into());
            }
            _ => return Err(block.wrong("type", "text or image")),
        }
    }
    losses.note_if(texts.len() > 1, "document.citations");
    losses.note_if(!pictures.is_empty(), "document");
    Ok(Source::Text(texts.join("\n\n")))
}
