//! One pass over a request's body. It checks that the body is JSON and the same request to every reader,
//! and gathers on its way what routing needs of the prompt; of the fields of the body itself it keeps
//! where they stand. Nothing is copied but what is written with escapes.

use std::{borrow::Cow, ops::Range};

use memchr::memchr2;
use serde::de::IgnoredAny;

use super::field_names::{Is, Mark, Shape, Words};
use crate::{
    domain::{
        id::ModelName,
        model::{Capabilities, Capability},
    },
    gateway::{
        exchange::unambiguous::{Keys, are_twins, is_called, key_of, shown, stands_twice},
        translate::InvalidRequest,
    },
};

/// Deepest nesting of lists and objects taken. Deeper ones make some upstreams fail, and would then
/// count against the provider and not against the client.
pub(in crate::gateway::exchange) const MAX_DEPTH: usize = 128;

/// Roles of those who speak before the conversation, and of those who answer in it.
const IN_FRONT: [&str; 2] = ["system", "developer"];
const ANSWERING: [&str; 4] = ["assistant", "tool", "function", "model"];

/// Where a field of the body stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// Quotes included.
    pub key: Range<usize>,
    /// Whether the key is written without escapes.
    pub is_plain: bool,
    pub value: Range<usize>,
}

/// What a body holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub fields: Vec<Field>,
    /// What a model must be able to do for the prompt.
    pub needs: Capabilities,
    /// Characters of the prompt that can be seen: neither white space nor controls.
    pub characters: u64,
    /// Pictures, sounds, films and documents.
    pub media: u64,
    /// Whether someone has answered already.
    pub is_answered: bool,
    /// Where the instructions stand that are no part of the conversation.
    pub instructions: Range<usize>,
    /// The instructions in front of the conversation, and what the user says first.
    pub first: Range<usize>,
}

enum Fault {
    Syntax,
    Depth,
    Invalid(InvalidRequest),
}

impl From<InvalidRequest> for Fault {
    fn from(invalid: InvalidRequest) -> Self {
        Self::Invalid(invalid)
    }
}

type Step<T> = Result<T, Fault>;

/// `named`: the model that the path has named.
///
/// Errors: [`InvalidRequest`] when it is no JSON object, too deep, or ambiguous.
pub(super) fn walk(
    body: &[u8],
    words: &Words,
    named: Option<&ModelName>,
) -> Result<Found, InvalidRequest> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(InvalidRequest::new("the body must be a JSON object"));
    }
    if std::str::from_utf8(body).is_err() {
        return Err(InvalidRequest::new("the body is not valid UTF-8"));
    }
    let keys = Keys { has_twins: words.has_twins, settings: words.settings, named };
    let is_first_open = true;
    let mut walk = Walk {
        body,
        at: 0,
        depth: 0,
        keys,
        found: Found::default(),
        is_first_open,
        is_in_front: false,
    };
    match walk.whole(words.body) {
        Ok(()) => Ok(walk.found),
        Err(Fault::Invalid(invalid)) => Err(invalid),
        Err(Fault::Depth) => {
            let message = format!("the body nests lists and objects deeper than {MAX_DEPTH}");
            Err(InvalidRequest::new(message))
        }
        Err(Fault::Syntax) => {
            let why = serde_json::from_slice::<IgnoredAny>(body).err();
            let why = why.map_or_else(|| format!("at byte {}", walk.at), |why| why.to_string());
            Err(InvalidRequest::new(format!("the body is not a valid JSON object: {why}")))
        }
    }
}

/// Which objects must have keys that differ for every reader.
#[derive(Clone, Copy)]
enum Checked<'p> {
    No,
    /// The value at this path, which is an object.
    Object(&'p str),
    /// The objects in the list at this path.
    Each(&'p str),
}

/// The fields of an object that were read, by their numbers in its shape: fewer than a number has bits.
#[derive(Default)]
struct Read(u32);

impl Read {
    /// Errors: [`InvalidRequest`] when some reader would take a key for one that was read before.
    fn check(&mut self, keys: Keys<'_>, shape: Shape, key: &str) -> Result<(), InvalidRequest> {
        let is_it = |name: &str| !name.is_empty() && keys.are_same(key, name);
        let Some(number) = shape.iter().position(|(name, _)| is_it(name)) else {
            return Ok(());
        };
        let bit = 1 << number;
        if self.0 & bit != 0 {
            return Err(stands_twice(shown("", key)));
        }
        self.0 |= bit;
        Ok(())
    }
}

struct Walk<'b, 'n> {
    body: &'b [u8],
    at: usize,
    depth: usize,
    keys: Keys<'n>,
    found: Found,
    /// Whether the first words of the conversation are not complete.
    is_first_open: bool,
    /// Whether the turn that was read last stands in front of the conversation.
    is_in_front: bool,
}

impl<'b> Walk<'b, '_> {
    fn whole(&mut self, shape: Shape) -> Step<()> {
        self.space();
        self.object(shape, Some(""))?;
        self.space();
        if self.at == self.body.len() { Ok(()) } else { Err(Fault::Syntax) }
    }

    /// `path`: where it stands, if its keys are to be checked.
    fn object(&mut self, shape: Shape, path: Option<&str>) -> Step<()> {
        self.enter()?;
        let mut keys: Vec<Cow<'b, str>> = Vec::new();
        let mut read = Read::default();
        let mut is_last = self.eats(b'}');
        while !is_last {
            self.space();
            let (key_at, _) = self.text(false)?;
            self.space();
            self.expect(b':')?;
            let value = if let Some(path) = path {
                let key = key_of(&self.body[key_at.clone()])?;
                let value = self.checked_value(path, &key, self.meaning(shape, &key))?;
                keys.push(key);
                value
            } else if shape.is_empty() {
                self.value(Is::Nothing, Checked::No)?
            } else {
                let key = self.written(key_at.clone());
                read.check(self.keys, shape, &key)?;
                self.value(self.meaning(shape, &key), Checked::No)?
            };
            if self.depth == 1 {
                let is_plain = !self.body[key_at.clone()].contains(&b'\\');
                self.found.fields.push(Field { key: key_at, is_plain, value });
            }
            is_last = self.is_last(b'}')?;
        }
        self.depth -= 1;
        match path {
            Some(path) => Ok(self.keys.check_keys(path, keys.iter().map(|key| &**key))?),
            None => Ok(()),
        }
    }

    /// The text that stands there. What is none to us means nothing.
    fn written(&self, at: Range<usize>) -> Cow<'b, str> {
        key_of(&self.body[at]).unwrap_or_default()
    }

    fn meaning(&self, shape: Shape, key: &str) -> Is {
        let known = shape.iter().find(|(name, _)| {
            *name == key || name.is_empty() || (self.keys.has_twins && are_twins(key, name))
        });
        known.map_or(Is::Nothing, |(_, is)| *is)
    }

    /// The value of a field of an object whose keys are checked: it may be another one.
    fn checked_value(&mut self, path: &str, key: &str, is: Is) -> Step<Range<usize>> {
        if self.keys.is_setting(key) {
            return self.value(is, Checked::Object(&shown(path, key)));
        }
        if self.keys.has_twins && is_called(key, "requests") {
            return self.value(is, Checked::Each(&shown(path, key)));
        }
        let at = self.value(is, Checked::No)?;
        if key == "model" {
            self.keys.check_model(&shown(path, key), &self.body[at.clone()])?;
        }
        Ok(at)
    }

    fn value(&mut self, is: Is, checked: Checked<'_>) -> Step<Range<usize>> {
        self.space();
        let start = self.at;
        match (self.body.get(start), checked) {
            (Some(b'{'), Checked::No) => self.object(is.shape(), None)?,
            (Some(b'{'), Checked::Object(path) | Checked::Each(path)) => {
                self.object(is.shape(), Some(path))?;
            }
            (Some(b'['), Checked::Object(path)) => {
                let message = format!("{path} must be an object");
                return Err(InvalidRequest::about(path.to_owned(), message).into());
            }
            (Some(b'['), _) => self.list(is, checked)?,
            (Some(b'"'), _) => {
                let (at, seen) = self.text(matches!(
                    is,
                    Is::BodyFields(_) | Is::Turns(_) | Is::Instructions(_) | Is::Json
                ))?;
                self.found.characters += seen;
                self.word(is, at);
            }
            (Some(b'n'), _) => self.literal(b"null")?,
            (Some(b't'), _) => self.literal(b"true")?,
            (Some(b'f'), _) => self.literal(b"false")?,
            _ => self.number()?,
        }
        let at = start..self.at;
        self.note(is, at.clone());
        Ok(at)
    }

    fn list(&mut self, is: Is, checked: Checked<'_>) -> Step<()> {
        self.enter()?;
        let mut is_last = self.eats(b']');
        let mut number = 0_usize;
        while !is_last {
            match (is, checked) {
                (Is::Turns(shape), _) => self.turn(shape)?,
                (_, Checked::Each(path)) => {
                    self.value(is, Checked::Object(&format!("{path}[{number}]")))?;
                }
                _ => {
                    self.value(is.of_element(), Checked::No)?;
                }
            }
            number += 1;
            is_last = self.is_last(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// One of a conversation: it begins with those in front and what the user says first. Who answers
    /// is no part of that, but where nobody has spoken before.
    fn turn(&mut self, shape: Shape) -> Step<()> {
        self.is_in_front = false;
        let at = self.value(Is::BodyFields(shape), Checked::No)?;
        if self.is_first_open {
            if self.found.first.is_empty() {
                self.found.first = at;
            } else if !self.found.is_answered {
                self.found.first.end = at.end;
            }
            self.is_first_open = self.is_in_front;
        }
        Ok(())
    }

    /// Takes note of a value that is no list.
    fn note(&mut self, is: Is, at: Range<usize>) {
        let first = self.body[at.start];
        match is {
            Is::Json if first != b'"' => self.found.characters += visible(&self.body[at]),
            Is::Instructions(_) => self.found.instructions = at,
            Is::Turns(_) if first == b'"' => self.found.first = at,
            Is::Marked(mark, _) if !matches!(first, b'[' | b'n') => self.mark(mark),
            _ => {}
        }
    }

    /// Takes note of a text that tells what something is.
    fn word(&mut self, is: Is, at: Range<usize>) {
        match is {
            Is::Role => {
                let role = self.written(at);
                let is_one_of =
                    |roles: &[&str]| roles.iter().any(|it| it.eq_ignore_ascii_case(&role));
                self.is_in_front |= is_one_of(&IN_FRONT);
                self.found.is_answered |= is_one_of(&ANSWERING);
            }
            Is::Kind(kinds) => {
                let kind = self.written(at);
                let known = kinds.iter().find(|(name, _)| name.is_empty() || *name == kind);
                if let Some((_, mark)) = known {
                    self.mark(*mark);
                }
            }
            Is::MediaType => match self.written(at).split('/').next() {
                Some("image") => self.need(Capability::Vision),
                Some("audio") => self.need(Capability::Audio),
                _ => {}
            },
            _ => {}
        }
    }

    fn mark(&mut self, mark: Mark) {
        self.found.media += u64::from(matches!(mark, Mark::Picture | Mark::Sound | Mark::Medium));
        match mark {
            Mark::Picture => self.need(Capability::Vision),
            Mark::Sound => self.need(Capability::Audio),
            Mark::Tool => self.need(Capability::Tools),
            Mark::Answer => self.found.is_answered = true,
            Mark::Medium | Mark::Nothing => {}
        }
    }

    fn need(&mut self, capability: Capability) {
        self.found.needs = self.found.needs.with(capability);
    }

    fn enter(&mut self) -> Step<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Fault::Depth) } else { Ok(()) }
    }

    fn space(&mut self) {
        while matches!(self.body.get(self.at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes over white space, and then over this byte if it comes next.
    fn eats(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.body.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Step<()> {
        if self.eats(byte) { Ok(()) } else { Err(Fault::Syntax) }
    }

    /// Whether a list or an object ends here; else another element follows.
    fn is_last(&mut self, end: u8) -> Step<bool> {
        if self.eats(end) {
            return Ok(true);
        }
        self.expect(b',').map(|()| false)
    }

    fn literal(&mut self, word: &[u8]) -> Step<()> {
        if !self.body[self.at..].starts_with(word) {
            return Err(Fault::Syntax);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Step<()> {
        self.at += usize::from(self.body.get(self.at) == Some(&b'-'));
        if self.body.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.body.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.body.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.body.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Step<()> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(Fault::Syntax) } else { Ok(()) }
    }

    /// Passes over a text: where it stands, quotes included, and how many characters of it can be seen, if
    /// they are counted.
    fn text(&mut self, counts: bool) -> Step<(Range<usize>, u64)> {
        let start = self.at;
        if self.body.get(start) != Some(&b'"') {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        let mut seen = 0;
        loop {
            let rest = self.body.get(self.at..).unwrap_or_default();
            let length = memchr2(b'"', b'\\', rest).ok_or(Fault::Syntax)?;
            let piece = &rest[..length];
            if piece.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < b' ' {
                return Err(Fault::Syntax);
            }
            seen += if counts { visible(piece) } else { 0 };
            self.at += length + 1;
            if rest[length] == b'"' {
                return Ok((start..self.at, seen));
            }
            let escaped = self.escape()?;
            seen += if counts { escaped } else { 0 };
        }
    }

    /// Passes over an escape, whose backslash was read: how many characters of it can be seen.
    fn escape(&mut self) -> Step<u64> {
        let byte = self.body.get(self.at).ok_or(Fault::Syntax)?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' => Ok(1),
            b'b' | b'f' | b'n' | b'r' | b't' => Ok(0),
            b'u' => {
                let digits = self.body.get(self.at..self.at + 4).ok_or(Fault::Syntax)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Fault::Syntax);
                }
                self.at += 4;
                let is_low =
                    digits.starts_with(b"00") && (digits[2] < b'2' || &digits[2..] == b"20");
                Ok(u64::from(!is_low))
            }
            _ => Err(Fault::Syntax),
        }
    }
}

/// Characters that are neither white space of ASCII nor controls.
fn visible(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte > b' ' && (**byte & 0xC0) != 0x80).count() as u64
}
