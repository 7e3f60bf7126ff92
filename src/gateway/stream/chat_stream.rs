//! What a stream of Chat Completions chunks amounts to, and which of its bytes go to the client.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

use super::{
    resumption::{Passage, Resumption},
    sse::{Framer, MAX_EVENT_BYTES},
    transcript::Transcript,
};
use crate::{
    domain::{
        failure::{Failure, FailureClass},
        usage::TokenUsage,
    },
    gateway::{
        dialect::openai_chat::{Chunk, DONE},
        failure::classify,
        tokens::{PartialUsage, TextLength},
    },
};

/// What is known of a stream so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the candidate has proved itself: a first content event was seen, or a finish reason
    /// (an empty answer is an answer). One that resumes an answer must first have repeated all of it.
    pub proved: bool,
    /// Events given to be forwarded.
    pub events: u64,
    /// Events that could not be read and were dropped.
    pub dropped: u64,
    /// Whether a part of a tool call has come: nothing may be tried again after it.
    pub tool_call_begun: bool,
    /// What the upstream reported last. Some report running totals with every chunk.
    pub usage: Option<TokenUsage>,
    said: TextLength,
    /// What of it was said by the end of the chunk that reported usage.
    said_then: TextLength,
    /// Choices seen, and those that have a finish reason: one bit each.
    choices: u128,
    finished: u128,
    /// Whether `[DONE]` was seen.
    done: bool,
}

impl Progress {
    /// Whether every choice that was begun has been given a finish reason.
    pub fn is_finished(&self) -> bool {
        self.finished != 0 && self.choices == self.finished
    }

    /// What was used if nothing more comes.
    pub fn partial_usage(&self) -> PartialUsage {
        let told = self.usage.map(Into::into);
        PartialUsage { told, said: self.said, said_then: self.said_then }
    }
}

/// What one piece of input gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Whole events to send, in order. Empty when there are none. The input's own bytes, not a copy,
    /// unless something between them was left out.
    pub forward: Bytes,
    /// Whether one of them is no part of an answer, but something of the vendor's own.
    pub has_foreign: bool,
    /// Set once, when the stream is over. Nothing that comes later counts.
    pub ending: Option<Ending>,
}

/// How a stream ends by its own word.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// The terminal event, as it came. To be sent when the answer is on the ledger.
    Done(Bytes),
    /// The upstream sent an error, or something that is no event stream. Nothing of it is to be sent.
    Failed(Failure),
    /// It was to resume an answer and says something else. Nothing of it has been given out.
    Mismatch,
}

/// What a clean end of the upstream's bytes means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The terminal event was seen.
    Complete,
    /// Everything but the terminal event was seen: the relay sends
    /// [`DONE_EVENT`](crate::gateway::dialect::openai_chat::DONE_EVENT) itself.
    CompleteWithoutDone,
    /// The answer is not whole.
    Cut,
}

/// One stream on its way through. Feed it what comes, send what it gives.
///
/// Dropped on the way: what cannot be read (counted), comments and keep-alives of the upstream (the
/// relay has its own), and the usage chunk when only the pool asked for it.
#[derive(Debug)]
pub struct ChatStream {
    framer: Framer,
    progress: Progress,
    strip_usage: bool,
    is_over: bool,
    /// The event that was an error.
    error: Option<Bytes>,
    transcript: Option<Transcript>,
    resumption: Option<Resumption>,
}

impl ChatStream {
    /// `strip_usage`: the pool asked for usage and the client did not. `keep_transcript`: another
    /// stream may have to resume this one.
    pub fn new(strip_usage: bool, keep_transcript: bool) -> Self {
        Self {
            framer: Framer::new(MAX_EVENT_BYTES),
            progress: Progress::default(),
            strip_usage,
            is_over: false,
            error: None,
            transcript: keep_transcript.then(Transcript::default),
            resumption: None,
        }
    }

    /// A stream that goes on where another one broke off. It gives nothing until it has repeated
    /// all that was sent, and ends with [`Ending::Mismatch`] when it says anything else; then it
    /// gives what is new, as chunks of the first stream. It keeps the transcript on, so that it can
    /// be resumed too.
    ///
    /// `None` when the transcript does not allow it: see [`Transcript::can_resume`].
    pub fn resuming(transcript: Transcript, strip_usage: bool) -> Option<Self> {
        if !transcript.can_resume() {
            return None;
        }
        let resumption = Resumption::of(&transcript);
        let transcript = Some(transcript);
        Some(Self { transcript, resumption, ..Self::new(strip_usage, false) })
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What the event held that has ended it with an error, if one has.
    pub fn error(&self) -> Option<&[u8]> {
        self.error.as_deref()
    }

    /// What has been given to be forwarded, if it was kept: by this stream and those it resumes.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.transcript.as_ref()
    }

    /// See [`transcript`](Self::transcript).
    pub fn into_transcript(self) -> Option<Transcript> {
        self.transcript
    }

    /// Takes the next bytes of the upstream's body.
    pub fn feed(&mut self, input: Bytes) -> Output {
        if self.is_over {
            return Output::default();
        }
        let frames = self.framer.feed(input);
        let buffer = frames.buffer().clone();
        let mut selection = Selection::default();
        let (mut ending, mut has_foreign) = (None, false);
        for frame in frames {
            let event = match frame {
                Ok(event) => event,
                Err(error) => {
                    let failure = Failure::new(FailureClass::Server, error.to_string());
                    ending = Some(Ending::Failed(failure));
                    break;
                }
            };
            let reader = Reader {
                progress: &mut self.progress,
                transcript: &mut self.transcript,
                resumption: &mut self.resumption,
                strip_usage: self.strip_usage,
            };
            match reader.take(event.data(&buffer)) {
                Verdict::Forward => selection.add(&buffer, event.raw),
                Verdict::ForwardForeign => {
                    has_foreign = true;
                    selection.add(&buffer, event.raw);
                }
                Verdict::Replace(event) => selection.add_other(&buffer, &event),
                Verdict::Drop => (),
                Verdict::Mismatch => {
                    ending = Some(Ending::Mismatch);
                    break;
                }
                Verdict::Done => {
                    ending = Some(Ending::Done(buffer.slice(event.raw)));
                    break;
                }
                Verdict::Failed(failure) => {
                    self.error = Some(Bytes::copy_from_slice(event.data(&buffer)));
                    ending = Some(Ending::Failed(failure));
                    break;
                }
            }
        }
        self.is_over = ending.is_some();
        Output { forward: selection.into_bytes(&buffer), has_foreign, ending }
    }

    /// What it means that the upstream's body ended well here.
    pub fn end(&self) -> StreamEnd {
        if self.progress.done {
            StreamEnd::Complete
        } else if self.progress.is_finished() {
            StreamEnd::CompleteWithoutDone
        } else {
            StreamEnd::Cut
        }
    }
}

enum Verdict {
    Forward,
    /// The same of what is no part of an answer.
    ForwardForeign,
    /// Forward this event in its place.
    Replace(Vec<u8>),
    Drop,
    Done,
    Failed(Failure),
    Mismatch,
}

/// The parts of a stream that an event may change while others are still in the framer.
struct Reader<'s> {
    progress: &'s mut Progress,
    transcript: &'s mut Option<Transcript>,
    resumption: &'s mut Option<Resumption>,
    strip_usage: bool,
}

impl Reader<'_> {
    fn take(self, data: &[u8]) -> Verdict {
        let Self { progress, transcript, resumption, strip_usage } = self;
        let data = data.trim_ascii();
        if data == DONE {
            if resumption.as_ref().is_some_and(Resumption::is_behind) {
                return Verdict::Mismatch;
            }
            progress.done = true;
            return Verdict::Done;
        }
        if data.is_empty() {
            // Some servers keep connections open with these.
            return Verdict::Drop;
        }
        let Ok(chunk) = Chunk::parse(data) else {
            return match (no_json(data), transcript, resumption) {
                (Some(cut), ..) => Verdict::Failed(cut),
                // Its client may know it, and nobody could compare it.
                (None, transcript, None) => {
                    transcript.iter_mut().for_each(Transcript::lose);
                    progress.events += 1;
                    Verdict::ForwardForeign
                }
                // It would be told as if it were of the stream before.
                (None, _, Some(_)) => {
                    progress.dropped += 1;
                    Verdict::Drop
                }
            };
        };
        if let Some(error) = chunk.error {
            return Verdict::Failed(classify(200, Some(*error)));
        }
        let forward = if chunk.is_foreign { Verdict::ForwardForeign } else { Verdict::Forward };
        progress.said.add_all(chunk.said);
        if chunk.usage.is_some() {
            (progress.usage, progress.said_then) = (chunk.usage, progress.said);
        }
        let verdict = match (transcript, resumption) {
            _ if strip_usage && chunk.is_usage_only => Verdict::Drop,
            (Some(transcript), Some(resumption)) => {
                match resumption.take(transcript, data, &chunk) {
                    Passage::Mismatch => return Verdict::Mismatch,
                    Passage::Behind => return Verdict::Drop,
                    Passage::Nothing => Verdict::Drop,
                    Passage::Event(event) => Verdict::Replace(event),
                }
            }
            (Some(transcript), None) => {
                transcript.record(data, &chunk);
                forward
            }
            (None, _) => forward,
        };
        progress.choices |= chunk.choices;
        progress.finished |= chunk.finished;
        progress.proved |= chunk.has_content || chunk.finished != 0;
        progress.tool_call_begun |= chunk.has_tool_call;
        progress.events += u64::from(!matches!(verdict, Verdict::Drop));
        verdict
    }
}

/// The failure that an event is which is no JSON: something of the answer may have been in it, and what
/// is not understood is never left out in silence. `None`: it is JSON.
pub fn no_json(data: &[u8]) -> Option<Failure> {
    let is_json = serde_json::from_slice::<IgnoredAny>(data).is_ok();
    (!is_json).then(|| Failure::new(FailureClass::Cut, "an event of the stream is no JSON"))
}

/// The parts of a buffer that are kept: a slice of it as long as they touch, a copy once they do not.
#[derive(Default)]
struct Selection {
    copied: BytesMut,
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

    /// Adds what is no part of the buffer.
    fn add_other(&mut self, buffer: &[u8], other: &[u8]) {
        self.copied.extend_from_slice(&buffer[std::mem::take(&mut self.run)]);
        self.copied.extend_from_slice(other);
    }

    fn into_bytes(mut self, buffer: &Bytes) -> Bytes {
        if self.copied.is_empty() {
            return buffer.slice(self.run);
        }
        self.copied.extend_from_slice(&buffer[self.run]);
        self.copied.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str =
        r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
    const HELLO: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}"#;
    const CALL: &str = r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]}"#;
    const STOP: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    const ERROR: &str = r#"data: {"error":{"message":"m","code":"rate_limit_exceeded"}}"#;
    const DONE: &str = "data: [DONE]";

    fn bytes(events: &[&str]) -> Bytes {
        events.iter().flat_map(|event| [event, "\n\n"]).collect::<String>().into()
    }

    /// All output for a stream fed in the given pieces, and where it stands then.
    fn run<'a>(
        strip_usage: bool,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Bytes, Option<Ending>, Progress, StreamEnd) {
        let mut stream = ChatStream::new(strip_usage, false);
        let mut keeping = ChatStream::new(strip_usage, true);
        let mut forward = BytesMut::new();
        let mut ending = None;
        for piece in pieces {
            let output = stream.feed(Bytes::copy_from_slice(piece));
            let kept = keeping.feed(Bytes::copy_from_slice(piece));
            assert_eq!(kept, output, "a transcript changes nothing");
            assert!(ending.is_none() || output == Output::default(), "output after the end");
            forward.extend_from_slice(&output.forward);
            ending = ending.or(output.ending);
        }
        (forward.freeze(), ending, *stream.progress(), stream.end())
    }

    fn whole(events: &[&str]) -> (Bytes, Option<Ending>, Progress, StreamEnd) {
        run(true, [&bytes(events)[..]])
    }

    #[test]
    fn wherever_a_stream_is_cut_it_amounts_to_the_same() {
        let streams: [&[&str]; 4] = [
            &[ROLE, HELLO, STOP, USAGE, DONE],
            &[": hi", ROLE, "data: nonsense", CALL, ": hi", STOP, DONE, HELLO],
            &[ROLE, HELLO, ERROR, HELLO],
            &[HELLO, "data: {\"choices\":\ndata: []}", USAGE, STOP],
        ];
        for events in streams {
            let input = bytes(events);
            for strip_usage in [false, true] {
                let expected = run(strip_usage, [&input[..]]);
                assert_eq!(run(strip_usage, input.chunks(1)), expected, "byte by byte");
                for at in 0..input.len() {
                    let cut = run(strip_usage, [&input[..at], &input[at..]]);
                    assert_eq!(cut, expected, "cut at {at}");
                }
            }
        }
    }

    #[test]
    fn the_terminal_event_is_given_by_itself() {
        let (forward, ending, progress, end) = whole(&[ROLE, HELLO, STOP, DONE]);
        assert_eq!(forward, bytes(&[ROLE, HELLO, STOP]));
        assert_eq!(ending, Some(Ending::Done(bytes(&[DONE]))));
        assert_eq!((progress.events, progress.dropped), (3, 0));
        assert_eq!(end, StreamEnd::Complete);
    }

    #[test]
    fn events_that_touch_are_forwarded_without_a_copy() {
        let input = bytes(&[ROLE, HELLO, STOP, USAGE, DONE]);
        let output = ChatStream::new(true, true).feed(input.clone());
        assert_eq!(output.forward.as_ptr(), input.as_ptr());
        assert_eq!(output.forward, bytes(&[ROLE, HELLO, STOP]));
    }

    #[test]
    fn a_finish_reason_and_a_clean_end_are_complete_and_less_is_cut() {
        assert_eq!(whole(&[HELLO, STOP]).3, StreamEnd::CompleteWithoutDone);
        assert_eq!(whole(&[HELLO]).3, StreamEnd::Cut);
        assert_eq!(whole(&[]).3, StreamEnd::Cut);
        let second = r#"data: {"choices":[{"index":1,"delta":{"content":"x"}}]}"#;
        assert_eq!(whole(&[HELLO, second, STOP]).3, StreamEnd::Cut, "one choice of two");
        let cut_inside = bytes(&[HELLO, STOP]);
        assert_eq!(run(true, [&cut_inside[..cut_inside.len() - 1]]).3, StreamEnd::Cut);
    }

    #[test]
    fn an_event_that_is_no_json_is_a_cut() {
        for broken in ["data: {\"choices\":[{", "data: hello", "data: {\"a\":1}}"] {
            let (forward, ending, _, end) = whole(&[HELLO, broken, STOP, DONE]);
            assert_eq!(forward, bytes(&[HELLO]));
            let Some(Ending::Failed(failure)) = ending else { panic!("{broken}: {ending:?}") };
            assert_eq!((failure.class, end), (FailureClass::Cut, StreamEnd::Cut));
        }
    }

    #[test]
    fn json_of_an_unknown_shape_passes() {
        for odd in ["data: [1]", "data: {\"choices\":7}", "data: {\"choices\":[{\"delta\":[]}]}"] {
            let (forward, ending, progress, end) = whole(&[HELLO, odd, STOP, DONE]);
            assert_eq!(forward, bytes(&[HELLO, odd, STOP]), "{odd}");
            assert!(matches!(ending, Some(Ending::Done(_))));
            assert_eq!((progress.events, progress.dropped), (3, 0));
            assert_eq!(end, StreamEnd::Complete);
        }
    }

    #[test]
    fn comments_and_empty_events_of_the_upstream_are_not_forwarded_and_not_counted() {
        let (forward, _, progress, _) = whole(&[": wait", "data:", HELLO, ": wait", STOP, DONE]);
        assert_eq!(forward, bytes(&[HELLO, STOP]));
        assert_eq!((progress.events, progress.dropped), (2, 0));
    }

    #[test]
    fn usage_is_always_noted_and_forwarded_only_to_a_client_that_asked() {
        let input = bytes(&[HELLO, STOP, USAGE, DONE]);
        let (hidden, _, progress, _) = run(true, [&input[..]]);
        assert_eq!(hidden, bytes(&[HELLO, STOP]));
        assert_eq!(progress.usage.unwrap().total(), 9);
        let (shown, _, progress, _) = run(false, [&input[..]]);
        assert_eq!(shown, bytes(&[HELLO, STOP, USAGE]));
        assert_eq!(progress.usage.unwrap().total(), 9);
    }

    #[test]
    fn usage_on_a_chunk_with_choices_is_noted_and_the_chunk_forwarded() {
        let last =
            r#"data: {"choices":[{"index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#;
        let (forward, _, progress, _) = whole(&[HELLO, last, DONE]);
        assert_eq!(forward, bytes(&[HELLO, last]));
        assert_eq!(progress.usage.unwrap().input, 1);
    }

    #[test]
    fn content_or_a_finish_reason_proves_a_candidate_and_a_role_does_not() {
        assert!(!whole(&[ROLE]).2.proved);
        assert!(whole(&[ROLE, HELLO]).2.proved);
        assert!(whole(&[ROLE, STOP]).2.proved);
        assert!(!whole(&[ROLE, HELLO]).2.tool_call_begun);
        assert!(whole(&[ROLE, CALL]).2.tool_call_begun);
    }

    #[test]
    fn an_error_event_ends_the_stream_and_is_not_forwarded() {
        for (before, proved) in [(ROLE, false), (HELLO, true)] {
            let (forward, ending, progress, end) = whole(&[before, ERROR, HELLO, DONE]);
            assert_eq!(forward, bytes(&[before]));
            let Some(Ending::Failed(failure)) = ending else { panic!("not a failure: {ending:?}") };
            assert_eq!(failure.class, FailureClass::RateLimit);
            assert_eq!(progress.proved, proved);
            assert_eq!(end, StreamEnd::Cut);
        }
    }

    #[test]
    fn an_endless_event_ends_the_stream() {
        let mut stream = ChatStream::new(false, false);
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        let ending = (0..20).find_map(|_| stream.feed(piece.clone()).ending);
        let Some(Ending::Failed(failure)) = ending else { panic!("it never ended") };
        assert_eq!(failure.class, FailureClass::Server);
    }
}
