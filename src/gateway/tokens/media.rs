//! Tokens of what is not text. Sizes in pixels, pages and seconds are not looked for: they are
//! derived from the bytes, or taken to be usual ones.

use super::text::Sample;
use crate::domain::chat::{Document, Source};

/// A picture, whatever its size: what the largest that Anthropic does not scale down costs. OpenAI
/// charges 85 to 1,105 for most, Gemini 258 for each tile.
///
/// Source: <https://platform.claude.com/docs/en/build-with-claude/vision> (read 2026-11).
pub(super) const PER_IMAGE: u64 = 1_600;

/// A page of a PDF, as text and as a picture: the most that Anthropic says a page costs.
///
/// Source: <https://platform.claude.com/docs/en/build-with-claude/pdf-support> (read 2026-11).
const PER_PAGE: u64 = 3_000;

/// A page with a few drawings.
const BYTES_PER_PAGE: u64 = 50_000;

/// A document of which only the place is known.
const UNSEEN_PAGES: u64 = 10;

/// A second of sound and of film.
///
/// Source: <https://ai.google.dev/gemini-api/docs/tokens> (read 2026-11).
const PER_SECOND_OF_SOUND: u64 = 32;
const PER_SECOND_OF_FILM: u64 = 295;

/// 64 kbit/s, a low rate for compressed speech; film has at least ten times as much.
const BYTES_PER_SECOND_OF_SOUND: u64 = 8_000;
const BYTES_PER_SECOND_OF_FILM: u64 = 80_000;

/// 16,000 samples a second of two bytes, the least that is usual.
const BYTES_PER_SECOND_OF_SAMPLES: u64 = 32_000;

/// A sound or film of which only the place is known.
const UNSEEN_SECONDS: u64 = 60;

/// Adds the texts of a document to `sample`. The tokens of its pages are returned.
pub(super) fn document(document: &Document, sample: &mut Sample) -> u64 {
    for text in [&document.title, &document.context].into_iter().flatten() {
        sample.add(text);
        sample.break_off();
    }
    match &document.source {
        Source::Text(text) => {
            sample.add(text);
            sample.break_off();
            0
        }
        Source::Data { media_type, base64 } if media_type.starts_with("text/") => {
            sample.add_bytes(base64.len() / 4 * 3);
            0
        }
        Source::Data { base64, .. } => {
            file_bytes(base64).div_ceil(BYTES_PER_PAGE).max(1) * PER_PAGE
        }
        Source::Url(_) | Source::File { .. } => UNSEEN_PAGES * PER_PAGE,
    }
}

pub(super) fn audio(source: &Source) -> u64 {
    let bytes_per_second = match source {
        Source::Data { media_type, .. } if media_type.contains("wav") => {
            BYTES_PER_SECOND_OF_SAMPLES
        }
        _ => BYTES_PER_SECOND_OF_SOUND,
    };
    seconds(source, bytes_per_second) * PER_SECOND_OF_SOUND
}

pub(super) fn video(source: &Source) -> u64 {
    seconds(source, BYTES_PER_SECOND_OF_FILM) * PER_SECOND_OF_FILM
}

fn seconds(source: &Source, bytes_per_second: u64) -> u64 {
    match source {
        Source::Data { base64, .. } => file_bytes(base64).div_ceil(bytes_per_second).max(1),
        Source::Url(_) | Source::File { .. } | Source::Text(_) => UNSEEN_SECONDS,
    }
}

fn file_bytes(base64: &str) -> u64 {
    (base64.len() / 4 * 3) as u64
}
