//! Pictures and files as addresses, `data:` addresses and Base64.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::domain::chat::Source;

const TEXT: &str = "text/plain";

/// Media types by the ending of a file's name.
const ENDINGS: [(&str, &str); 8] = [
    (".pdf", "application/pdf"),
    (".txt", TEXT),
    (".md", "text/markdown"),
    (".csv", "text/csv"),
    (".html", "text/html"),
    (".json", "application/json"),
    (".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
];

/// What an address stands for. `None`: a `data:` address that holds no Base64.
pub(super) fn source_of_url(url: &str) -> Option<Source> {
    let Some(data) = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")) else {
        return Some(Source::Url(url.to_owned()));
    };
    let (head, base64) = url[data.len()..].split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    let media_type = head.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(Source::Data { media_type, base64: base64.to_owned() })
}

/// What the bytes of a file are: a `data:` address, or bare Base64 whose kind its name tells. Plain
/// text is taken out of it, for those who have a place for that. `None`: not Base64.
pub(super) fn source_of_file(data: &str, name: Option<&str>) -> Option<Source> {
    let source = if data.contains(':') {
        source_of_url(data)?
    } else {
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let known = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
        let media_type = known.map_or("application/pdf", |(_, media_type)| media_type).to_owned();
        Source::Data { media_type, base64: data.to_owned() }
    };
    match source {
        Source::Data { media_type, base64 } if media_type == TEXT => {
            let text = BASE64_STANDARD.decode(&base64).ok().and_then(|b| String::from_utf8(b).ok());
            Some(text.map_or(Source::Data { media_type, base64 }, Source::Text))
        }
        other => Some(other),
    }
}

pub(super) fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}

pub(super) fn text_url(text: &str) -> String {
    data_url(TEXT, &BASE64_STANDARD.encode(text))
}

/// A name for a file that has none: it must have one.
pub(super) fn file_name<'a>(title: Option<&'a str>, media_type: &str) -> Cow<'a, str> {
    if let Some(title) = title {
        return Cow::Borrowed(title);
    }
    let ending = ENDINGS.iter().find(|(_, known)| *known == media_type);
    Cow::Owned(format!("document{}", ending.map_or("", |(ending, _)| ending)))
}

/// `wav` of `audio/x-wav`. `None`: no format that can be said.
pub(super) fn audio_format(media_type: &str) -> Option<&'static str> {
    match media_type {
        "audio/wav" | "audio/x-wav" | "audio/wave" => Some("wav"),
        "audio/mp3" | "audio/mpeg" => Some("mp3"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_bytes_are_told_apart() {
        let url = "https://example.com/a.png";
        assert_eq!(source_of_url(url), Some(Source::Url(url.into())));
        let png = Source::Data { media_type: "image/png".into(), base64: "AAAA".into() };
        assert_eq!(source_of_url("DATA:image/PNG;name=a;base64,AAAA"), Some(png));
        for bad in ["data:", "data:text/plain,hello", "data:image/png;base64"] {
            assert_eq!(source_of_url(bad), None, "{bad}");
        }
        assert_eq!(source_of_url("dataé"), Some(Source::Url("dataé".into())));
    }

    #[test]
    fn a_text_file_is_a_text() {
        assert_eq!(source_of_file(&text_url("hi é"), None), Some(Source::Text("hi é".into())));
        let not_text = Source::Data { media_type: TEXT.into(), base64: "/w==".into() };
        assert_eq!(source_of_file("/w==", Some("a.TXT")), Some(not_text));
    }
}
