//! Streams as the relay handles them: bytes, events, deltas, and the events of another dialect.

use bytes::Bytes;
use providerpool::{
    domain::{
        chat::{Answer, Assembly, Delta, Losses, Usage},
        failure::Failure,
    },
    gateway::{
        stream::{
            lines,
            sse::{self, EventTooLong, MAX_EVENT_BYTES},
        },
        translate::{
            ClientSide, ErrorView, EventOutcome, Framing, ResponseContext, UpstreamSide,
            part_order::PartOrder,
        },
    },
};

/// More than any test's answer takes.
const ANSWER_BYTES: usize = 64 << 20;

/// The data of each event of a stream that comes in the given pieces.
pub fn events<'a>(
    framing: Framing,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Vec<u8>>, EventTooLong> {
    let mut events = Vec::new();
    let mut sse = sse::Framer::new(MAX_EVENT_BYTES);
    let mut lines = lines::Framer::new(MAX_EVENT_BYTES);
    for piece in pieces {
        let piece = Bytes::copy_from_slice(piece);
        match framing {
            Framing::Sse => {
                let frames = sse.feed(piece);
                let buffer = frames.buffer().clone();
                for event in frames {
                    events.push(event?.data(&buffer).to_vec());
                }
            }
            Framing::Lines => {
                let frames = lines.feed(piece);
                let buffer = frames.buffer().clone();
                for event in frames {
                    events.push(event?.data(&buffer).to_vec());
                }
            }
        }
    }
    Ok(events)
}

/// How a stream ended.
#[derive(Debug, Default, PartialEq)]
pub enum Ending {
    /// It has not said that it did.
    #[default]
    Open,
    Done,
    Failed(Box<Failure>),
}

/// All that was heard of a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    pub deltas: Vec<Delta<'static>>,
    /// How many deltas there were after each event.
    pub after_event: Vec<usize>,
    pub ending: Ending,
    /// Events that were not of the dialect.
    pub dropped: usize,
    pub losses: Losses,
}

impl Heard {
    /// The answer that was heard. `None` when a part of it is missing.
    pub fn answer(&self) -> Option<Answer> {
        assembled(&self.deltas)
    }

    pub fn usage(&self) -> Option<Usage> {
        self.deltas.iter().rev().find_map(|delta| match delta {
            Delta::Usage(usage) => Some(*usage),
            _ => None,
        })
    }
}

pub fn assembled(deltas: &[Delta<'_>]) -> Option<Answer> {
    let mut assembly = Assembly::new(ANSWER_BYTES);
    for delta in deltas {
        assembly.add(delta.clone()).ok()?;
    }
    assembly.finish()
}

/// Reads events until one ends the stream.
pub fn hear(upstream: &dyn UpstreamSide, events: &[Vec<u8>]) -> Heard {
    let mut reader = upstream.stream_reader();
    let mut heard = Heard::default();
    for event in events {
        let deltas = &mut heard.deltas;
        let said = reader.read(event, &mut |delta| deltas.push(delta.into_owned()));
        heard.after_event.push(heard.deltas.len());
        match said {
            Ok(EventOutcome::More | EventOutcome::Idle | EventOutcome::Foreign) => (),
            Ok(EventOutcome::Done) => heard.ending = Ending::Done,
            Ok(EventOutcome::DoneInPart) => {
                (heard.dropped, heard.ending) = (heard.dropped + 1, Ending::Done);
            }
            Ok(EventOutcome::Failed(failure)) => heard.ending = Ending::Failed(failure),
            Err(_) => heard.dropped += 1,
        }
        if heard.ending != Ending::Open {
            break;
        }
    }
    heard.losses = reader.losses().clone();
    heard
}

/// An error as a client is shown it.
pub fn error_view(failure: &Failure) -> ErrorView<'_> {
    ErrorView {
        status: failure.status.filter(|status| *status >= 400).unwrap_or(502),
        message: failure.reason.as_ref().map_or(&*failure.detail, |reason| &*reason.message),
        kind: "upstream_error",
        param: None,
        code: Some(failure.class.as_str()),
    }
}

/// What a client is sent of a stream that was heard, and what could not be said.
pub fn tell(
    client: &dyn ClientSide,
    shown: &ResponseContext<'_>,
    heard: &Heard,
) -> (Vec<u8>, Losses) {
    let mut writer = client.stream_writer(shown);
    let mut out = Vec::new();
    let mut order = PartOrder::default();
    for delta in &heard.deltas {
        order.pass(delta.clone(), &mut |delta| writer.write(delta, &mut out));
    }
    let is_open = heard.ending == Ending::Open && assembled(&heard.deltas).is_none();
    match &heard.ending {
        Ending::Failed(failure) => writer.fail(&error_view(failure), &mut out),
        _ if is_open || order.lost().is_some() => {
            let cut = Failure::new(providerpool::domain::failure::FailureClass::Cut, "cut");
            writer.fail(&error_view(&cut), &mut out);
        }
        Ending::Open | Ending::Done => {
            order.finish(&mut |delta| writer.write(delta, &mut out));
            writer.finish(heard.usage().unwrap_or_default(), &mut out);
        }
    }
    let mut losses = heard.losses.clone();
    losses.absorb(writer.losses());
    (out, losses)
}
