//! Where an answer comes from: what a search has found, and what was recited.
//!
//! Sources, read 2026-11: <https://ai.google.dev/gemini-api/docs/google-search>,
//! <https://ai.google.dev/api/generate-content#citationmetadata>.

use serde::Deserialize;

use super::Text;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroundingMetadata<'a> {
    #[serde(borrow)]
    pub grounding_chunks: Option<Vec<GroundingChunk<'a>>>,
    pub grounding_supports: Option<Vec<GroundingSupport>>,
}

/// A source. One of the three is there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroundingChunk<'a> {
    #[serde(borrow)]
    pub web: Option<Found<'a>>,
    #[serde(borrow)]
    pub retrieved_context: Option<Found<'a>>,
    #[serde(borrow)]
    pub maps: Option<Found<'a>>,
}

impl<'a> GroundingChunk<'a> {
    pub fn found(&self) -> Option<&Found<'a>> {
        self.web.as_ref().or(self.retrieved_context.as_ref()).or(self.maps.as_ref())
    }
}

#[derive(Debug, Deserialize)]
pub struct Found<'a> {
    #[serde(borrow)]
    pub uri: Option<Text<'a>>,
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
}

/// Which words of the answer rest on which sources.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroundingSupport {
    pub segment: Option<Segment>,
    pub grounding_chunk_indices: Option<Vec<u32>>,
}

/// Bytes of the answer's text, from `start_index` up to but without `end_index`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    pub start_index: Option<u64>,
    pub end_index: Option<u64>,
}

/// Vertex says `citations`, the Gemini API `citationSources`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CitationMetadata<'a> {
    #[serde(borrow, alias = "citations")]
    pub citation_sources: Option<Vec<CitationSource<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CitationSource<'a> {
    pub start_index: Option<u64>,
    pub end_index: Option<u64>,
    #[serde(borrow)]
    pub uri: Option<Text<'a>>,
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
}
