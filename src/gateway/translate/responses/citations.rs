//! Sources of a text: annotations here, citations in the common form.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    domain::chat::{Citation, Dialect, Json, Place},
    gateway::dialect::responses::{count_of, text_in},
};

#[derive(Deserialize)]
struct ReadAnnotation<'a> {
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow)]
    filename: Option<&'a RawValue>,
    #[serde(borrow)]
    start_index: Option<&'a RawValue>,
    #[serde(borrow)]
    end_index: Option<&'a RawValue>,
}

/// `None`: it is no object.
pub(super) fn read(raw: &RawValue) -> Option<Citation> {
    let ReadAnnotation { url, title, filename, start_index, end_index } =
        serde_json::from_str(raw.get()).ok()?;
    let place =
        count_of(start_index).zip(count_of(end_index)).map(|(start, end)| Place { start, end });
    let filled = |raw| text_in(raw).filter(|text| !text.is_empty()).map(Cow::into_owned);
    Some(Citation {
        url: filled(url),
        title: filled(title).or_else(|| filled(filename)),
        cited_text: None,
        place,
        original: Some((Dialect::Responses, Json::from(raw))),
    })
}

#[derive(Serialize)]
struct UrlCitation<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    url: &'a str,
    title: &'a str,
    start_index: u64,
    end_index: u64,
}

/// The annotation of a text of so many characters. Without a place it is all of the text that the
/// source is for. `None`: it cannot be said.
pub(super) fn write(citation: &Citation, chars: u64) -> Option<Cow<'_, RawValue>> {
    if let Some((Dialect::Responses, json)) = &citation.original {
        return serde_json::from_str(json.as_str()).ok().map(Cow::Borrowed);
    }
    let url = citation.url.as_deref()?;
    let Place { start, end } = citation.place.unwrap_or(Place { start: 0, end: chars });
    let annotation = UrlCitation {
        kind: "url_citation",
        url,
        title: citation.title.as_deref().unwrap_or_default(),
        start_index: start,
        end_index: end,
    };
    let raw = to_raw_value(&annotation).expect("texts and numbers are always JSON");
    Some(Cow::Owned(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_written_as_it_was_read() {
        for json in [
            r#"{"type":"url_citation","url":"https://a.example","title":"A","start_index":1,"end_index":4}"#,
            r#"{"type":"file_citation","file_id":"file-1","filename":"a.pdf","index":3}"#,
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            let citation = read(raw).unwrap();
            assert_eq!(write(&citation, 9).unwrap().get(), json);
        }
        let raw: &RawValue = serde_json::from_str("[]").unwrap();
        assert!(read(raw).is_none());
    }

    #[test]
    fn a_source_without_an_address_cannot_be_said() {
        let titled = Citation { title: Some("A".into()), ..Citation::default() };
        assert!(write(&titled, 3).is_none());
        let at = Citation { url: Some("https://a.example".into()), ..Citation::default() };
        assert_eq!(
            write(&at, 3).unwrap().get(),
            r#"{"type":"url_citation","url":"https://a.example","title":"","start_index":0,"end_index":3}"#
        );
    }
}
