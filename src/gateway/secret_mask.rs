//! What went to an upstream and nobody else may see: taken out of what the upstream says of it.
//!
//! An upstream may quote the headers it was sent in an error, and its words are passed on, or stand in a
//! trace. They are looked through only when something failed: a good answer costs nothing.

mod escapes;
mod needles;

use bytes::Bytes;
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::needles::{MIN_BYTES, Needles};
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
        let mask = SecretMask::new(self);
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

    /// Whether one of them stands in these bytes as it is. Cheap enough to ask of every answer; what is
    /// written in another way is looked for where something failed.
    pub fn are_in(&self, bytes: &[u8]) -> bool {
        let keys = [self.credential, self.exchanged].into_iter().flatten();
        let keys = keys.map(ExposeSecret::expose_secret);
        let headers = self.headers.into_iter().flatten().map(|it| it.value.expose_secret());
        // Of a header without the word for its kind.
        let headers = headers.filter_map(|value| value.split_whitespace().next_back());
        keys.map(str::trim).chain(headers).any(|secret| {
            secret.len() >= MIN_BYTES && memmem::find(bytes, secret.as_bytes()).is_some()
        })
    }

    /// Bytes without them, of which not all are an answer.
    pub fn masked_bytes(&self, bytes: Bytes) -> Bytes {
        SecretMask::new(self).find_in(&bytes).map_or(bytes, Bytes::from)
    }

    /// The receipt of an answer without them: it names fields as the upstream does.
    pub fn masked_losses(&self, losses: Losses) -> Losses {
        if losses.is_empty() {
            return losses;
        }
        let mask = SecretMask::new(self);
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
    fn new(secrets: &Secrets<'_>) -> Self {
        let mut needles = Needles::default();
        let keys = [secrets.credential, secrets.exchanged];
        for key in keys.into_iter().flatten() {
            needles.add(key.expose_secret());
        }
        for header in secrets.headers.into_iter().flatten() {
            needles.add_header(header.value.expose_secret());
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
        let mut found = self.0.find_all(text);
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
