//! Events that pass as they came: each is looked at once, no deeper than it has to be.

use bytes::Bytes;

use super::{
    envelope::Envelope,
    event_pattern::{Alike, EventPattern, place_in},
    event_stream::{Fate, no_json},
    passed_log::{PassedLog, TextKind},
    seen::Seen,
};
use crate::gateway::{
    dialect::openai_chat::{Chunk, DONE, text_of},
    failure::classify,
    mended::mended,
    translate::{ReadStream, Said, responses::naming_previous},
};

/// A stream whose events pass as they came, but for what is around them.
pub(super) struct Passed {
    pub look: Look,
    /// The last event, where another one may be like it.
    pub pattern: EventPattern,
    pub envelope: Envelope,
    /// What an upstream leaves out that ends its stream without the last event of its dialect.
    pub closing: &'static [u8],
    /// The name of the answer that it continues, where its upstream cannot know that.
    pub previous: Option<String>,
    /// What has passed, where another stream may have to go on with it.
    pub log: Option<PassedLog>,
    /// The number of the next event, where its dialect numbers them.
    pub next_number: u64,
}

/// How an event is looked at.
pub(super) enum Look {
    /// Chunks of Chat Completions, which tell all that has to be known one by one. `strips_usage`: the
    /// pool asked for usage and the client did not.
    Chunks {
        strips_usage: bool,
    },
    Events(Box<dyn ReadStream>),
}

impl Passed {
    /// Looks at the data of one event.
    pub fn take(&mut self, data: &[u8], seen: &mut Seen) -> Fate {
        if let Some(alike) = self.pattern.find(data) {
            self.take_alike(&alike, data, seen);
            return Fate::Pass;
        }
        self.pattern.forget();
        match &mut self.look {
            Look::Chunks { strips_usage } => {
                look_at_chunk(data, *strips_usage, seen, self.log.as_mut(), &mut self.pattern)
            }
            Look::Events(reader) => {
                // Its reader is to understand what passes all the same.
                let mended = mended(data);
                let data = mended.as_deref().unwrap_or(data);
                let log = self.log.as_mut();
                let fate = look_at_event(data, &mut **reader, seen, log, &mut self.pattern);
                if let Fate::Pass | Fate::Foreign = fate {
                    self.next_number =
                        reader.number().unwrap_or(self.next_number).saturating_add(1);
                }
                fate
            }
        }
    }

    /// Takes note of an event that says words as the last one did.
    fn take_alike(
        &mut self,
        Alike { kind, words, number }: &Alike<'_>,
        data: &[u8],
        seen: &mut Seen,
    ) {
        seen.note(&kind.delta(words));
        if let Some(log) = &mut self.log {
            log.say(*kind, words, data);
        }
        if let Look::Events(reader) = &mut self.look {
            seen.end_of_event();
            reader.skip(words, *kind == TextKind::Reasoning);
            self.next_number = number.unwrap_or(self.next_number).saturating_add(1);
        }
    }

    /// An event that passes: its data, and all of its bytes. `None`: those.
    pub fn changed(&self, data: &[u8], raw: &[u8]) -> Option<Bytes> {
        let event = self.envelope.unwrap_event(data);
        let raw = event.as_deref().unwrap_or(raw);
        let named = self.previous.as_deref().and_then(|it| naming_previous(raw, it));
        named.or(event).map(Bytes::from)
    }
}

fn look_at_chunk(
    data: &[u8],
    strips_usage: bool,
    seen: &mut Seen,
    log: Option<&mut PassedLog>,
    pattern: &mut EventPattern,
) -> Fate {
    if data == DONE {
        return Fate::Done;
    }
    let Ok(chunk) = Chunk::parse(data) else { return unreadable(data, log) };
    if let Some(error) = chunk.error {
        return Fate::Failed(classify(200, Some(*error)));
    }
    seen.note_chunk(&chunk);
    if strips_usage && chunk.is_usage_only {
        return Fate::Drop;
    }
    if let Some(log) = log.filter(|log| log.can_resume()) {
        keep_chunk(log, data, &chunk);
    }
    let is_odd = chunk.words.has_more || chunk.is_foreign;
    let is_plain = (chunk.choices, chunk.finished, chunk.usage, is_odd) == (1, 0, None, false);
    let mut said = words_of(&chunk).filter(|_| is_plain);
    if let (Some((kind, written)), None) = (said.next(), said.next())
        && let Some(place) = text_of(written).and_then(|words| place_in(data, &words))
    {
        pattern.learn(data, kind, place, None);
    }
    if chunk.is_foreign { Fate::Foreign } else { Fate::Pass }
}

fn keep_chunk(log: &mut PassedLog, data: &[u8], chunk: &Chunk<'_>) {
    // Without a choice it has no part in the answer.
    if chunk.choices == 0 {
        return;
    }
    if chunk.words.has_more || chunk.finished != 0 {
        return log.lose();
    }
    let mut said = words_of(chunk);
    match (said.next(), said.next()) {
        (None, _) if log.is_empty() => log.keep(data),
        (None, _) => {}
        (Some((kind, written)), None) => match text_of(written) {
            Some(words) => log.say(kind, &words, data),
            None => log.lose(),
        },
        (Some(_), Some(_)) => log.keep(data),
    }
}

/// The words of the first choice, as they were written.
fn words_of<'a>(chunk: &Chunk<'a>) -> impl Iterator<Item = (TextKind, &'a str)> + use<'a> {
    let [content, thoughts, same_thoughts, refusal] = chunk.words.texts;
    let texts = [
        (TextKind::Text, content),
        (TextKind::Reasoning, thoughts.or(same_thoughts)),
        (TextKind::Refusal, refusal),
    ];
    texts.into_iter().filter_map(|(kind, written)| Some((kind, written?)))
}

fn look_at_event(
    data: &[u8],
    reader: &mut dyn ReadStream,
    seen: &mut Seen,
    mut log: Option<&mut PassedLog>,
    pattern: &mut EventPattern,
) -> Fate {
    let (mut deltas, mut words) = (0, None);
    let said = reader.read(data, &mut |delta| {
        deltas += 1;
        words = TextKind::of(&delta).and_then(|(kind, text)| Some((kind, place_in(data, text)?)));
        seen.note(&delta);
        if let Some(log) = &mut log {
            log.note(&delta);
        }
    });
    seen.end_of_event();
    if let Some(log) = &mut log {
        match &said {
            // Nobody could compare it.
            Ok(Said::Foreign) => log.lose(),
            Ok(said @ (Said::More | Said::Idle)) => log.end_of_event(data, *said == Said::Idle),
            Ok(Said::Done | Said::DoneInPart | Said::Failed(_)) | Err(_) => log.drop_event(),
        }
    }
    if let (Ok(Said::More), 1, Some((kind, place))) = (&said, deltas, words) {
        pattern.learn(data, kind, place, reader.number());
    }
    match said {
        Ok(Said::More | Said::Idle) => Fate::Pass,
        Ok(Said::Foreign) => Fate::Foreign,
        Ok(Said::Done | Said::DoneInPart) => Fate::Done,
        Ok(Said::Failed(failure)) => Fate::Failed(*failure),
        Err(_) => unreadable(data, log),
    }
}

/// What is no event of the dialect. Its client may know it, and nobody could compare it.
fn unreadable(data: &[u8], log: Option<&mut PassedLog>) -> Fate {
    match no_json(data) {
        Some(cut) => Fate::Failed(cut),
        None => {
            log.into_iter().for_each(PassedLog::lose);
            Fate::Foreign
        }
    }
}
