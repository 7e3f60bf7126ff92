//! Events that pass as they came: each is looked at once, no deeper than it has to be.

use std::ops::Range;

use bytes::Bytes;

use super::{
    envelope::Envelope,
    event_pattern::{Alike, EventPattern, place_in},
    event_stream::{Fate, no_json},
    passed_log::{PassedLog, TextKind},
    seen::Seen,
};
use crate::{
    domain::chat::{Delta, Usage},
    gateway::{
        dialect::openai_chat::{Chunk, DONE, parse_usage, text_of},
        failure::classify,
        mended::mended,
        translate::{EventOutcome, ReadStream, responses::naming_previous},
    },
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

/// What an event says that says words of one kind, and nothing else but what was used.
struct Plain {
    kind: TextKind,
    /// Where the words stand.
    place: Range<usize>,
    number: Option<u64>,
    usage: Option<Usage>,
}

impl Passed {
    /// Looks at the data of one event.
    pub fn take(&mut self, data: &[u8], seen: &mut Seen) -> Fate {
        let fate = match self.alike(data) {
            Some((alike, usage)) => {
                self.take_alike(&alike, usage, data, seen);
                Fate::Pass
            }
            None => self.look_at(data, seen),
        };
        seen.end_of_event();
        fate
    }

    /// What an event says that is like the last one, and what it tells of usage.
    fn alike<'d>(&self, data: &'d [u8]) -> Option<(Alike<'d>, Option<Usage>)> {
        let alike = self.pattern.find(data)?;
        let Some(json) = alike.usage else { return Some((alike, None)) };
        let usage = match &self.look {
            Look::Chunks { .. } => parse_usage(json),
            Look::Events(reader) => reader.usage(json),
        };
        Some((alike, Some(usage?)))
    }

    fn look_at(&mut self, data: &[u8], seen: &mut Seen) -> Fate {
        self.pattern.forget();
        let log = self.log.as_mut();
        match &mut self.look {
            Look::Chunks { strips_usage } => {
                let (fate, plain) = look_at_chunk(data, *strips_usage, seen, log);
                self.learn(data, plain);
                fate
            }
            Look::Events(reader) => {
                // Its reader is to understand what passes all the same.
                let mended = mended(data);
                let data = mended.as_deref().unwrap_or(data);
                let (fate, plain) = look_at_event(data, &mut **reader, seen, log);
                if let Fate::Pass | Fate::Foreign = fate {
                    self.next_number =
                        reader.number().unwrap_or(self.next_number).saturating_add(1);
                }
                self.learn(data, plain);
                fate
            }
        }
    }

    /// Others may be like it, if what it says can be told without its reader.
    fn learn(&mut self, data: &[u8], plain: Option<Plain>) {
        let Some(Plain { kind, place, number, usage }) = plain else { return };
        self.pattern.learn(data, kind, place);
        let is_told_alike =
            self.alike(data).is_some_and(|(alike, told)| (alike.number, told) == (number, usage));
        if !is_told_alike {
            self.pattern.forget();
        }
    }

    /// Takes note of an event that says words as the last one did.
    fn take_alike(
        &mut self,
        Alike { kind, words, number, .. }: &Alike<'_>,
        usage: Option<Usage>,
        data: &[u8],
        seen: &mut Seen,
    ) {
        seen.note(&kind.delta(words));
        if let Some(usage) = usage {
            seen.note(&Delta::Usage(usage));
        }
        if let Some(log) = &mut self.log {
            log.say(*kind, words, data);
        }
        if let Look::Events(reader) = &mut self.look {
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
) -> (Fate, Option<Plain>) {
    if data == DONE {
        return (Fate::Done, None);
    }
    let Ok(chunk) = Chunk::parse(data) else { return (unreadable(data, log), None) };
    if let Some(error) = chunk.error {
        return (Fate::Failed(classify(200, Some(*error))), None);
    }
    seen.note_chunk(&chunk);
    if let Some(finish) = chunk.abnormal {
        return (Fate::Failed(finish.failure()), None);
    }
    if strips_usage && chunk.is_usage_only {
        return (Fate::Drop, None);
    }
    if let Some(log) = log.filter(|log| log.can_resume()) {
        keep_chunk(log, data, &chunk);
    }
    let is_odd = chunk.words.has_more || chunk.is_foreign;
    let is_plain = (chunk.choices, chunk.finished, is_odd) == (1, 0, false);
    let mut said = words_of(&chunk).filter(|_| is_plain);
    let plain = match (said.next(), said.next()) {
        (Some((kind, written)), None) => text_of(written)
            .and_then(|words| place_in(data, &words))
            .map(|place| Plain { kind, place, number: None, usage: chunk.usage }),
        _ => None,
    };
    (if chunk.is_foreign { Fate::Foreign } else { Fate::Pass }, plain)
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
) -> (Fate, Option<Plain>) {
    let (mut others, mut words, mut usage) = (0, None, None);
    let said = reader.read(data, &mut |delta| {
        match (&delta, TextKind::of(&delta)) {
            (Delta::Usage(told), _) => usage = Some(*told),
            (_, Some((kind, text))) if words.is_none() => {
                words = Some((kind, place_in(data, text)));
            }
            _ => others += 1,
        }
        seen.note(&delta);
        if let Some(log) = &mut log {
            log.note(&delta);
        }
    });
    if let Some(log) = &mut log {
        match &said {
            // Nobody could compare it.
            Ok(EventOutcome::Foreign) => log.lose(),
            Ok(said @ (EventOutcome::More | EventOutcome::Idle)) => {
                log.end_of_event(data, *said == EventOutcome::Idle);
            }
            Ok(EventOutcome::Done | EventOutcome::DoneInPart | EventOutcome::Failed(_))
            | Err(_) => log.drop_event(),
        }
    }
    let plain = match (&said, others, words) {
        (Ok(EventOutcome::More), 0, Some((kind, Some(place)))) => {
            Some(Plain { kind, place, number: reader.number(), usage })
        }
        _ => None,
    };
    let fate = match said {
        Ok(EventOutcome::More | EventOutcome::Idle) => Fate::Pass,
        Ok(EventOutcome::Foreign) => Fate::Foreign,
        Ok(EventOutcome::Done | EventOutcome::DoneInPart) => Fate::Done,
        Ok(EventOutcome::Failed(failure)) => Fate::Failed(*failure),
        Err(_) => unreadable(data, log),
    };
    (fate, plain)
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
