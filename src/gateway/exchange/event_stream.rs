//! A stream on its way from an upstream to a client, event by event, whatever the two speak: passed on as
//! it came where that is the same, and else read into the common form and written anew.

use std::ops::Range;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::{
    passed::Passed,
    seen::Seen,
    transcript::{Sent, Transcript},
    written::Written,
};
use crate::{
    domain::{
        chat::Losses,
        failure::{Failure, FailureClass},
        usage::UsedTokens,
    },
    gateway::{
        mended::in_utf8,
        stream::{
            lines,
            sse::{Event, EventTooLong, Framer},
        },
        tokens::PartialUsage,
        translate::{Framing, UpstreamSide},
    },
};

/// One stream of an upstream. Feed it what comes, send what it gives.
///
/// Dropped on the way: comments and keep-alives of the upstream (the relay has its own), the usage chunk
/// of Chat Completions when only the pool asked for it, and what a translation has no words for.
pub struct EventStream {
    framer: AnyFramer,
    pub(super) events: Events,
    is_over: bool,
}

/// What one piece of input gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Whole events to send, in order. Empty when there are none. The input's own bytes, not a copy,
    /// unless something between them was left out or written anew.
    pub forward: Bytes,
    /// Where in `forward` there is no part of an answer, but something of the vendor's own. In order.
    pub foreign: Vec<Range<usize>>,
    /// Whether an event has come, or a part of one: comments and empty lines are none.
    pub is_news: bool,
    /// Set once, when the stream is over. Nothing that comes later counts.
    pub ending: Option<Ending>,
}

/// How a stream ends by its own word.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// The last bytes of the answer. To be sent when it is on the ledger.
    Done(Bytes),
    /// The upstream sent an error, or something that is no event stream. Nothing of it is to be sent.
    Failed(Failure),
    /// It was to resume an answer and says something else. Nothing of it has been given out.
    Mismatch,
}

/// What becomes of an event.
pub(super) enum Fate {
    /// It passes as it came.
    Pass,
    /// The same of what is no part of an answer.
    Foreign,
    /// Nothing of it passes, or what it says has been written anew.
    Drop,
    /// It is the last one of a complete answer.
    Done,
    Failed(Failure),
    /// It cannot be read, and may hold something of the answer.
    Unclear(Failure),
    /// It does not repeat what was sent.
    Differs,
}

enum AnyFramer {
    Sse(Framer),
    Lines(lines::Framer),
}

pub(super) struct Events {
    pub way: Way,
    seen: Seen,
    /// See [`UpstreamSide::may_end_each_event`].
    may_end_each_event: bool,
    /// The event that was an error.
    error: Option<Bytes>,
}

/// How events reach the client.
pub(super) enum Way {
    Passed(Passed),
    Written(Box<Written>),
}

impl Way {
    /// The bytes in which an event passes: its data, and all of its bytes. `None`: those.
    fn changed(&self, data: &[u8], raw: &[u8]) -> Option<Bytes> {
        match self {
            Self::Passed(passed) => passed.changed(data, raw),
            Self::Written(_) => None,
        }
    }
}

impl EventStream {
    /// `max_event_bytes`: the largest event that is taken.
    pub(super) fn new(upstream: &dyn UpstreamSide, max_event_bytes: usize, way: Way) -> Self {
        let framer = match upstream.framing() {
            Framing::Sse => AnyFramer::Sse(Framer::new(max_event_bytes)),
            Framing::Lines => AnyFramer::Lines(lines::Framer::new(max_event_bytes)),
        };
        let may_end_each_event = upstream.may_end_each_event();
        let events = Events { way, seen: Seen::default(), may_end_each_event, error: None };
        Self { framer, events, is_over: false }
    }

    /// Takes the next bytes of the upstream's body.
    pub fn feed(&mut self, input: Bytes) -> Output {
        if self.is_over {
            return Output::default();
        }
        let output = match &mut self.framer {
            AnyFramer::Sse(framer) => {
                let frames = framer.feed(input);
                let buffer = frames.buffer().clone();
                let output = self.events.take_all(frames, &buffer);
                Output { is_news: output.is_news || framer.is_within_event(), ..output }
            }
            AnyFramer::Lines(framer) => {
                let frames = framer.feed(input);
                let buffer = frames.buffer().clone();
                let output = self.events.take_all(frames, &buffer);
                Output { is_news: output.is_news || framer.is_within_line(), ..output }
            }
        };
        self.is_over = output.ending.is_some();
        output
    }

    /// Whether every choice has ended and all of the answer is here: at most what ends the stream is
    /// missing, and the last count of what was used.
    pub fn is_finished(&self) -> bool {
        self.events.seen.is_finished() && !self.events.is_behind()
    }

    /// Whether it is so for good, and whatever comes now changes nothing: an answer of which more has come
    /// after its end may be in the middle of its words.
    pub fn is_complete(&self) -> bool {
        self.events.is_complete()
    }

    /// Whether it is complete, and its end is no longer worth a wait: who has not yet sent an event without
    /// an end may say one in each.
    pub fn may_be_ended(&self) -> bool {
        let Events { seen, may_end_each_event, .. } = &self.events;
        self.is_complete() && !(*may_end_each_event && seen.is_at_once())
    }

    /// What is still to be sent of an answer of which no more comes. `None`: it is not whole.
    pub fn end(&mut self) -> Option<Bytes> {
        self.is_finished().then(|| self.events.close())
    }

    /// The same of one whose connection breaks, with this failure.
    pub fn break_off(&mut self, failure: Failure) -> Ending {
        self.complete().map_or(Ending::Failed(failure), Ending::Done)
    }

    /// The same of one that is ended here. `None`: it is not complete.
    pub fn complete(&mut self) -> Option<Bytes> {
        self.is_complete().then(|| self.events.close())
    }

    /// Whether the candidate has proved itself: a first content event was seen, or the end of an answer
    /// without content. One that resumes an answer must first have repeated all of it.
    pub fn is_proved(&self) -> bool {
        self.events.seen.proved && !self.events.is_behind()
    }

    /// What the event held that has ended it with an error, if one has.
    pub fn error(&self) -> Option<&[u8]> {
        self.events.error.as_deref()
    }

    /// Events that could not be read and were dropped.
    pub fn dropped(&self) -> u64 {
        self.events.seen.dropped
    }

    /// What the upstream reported last; at the end of an answer that is written anew what was counted
    /// here, if it reported nothing.
    pub fn usage(&self) -> Option<UsedTokens> {
        self.events.seen.usage.map(Into::into)
    }

    /// What was used if nothing more comes.
    pub fn partial_usage(&self) -> PartialUsage {
        self.events.seen.partial_usage()
    }

    /// What has been sent, where another stream could go on with it now.
    pub fn transcript(&self) -> Option<Transcript> {
        let sent = match &self.events.way {
            Way::Passed(passed) => {
                let log = passed.log.as_ref().filter(|log| log.can_resume())?;
                Sent::Passed(log.clone(), passed.next_number)
            }
            Way::Written(written) => {
                let transcript = Some(&written.transcript).filter(|_| written.keeps_transcript);
                Sent::Written(transcript.filter(|it| it.can_resume())?.clone())
            }
        };
        Some(Transcript(sent))
    }

    /// What of the answer could not be said in the client's dialect up to now, and what of its events was
    /// left out. Of what is passed on nothing is lost, whatever its reader has no words for.
    pub fn losses(&self) -> Losses {
        let mut losses = match &self.events.way {
            Way::Passed(_) => Losses::default(),
            Way::Written(written) => written.losses(),
        };
        losses.absorb(&self.events.seen.unread);
        losses
    }

    /// Notes that the client does not get a secret which the answer quotes.
    pub fn note_masked(&mut self) {
        self.events.seen.unread.note_masked();
    }
}

fn unusable(error: EventTooLong) -> Ending {
    Ending::Failed(Failure::new(FailureClass::Cut, error.to_string()))
}

/// The failure that an event is which is no JSON: something of the answer may have been in it, and what
/// is not understood is never left out in silence. `None`: it is JSON.
pub(super) fn no_json(data: &[u8]) -> Option<Failure> {
    let is_json = serde_json::from_slice::<IgnoredAny>(data).is_ok();
    (!is_json).then(|| Failure::new(FailureClass::Cut, "an event of the stream is no JSON"))
}

/// The name of what came in the place of an answer's end.
fn name_after_end(failure: &Failure) -> String {
    match failure.class {
        FailureClass::Cut => "stream.event".to_owned(),
        class => format!("stream.error.{}", class.as_str()),
    }
}

impl Events {
    fn is_behind(&self) -> bool {
        match &self.way {
            Way::Passed(_) => false,
            Way::Written(written) => written.is_behind(),
        }
    }

    fn is_complete(&self) -> bool {
        self.seen.is_complete() && !self.is_behind()
    }

    fn take_all(
        &mut self,
        frames: impl Iterator<Item = Result<Event, EventTooLong>>,
        buffer: &Bytes,
    ) -> Output {
        let mut selection = Selection::default();
        let (mut ending, mut foreign, mut is_news) = (None, Vec::new(), false);
        for frame in frames {
            ending = match frame {
                // Some servers keep connections open with these.
                Ok(event) if event.data(buffer).trim_ascii().is_empty() => continue,
                Ok(event) => {
                    is_news = true;
                    self.take(&event, buffer, &mut selection, &mut foreign)
                }
                Err(error) => Some(unusable(error)),
            };
            if ending.is_some() {
                break;
            }
        }
        Output { forward: selection.into_bytes(buffer), foreign, is_news, ending }
    }

    fn take(
        &mut self,
        event: &Event,
        buffer: &Bytes,
        selection: &mut Selection,
        foreign: &mut Vec<Range<usize>>,
    ) -> Option<Ending> {
        let data = event.data(buffer).trim_ascii();
        // No client could read it as JSON either.
        let mended = std::str::from_utf8(data).is_err().then(|| {
            let raw = buffer.slice(event.raw.clone());
            (in_utf8(Bytes::copy_from_slice(data)), in_utf8(raw))
        });
        let data = mended.as_ref().map_or(data, |(data, _)| data);
        let raw = mended.as_ref().map_or(&buffer[event.raw.clone()], |(_, raw)| raw);
        let other = |way: &Way| {
            way.changed(data, raw).or_else(|| mended.as_ref().map(|(_, raw)| raw.clone()))
        };
        let was_complete = self.is_complete();
        let fate = match &mut self.way {
            Way::Passed(passed) => passed.take(data, &mut self.seen),
            Way::Written(written) => written.take(data, &mut self.seen, selection.others()),
        };
        match fate {
            Fate::Drop => None,
            Fate::Pass | Fate::Foreign => {
                let start = selection.len();
                match other(&self.way) {
                    None => selection.add(buffer, event.raw.clone()),
                    Some(other) => selection.add_other(buffer, &other),
                }
                if matches!(fate, Fate::Foreign) {
                    foreign.push(start..selection.len());
                }
                None
            }
            Fate::Done => Some(Ending::Done(match &self.way {
                Way::Written(_) => self.close(),
                way @ Way::Passed(_) => {
                    other(way).unwrap_or_else(|| buffer.slice(event.raw.clone()))
                }
            })),
            // The answer is here, and this is none of it, unless it says more of it.
            Fate::Failed(failure) if was_complete && self.is_complete() => {
                self.seen.leave_out(name_after_end(&failure));
                Some(Ending::Done(self.close()))
            }
            Fate::Failed(failure) | Fate::Unclear(failure) => {
                self.error = Some(Bytes::copy_from_slice(data));
                Some(Ending::Failed(failure))
            }
            Fate::Differs => Some(Ending::Mismatch),
        }
    }

    /// The last bytes of a complete answer.
    fn close(&mut self) -> Bytes {
        match &mut self.way {
            Way::Passed(passed) => Bytes::from_static(passed.closing),
            Way::Written(written) => written.close(&mut self.seen).into(),
        }
    }
}

/// What is to be sent of a buffer: a slice of it as long as its parts touch, a copy once they do not, or
/// once something else stands between them.
#[derive(Default)]
struct Selection {
    copied: Vec<u8>,
    run: Range<usize>,
}

impl Selection {
    fn add(&mut self, buffer: &[u8], part: Range<usize>) {
        if self.run.is_empty() {
            self.run = part;
        } else if self.run.end == part.start {
            self.run.end = part.end;
        } else {
            self.copied.extend_from_slice(&buffer[self.run.clone()]);
            self.run = part;
        }
    }

    /// Bytes selected so far.
    fn len(&self) -> usize {
        self.copied.len() + self.run.len()
    }

    /// Adds what is no part of the buffer.
    fn add_other(&mut self, buffer: &[u8], other: &[u8]) {
        self.copied.extend_from_slice(&buffer[std::mem::take(&mut self.run)]);
        self.copied.extend_from_slice(other);
    }

    /// Where all is written anew, and no part of the buffer is taken.
    fn others(&mut self) -> &mut Vec<u8> {
        &mut self.copied
    }

    fn into_bytes(mut self, buffer: &Bytes) -> Bytes {
        if self.copied.is_empty() {
            return buffer.slice(self.run);
        }
        self.copied.extend_from_slice(&buffer[self.run]);
        self.copied.into()
    }
}

#[cfg(test)]
mod abnormal;
#[cfg(test)]
mod after_end;
#[cfg(test)]
mod alike;
#[cfg(test)]
mod broken;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod odd;
#[cfg(test)]
mod resumed;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wholes;
