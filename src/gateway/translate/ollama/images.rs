//! Pictures: bare Base64, so that what they are must be seen from their first bytes.

use serde_json::value::RawValue;

use crate::{
    domain::chat::{Content, Part, Source},
    gateway::translate::{InvalidRequest, fields::Fields},
};

/// Takes the pictures of a message or a prompt.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Vec<Part>, InvalidRequest> {
    let mut parts = Vec::new();
    for (n, raw) in fields.list("images")?.into_iter().enumerate() {
        let part = of_json(raw)
            .ok_or_else(|| fields.wrong(&format!("images[{n}]"), "a picture in Base64"))?;
        parts.push(part);
    }
    Ok(parts)
}

fn of_json(raw: &RawValue) -> Option<Part> {
    let text: String = serde_json::from_str(raw.get()).ok()?;
    of_base64(&text)
}

/// `None` when it is no Base64. Some clients send a data URL, and some break lines.
pub(super) fn of_base64(text: &str) -> Option<Part> {
    let bare = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,")?.1,
        None => text,
    };
    let base64: String = bare.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let digits = base64.trim_end_matches('=');
    let is_base64 = !digits.is_empty()
        && base64.len().is_multiple_of(4)
        && base64.len() - digits.len() <= 2
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    is_base64.then(|| {
        let media_type = media_type(&base64).to_owned();
        Content::Image { source: Source::Data { media_type, base64 }, detail: None }.into()
    })
}

/// What a picture is, by how its Base64 begins. PNG where that tells nothing.
fn media_type(base64: &str) -> &'static str {
    const BEGINNINGS: [(&str, &str); 5] = [
        ("/9j/", "image/jpeg"),
        ("iVBORw0KGgo", "image/png"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
        ("Qk", "image/bmp"),
    ];
    BEGINNINGS
        .into_iter()
        .find(|(beginning, _)| base64.starts_with(beginning))
        .map_or("image/png", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(text: &str) -> Option<(String, String)> {
        match of_base64(text)?.content {
            Content::Image { source: Source::Data { media_type, base64 }, .. } => {
                Some((media_type, base64))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_picture_is_is_seen_from_its_bytes() {
        for (text, media_type) in [
            ("iVBORw0KGgoAAAAN", "image/png"),
            ("/9j/4AAQSkZJRg==", "image/jpeg"),
            ("R0lGODlhAQABAAAA", "image/gif"),
            ("UklGRiQAAABXRUJQ", "image/webp"),
            ("AAAA", "image/png"),
        ] {
            assert_eq!(read_one(text), Some((media_type.into(), text.into())));
        }
        let loose = "data:image/gif;base64,R0lG\r\nODlhAQABAAAA";
        assert_eq!(read_one(loose), Some(("image/gif".into(), "R0lGODlhAQABAAAA".into())));
    }

    #[test]
    fn what_is_no_base64_is_no_picture() {
        for text in ["", "====", "AAA", "A===", "AA=A", "https://x.test/a.png", "data:image/png,x"]
        {
            assert_eq!(read_one(text), None, "{text}");
        }
    }
}
