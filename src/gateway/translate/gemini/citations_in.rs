//! Sources of an answer: found by a search, or recited.
//!
//! Places are counted in bytes on the wire and in characters in the common form.
//!
//! Sources, read 2026-11: <https://ai.google.dev/gemini-api/docs/google-search>,
//! <https://ai.google.dev/api/generate-content#citationmetadata>.

use serde_json::value::RawValue;

use super::compact::compact;
use crate::{
    domain::chat::{Citation, Dialect, Json, Losses, Place},
    gateway::{
        dialect::gemini::{CitationMetadata, GroundingMetadata, Text},
        translate::said_text::SaidText,
    },
};

/// Most sources of one answer that are told.
const MAX_CITATIONS: usize = 256;

/// What a text that was said has between two places. None: they are no places of it, or are beyond what is
/// kept of it.
fn place_in(text: &SaidText, start: Option<u64>, end: Option<u64>) -> Option<Place> {
    let character = |byte: u64| {
        let before = text.as_str().get(..usize::try_from(byte).ok()?)?;
        u64::try_from(before.chars().count()).ok()
    };
    let (start, end) = (character(start.unwrap_or(0))?, character(end?)?);
    (start < end).then_some(Place { start, end })
}

/// Reads what a search has found. The first citation carries the whole of it.
pub(super) fn read_grounding(
    raw: &RawValue,
    text: &SaidText,
    losses: &mut Losses,
    cite: &mut dyn FnMut(Citation),
) {
    let Ok(metadata) = serde_json::from_str::<GroundingMetadata<'_>>(raw.get()) else { return };
    let chunks = metadata.grounding_chunks.unwrap_or_default();
    let supports = metadata.grounding_supports.unwrap_or_default();
    let mut citing = Citing::new("groundingMetadata", raw, losses, cite);
    let mut supported = vec![false; chunks.len()];
    for support in &supports {
        let segment = support.segment.as_ref();
        let place =
            segment.and_then(|segment| place_in(text, segment.start_index, segment.end_index));
        for index in support.grounding_chunk_indices.iter().flatten() {
            let index = *index as usize;
            let Some(found) = chunks.get(index).and_then(|chunk| chunk.found()) else { continue };
            supported[index] = true;
            citing.tell(found.uri.as_ref(), found.title.as_ref(), place);
        }
    }
    let unsupported = chunks.iter().zip(&supported).filter(|(_, is_supported)| !**is_supported);
    for found in unsupported.filter_map(|(chunk, _)| chunk.found()) {
        citing.tell(found.uri.as_ref(), found.title.as_ref(), None);
    }
}

/// Reads what was recited.
pub(super) fn read_recited(
    raw: &RawValue,
    text: &SaidText,
    losses: &mut Losses,
    cite: &mut dyn FnMut(Citation),
) {
    let Ok(metadata) = serde_json::from_str::<CitationMetadata<'_>>(raw.get()) else { return };
    let mut citing = Citing::new("citationMetadata", raw, losses, cite);
    for source in metadata.citation_sources.unwrap_or_default() {
        let place = place_in(text, source.start_index, source.end_index);
        citing.tell(source.uri.as_ref(), source.title.as_ref(), place);
    }
}

struct Citing<'c> {
    field: &'static str,
    raw: &'c RawValue,
    told: usize,
    losses: &'c mut Losses,
    cite: &'c mut dyn FnMut(Citation),
}

impl<'c> Citing<'c> {
    fn new(
        field: &'static str,
        raw: &'c RawValue,
        losses: &'c mut Losses,
        cite: &'c mut dyn FnMut(Citation),
    ) -> Self {
        Self { field, raw, told: 0, losses, cite }
    }

    fn tell(&mut self, url: Option<&Text<'_>>, title: Option<&Text<'_>>, place: Option<Place>) {
        if self.told == MAX_CITATIONS {
            self.losses.note("citations");
            return;
        }
        let original = (self.told == 0).then(|| {
            let json = format!(r#"{{"{}":{}}}"#, self.field, compact(self.raw.get()));
            let json = Json::parse(json).expect("a name and a JSON value make an object");
            (Dialect::Gemini, json)
        });
        self.told += 1;
        let owned = |text: Option<&Text<'_>>| text.map(|text| text.0.to_string());
        (self.cite)(Citation {
            url: owned(url),
            title: owned(title),
            cited_text: None,
            place,
            original,
        });
    }
}
