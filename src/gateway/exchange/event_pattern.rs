//! Events that differ from the one before in the words they say and in what was used up to them, and in
//! nothing else that is read: what such an event means is known without reading it.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem};

use super::passed_log::TextKind;

/// Texts that differ from event to event, and that no reader reads.
const UNREAD: [&[u8]; 2] = [br#""obfuscation":"#, br#""created_at":"#];

/// The number of an event.
const NUMBER: &[u8] = br#""sequence_number":"#;

/// What was used up to an event, where each one tells it.
const USAGE: [&[u8]; 2] = [br#""usageMetadata":"#, br#""usage":"#];

/// How their names begin.
const USAGE_PREFIX: &[u8] = br#""usage"#;

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
    /// An object of counts.
    Usage,
    Unread,
}

/// What an event says that is like the last one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Alike<'d> {
    pub kind: TextKind,
    pub words: &'d str,
    pub number: Option<u64>,
    /// What was used, where it tells that: JSON.
    pub usage: Option<&'d str>,
}

impl EventPattern {
    /// Takes the data of an event that says what stands at this place of it, and nothing else but what was
    /// used.
    pub fn learn(&mut self, data: &[u8], kind: TextKind, words: Range<usize>) {
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
        // Of two such fields a reader may take either.
        if memmem::find_iter(data, USAGE_PREFIX).nth(1).is_none() {
            for name in USAGE {
                self.add_hole(data, name, Holds::Usage);
            }
        }
        self.holes.sort_unstable_by_key(|hole| hole.place.start);
        self.event.extend_from_slice(data);
        self.kind = kind;
        if self.holes.windows(2).any(|pair| pair[1].place.start < pair[0].place.end) {
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
        let (Some(at), None) = (found.next(), found.next()) else { return };
        let spaces = data[at..].iter().take_while(|byte| **byte == b' ').count();
        let start = at + spaces + usize::from(holds == Holds::Unread);
        let Some(value) = data.get(start..) else { return };
        let length = match holds {
            Holds::Unread if data[start - 1] != b'"' => None,
            Holds::Usage => object_length(value),
            _ => holds.length(&[], value),
        };
        if let Some(length) = length {
            self.holes.push(Hole { place: start..start + length, holds });
        }
    }

    /// What the data of an event says, if it is like the last one.
    pub fn find<'d>(&self, data: &'d [u8]) -> Option<Alike<'d>> {
        let (mut words, mut number, mut usage) = (None, None, None);
        let (mut rest, mut from) = (data, 0);
        for Hole { place, holds } in &self.holes {
            rest = rest.strip_prefix(&self.event[from..place.start])?;
            from = place.end;
            let (held, after) = rest.split_at(holds.length(&self.event[place.clone()], rest)?);
            match holds {
                Holds::Words => words = Some(std::str::from_utf8(held).ok()?),
                Holds::Number => number = Some(std::str::from_utf8(held).ok()?.parse().ok()?),
                Holds::Usage => usage = Some(std::str::from_utf8(held).ok()?),
                Holds::Unread => {}
            }
            rest = after;
        }
        let alike = Alike { kind: self.kind, words: words?, number, usage };
        (rest == &self.event[from..]).then_some(alike)
    }
}

impl Holds {
    /// How long it is that stands at the beginning of this, where that stood before. `None`: it is not what
    /// it should be, or not plain enough to be sure.
    fn length(self, before: &[u8], json: &[u8]) -> Option<usize> {
        match self {
            Self::Words | Self::Unread => plain_text(json),
            Self::Number => number_length(json),
            Self::Usage => same_but_numbers(before, json),
        }
    }
}

/// How long a number is that is surely one.
fn number_length(json: &[u8]) -> Option<usize> {
    let digits = json.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_number = digits == 1 || (digits > 1 && json[0] != b'0');
    (is_number && digits <= MAX_DIGITS).then_some(digits)
}

/// How long an object is in which nothing is escaped and no text holds a brace.
fn object_length(json: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in json.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return (at > 0).then_some(at + 1);
        }
    }
    None
}

/// How long JSON is that differs from this in the numbers of its fields, and in nothing else.
fn same_but_numbers(before: &[u8], json: &[u8]) -> Option<usize> {
    let (mut before, mut rest) = (before, json);
    while let Some(colon) = memchr(b':', before) {
        let is_of_field = before[..colon].ends_with(b"\"");
        let spaces = before[colon + 1..].iter().take_while(|byte| **byte == b' ').count();
        let (same, value) = before.split_at(colon + 1 + spaces);
        rest = rest.strip_prefix(same)?;
        before = value;
        if let Some(digits) = number_length(before).filter(|_| is_of_field) {
            before = &before[digits..];
            rest = &rest[number_length(rest)?..];
        }
    }
    rest = rest.strip_prefix(before)?;
    Some(json.len() - rest.len())
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

    fn learnt(event: &str) -> EventPattern {
        let mut pattern = EventPattern::default();
        let start = event.find(WORDS).unwrap();
        let place = place_in(event.as_bytes(), &event[start..start + WORDS.len()]);
        pattern.learn(event.as_bytes(), TextKind::Refusal, place.unwrap());
        pattern
    }

    fn found<'d>(pattern: &EventPattern, event: &'d str) -> Option<(&'d str, Option<u64>)> {
        let Alike { kind, words, number, .. } = pattern.find(event.as_bytes())?;
        assert_eq!(kind, TextKind::Refusal);
        Some((words, number))
    }

    #[test]
    fn words_numbers_and_what_nobody_reads_may_differ() {
        let event = r#"{"sequence_number":9,"delta":"said","obfuscation":"x7","n":1}"#;
        let pattern = learnt(event);
        assert_eq!(found(&pattern, event), Some((WORDS, Some(9))));
        let next = r#"{"sequence_number":10,"delta":"é, {","obfuscation":"x7Gh","n":1}"#;
        assert_eq!(found(&pattern, next), Some(("é, {", Some(10))));
        let line = r#"{"created_at":"2026-11-30T00:00:00Z","delta":"said"}"#;
        let next = r#"{"created_at":"2026-11-30T00:00:01Z","delta":"."}"#;
        assert_eq!(found(&learnt(line), next), Some((".", None)));
    }

    #[test]
    fn whatever_else_differs_is_read() {
        let event = r#"{"sequence_number":9,"delta":"said","n":1}"#;
        let pattern = learnt(event);
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
    fn counts_may_differ_and_nothing_else_of_usage() {
        for (name, space) in [("usageMetadata", ""), ("usage", " ")] {
            let event = |usage: &str, words| {
                format!(r#"{{"delta":"{words}","{name}":{space}{usage},"n":1}}"#)
            };
            let told = r#"{"in":9,"out": 1,"of":[{"kind":"T2:5","in":9}],"rate":0.5,"none":null}"#;
            let pattern = learnt(&event(told, WORDS));
            let next =
                r#"{"in":9,"out": 12,"of":[{"kind":"T2:5","in":90}],"rate":0.5,"none":null}"#;
            let next = &event(next, "é");
            let alike = pattern.find(next.as_bytes()).unwrap();
            assert_eq!((alike.words, &*event(alike.usage.unwrap(), "é")), ("é", &**next));
            for (from, to) in [
                (r#""in":9"#, r#""in":-9"#),
                (r#""in":9"#, r#""in":"9""#),
                (r#""in":9"#, r#""in":9,"more":"words""#),
                (r#""in":9"#, r#""in": 9"#),
                (r#""out": 1"#, r#""out": 1.5"#),
                ("T2:5", "T3:5"),
                ("T2:5", "T2:6"),
                ("null", "7"),
                ("0.5", "0.6"),
                ("}]", "},{}]"),
            ] {
                let other = event(&told.replacen(from, to, 1), "é");
                assert_eq!(found(&pattern, &other), None, "{other}");
            }
        }
        for two in ["\"usage\" :", "\"usageMetadata\":", "\"usage_extra\":"] {
            let event = format!(r#"{{"delta":"said","usage":{{"n":1}},{two}{{"n":1}}}}"#);
            assert_eq!(learnt(&event).find(event.as_bytes()).unwrap().usage, None, "{event}");
        }
        let without = r#"{"usage":null,"delta":"said"}"#;
        assert_eq!(found(&learnt(without), without), Some((WORDS, None)));
    }

    #[test]
    fn what_is_not_sure_is_no_pattern() {
        for event in [
            r#"{"delta":"said","\u0061":1}"#,
            r#"{"delta":"said","usage":{"sequence_number":9}}"#,
            r#"{"usage":{"delta":"said"}}"#,
        ] {
            assert_eq!(found(&learnt(event), event), None, "{event}");
        }
        let twice = r#"{"delta":"said","x":{"sequence_number":9},"sequence_number":9}"#;
        assert_eq!(found(&learnt(twice), twice), Some((WORDS, None)));
        let open = r#"{"delta":"said","usage":{"n":1"#;
        assert_eq!(learnt(open).find(open.as_bytes()).unwrap().usage, None);
        for end in ["", " ", " \""] {
            let cut = format!(r#"{{"delta":"said","created_at":{end}"#);
            assert_eq!(found(&learnt(&cut), &cut), Some((WORDS, None)));
        }
        let other = WORDS.to_owned();
        assert_eq!(place_in(br#"{"delta":"said"}"#, &other), None);
        let data = br#"{"delta":"it said"}"#;
        let text = std::str::from_utf8(&data[13..17]).unwrap();
        assert_eq!((text, place_in(data, text)), (WORDS, None));
    }
}
