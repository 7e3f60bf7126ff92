//! What went to an upstream and nobody else may see: taken out of what the upstream says of it.
//!
//! An upstream may quote the headers it was sent in an error, and its words are passed on, or stand in a
//! trace. They are looked through with care when something failed. In a good answer only secrets are looked
//! for that cannot be words, as they are and as JSON escapes them: that costs next to nothing, and nobody
//! gets `****` for what a model has said.

mod escapes;
mod index;
mod needles;
mod sought;

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::{
    escapes::IN_JSON,
    needles::Needles,
    sought::{MIN_UNMISTAKABLE_BYTES, Sought},
};
use crate::domain::{
    chat::Losses,
    credential::Egress,
    failure::{Failure, MAX_REASON_CHARS, MAX_WORD_CHARS, Reason},
    provider::SecretHeader,
};

/// What takes the place of a secret.
const MASK: &str = "****";

/// Most bytes that one of a secret takes when it is escaped: `\u0041`.
const MAX_ESCAPE_BYTES: usize = 6;

/// The secrets of one attempt, where they are. Cheap to copy.
#[derive(Clone, Copy, Default)]
pub struct Secrets<'a> {
    /// The key, or the token that it was exchanged for.
    pub credential: Option<&'a SecretString>,
    /// The key that was exchanged for a token.
    pub exchanged: Option<&'a SecretString>,
    /// The headers of provider and credential.
    pub headers: [&'a [SecretHeader]; 2],
    pub egress: Option<&'a Egress>,
    /// The addresses of the proxies of the environment.
    pub proxies: &'a [SecretString],
}

impl Secrets<'_> {
    /// The failure without them, in any of its texts.
    pub fn masked(&self, failure: Failure) -> Failure {
        let mask = SecretMask::new(self, Sought::Any);
        // A word that was cut is no word.
        let is_whole = |word: &String| word.chars().count() < MAX_WORD_CHARS;
        let word = |word: Option<String>| word.filter(is_whole).map(|word| mask.text(word));
        let reason = failure.reason.map(|reason| {
            let Reason { message, kind, code, param } = *reason;
            let message = mask.text(mask.without_cut_end(message));
            Box::new(Reason { message, kind: word(kind), code: word(code), param: word(param) })
        });
        Failure { reason, detail: mask.text(failure.detail), ..failure }
    }

    /// What is passed on of an answer, without them. `foreign`: the parts of it, in order, that are no part
    /// of an answer as its dialect has it. `None`: there is nothing to mask.
    pub fn masked_answer(&self, bytes: &[u8], foreign: &[Range<usize>]) -> Option<Bytes> {
        if foreign.is_empty() {
            let is_quoted = self.are_in_answer(bytes);
            return is_quoted.then(|| self.answer_mask().find_in(bytes)).flatten().map(Bytes::from);
        }
        let (any, mut found, mut at) = (SecretMask::new(self, Sought::Any), Vec::new(), 0);
        for part in foreign {
            self.find_in_answer(bytes, at..part.start, &mut found);
            any.find_within(bytes, part.clone(), &mut found);
            at = part.end;
        }
        self.find_in_answer(bytes, at..bytes.len(), &mut found);
        without(bytes, found).map(Bytes::from)
    }

    fn find_in_answer(&self, bytes: &[u8], part: Range<usize>, found: &mut Vec<Range<usize>>) {
        if self.are_in_answer(&bytes[part.clone()]) {
            self.answer_mask().find_within(bytes, part, found);
        }
    }

    fn answer_mask(&self) -> SecretMask {
        SecretMask::new(self, Sought::Unmistakable)
    }

    /// Whether one of them that is no word stands in these bytes, as it is or escaped in JSON. Cheap enough
    /// to ask of every answer; what is written in another way is looked for only where one is found.
    fn are_in_answer(&self, bytes: &[u8]) -> bool {
        let sought = Sought::Unmistakable;
        let keys = [self.credential, self.exchanged].into_iter().flatten();
        let keys = keys.map(ExposeSecret::expose_secret);
        let headers = self.headers.into_iter().flatten().filter(|it| sought.includes_header(it));
        // Of a header without the word for its kind.
        let headers =
            headers.filter_map(|it| it.value.expose_secret().split_whitespace().next_back());
        // Most events have no escape at all.
        let escaped = memchr::memchr(b'\\', bytes).is_some();
        let is_there = |secret: &str| {
            memmem::find(bytes, secret.as_bytes()).is_some()
                || escaped && IN_JSON.has(bytes, secret.as_bytes())
        };
        // What kind of text it is matters only where it is found.
        keys.map(str::trim).chain(headers).any(|secret| {
            secret.len() >= MIN_UNMISTAKABLE_BYTES && is_there(secret) && sought.includes(secret)
        })
    }

    /// The receipt of an answer without them: it names fields as the upstream does.
    pub fn masked_losses(&self, losses: Losses) -> Losses {
        if losses.is_empty() {
            return losses;
        }
        let mask = SecretMask::new(self, Sought::Any);
        let mut masked = Losses::default();
        for name in losses.iter() {
            masked.note(mask.text(name.to_owned()));
        }
        masked
    }
}

/// Finds secrets in texts, as they are and in the ways in which they are written elsewhere: in base64
/// of either alphabet, alone or within something longer, escaped as in URLs and as in JSON.
struct SecretMask(Needles);

impl SecretMask {
    fn new(secrets: &Secrets<'_>, sought: Sought) -> Self {
        let mut needles = Needles::new(sought);
        let keys = [secrets.credential, secrets.exchanged];
        for key in keys.into_iter().flatten() {
            needles.add(key.expose_secret());
        }
        for header in secrets.headers.into_iter().flatten() {
            needles.add_header(header);
        }
        let own_proxy = match secrets.egress {
            Some(Egress::Proxy(proxy)) => Some(proxy.secret()),
            _ => None,
        };
        for proxy in own_proxy.into_iter().chain(secrets.proxies) {
            add_proxy(&mut needles, proxy.expose_secret());
        }
        Self(needles)
    }

    /// A message without the end at which a secret may have been cut in two, if it is as long as a
    /// message may be. What it ends with makes no difference.
    fn without_cut_end(&self, mut message: String) -> String {
        if message.chars().count() < MAX_REASON_CHARS {
            return message;
        }
        let doubtful = self.0.longest().saturating_mul(MAX_ESCAPE_BYTES);
        message.truncate(message.floor_char_boundary(message.len().saturating_sub(doubtful)));
        message
    }

    fn text(&self, text: String) -> String {
        match self.find_in(text.as_bytes()) {
            None => text,
            // Only whole characters are taken out.
            Some(masked) => String::from_utf8_lossy(&masked).into_owned(),
        }
    }

    /// A text without the secrets in it. `None`: there are none.
    fn find_in(&self, text: &[u8]) -> Option<Vec<u8>> {
        without(text, self.0.find_all(text))
    }

    /// Adds where they are in a part of a text.
    fn find_within(&self, text: &[u8], part: Range<usize>, found: &mut Vec<Range<usize>>) {
        let start = part.start;
        let within = self.0.find_all(&text[part]).into_iter();
        found.extend(within.map(|it| it.start + start..it.end + start));
    }
}

/// A text without these parts of it. `None`: there are none.
fn without(text: &[u8], mut found: Vec<Range<usize>>) -> Option<Vec<u8>> {
    if found.is_empty() {
        return None;
    }
    found.sort_unstable_by_key(|part| part.start);
    let (mut masked, mut at) = (Vec::with_capacity(text.len()), 0);
    for part in found {
        // What has been copied ends before it, or it goes on with what was masked.
        if part.start >= at {
            masked.extend_from_slice(&text[at..part.start]);
            masked.extend_from_slice(MASK.as_bytes());
        }
        at = at.max(part.end);
    }
    masked.extend_from_slice(&text[at..]);
    Some(masked)
}

/// Of the address of a proxy the name and the password are secret, together and alone.
fn add_proxy(needles: &mut Needles, address: &str) {
    // The environment may leave the scheme out.
    let parsed = if address.contains("://") {
        Url::parse(address)
    } else {
        Url::parse(&format!("http://{address}"))
    };
    let Ok(url) = parsed else { return needles.add(address) };
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = decoded(url.password().unwrap_or_default());
    needles.add(&password);
    let name = decoded(url.username());
    needles.add(&if password.is_empty() { name } else { format!("{name}:{password}") });
    for part in [Some(url.path().trim_start_matches('/')), url.query(), url.fragment()] {
        needles.add(part.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
