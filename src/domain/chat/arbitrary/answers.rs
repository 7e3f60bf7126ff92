use std::borrow::Cow;

use proptest::{collection::vec, option, prelude::*};

use super::{Vocabulary, base64, flag, object, signature, text, where_said, word};
use crate::domain::{
    chat::{
        Answer, CallKind, Choice, Citation, Content, Delta, Part, Place, Reasoning, Source,
        StopReason, TokenLogprob, ToolCall, TopLogprob, Usage, deltas_of,
    },
    usage::TokenUsage,
};

/// An answer as streams can say it: no part without content.
pub(crate) fn answer(can: Vocabulary) -> impl Strategy<Value = Answer> {
    let choices = vec(choice(can), 1..=if can.choices { 3 } else { 1 });
    let tier = where_said(can.tiers, word());
    (option::of(word()), option::of(word()), choices, option::of(usage(can)), tier).prop_map(
        |(id, model, choices, usage, service_tier)| Answer {
            id,
            model,
            choices,
            usage,
            service_tier,
            ..Answer::default()
        },
    )
}

/// The deltas of an answer, with its texts cut into pieces anywhere; and the answer.
pub(crate) fn deltas(can: Vocabulary) -> impl Strategy<Value = (Answer, Vec<Delta<'static>>)> {
    (answer(can), vec(0_usize..8, 1..12)).prop_map(|(answer, cuts)| {
        let mut cuts = cuts.into_iter().cycle();
        let mut pieces = Vec::new();
        for delta in deltas_of(&answer) {
            cut(delta.into_owned(), &mut cuts, &mut pieces);
        }
        (answer, pieces)
    })
}

/// Cuts the text of a delta after as many characters as `cuts` say; not at all at a zero.
fn cut(
    mut rest: Delta<'static>,
    cuts: &mut impl Iterator<Item = usize>,
    pieces: &mut Vec<Delta<'static>>,
) {
    while let Some(text) = text_of(&mut rest) {
        let chars = cuts.next().unwrap_or(0);
        let Some((at, _)) = text.char_indices().nth(chars).filter(|(at, _)| *at > 0) else { break };
        let after = text.to_mut().split_off(at);
        let mut next = rest.clone();
        *text_of(&mut next).expect("it is of the same kind") = after.into();
        pieces.push(std::mem::replace(&mut rest, next));
    }
    pieces.push(rest);
}

fn text_of<'d>(delta: &'d mut Delta<'static>) -> Option<&'d mut Cow<'static, str>> {
    match delta {
        Delta::Text { text, .. }
        | Delta::Reasoning { text, .. }
        | Delta::Refusal { text, .. }
        | Delta::CallInput { text, .. } => Some(text),
        _ => None,
    }
}

fn choice(can: Vocabulary) -> impl Strategy<Value = Choice> {
    (vec(part(can), 0..5), stop(can), where_said(can.logprobs, vec(logprob(), 1..3))).prop_map(
        move |(parts, stop, logprobs)| {
            let parts = if can.any_order { parts } else { in_usual_order(parts) };
            let stop = if parts.iter().any(|part| matches!(part.content, Content::ToolCall(_))) {
                StopReason::ToolCalls
            } else {
                stop
            };
            Choice { parts: with_ids_that_differ(parts, can), stop, logprobs }
        },
    )
}

/// Thoughts, then one text or refusal, then calls, then the rest.
fn in_usual_order(mut parts: Vec<Part>) -> Vec<Part> {
    let place = |part: &Part| match part.content {
        Content::Reasoning(_) => 0,
        Content::Text { .. } | Content::Refusal(_) => 1,
        Content::ToolCall(_) => 2,
        _ => 3,
    };
    parts.sort_by_key(place);
    parts.dedup_by_key(|part| match place(part) {
        one_only @ (0 | 1) => one_only,
        // Each of these differs from its neighbour.
        _ => usize::MAX - std::ptr::from_ref(part).addr(),
    });
    parts
}

/// Calls are told apart by their ids; where there are none, they are empty.
fn with_ids_that_differ(mut parts: Vec<Part>, can: Vocabulary) -> Vec<Part> {
    for (number, part) in parts.iter_mut().enumerate() {
        if let Content::ToolCall(call) = &mut part.content {
            call.id = if can.call_ids { format!("{}_{number}", call.id) } else { String::new() };
        }
    }
    parts
}

/// A part of an answer.
pub(super) fn part(can: Vocabulary) -> impl Strategy<Value = Part> {
    let said = prop_oneof![
        4 => text_part(can),
        3 => call(can).prop_map(Content::ToolCall),
        2 => reasoning(can).prop_map(Content::Reasoning),
        1 => text().prop_map(Content::Refusal),
        1 => base64().prop_map(|base64| {
            let source = Source::Data { media_type: "image/png".to_owned(), base64 };
            Content::Image { source, detail: None }
        }),
        1 => (word(), object()).prop_map(move |(kind, json)| {
            Content::Opaque { by: can.dialect, kind, json }
        }),
    ];
    (said, text()).prop_map(move |(said, text)| {
        let is_said = match &said {
            Content::Reasoning(_) => can.reasoning,
            Content::Refusal(_) => can.refusals,
            Content::Image { .. } => can.images && can.any_order,
            Content::Opaque { .. } => can.own,
            _ => true,
        };
        if is_said { said.into() } else { Part::text(text) }
    })
}

fn text_part(can: Vocabulary) -> impl Strategy<Value = Content> {
    let most = if can.citations { 2 } else { 0 };
    (text(), vec(citation(), 0..=most))
        .prop_map(|(text, citations)| Content::Text { text, citations })
}

fn citation() -> impl Strategy<Value = Citation> {
    (word(), option::of(text()), option::of((0_u64..4, 4_u64..9))).prop_map(
        |(host, title, place)| Citation {
            url: Some(format!("https://{host}.example/")),
            title,
            place: place.map(|(start, end)| Place { start, end }),
            ..Citation::default()
        },
    )
}

/// A call of a function with an object, or of a custom tool with any text.
pub(super) fn call(can: Vocabulary) -> impl Strategy<Value = ToolCall> {
    let signature = where_said(can.call_signatures, signature(can.dialect));
    (word(), word(), object(), text(), flag(can.custom_tools), signature).prop_map(
        move |(id, name, object, text, is_custom, signature)| {
            let (kind, input) = if is_custom {
                (CallKind::Custom, text)
            } else {
                (CallKind::Function, object.as_str().to_owned())
            };
            let id = if can.call_ids { id } else { String::new() };
            ToolCall { id, name, kind, input, signature }
        },
    )
}

/// Thoughts with content: a text, a signature or both.
pub(super) fn reasoning(can: Vocabulary) -> impl Strategy<Value = Reasoning> {
    let id = where_said(can.reasoning_ids, word());
    (text(), flag(can.summaries), signature(can.dialect), any::<bool>(), flag(can.redacted), id)
        .prop_map(move |(text, is_summary, signature, has_signature, is_redacted, id)| {
            let signature =
                (can.signatures && (has_signature || !can.unsigned)).then_some(signature);
            if is_redacted && signature.is_some() {
                return Reasoning { signature, is_redacted, id, ..Reasoning::default() };
            }
            Reasoning { text, is_summary, signature, id, ..Reasoning::default() }
        })
}

fn stop(can: Vocabulary) -> impl Strategy<Value = StopReason> {
    prop_oneof![
        Just(StopReason::Finished),
        Just(StopReason::MaxTokens),
        option::of(word()).prop_map(move |text| {
            if can.stop_texts { StopReason::StopText(text) } else { StopReason::Finished }
        }),
        Just(if can.refusals { StopReason::Filtered } else { StopReason::Finished }),
    ]
}

fn logprob() -> impl Strategy<Value = TokenLogprob> {
    let logprob = || (-40_i16..=0).prop_map(|quarters| f64::from(quarters) / 4.0);
    let other = (text(), logprob()).prop_map(|(token, logprob)| {
        let bytes = Some(token.as_bytes().to_vec());
        TopLogprob { token, logprob, bytes }
    });
    (text(), logprob(), vec(other, 0..3)).prop_map(|(token, logprob, top)| {
        let bytes = Some(token.as_bytes().to_vec());
        TokenLogprob { token, logprob, bytes, top }
    })
}

fn usage(can: Vocabulary) -> impl Strategy<Value = Usage> {
    let count = || 0_u64..100_000;
    let classes = (count(), count(), count(), count(), count());
    (classes, where_said(can.reasoning_usage, 0_u64..50)).prop_map(
        move |((input, cache_read, cache_write_5m, cache_write_1h, output), reasoning)| Usage {
            tokens: TokenUsage {
                input,
                cache_read: if can.cache_reads { cache_read } else { 0 },
                cache_write_5m: if can.cache_writes { cache_write_5m } else { 0 },
                cache_write_1h: if can.cache_writes { cache_write_1h } else { 0 },
                output: output.max(reasoning.unwrap_or(0)),
            },
            reasoning,
            is_estimated: false,
        },
    )
}
