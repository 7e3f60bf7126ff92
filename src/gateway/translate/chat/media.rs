//! `data:` URLs, and what kind of bytes an unnamed Base64 text holds.

use std::borrow::Cow;

use crate::domain::chat::Source;

/// Media types by how their Base64 begins, longest first.
const BEGINNINGS: [(&str, &str); 8] = [
    ("iVBORw0KGgo", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
    ("UEsDB", "application/zip"),
    ("SUQz", "audio/mp3"),
    ("/9j/", "image/jpeg"),
    ("Qk", "image/bmp"),
];

/// Media types by the ending of a file's name.
const ENDINGS: [(&str, &str); 9] = [
    (".pdf", "application/pdf"),
    (".txt", "text/plain"),
    (".md", "text/markdown"),
    (".csv", "text/csv"),
    (".html", "text/html"),
    (".json", "application/json"),
    (".png", "image/png"),
    (".jpg", "image/jpeg"),
    (".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
];

const UNKNOWN: &str = "application/octet-stream";

/// Where the bytes are that an address stands for. `None`: it is a `data:` URL that is not Base64.
pub(super) fn source_of_url(url: &str) -> Option<Source> {
    if !url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return Some(Source::Url(url.to_owned()));
    }
    let (head, data) = url[5..].split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    // Parameters, such as a file's name, are of no use to others.
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let media_type = if media_type.is_empty() { guess(data, None) } else { media_type };
    Some(Source::Data { media_type: media_type.to_ascii_lowercase(), base64: standard(data) })
}

/// Where the bytes of a file are: an address, a `data:` URL, or bare Base64. `None`: none of them.
pub(super) fn source_of_file(data: &str, name: Option<&str>) -> Option<Source> {
    if data.contains(':') {
        return source_of_url(data);
    }
    let media_type = guess(data, name).to_owned();
    Some(Source::Data { media_type, base64: standard(data) })
}

pub(super) fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}

/// A file name for a document that has none: some servers want one.
pub(super) fn file_name(media_type: &str) -> Cow<'static, str> {
    let ending = ENDINGS.iter().find(|(_, known)| *known == media_type).map(|(ending, _)| *ending);
    format!("document{}", ending.unwrap_or_default()).into()
}

fn guess(base64: &str, name: Option<&str>) -> &'static str {
    let name = name.unwrap_or_default().to_ascii_lowercase();
    let by_name = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    let by_bytes = || BEGINNINGS.iter().find(|(beginning, _)| base64.starts_with(beginning));
    by_name.or_else(by_bytes).map_or(UNKNOWN, |(_, media_type)| media_type)
}

/// The same bytes in the standard alphabet, padded and unbroken.
pub(super) fn standard(base64: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut text = if base64.bytes().all(is_plain) {
        base64.to_owned()
    } else {
        let kept = base64.chars().filter(|c| !c.is_ascii_whitespace());
        let translated = kept.map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        });
        translated.collect()
    };
    // One character more than whole groups of four is nothing that padding could mend.
    match text.len() % 4 {
        2 => text.push_str("=="),
        3 => text.push('='),
        _ => (),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(media_type: &str, base64: &str) -> Source {
        Source::Data { media_type: media_type.into(), base64: base64.into() }
    }

    #[test]
    fn a_data_url_is_taken_apart_and_any_other_kept() {
        assert_eq!(source_of_url("data:image/png;base64,AAAA"), Some(data("image/png", "AAAA")));
        assert_eq!(
            source_of_url("DATA:IMAGE/PNG;name=a;base64,AA"),
            Some(data("image/png", "AA=="))
        );
        assert_eq!(source_of_url("data:;base64,/9j/4A"), Some(data("image/jpeg", "/9j/4A==")));
        assert_eq!(source_of_url("data:text/plain,hello"), None);
        assert_eq!(source_of_url("data:"), None);
        let url = "https://example.com/a.png";
        assert_eq!(source_of_url(url), Some(Source::Url(url.into())));
    }

    #[test]
    fn bare_base64_is_named_by_its_file_or_its_first_bytes() {
        assert_eq!(
            source_of_file("JVBERi0xLjc", None),
            Some(data("application/pdf", "JVBERi0xLjc="))
        );
        assert_eq!(source_of_file("aGk=", Some("Notes.TXT")), Some(data("text/plain", "aGk=")));
        assert_eq!(source_of_file("aGk", None), Some(data(UNKNOWN, "aGk=")));
        assert_eq!(source_of_file("a_-\nb", None), Some(data(UNKNOWN, "a/+b")));
    }
}
