//! Citations: read with all they say, written as they stood, or as web sources when they came from
//! another dialect.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::chat::{Citation, Dialect, Json};

/// The fields that all kinds of locations have in common, under one name or another.
///
/// Source: <https://platform.claude.com/docs/en/build-with-claude/citations> (read 2026-11).
#[derive(Deserialize)]
struct WireCitation<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    cited_text: Option<String>,
    title: Option<String>,
    document_title: Option<String>,
    url: Option<String>,
    /// Of a search result: mostly an address.
    source: Option<String>,
    encrypted_index: Option<String>,
}

/// `None` when it is no citation.
pub(super) fn read(raw: &RawValue) -> Option<Citation> {
    let wire: WireCitation<'_> = serde_json::from_str(raw.get()).ok()?;
    // A web source without the maker's index is one of ours, from another dialect.
    let is_foreign = wire.kind == "web_search_result_location"
        && wire.encrypted_index.is_none_or(|index| index.is_empty());
    let source = wire.source.filter(|source| source.contains("://"));
    Some(Citation {
        url: wire.url.or(source),
        title: wire.title.or(wire.document_title),
        cited_text: wire.cited_text.filter(|text| !text.is_empty()),
        place: None,
        original: (!is_foreign).then(|| (Dialect::Messages, raw.into())),
    })
}

/// For an upstream. `None`: it is not of this dialect, and upstreams take no other.
pub(super) fn for_maker(citation: &Citation) -> Option<&Json> {
    let (by, json) = citation.original.as_ref()?;
    (*by == Dialect::Messages).then_some(json)
}

/// Whether it tells where in the text it is for, which has no place here: a block of text is all that
/// its sources are for.
pub(super) fn loses_place(citation: &Citation) -> bool {
    citation.place.is_some() && for_maker(citation).is_none()
}

#[derive(Serialize)]
struct WebSource<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    cited_text: &'a str,
    encrypted_index: &'static str,
    title: Option<&'a str>,
    url: &'a str,
}

/// For a client. One of another dialect is shown as a source from the web, without the index that
/// only the maker can give. `None`: it has no address.
pub(super) fn for_client(citation: &Citation) -> Option<Cow<'_, Json>> {
    if let Some(own) = for_maker(citation) {
        return Some(Cow::Borrowed(own));
    }
    let web = WebSource {
        kind: "web_search_result_location",
        cited_text: citation.cited_text.as_deref().unwrap_or_default(),
        encrypted_index: "",
        title: citation.title.as_deref(),
        url: citation.url.as_deref()?,
    };
    let json = serde_json::to_string(&web).expect("texts are always JSON");
    Json::parse(json).map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(json: &str) -> Citation {
        read(serde_json::from_str(json).expect(json)).expect(json)
    }

    #[test]
    fn every_kind_of_location_is_read_and_kept_whole() {
        for (json, url, title) in [
            (
                r#"{"type":"char_location","cited_text":"c","document_index":0,"document_title":"t","start_char_index":0,"end_char_index":1,"file_id":null}"#,
                None,
                Some("t"),
            ),
            (
                r#"{"type":"page_location","cited_text":"c","document_index":0,"document_title":null,"start_page_number":1,"end_page_number":2}"#,
                None,
                None,
            ),
            (
                r#"{"type":"content_block_location","cited_text":"c","document_index":0,"document_title":"t","start_block_index":0,"end_block_index":1}"#,
                None,
                Some("t"),
            ),
            (
                r#"{"type":"web_search_result_location","cited_text":"c","encrypted_index":"E","title":"t","url":"https://a.example"}"#,
                Some("https://a.example"),
                Some("t"),
            ),
            (
                r#"{"type":"search_result_location","cited_text":"c","search_result_index":0,"source":"https://b.example","title":"t","start_block_index":0,"end_block_index":1}"#,
                Some("https://b.example"),
                Some("t"),
            ),
        ] {
            let citation = read_text(json);
            assert_eq!(citation.url.as_deref(), url, "{json}");
            assert_eq!(citation.title.as_deref(), title, "{json}");
            assert_eq!(citation.cited_text.as_deref(), Some("c"));
            assert_eq!(for_maker(&citation).map(Json::as_str), Some(json));
            assert_eq!(for_client(&citation).unwrap().as_str(), json);
        }
    }

    #[test]
    fn a_source_from_elsewhere_is_shown_and_not_sent_to_the_maker() {
        let url = Some("https://a.example".to_owned());
        let foreign = Citation { url, title: Some("t".into()), ..Citation::default() };
        let shown = for_client(&foreign).unwrap();
        assert_eq!(
            shown.as_str(),
            r#"{"type":"web_search_result_location","cited_text":"","encrypted_index":"","title":"t","url":"https://a.example"}"#
        );
        assert_eq!(read_text(shown.as_str()), foreign);
        assert_eq!(for_maker(&read_text(shown.as_str())), None);
        assert!(for_client(&Citation::default()).is_none());
    }
}
