//! A stream on its way through, event by event: read into the common form, and written in the client's
//! dialect, or passed on as it came where that is the same.

use bytes::{Bytes, BytesMut};

use super::{
    common_transcript::{CommonTranscript, Compared, Repetition, SharedWriter},
    custom_tools::CustomCalls,
    envelope::Envelope,
    estimate::Estimate,
};
use crate::{
    domain::{
        chat::{Delta, Losses, Usage},
        failure::{Failure, FailureClass},
    },
    gateway::{
        stream::{
            chat_stream::{Ending, Output, no_json},
            lines,
            sse::{Event, EventTooLong, Framer},
        },
        tokens::{PartialUsage, TextLength},
        translate::{Framing, ReadStream, Said, responses::naming_previous},
    },
};

/// Largest event taken, in bytes. The last one of Responses repeats the whole answer, and one of
/// Gemini's may hold a picture.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// What is known of a stream so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub proved: bool,
    pub dropped: u64,
    pub usage: Option<Usage>,
    /// Whether the event that is being read has told usage.
    is_told: bool,
    said: TextLength,
    /// What of it was said by the end of the event that told usage.
    said_then: TextLength,
    choices: u128,
    finished: u128,
}

/// What a stream that is written anew has beside reader and writer.
#[derive(Default)]
pub(super) struct Extras {
    pub estimate: Estimate,
    pub custom_calls: Option<CustomCalls>,
}

/// One stream of an upstream. Feed it what comes, send what it gives.
pub struct EventStream {
    framer: AnyFramer,
    events: Events,
    is_over: bool,
}

enum AnyFramer {
    Sse(Framer),
    Lines(lines::Framer),
}

/// What becomes of each event.
struct Events {
    reader: Box<dyn ReadStream>,
    /// Absent where events are passed on as they came.
    transcript: Option<CommonTranscript>,
    repetition: Option<Repetition>,
    keeps_transcript: bool,
    extras: Extras,
    /// What is around events that are passed on.
    envelope: Envelope,
    /// What an upstream leaves out that ends its stream without the last event of its dialect.
    closing: &'static [u8],
    /// The answer before it, where its upstream cannot know that.
    previous: Option<String>,
    seen: Seen,
    /// The event that was an error.
    error: Option<Bytes>,
}

enum Verdict {
    More,
    Foreign,
    Dropped,
    Done,
    Failed(Failure),
    Differs,
}

impl EventStream {
    /// A stream whose events are passed on as they came, but for what is around them, and for the name of
    /// the answer that it continues: `previous`.
    pub(super) fn native(
        framing: Framing,
        reader: Box<dyn ReadStream>,
        envelope: Envelope,
        closing: &'static [u8],
        previous: Option<String>,
    ) -> Self {
        let mut stream = Self::new(framing, reader, None, false, Extras::default(), closing);
        stream.events.envelope = envelope;
        stream.events.previous = previous;
        stream
    }

    /// A stream that is written anew by `writer`. `keeps_transcript`: another one may resume it.
    pub(super) fn translated(
        framing: Framing,
        reader: Box<dyn ReadStream>,
        writer: SharedWriter,
        keeps_transcript: bool,
        extras: Extras,
    ) -> Self {
        let transcript = CommonTranscript::new(writer);
        Self::new(framing, reader, Some(transcript), keeps_transcript, extras, b"")
    }

    /// A stream that goes on where another one broke off: it writes nothing until it has repeated all
    /// of `transcript`.
    pub(super) fn resuming(
        framing: Framing,
        reader: Box<dyn ReadStream>,
        transcript: CommonTranscript,
        extras: Extras,
    ) -> Self {
        let repetition = (!transcript.is_empty()).then(Repetition::default);
        let mut stream = Self::new(framing, reader, Some(transcript), true, extras, b"");
        stream.events.repetition = repetition;
        stream
    }

    fn new(
        framing: Framing,
        reader: Box<dyn ReadStream>,
        transcript: Option<CommonTranscript>,
        keeps_transcript: bool,
        extras: Extras,
        closing: &'static [u8],
    ) -> Self {
        let framer = match framing {
            Framing::Sse => AnyFramer::Sse(Framer::new(MAX_EVENT_BYTES)),
            Framing::Lines => AnyFramer::Lines(lines::Framer::new(MAX_EVENT_BYTES)),
        };
        let events = Events {
            reader,
            transcript,
            repetition: None,
            keeps_transcript,
            extras,
            envelope: Envelope::None,
            closing,
            previous: None,
            seen: Seen::default(),
            error: None,
        };
        Self { framer, events, is_over: false }
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.events.seen
    }

    pub(super) fn error(&self) -> Option<&[u8]> {
        self.events.error.as_deref()
    }

    pub(super) fn is_proved(&self) -> bool {
        self.events.seen.proved && !self.events.is_behind()
    }

    pub(super) fn transcript(&self) -> Option<&CommonTranscript> {
        self.events.transcript.as_ref().filter(|_| self.events.keeps_transcript)
    }

    pub(super) fn writer(&self) -> Option<SharedWriter> {
        Some(self.events.transcript.as_ref()?.writer.clone())
    }

    /// What of the answer could not be said in the client's dialect up to now. Of what is passed on
    /// nothing is lost, whatever its reader has no words for.
    pub(super) fn losses(&self) -> Losses {
        let Some(transcript) = &self.events.transcript else { return Losses::default() };
        let mut losses = self.events.reader.losses().clone();
        losses.absorb(transcript.writer.borrow().losses());
        losses
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
                self.events.take_all(frames, &buffer)
            }
            AnyFramer::Lines(framer) => {
                let frames = framer.feed(input);
                let buffer = frames.buffer().clone();
                self.events.take_all(frames, &buffer)
            }
        };
        self.is_over = output.ending.is_some();
        output
    }

    /// What is still to be sent of an answer whose upstream has ended well here. `None`: it is not
    /// whole.
    pub fn end(&mut self) -> Option<Bytes> {
        let is_whole = self.events.seen.is_finished() && !self.events.is_behind();
        is_whole.then(|| self.events.close())
    }
}

fn unusable(error: EventTooLong) -> Ending {
    Ending::Failed(Failure::new(FailureClass::Server, error.to_string()))
}

impl Events {
    fn take_all(
        &mut self,
        frames: impl Iterator<Item = Result<Event, EventTooLong>>,
        buffer: &Bytes,
    ) -> Output {
        let mut forward = Forward::default();
        let mut ending = None;
        for frame in frames {
            ending = match frame {
                Ok(event) => {
                    let raw = buffer.slice(event.raw.clone());
                    self.take(event.data(buffer), raw, &mut forward)
                }
                Err(error) => Some(unusable(error)),
            };
            if ending.is_some() {
                break;
            }
        }
        let has_foreign = forward.has_foreign;
        Output { forward: forward.into_bytes(), has_foreign, ending }
    }

    /// Takes one event: its data, and all of its bytes.
    fn take(&mut self, data: &[u8], raw: Bytes, forward: &mut Forward) -> Option<Ending> {
        let data = data.trim_ascii();
        if data.is_empty() {
            return None;
        }
        let is_native = self.transcript.is_none();
        match self.read(data, &mut forward.written) {
            verdict @ (Verdict::More | Verdict::Foreign) => {
                if is_native {
                    forward.has_foreign |= matches!(verdict, Verdict::Foreign);
                    forward.add(self.passed_on(data, raw));
                }
                None
            }
            Verdict::Dropped => None,
            Verdict::Done if is_native => Some(Ending::Done(self.passed_on(data, raw))),
            Verdict::Done if self.is_behind() => Some(Ending::Mismatch),
            Verdict::Done => Some(Ending::Done(self.close())),
            Verdict::Failed(failure) => {
                self.error = Some(Bytes::copy_from_slice(data));
                Some(Ending::Failed(failure))
            }
            Verdict::Differs => Some(Ending::Mismatch),
        }
    }

    fn read(&mut self, data: &[u8], written: &mut Vec<u8>) -> Verdict {
        let Self { reader, transcript, repetition, keeps_transcript, extras, seen, .. } = self;
        let is_native = transcript.is_none();
        let Extras { estimate, custom_calls } = extras;
        let mut differs = false;
        let mut write = |delta: Delta<'_>| {
            let Some(transcript) = transcript.as_mut().filter(|_| !differs) else { return };
            let delta = match repetition.as_mut() {
                None => delta,
                Some(comparison) => match comparison.compare(transcript, delta) {
                    // All is repeated: what comes from here on is recorded, and must not be taken for
                    // something that is still to be repeated.
                    Compared::New(delta) => {
                        *repetition = None;
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
            transcript.writer.borrow_mut().write(delta, written);
        };
        let said = reader.read(data, &mut |delta| {
            seen.note(&delta);
            estimate.add(&delta);
            match custom_calls {
                None => write(delta),
                Some(calls) => calls.pass(delta, &mut write),
            }
        });
        seen.end_of_event();
        match said {
            _ if differs => Verdict::Differs,
            Ok(Said::More) => Verdict::More,
            Ok(Said::Foreign) => Verdict::Foreign,
            Ok(Said::Done) => Verdict::Done,
            Ok(Said::Failed(failure)) => Verdict::Failed(*failure),
            Err(_) => match no_json(data) {
                Some(cut) => Verdict::Failed(cut),
                None if is_native => Verdict::Foreign,
                None => {
                    seen.dropped += 1;
                    Verdict::Dropped
                }
            },
        }
    }

    /// An event that is passed on.
    fn passed_on(&self, data: &[u8], raw: Bytes) -> Bytes {
        let raw = self.envelope.unwrap_event(data, raw);
        let named = self.previous.as_deref().and_then(|it| naming_previous(&raw, it));
        named.map_or(raw, Bytes::from)
    }

    fn is_behind(&self) -> bool {
        match (&self.repetition, &self.transcript) {
            (Some(repetition), Some(transcript)) => repetition.is_behind(transcript),
            _ => false,
        }
    }

    /// The last bytes of a complete answer.
    fn close(&mut self) -> Bytes {
        let Some(transcript) = &self.transcript else { return Bytes::from_static(self.closing) };
        let estimate = &mut self.extras.estimate;
        let usage = *self.seen.usage.get_or_insert_with(|| estimate.usage());
        let mut out = Vec::new();
        transcript.writer.borrow_mut().finish(usage, &mut out);
        out.into()
    }
}

impl Seen {
    /// Whether every choice that was begun has ended.
    fn is_finished(&self) -> bool {
        self.finished != 0 && self.finished == self.choices
    }

    /// What was used if nothing more comes.
    pub fn partial_usage(&self) -> PartialUsage {
        let told = self.usage.map(Into::into);
        PartialUsage { told, said: self.said, said_then: self.said_then }
    }

    /// What an event tells includes what it says itself, in whichever order.
    fn end_of_event(&mut self) {
        if std::mem::take(&mut self.is_told) {
            self.said_then = self.said;
        }
    }

    fn note(&mut self, delta: &Delta<'_>) {
        self.proved |= delta.is_content();
        self.said.add_delta(delta);
        match delta {
            Delta::Usage(usage) => (self.usage, self.is_told) = (Some(*usage), true),
            Delta::Stop { choice, .. } => {
                let bit = 1_u128 << (*choice).min(127);
                self.choices |= bit;
                self.finished |= bit;
                self.proved = true;
            }
            Delta::Text { choice, .. }
            | Delta::Reasoning { choice, .. }
            | Delta::Refusal { choice, .. }
            | Delta::CallBegin { choice, .. } => self.choices |= 1_u128 << (*choice).min(127),
            _ => {}
        }
    }
}

/// What is to be sent: events as they came, or what was written in their place.
#[derive(Default)]
struct Forward {
    first: Bytes,
    joined: BytesMut,
    written: Vec<u8>,
    has_foreign: bool,
}

impl Forward {
    /// Events that touch in memory are passed on together without a copy.
    fn add(&mut self, raw: Bytes) {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = raw;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.joined.extend_from_slice(&raw);
    }

    fn into_bytes(self) -> Bytes {
        if !self.written.is_empty() {
            self.written.into()
        } else if self.joined.is_empty() {
            self.first
        } else {
            self.joined.freeze()
        }
    }
}
