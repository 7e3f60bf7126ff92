//! An answer loses the same on its way to a client, whether it comes whole or as a stream.

use providerpool::domain::chat::{Answer, Content, Delta, Losses, deltas_of};

use crate::{
    dialects::{ALL, Spoken, asking, shown},
    fixtures::{self, good},
    streaming::{Ending, Heard, events, hear, tell},
};

fn lost_whole(client: &Spoken, answer: &Answer) -> Losses {
    let mut losses = answer.losses.clone();
    client.client.write_answer(answer, &shown(&asking()), &mut losses);
    losses
}

fn differing(way: &str, whole: &Losses, streamed: &Losses) -> Option<String> {
    (whole != streamed).then(|| format!("{way}\n  whole:    {whole}\n  streamed: {streamed}"))
}

#[test]
fn an_answer_given_as_a_stream_loses_what_it_loses_whole() {
    let request = asking();
    let mut broken = Vec::new();
    for dialect in &ALL {
        for case in good(dialect, "answers") {
            let answer = dialect.upstream.read_answer(&case.bytes).unwrap();
            let heard = Heard {
                deltas: deltas_of(&answer).into_iter().map(Delta::into_owned).collect(),
                ending: Ending::Done,
                losses: answer.losses.clone(),
                ..Heard::default()
            };
            for other in &ALL {
                let (_, streamed) = tell(other.client, &shown(&request), &heard);
                let way = format!("{} {} to {}", dialect.name(), case.name, other.name());
                broken.extend(differing(&way, &lost_whole(other, &answer), &streamed));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_stream_of_an_answer_loses_what_the_answer_loses() {
    let request = asking();
    let mut broken = Vec::new();
    for dialect in &ALL {
        for case in good(dialect, "streams") {
            let whole = fixtures::case(dialect, "answers", &case.name).unwrap();
            let whole = dialect.upstream.read_answer(&whole.bytes).unwrap();
            let events = events(dialect.upstream.framing(), [&case.bytes[..]]).unwrap();
            let heard = hear(dialect.upstream, &events);
            for other in &ALL {
                let (_, streamed) = tell(other.client, &shown(&request), &heard);
                let way = format!("{} {} to {}", dialect.name(), case.name, other.name());
                broken.extend(differing(&way, &lost_whole(other, &whole), &streamed));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Of one answer and the stream of it: its tier, and the ids of its thoughts.
fn kept(answer: &Answer) -> (Option<&str>, Vec<Option<&str>>) {
    let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
    let ids = parts.filter_map(|part| match &part.content {
        Content::Reasoning(thought) => Some(thought.id.as_deref()),
        _ => None,
    });
    (answer.service_tier.as_deref(), ids.collect())
}

#[test]
fn a_stream_keeps_its_tier_and_the_ids_of_its_thoughts() {
    let (request, mut ids, mut tiers) = (asking(), 0, 0);
    for dialect in &ALL {
        for case in good(dialect, "streams") {
            let name = format!("{} {}", dialect.name(), case.name);
            let whole = fixtures::case(dialect, "answers", &case.name).unwrap();
            let whole = dialect.upstream.read_answer(&whole.bytes).unwrap();
            let read = |bytes: &[u8]| {
                let events = events(dialect.upstream.framing(), [bytes]).unwrap();
                hear(dialect.upstream, &events)
            };
            let heard = read(&case.bytes);
            assert_eq!(kept(&heard.answer().unwrap()), kept(&whole), "{name}");
            let (told, _) = tell(dialect.client, &shown(&request), &heard);
            let arrived = read(&told).answer().unwrap();
            let (tier, thoughts) = kept(&whole);
            tiers += usize::from(tier.is_some());
            ids += thoughts.iter().flatten().count();
            assert_eq!(kept(&arrived), kept(&whole), "{name}, there and back");
        }
    }
    assert!(ids > 0 && tiers > 0, "no fixture has any");
}
