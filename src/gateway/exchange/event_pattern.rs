//! Events that differ from the one before in the words they say, and in nothing else that is read: what
//! such an event means is known without reading it.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem};

use super::passed_log::TextKind;

/// Texts that differ from event to event, and that no reader reads.
const UNREAD: [&[u8]; 2] = [br#""obfuscation":""#, br#""created_at":""#];

/// The number of an event.
const NUMBER: &[u8] = br#""sequence_number":"#;

/// Most digits of a number that is surely one.
const MAX_DIGITS: usize = 18;

/// An event that was read and says words of one kind, and where it may differ from the next one.
#[derive(Debug, Default)]
pub(super) struct EventPattern {
    /// Empty where the last event was none of these.
    event: Vec<u8>,
    kind: TextKind,
    holes: Vec<Hole>,
}

#[derive(Debug)]
struct Hole {
    place: Range<usize>,
    holds: Holds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// What the event says.
    Words,
    Number,
    Unread,
}

/// What an event says that is like the last one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Alike<'d> {
    pub kind: TextKind,
    pub words: &'d str,
    pub number: Option<u64>,
}

impl EventPattern {
    /// Takes the data of an event that says what stands at this place of it, and nothing else. `number`:
    /// what its reader takes for its number.
    pub fn learn(&mut self, data: &[u8], kind: TextKind, words: Range<usize>, number: Option<u64>) {
        self.forget();
        // Where nothing is escaped, a name in quotes with a colon after it is that of a field.
        if memchr(b'\\', data).is_some() || plain_text(&data[words.start..]) != Some(words.len()) {
            return;
        }
        self.holes.push(Hole { place: words, holds: Holds::Words });
        for name in UNREAD {
            self.add_hole(data, name, Holds::Unread);
        }
        self.add_hole(data, NUMBER, Holds::Number);
        self.holes.sort_unstable_by_key(|hole| hole.place.start);
        self.event.extend_from_slice(data);
        self.kind = kind;
        if self.find(data).is_none_or(|alike| alike.number != number) {
            self.forget();
        }
    }

    /// The last event is no pattern for others.
    pub fn forget(&mut self) {
        self.event.clear();
        self.holes.clear();
    }

    /// Adds the value of a field, if there is one such field.
    fn add_hole(&mut self, data: &[u8], name: &[u8], holds: Holds) {
        let mut found = memmem::find_iter(data, name).map(|at| at + name.len());
        if let (Some(start), None) = (found.next(), found.next())
            && let Some(length) = holds.length(&data[start..])
        {
            self.holes.push(Hole { place: start..start + length, holds });
        }
    }

    /// What the data of an event says, if it is like the last one.
    pub fn find<'d>(&self, data: &'d [u8]) -> Option<Alike<'d>> {
        let (mut words, mut number) = (None, None);
        let (mut rest, mut from) = (data, 0);
        for Hole { place, holds } in &self.holes {
            rest = rest.strip_prefix(&self.event[from..place.start])?;
            from = place.end;
            let (held, after) = rest.split_at(holds.length(rest)?);
            let held = std::str::from_utf8(held).ok()?;
            match holds {
                Holds::Words => words = Some(held),
                Holds::Number => number = Some(held.parse().ok()?),
                Holds::Unread => {}
            }
            rest = after;
        }
        (rest == &self.event[from..]).then_some(Alike { kind: self.kind, words: words?, number })
    }
}

impl Holds {
    /// How long it is that stands at the beginning of this. `None`: it is not what it should be, or not
    /// plain enough to be sure.
    fn length(self, json: &[u8]) -> Option<usize> {
        match self {
            Self::Words | Self::Unread => plain_text(json),
            Self::Number => {
                let digits = json.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let is_number = digits == 1 || (digits > 1 && json[0] != b'0');
                (is_number && digits <= MAX_DIGITS).then_some(digits)
            }
        }
    }
}

/// How long a text is up to its quote that says something and in which nothing is escaped.
fn plain_text(json: &[u8]) -> Option<usize> {
    let length = memchr2(b'"', b'\\', json).filter(|at| *at > 0 && json[*at] == b'"')?;
    json[..length].iter().all(|byte| *byte >= b' ').then_some(length)
}

/// Where a text stands in an event, in quotes. `None`: it was made anew.
pub(super) fn place_in(data: &[u8], text: &str) -> Option<Range<usize>> {
    let start = text.as_ptr().addr().checked_sub(data.as_ptr().addr())?;
    let place = start..start.checked_add(text.len())?;
    let is_there = data.get(place.clone())? == text.as_bytes();
    (is_there && data.get(start.checked_sub(1)?) == Some(&b'"')).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "said";

    fn learnt(event: &str, number: Option<u64>) -> EventPattern {
        let mut pattern = EventPattern::default();
        let start = event.find(WORDS).unwrap();
        let place = place_in(event.as_bytes(), &event[start..start + WORDS.len()]);
        pattern.learn(event.as_bytes(), TextKind::Refusal, place.unwrap(), number);
        pattern
    }

    fn found<'d>(pattern: &EventPattern, event: &'d str) -> Option<(&'d str, Option<u64>)> {
        let Alike { kind, words, number } = pattern.find(event.as_bytes())?;
        assert_eq!(kind, TextKind::Refusal);
        Some((words, number))
    }

    #[test]
    fn words_numbers_and_what_nobody_reads_may_differ() {
        let event = r#"{"sequence_number":9,"delta":"said","obfuscation":"x7","n":1}"#;
        let pattern = learnt(event, Some(9));
        assert_eq!(found(&pattern, event), Some((WORDS, Some(9))));
        let next = r#"{"sequence_number":10,"delta":"é, {","obfuscation":"x7Gh","n":1}"#;
        assert_eq!(found(&pattern, next), Some(("é, {", Some(10))));
        let line = r#"{"created_at":"2026-11-30T00:00:00Z","delta":"said"}"#;
        let next = r#"{"created_at":"2026-11-30T00:00:01Z","delta":"."}"#;
        assert_eq!(found(&learnt(line, None), next), Some((".", None)));
    }

    #[test]
    fn whatever_else_differs_is_read() {
        let event = r#"{"sequence_number":9,"delta":"said","n":1}"#;
        let pattern = learnt(event, Some(9));
        for other in [
            r#"{"sequence_number":9,"delta":"","n":1}"#,
            r#"{"sequence_number":9,"delta":"a\n","n":1}"#,
            "{\"sequence_number\":9,\"delta\":\"a\nb\",\"n\":1}",
            r#"{"sequence_number":9,"delta":"a","n":2}"#,
            r#"{"sequence_number":9,"delta":"a","m":"b","n":1}"#,
            r#"{"sequence_number":9,"delta":"a","n":1} "#,
            r#"{"sequence_number":9,"delta":"a","n":1"#,
            r#"{"sequence_number":9,"delta":"a"#,
            r#"{"sequence_number":,"delta":"a","n":1}"#,
            r#"{"sequence_number":09,"delta":"a","n":1}"#,
            r#"{"sequence_number":9.5,"delta":"a","n":1}"#,
            r#"{"sequence_number":9999999999999999999,"delta":"a","n":1}"#,
        ] {
            assert_eq!(found(&pattern, other), None, "{other}");
        }
    }

    #[test]
    fn what_is_not_sure_is_no_pattern() {
        for (event, number) in [
            (r#"{"delta":"said","\u0061":1}"#, None),
            (r#"{"delta":"said","sequence_number":9}"#, Some(8)),
            (r#"{"delta":"said","sequence_number":9}"#, None),
            (r#"{"delta":"said","x":{"sequence_number":9},"sequence_number":9}"#, Some(9)),
        ] {
            assert_eq!(found(&learnt(event, number), event), None, "{event}");
        }
        let other = WORDS.to_owned();
        assert_eq!(place_in(br#"{"delta":"said"}"#, &other), None);
        let data = br#"{"delta":"it said"}"#;
        let text = std::str::from_utf8(&data[13..17]).unwrap();
        assert_eq!((text, place_in(data, text)), (WORDS, None));
    }
}
