//! Events that are read into the common form and written anew in the client's dialect.

use super::{
    custom_tools::CustomCalls,
    estimate::Estimate,
    event_stream::{Fate, no_json},
    seen::Seen,
    transcript::{Compared, Repetition, WrittenTranscript},
};
use crate::{
    domain::{
        chat::{Delta, Losses},
        failure::{Failure, FailureClass},
    },
    gateway::{
        stream::halves::Halves,
        translate::{EventOutcome, ReadStream, part_order::PartOrder},
    },
};

/// A stream that is written anew.
pub(super) struct Written {
    pub reader: Box<dyn ReadStream>,
    pub transcript: WrittenTranscript,
    /// Whether another stream may have to go on with it.
    pub keeps_transcript: bool,
    /// How far it has come with repeating what another one has said. Absent once it has.
    pub repetition: Option<Repetition>,
    pub extras: Extras,
    pub halves: Halves,
    pub order: PartOrder,
}

/// What a stream that is written anew has beside reader and writer.
#[derive(Default)]
pub(super) struct Extras {
    pub estimate: Estimate,
    pub custom_calls: Option<CustomCalls>,
}

impl Written {
    /// Reads the data of one event, and writes what it says.
    ///
    /// What is no event of the dialect is passed over with a receipt, unless something of the answer may
    /// be lost with it: then the stream ends here.
    pub fn take(&mut self, data: &[u8], seen: &mut Seen, out: &mut Vec<u8>) -> Fate {
        let Self { reader, transcript, keeps_transcript, repetition, extras, halves, order } = self;
        let Extras { estimate, custom_calls } = extras;
        let mut differs = false;
        let mut write = |delta: Delta<'_>| {
            if differs {
                return;
            }
            let delta = match repetition.as_mut() {
                None => delta,
                Some(comparison) => match comparison.compare(transcript, delta) {
                    // All is repeated: what comes from here on is recorded, and must not be taken for
                    // something that is still to be repeated.
                    Compared::New(delta) => {
                        *repetition = None;
                        transcript.writer.borrow_mut().resumed();
                        delta
                    }
                    Compared::Behind => return,
                    Compared::Differs => {
                        differs = true;
                        return;
                    }
                },
            };
            if *keeps_transcript {
                transcript.record(&delta);
            }
            transcript.writer.borrow_mut().write(delta, out);
        };
        let mut tell = |delta: Delta<'_>| {
            seen.note(&delta);
            estimate.add(&delta);
            match custom_calls {
                None => order.pass(delta, &mut write),
                Some(calls) => order.pass(delta, &mut |delta| calls.pass(delta, &mut write)),
            }
        };
        let marked = halves.mark(data);
        let said = match &marked {
            None if halves.is_idle() => reader.read(data, &mut tell),
            marked => {
                let data = marked.as_deref().unwrap_or(data);
                reader.read(data, &mut |delta| halves.join(delta, &mut tell))
            }
        };
        seen.end_of_event();
        if let Some(lost) = self.order.lost() {
            return Fate::Unclear(Failure::new(FailureClass::Cut, lost));
        }
        match said {
            _ if differs || (self.is_behind() && self.order.has_ends()) => Fate::Differs,
            Ok(EventOutcome::Done) if self.is_behind() => Fate::Differs,
            Ok(EventOutcome::Done) => Fate::Done,
            Ok(EventOutcome::Failed(failure)) => Fate::Failed(*failure),
            Ok(EventOutcome::More | EventOutcome::Idle) => Fate::Drop,
            Ok(EventOutcome::DoneInPart) | Err(_) if holds_text(data) => match no_json(data) {
                Some(failure) => Fate::Failed(failure),
                None => {
                    let detail = "an event of the stream is of an unknown shape";
                    Fate::Unclear(Failure::new(FailureClass::Cut, detail))
                }
            },
            Ok(EventOutcome::Foreign | EventOutcome::DoneInPart) | Err(_) => {
                seen.leave_out("stream.event");
                Fate::Drop
            }
        }
    }

    /// Whether it has not yet repeated all that was said by the one before it.
    pub fn is_behind(&self) -> bool {
        self.repetition.as_ref().is_some_and(|it| it.is_behind(&self.transcript))
    }

    /// The last bytes of a complete answer.
    pub fn close(&mut self, seen: &mut Seen) -> Vec<u8> {
        let Self { transcript, extras: Extras { estimate, custom_calls }, halves, order, .. } =
            self;
        let usage = *seen.usage.get_or_insert_with(|| estimate.usage());
        let mut out = Vec::new();
        let mut writer = transcript.writer.borrow_mut();
        let mut write = |delta: Delta<'_>| match custom_calls {
            None => writer.write(delta, &mut out),
            Some(calls) => calls.pass(delta, &mut |delta| writer.write(delta, &mut out)),
        };
        halves.finish(&mut |delta| order.pass(delta, &mut write));
        order.finish(&mut write);
        writer.finish(usage, &mut out);
        drop(writer);
        out
    }

    /// What of the answer could not be said in the client's dialect up to now.
    pub fn losses(&self) -> Losses {
        let mut losses = self.reader.losses().clone();
        losses.absorb(self.transcript.writer.borrow().losses());
        losses
    }
}

/// Whether there may be text in it. Numbers and the three words of JSON have none, nor has what is empty.
fn holds_text(data: &[u8]) -> bool {
    let is_empty = matches!(data, b"{}" | b"[]" | b"\"\"");
    let is_scalar = serde_json::from_slice::<f64>(data).is_ok();
    !is_empty && !is_scalar && !matches!(data, b"null" | b"true" | b"false")
}
