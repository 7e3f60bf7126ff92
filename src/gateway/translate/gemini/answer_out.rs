//! A whole answer, written for a client.

use super::{
    citations_out::{self, Cited, OriginalMetadata},
    logprobs, parts_out, stops, usage,
};
use crate::{
    domain::chat::{Answer, Choice, Citation, Content, Losses},
    gateway::{
        dialect::gemini::{WrittenAnswer, WrittenCandidate, WrittenContent},
        translate::{ResponseContext, tier},
    },
};

pub(super) fn write(answer: &Answer, shown: &ResponseContext<'_>, losses: &mut Losses) -> Vec<u8> {
    tier::note_lost(answer.service_tier.as_deref(), losses);
    let cited: Vec<_> = answer.choices.iter().map(cited).collect();
    let own: Vec<_> = cited.iter().map(|cited| OriginalMetadata::of(cited)).collect();
    let candidates = answer.choices.iter().zip(&cited).zip(&own).enumerate();
    let candidates = candidates.map(|(index, ((choice, cited), own))| {
        let mut candidate = candidate(choice, index, shown.id, losses);
        citations_out::write(cited, own, &mut candidate, losses);
        candidate
    });
    let written = WrittenAnswer {
        candidates: candidates.collect(),
        usage_metadata: answer.usage.as_ref().map(usage::write),
        model_version: answer.model.as_deref().unwrap_or(shown.model.as_str()),
        response_id: answer.id.as_deref().unwrap_or(shown.id),
    };
    serde_json::to_vec(&written).expect("texts and parsed JSON values are always JSON")
}

fn candidate<'a>(
    choice: &'a Choice,
    index: usize,
    id: &str,
    losses: &mut Losses,
) -> WrittenCandidate<'a> {
    let mut calls = 0;
    let parts = choice.parts.iter().filter_map(|part| {
        if let Content::ToolCall(call) = &part.content
            && !choice.stop.completes(call)
        {
            losses.note("tool_calls");
            return None;
        }
        let written = parts_out::write(&part.content, id, calls, losses);
        calls += u32::from(matches!(part.content, Content::ToolCall(_)));
        written
    });
    let parts = parts.collect();
    WrittenCandidate {
        content: Some(WrittenContent { role: Some("model"), parts }),
        finish_reason: Some(stops::write(&choice.stop, losses)),
        index: u32::try_from(index).unwrap_or(u32::MAX),
        logprobs_result: choice.logprobs.as_deref().map(logprobs::write),
        ..WrittenCandidate::default()
    }
}

/// The sources of all texts, with their places in the bytes of the whole.
fn cited(choice: &Choice) -> Vec<Cited> {
    let mut all = Vec::new();
    let mut before = 0;
    for part in &choice.parts {
        let Content::Text { text, citations } = &part.content else { continue };
        all.extend(citations.iter().map(|citation| Cited {
            citation: citation.clone(),
            bytes: bytes_of(citation, text).map(|(start, end)| before + start..before + end),
        }));
        before += text.len() as u64;
    }
    all
}

fn bytes_of(citation: &Citation, text: &str) -> Option<(u64, u64)> {
    let place = citation.place?;
    let byte = |character: u64| {
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        ends.map(|at| at as u64).nth(usize::try_from(character).ok()?)
    };
    Some((byte(place.start)?, byte(place.end)?))
}
