use providerpool::{
    domain::chat::{Answer, Content, Json, Part},
    gateway::translate::UpstreamSide,
};

use crate::{
    dialects::{ALL, Spoken, asking, shown},
    essence::{Essence, assert_nothing_is_lost_in_silence},
    fixtures::{self, Case, cases, good},
    golden::{Gallery, Story},
    streaming::{Ending, Heard, assembled, events, hear, tell},
};

fn heard(dialect: &Spoken, case: &Case) -> Heard {
    let events = events(dialect.upstream.framing(), [&case.bytes[..]]).unwrap();
    hear(dialect.upstream, &events)
}

#[test]
fn streams_are_written_for_every_other_client() {
    let mut gallery = Gallery::default();
    let request = asking();
    for dialect in &ALL {
        for case in cases(dialect, "streams") {
            let heard = heard(dialect, &case);
            let mut story = Story::default();
            for other in ALL.iter().filter(|other| other.dialect != dialect.dialect) {
                let (told, losses) = tell(other.client, &shown(&request), &heard);
                story.tell(other, &losses, &told);
            }
            gallery.check(dialect, "streams", &case.name, &story);
        }
    }
    gallery.close();
}

#[test]
fn a_stream_is_read_to_its_end_and_only_an_error_is_a_failure() {
    for dialect in &ALL {
        for case in cases(dialect, "streams") {
            let heard = heard(dialect, &case);
            let name = format!("{} {}", dialect.name(), case.name);
            assert_eq!(heard.dropped, 0, "{name}: an event was dropped");
            let is_failed = matches!(heard.ending, Ending::Failed(_));
            assert_eq!(is_failed, case.is_failure(), "{name}");
            assert_eq!(heard.answer().is_none() || is_failed, case.is_failure(), "{name}");
        }
    }
}

#[test]
fn however_a_stream_is_cut_into_pieces_its_events_are_the_same() {
    for dialect in &ALL {
        let framing = dialect.upstream.framing();
        for case in cases(dialect, "streams") {
            let name = format!("{} {}", dialect.name(), case.name);
            let whole = events(framing, [&case.bytes[..]]).unwrap();
            assert_eq!(whole, events(framing, case.bytes.chunks(1)).unwrap(), "{name}");
            for at in 0..case.bytes.len() {
                let (start, rest) = case.bytes.split_at(at);
                assert_eq!(whole, events(framing, [start, rest]).unwrap(), "{name} cut at {at}");
            }
        }
    }
}

/// A stream that breaks off may look complete only where all of the answer has come. Usage and the
/// terminal event may be missing: whoever reads it knows that.
#[test]
fn a_stream_that_was_cut_short_never_looks_complete() {
    for dialect in &ALL {
        for case in good(dialect, "streams") {
            if let Err(broken) = check_cuts(dialect.upstream, &case.bytes) {
                panic!("{} {}: {broken}", dialect.name(), case.name);
            }
        }
    }
}

/// Reads a stream as far as each of its bytes.
pub fn check_cuts(upstream: &dyn UpstreamSide, stream: &[u8]) -> Result<(), String> {
    let framing = upstream.framing();
    let all = events(framing, [stream]).unwrap();
    let whole = hear(upstream, &all).answer().map(said).ok_or("it is not complete")?;
    let mut seen = usize::MAX;
    for at in 0..=stream.len() {
        let some = events(framing, [&stream[..at]]).unwrap();
        if some[..] != all[..some.len()] {
            return Err(format!("cut after {at} bytes it has other events"));
        }
        if some.len() == seen {
            continue;
        }
        seen = some.len();
        let heard = hear(upstream, &some);
        match (&heard.ending, heard.answer().map(said)) {
            (Ending::Failed(_), _) => return Err(format!("cut after {at} bytes it fails")),
            (Ending::Done, None) => return Err(format!("cut after {at} bytes it is done")),
            (Ending::Done | Ending::Open, Some(answer)) if answer != whole => {
                return Err(format!("cut after {at} bytes it looks complete"));
            }
            (Ending::Done | Ending::Open, _) => (),
        }
    }
    Ok(())
}

fn said(answer: Answer) -> Answer {
    without_ids(Answer { usage: None, ..answer })
}

/// An answer without what differs from one answer to the next, with neighbouring texts joined.
fn without_ids(answer: Answer) -> Answer {
    let Answer { model, choices, usage, .. } = answer;
    let mut plain = Answer { model, choices, usage, ..Answer::default() };
    for choice in &mut plain.choices {
        let mut parts: Vec<Part> = Vec::new();
        for mut part in std::mem::take(&mut choice.parts) {
            match (&mut part.content, parts.last_mut().map(|part| &mut part.content)) {
                (
                    Content::Text { text: more, citations: others },
                    Some(Content::Text { text, citations }),
                ) => {
                    text.push_str(more);
                    citations.append(others);
                    continue;
                }
                (Content::Text { text, citations }, _)
                    if text.is_empty() && citations.is_empty() =>
                {
                    continue;
                }
                (Content::ToolCall(call), _) => {
                    call.id.clear();
                    call.input = compact(&call.input);
                }
                (Content::Opaque { json, .. }, _) => {
                    *json = Json::parse(compact(json.as_str())).unwrap();
                }
                (Content::Reasoning(thought), _) => {
                    thought.id = None;
                    thought.is_summary &= !thought.text.is_empty();
                }
                _ => (),
            }
            parts.push(part);
        }
        for part in &mut parts {
            let Content::Text { citations, .. } = &mut part.content else { continue };
            for (_, json) in citations.iter_mut().filter_map(|citation| citation.original.as_mut())
            {
                *json = Json::parse(compact(json.as_str())).unwrap();
            }
        }
        choice.parts = parts;
    }
    plain
}

/// JSON without its white space; anything else as it is.
fn compact(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text)
        .map_or_else(|_| text.to_owned(), |value| value.to_string())
}

#[test]
fn a_stream_makes_the_same_answer_that_comes_whole() {
    let mut broken = Vec::new();
    for dialect in &ALL {
        for case in good(dialect, "streams") {
            let whole = fixtures::case(dialect, "answers", &case.name).unwrap();
            let whole = without_ids(dialect.upstream.read_answer(&whole.bytes).unwrap());
            let streamed = heard(dialect, &case).answer().map(without_ids);
            if streamed.as_ref() != Some(&whole) {
                let name = format!("{} {}", dialect.name(), case.name);
                broken.push(format!("{name}\nwhole:    {whole:?}\nstreamed: {streamed:?}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn what_a_stream_loses_on_its_way_is_named() {
    let mut broken = Vec::new();
    let request = asking();
    for dialect in &ALL {
        for case in good(dialect, "streams") {
            let heard = heard(dialect, &case);
            let sent = Essence::from(&heard.answer().unwrap());
            for other in &ALL {
                let way = format!("{} {} to {}", dialect.name(), case.name, other.name());
                let (told, losses) = tell(other.client, &shown(&request), &heard);
                let events = events(other.upstream.framing(), [&told[..]]).unwrap();
                let arrived = hear(other.upstream, &events);
                match assembled(&arrived.deltas) {
                    Some(answer) if arrived.dropped == 0 => {
                        let got = Essence::from(&answer);
                        broken
                            .extend(assert_nothing_is_lost_in_silence(&way, &sent, &got, &losses));
                    }
                    _ => broken.push(format!("{way}: arrives as {arrived:?}")),
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_stream_that_fails_ends_with_an_error_for_every_client() {
    let request = asking();
    for dialect in &ALL {
        let streams = cases(dialect, "streams");
        for case in streams.iter().filter(|case| case.is_failure()) {
            let heard = heard(dialect, case);
            for other in &ALL {
                let (told, _) = tell(other.client, &shown(&request), &heard);
                let events = events(other.upstream.framing(), [&told[..]]).unwrap();
                let arrived = hear(other.upstream, &events);
                let way = format!("{} {} to {}", dialect.name(), case.name, other.name());
                assert!(matches!(arrived.ending, Ending::Failed(_)), "{way}: {arrived:?}");
            }
        }
    }
}
