//! Sources of an answer, written as grounding: Gemini's own as they came, those of others as what a
//! search has found.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    domain::chat::{Citation, Dialect, Json, Losses},
    gateway::dialect::gemini::{
        WrittenCandidate, WrittenGrounding, WrittenGroundingChunk, WrittenSegment, WrittenSupport,
        WrittenWeb,
    },
};

/// A source, and which bytes of the answer's text rest on it.
pub(super) struct Cited {
    pub citation: Citation,
    pub bytes: Option<Range<u64>>,
}

/// Gemini's own metadata, as it came.
#[derive(Default)]
pub(super) struct OriginalMetadata {
    grounding: Option<Json>,
    recited: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fragment<'a> {
    #[serde(borrow)]
    grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    citation_metadata: Option<&'a RawValue>,
}

impl OriginalMetadata {
    pub fn of(cited: &[Cited]) -> Self {
        let mut own = Self::default();
        for cited in cited {
            let Some((Dialect::Gemini, json)) = &cited.citation.original else { continue };
            if let Ok(fragment) = serde_json::from_str::<Fragment<'_>>(json.as_str()) {
                own.grounding = fragment.grounding_metadata.map(Json::from).or(own.grounding);
                own.recited = fragment.citation_metadata.map(Json::from).or(own.recited);
            }
        }
        own
    }

    fn is_empty(&self) -> bool {
        self.grounding.is_none() && self.recited.is_none()
    }
}

/// Puts what is known of the sources into a candidate.
pub(super) fn write<'a>(
    cited: &'a [Cited],
    own: &'a OriginalMetadata,
    candidate: &mut WrittenCandidate<'a>,
    losses: &mut Losses,
) {
    if !own.is_empty() {
        // Every other citation was read from these.
        candidate.grounding_metadata = own.grounding.as_ref().map(WrittenGrounding::Opaque);
        candidate.citation_metadata = own.recited.as_ref();
        return;
    }
    let mut grounding_chunks: Vec<WrittenGroundingChunk<'_>> = Vec::new();
    let mut grounding_supports = Vec::new();
    for Cited { citation, bytes } in cited {
        let Some(uri) = citation.url.as_deref() else {
            losses.note("citations");
            continue;
        };
        losses.note_if(citation.cited_text.is_some(), "citations");
        losses.note_if(citation.place.is_some() && bytes.is_none(), "citations.place");
        let web = WrittenWeb { uri, title: citation.title.as_deref() };
        let known = grounding_chunks.iter().position(|chunk| chunk.web == web);
        let index = known.unwrap_or_else(|| {
            grounding_chunks.push(WrittenGroundingChunk { web });
            grounding_chunks.len() - 1
        });
        if let Some(bytes) = bytes {
            let segment = WrittenSegment { start_index: bytes.start, end_index: bytes.end };
            grounding_supports.push(WrittenSupport { segment, grounding_chunk_indices: [index] });
        }
    }
    if !grounding_chunks.is_empty() {
        let made = WrittenGrounding::Made { grounding_chunks, grounding_supports };
        candidate.grounding_metadata = Some(made);
    }
}
