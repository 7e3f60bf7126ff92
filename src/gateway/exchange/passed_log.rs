//! What has passed to a client as it came, kept so that it can be read again when another stream has to go
//! on with it: the words, put together, and the events between them.

use crate::domain::chat::Delta;

/// Most text that is kept of one answer, in bytes. A longer one cannot be resumed.
pub(super) const MAX_TEXT_BYTES: usize = 256 * 1024;

/// Most bytes kept of events that are more than the next words of a text.
const MAX_EVENT_BYTES: usize = 256 * 1024;

/// What words belong to: those of one kind make one text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum TextKind {
    #[default]
    Text,
    Reasoning,
    Refusal,
}

impl TextKind {
    /// The words that a delta adds to the first choice, and of which kind they are.
    pub fn of<'d>(delta: &'d Delta<'_>) -> Option<(Self, &'d str)> {
        match delta {
            Delta::Text { choice: 0, text } => Some((Self::Text, text)),
            Delta::Reasoning { choice: 0, text, .. } => Some((Self::Reasoning, text)),
            Delta::Refusal { choice: 0, text } => Some((Self::Refusal, text)),
            _ => None,
        }
    }

    /// These words, as they are said.
    pub fn delta(self, words: &str) -> Delta<'_> {
        let (choice, text) = (0, words.into());
        match self {
            Self::Text => Delta::Text { choice, text },
            Self::Reasoning => Delta::Reasoning { choice, text, is_summary: false },
            Self::Refusal => Delta::Refusal { choice, text },
        }
    }
}

/// What has passed of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct PassedLog {
    entries: Vec<Entry>,
    /// Bytes of text, and of events.
    texts: usize,
    events: usize,
    /// Whether something has passed that cannot be compared, or too much, or the end. Then the first event
    /// alone is kept, for the names that an error after it has to have.
    is_lost: bool,
    event: Growing,
}

#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// The data of an event. The first one of each text is kept whole, for the names it has.
    Event(Box<[u8]>),
    /// What the events after it add to its text, and nothing else.
    Words(TextKind, String),
}

/// What is known of the event that is being read.
#[derive(Debug, Clone, Copy, Default)]
enum Growing {
    #[default]
    Nothing,
    /// It counts what was used up to now.
    Usage,
    /// It adds so many bytes to the text that grows.
    Words(usize),
    /// It is the first one of a text.
    First(TextKind),
    /// It has to be kept whole.
    Other,
}

impl PassedLog {
    /// Of a stream that nobody is to go on with.
    pub fn of_first_event() -> Self {
        Self { is_lost: true, ..Self::default() }
    }

    /// Whether another stream could go on from here.
    pub fn can_resume(&self) -> bool {
        !self.is_lost
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Something has passed that cannot be compared.
    pub fn lose(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.truncate(1);
        entries.shrink_to_fit();
        *self = Self { entries, ..Self::of_first_event() };
    }

    /// Adds an event whose words are of one kind, and nothing else is in it.
    pub fn say(&mut self, kind: TextKind, words: &str, data: &[u8]) {
        if self.is_lost {
            return;
        }
        if !self.grow(kind, words) {
            self.keep(data);
            self.begin(kind);
        }
    }

    /// Adds an event that is kept whole.
    pub fn keep(&mut self, data: &[u8]) {
        if self.is_lost && !self.is_empty() {
            return;
        }
        self.events += data.len();
        self.entries.push(Entry::Event(data.into()));
        if self.events > MAX_EVENT_BYTES {
            self.lose();
        }
    }

    /// Adds words to the text that grows. `false`: another one does.
    fn grow(&mut self, kind: TextKind, words: &str) -> bool {
        let Some(Entry::Words(last, text)) = self.entries.last_mut() else { return false };
        if *last != kind {
            return false;
        }
        text.push_str(words);
        self.texts += words.len();
        if self.texts > MAX_TEXT_BYTES {
            self.lose();
        }
        true
    }

    fn begin(&mut self, kind: TextKind) {
        if !self.is_lost {
            self.entries.push(Entry::Words(kind, String::new()));
        }
    }

    /// Takes note of what an event says while it is read. [`end_of_event`](Self::end_of_event) follows, or
    /// [`drop_event`](Self::drop_event).
    pub fn note(&mut self, delta: &Delta<'_>) {
        if self.is_lost {
            return;
        }
        match delta {
            Delta::Usage(_) => {
                if let Growing::Nothing = self.event {
                    self.event = Growing::Usage;
                }
            }
            Delta::Begin { .. }
            | Delta::Tier(_)
            | Delta::ReasoningBegin { choice: 0, .. }
            | Delta::Break { choice: 0 } => self.has_more(),
            delta => match (TextKind::of(delta), self.event) {
                (None, _) => self.lose(),
                (Some((kind, words)), Growing::Nothing | Growing::Usage) => {
                    self.event = if self.grow(kind, words) {
                        Growing::Words(words.len())
                    } else {
                        Growing::First(kind)
                    };
                }
                (Some(_), _) => self.has_more(),
            },
        }
    }

    /// The event says more than words of one text.
    fn has_more(&mut self) {
        if let Growing::Words(bytes) = self.event
            && let Some(Entry::Words(_, text)) = self.entries.last_mut()
        {
            text.truncate(text.len() - bytes);
            self.texts -= bytes;
        }
        self.event = Growing::Other;
    }

    /// The event is not sent.
    pub fn drop_event(&mut self) {
        self.has_more();
        self.event = Growing::Nothing;
    }

    /// `is_idle`: it says nothing of the answer.
    pub fn end_of_event(&mut self, data: &[u8], is_idle: bool) {
        match std::mem::take(&mut self.event) {
            Growing::Usage | Growing::Words(_) => {}
            Growing::Nothing if is_idle => {}
            Growing::Nothing | Growing::Other => self.keep(data),
            Growing::First(kind) => {
                self.keep(data);
                self.begin(kind);
            }
        }
    }
}
