//! What a client has been sent of an answer, so that another stream can go on with it.

use std::{cell::RefCell, rc::Rc};

use super::passed_log::{Entry, MAX_TEXT_BYTES, PassedLog, TextKind};
use crate::{
    domain::chat::Delta,
    gateway::translate::{ReadStream, WriteStream},
};

/// A client's stream is written by one writer, whoever it is read from. A stream that resumes another
/// one writes nothing before it has repeated all of it, so that both may hold it.
pub type SharedWriter = Rc<RefCell<Box<dyn WriteStream>>>;

/// What a client has been sent of an answer, so that another stream can go on with it.
#[derive(Clone)]
pub struct Transcript(pub(super) Sent);

#[derive(Clone)]
pub(super) enum Sent {
    /// As it came, and the number of the event that would have come next.
    Passed(PassedLog, u64),
    Written(WrittenTranscript),
}

/// Text, thoughts and refusal of the one choice that can be compared.
const TEXTS: usize = 3;

/// What has been written of a stream.
#[derive(Clone)]
pub(super) struct WrittenTranscript {
    pub writer: SharedWriter,
    texts: [String; TEXTS],
    /// Whether something was sent that cannot be compared, or too much, or the end.
    is_lost: bool,
}

/// What is left of a delta after comparing it.
pub(super) enum Compared<'d> {
    /// It repeats what was sent, and there is more to repeat.
    Behind,
    /// It is new.
    New(Delta<'d>),
    /// It is not what was sent.
    Differs,
}

/// How far a stream has come with repeating a transcript.
#[derive(Debug, Default)]
pub(super) struct Repetition {
    repeated: [usize; TEXTS],
}

impl WrittenTranscript {
    pub fn new(writer: SharedWriter) -> Self {
        Self { writer, texts: Default::default(), is_lost: false }
    }

    /// Reads again what has passed, so that `writer` goes on with it, at this number. `None`: it cannot.
    pub fn of_passed(
        entries: &[Entry],
        next_number: u64,
        mut reader: Box<dyn ReadStream>,
        writer: Box<dyn WriteStream>,
    ) -> Option<Self> {
        let mut transcript = Self::new(Rc::new(RefCell::new(writer)));
        let mut sent = Vec::new();
        for entry in entries {
            sent.clear();
            match entry {
                Entry::Event(data) => {
                    let read = reader.read(data, &mut |delta| transcript.say(delta, &mut sent));
                    if read.is_err() || !transcript.writer.borrow_mut().adopt(data) {
                        return None;
                    }
                }
                Entry::Words(kind, words) => {
                    reader.skip(words, *kind == TextKind::Reasoning);
                    transcript.say(kind.delta(words), &mut sent);
                }
            }
        }
        transcript.writer.borrow_mut().adopted(next_number);
        Some(transcript)
    }

    /// Records a delta, and writes it.
    fn say(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.record(&delta);
        self.writer.borrow_mut().write(delta, out);
    }

    /// Whether another stream may go on in the place of the one this is of.
    pub fn can_resume(&self) -> bool {
        !self.is_lost
    }

    /// Whether nothing has been sent that would have to be repeated.
    pub fn is_empty(&self) -> bool {
        self.texts.iter().all(String::is_empty)
    }

    pub fn record(&mut self, delta: &Delta<'_>) {
        if self.is_lost {
            return;
        }
        match place_of(delta) {
            Place::Text(at, text) => self.texts[at].push_str(text),
            Place::Silent => return,
            Place::Other => self.is_lost = true,
        }
        if self.is_lost || self.texts.iter().map(String::len).sum::<usize>() > MAX_TEXT_BYTES {
            (self.is_lost, self.texts) = (true, Default::default());
        }
    }
}

impl Repetition {
    pub fn is_behind(&self, transcript: &WrittenTranscript) -> bool {
        self.repeated.iter().zip(&transcript.texts).any(|(at, text)| *at < text.len())
    }

    /// Compares the next delta of the new stream.
    pub fn compare<'d>(
        &mut self,
        transcript: &WrittenTranscript,
        delta: Delta<'d>,
    ) -> Compared<'d> {
        if !self.is_behind(transcript) {
            return Compared::New(delta);
        }
        let (at, said) = match place_of(&delta) {
            Place::Text(at, text) => (at, text),
            Place::Silent => return Compared::Behind,
            Place::Other => return Compared::Differs,
        };
        let sent = &transcript.texts[at][self.repeated[at]..];
        if sent.starts_with(said) {
            self.repeated[at] += said.len();
            return Compared::Behind;
        }
        let Some(beyond) = said.strip_prefix(sent) else { return Compared::Differs };
        self.repeated[at] += sent.len();
        if self.is_behind(transcript) {
            return Compared::Differs;
        }
        let beyond = beyond.to_owned().into();
        Compared::New(match delta {
            Delta::Text { choice, .. } => Delta::Text { choice, text: beyond },
            Delta::Reasoning { choice, is_summary, .. } => {
                Delta::Reasoning { choice, text: beyond, is_summary }
            }
            Delta::Refusal { choice, .. } => Delta::Refusal { choice, text: beyond },
            other => other,
        })
    }
}

enum Place<'d> {
    Text(usize, &'d str),
    /// Says nothing of the answer.
    Silent,
    Other,
}

fn place_of<'d>(delta: &'d Delta<'_>) -> Place<'d> {
    if let Some((kind, words)) = TextKind::of(delta) {
        return Place::Text(kind as usize, words);
    }
    match delta {
        // A part's end tells no more than the next part's beginning, and ids differ.
        Delta::Begin { .. }
        | Delta::Tier(_)
        | Delta::ReasoningBegin { .. }
        | Delta::Usage(_)
        | Delta::Break { .. } => Place::Silent,
        _ => Place::Other,
    }
}
