//! What routing needs of a request, of every dialect: read in one pass over the bytes, with a table of
//! the dialect's words. Nothing here decides whom to ask.

mod body_fields;
mod edit;
mod field_names;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twice;
mod walk;

use std::borrow::Cow;

#[cfg(test)]
pub(super) use self::walk::MAX_DEPTH;
pub(super) use self::{body_fields::BodyFields, edit::Edits};
use self::{
    field_names::Words,
    walk::{Found, walk},
};
use super::{
    client_call::ClientCall,
    unambiguous::{MODELS, key_of},
};
use crate::{
    domain::{
        id::ModelName,
        model::{Capabilities, Capability},
        session::{MAX_SESSION_ID, SessionSignal, session_id},
    },
    gateway::translate::{InvalidRequest, PathParams},
};

/// Visible characters to a token, at most: texts in common languages and code have two to five.
const CHARACTERS_PER_TOKEN: u64 = 6;

/// Tokens that anything given as base64 costs at least: a second of sound takes ten, an image more.
const TOKENS_PER_MEDIUM: u64 = 10;

/// Most of a conversation's beginning that is looked at to tell it from others, in bytes.
const MAX_OPENING_BYTES: usize = 4096;

/// Headers that name a session, the most telling first. Not `x-client-request-id` and not
/// `idempotency-key`: they change with each request.
const SESSION_HEADERS: [&str; 6] = [
    "x-providerpool-session",
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "x-session-id",
    "x-session-affinity",
];

/// What routing needs of a request. All but the model's name is told by where it stands in the body.
pub(super) struct Facts {
    words: &'static Words,
    found: Found,
    pub model: ModelName,
    pub stream: bool,
}

/// Reads a body as [`Facts::read`] does, and looks for no more than whether it is one request to all.
///
/// Errors: [`InvalidRequest`] when it is not.
pub(super) fn check(
    asked: ClientCall,
    body: &[u8],
    addressed: &PathParams,
) -> Result<(), InvalidRequest> {
    found(body, Words::of(asked), addressed).map(|_| ())
}

fn found(body: &[u8], words: &Words, addressed: &PathParams) -> Result<Found, InvalidRequest> {
    // Elsewhere it stands in the body alone.
    walk(body, words, addressed.model.as_ref().filter(|_| words.has_twins))
}

impl Facts {
    /// Errors: [`InvalidRequest`] when a body would be wrong everywhere, or be another request to another
    /// reader. What it says in the parts of a conversation is left to whoever reads those.
    pub fn read(
        asked: ClientCall,
        body: &[u8],
        addressed: &PathParams,
    ) -> Result<Self, InvalidRequest> {
        let words = Words::of(asked);
        let found = found(body, words, addressed)?;
        let said = BodyFields { body, fields: &found.fields, has_twins: words.has_twins };
        let model = model(&said, addressed)?;
        let stream = match said.find(&["stream"]) {
            None => words.streams_unasked,
            Some(b"true") => true,
            Some(b"false") => false,
            Some(_) => {
                return Err(InvalidRequest::about("stream", "stream must be true or false"));
            }
        };
        (words.check)(&said)?;
        Ok(Self { words, model, stream: addressed.stream.unwrap_or(stream), found })
    }

    /// `body`: what this was read from, here and below.
    pub fn said<'b>(&'b self, body: &'b [u8]) -> BodyFields<'b> {
        BodyFields { body, fields: &self.found.fields, has_twins: self.words.has_twins }
    }

    /// What a model must be able to do. To think is no such thing: where a model cannot, the request is
    /// put to it without, and the client is told.
    pub fn needs(&self, body: &[u8]) -> Capabilities {
        let is_json = (self.words.is_json)(&self.said(body));
        let others = [(Capability::Json, is_json), (Capability::Streaming, self.stream)];
        let needed = others.into_iter().filter(|(_, is_needed)| *is_needed);
        needed.fold(self.found.needs, |needs, (which, _)| needs.with(which))
    }

    /// Most tokens of the answer, as far as the client says.
    pub fn output_limit(&self, body: &[u8]) -> Option<u64> {
        let said = self.said(body);
        self.words.limits.iter().find_map(|path| said.whole(path))
    }

    /// Tokens of a window that the prompt and the longest answer allowed surely take, to leave out
    /// models that are too small.
    ///
    /// Errs on the low side: the prompt is often half as long again, so that nothing is left out
    /// that could have served. White space is not counted, nor are bytes given as base64.
    pub fn prompt_tokens(&self, body: &[u8]) -> u64 {
        let answer = self.output_limit(body).unwrap_or(self.words.usual_limit);
        (self.found.characters / CHARACTERS_PER_TOKEN)
            .saturating_add(self.found.media.saturating_mul(TOKENS_PER_MEDIUM))
            .saturating_add(answer)
    }

    /// Whether someone has answered in this conversation already.
    pub fn is_continuation(&self) -> bool {
        self.found.is_answered
    }

    /// Tells what names the session until `then` has something for it: the names the client gave, in
    /// headers or in the body, the most telling first; where there is none, how the conversation begins: the
    /// instructions in front and what the user says first, whatever comes after, as they were written; of
    /// each the end, because that is where conversations differ.
    ///
    /// Names that are none (blank, too long, unprintable) are passed over.
    pub fn with_session<'h, T>(
        &self,
        body: &[u8],
        header: impl Fn(&str) -> Option<&'h str>,
        mut then: impl FnMut(SessionSignal<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut is_named = false;
        for kind in SESSION_HEADERS {
            if let Some(id) = header(kind).and_then(session_id) {
                is_named = true;
                if let Some(found) = then(SessionSignal::Named { kind, id }) {
                    return Some(found);
                }
            }
        }
        let said = self.said(body);
        for word in self.words.sessions {
            if let Some(id) = said.find(word.path).and_then(id_in_json)
                && word.names.is_session(id, is_named)
            {
                is_named = true;
                if let Some(found) = then(SessionSignal::Named { kind: word.kind, id }) {
                    return Some(found);
                }
            }
        }
        if is_named {
            return None;
        }
        let opening = [&self.found.instructions, &self.found.first].map(|at| {
            let written = &body[at.clone()];
            &written[written.len().saturating_sub(MAX_OPENING_BYTES)..]
        });
        let is_there = opening.iter().any(|part| !part.is_empty());
        is_there.then(|| then(SessionSignal::Opening(opening)))?
    }

    /// Where to change a body that is passed on.
    pub fn edits<'b>(&'b self, body: &'b [u8]) -> Edits<'b> {
        Edits::of(self.said(body))
    }

    /// Whether a client has said how its model is to think.
    pub fn speaks_of_thinking(&self, body: &[u8]) -> bool {
        let said = self.said(body);
        self.words.thinking.iter().any(|path| said.find(path).is_some())
    }

    pub fn without_thinking(&self, edits: &mut Edits<'_>) {
        edits.remove(self.words.thinking, self.words.of_thoughts);
    }

    /// Makes the answer no longer than this. Says whether a longer one was asked for.
    pub fn limit_output(&self, body: &[u8], edits: &mut Edits<'_>, most: u64) -> bool {
        let said = self.said(body);
        let mut is_limited = false;
        for path in self.words.limits {
            if said.whole(path).is_some_and(|asked| asked > most) {
                edits.set(path, most);
                is_limited = true;
            }
        }
        is_limited
    }
}

/// The model that is asked for, by the path or else in the body.
fn model(said: &BodyFields<'_>, addressed: &PathParams) -> Result<ModelName, InvalidRequest> {
    let wrong = |why: String| InvalidRequest::about("model", why);
    let written = match said.find(&["model"]) {
        Some(json) if !json.starts_with(b"\"") => {
            return Err(wrong("model must be a text".to_owned()));
        }
        Some(json) => {
            Some(key_of(json).map_err(|_| wrong("model must be a valid text".to_owned()))?)
        }
        None => None,
    };
    if let Some(model) = &addressed.model {
        return Ok(model.clone());
    }
    let name: Cow<'_, str> = written.ok_or_else(|| wrong("model is missing".to_owned()))?;
    let bare = name.strip_prefix(MODELS).filter(|_| said.has_twins);
    ModelName::parse(bare.unwrap_or(&name)).map_err(|error| wrong(error.to_string()))
}

/// The id in a JSON text, as it was written: what it means is checked, its escapes stay.
fn id_in_json(json: &[u8]) -> Option<&str> {
    // The longest escape of one byte takes six.
    if json.len() > 6 * MAX_SESSION_ID + 2 {
        return None;
    }
    let text = std::str::from_utf8(json).ok()?;
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    if !inside.contains('\\') {
        return session_id(inside);
    }
    let meant: String = serde_json::from_str(text).ok()?;
    session_id(&meant).map(|_| inside)
}
