//! Which conversation a request belongs to, by what its client sends along or by how it begins.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    ChatRequest,
    needs::part,
    words::{has_field, read_at, skip_space},
};
use crate::domain::session::{MAX_SESSION_ID, SessionSignal, session_id};

/// Most of a conversation's beginning that is looked at to tell it from others, in bytes.
pub const MAX_OPENING_BYTES: usize = 4096;

/// Headers that name a session, the most telling first. Not `x-client-request-id` and not
/// `idempotency-key`: they change with each request.
pub const SESSION_HEADERS: [&str; 6] = [
    "x-providerpool-session",
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "x-session-id",
    "x-session-affinity",
];

#[derive(Deserialize)]
struct WireConversation<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireMetadata<'a> {
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
}

impl ChatRequest {
    /// What tells the session of this request: a name the client gave, in a header or in the body,
    /// else the opening of the conversation. `None` when it has no opening that can be read.
    /// `body` is what this was parsed from.
    ///
    /// Names that are none (blank, too long, unprintable) are passed over. `user` in the body is a
    /// person, with any number of conversations.
    pub fn session_signal<'b>(
        &self,
        body: &'b [u8],
        header: impl Fn(&str) -> Option<&'b str>,
    ) -> Option<SessionSignal<'b>> {
        for kind in SESSION_HEADERS {
            if let Some(id) = header(kind).and_then(session_id) {
                return Some(SessionSignal::Named { kind, id });
            }
        }
        self.named_in_body(body).or_else(|| self.opening(body).map(SessionSignal::Opening))
    }

    fn named_in_body<'b>(&self, body: &'b [u8]) -> Option<SessionSignal<'b>> {
        let parts = &self.parts;
        let conversation = part(body, parts.conversation.as_ref());
        let conversation_id = serde_json::from_slice::<WireConversation<'_>>(conversation)
            .ok()
            .and_then(|conversation| conversation.id)
            .map_or(conversation, |id| id.get().as_bytes());
        let metadata: Option<WireMetadata<'_>> =
            serde_json::from_slice(part(body, parts.metadata.as_ref())).ok();
        let of_metadata =
            |raw: Option<&'b RawValue>| raw.map_or(&b""[..], |raw| raw.get().as_bytes());
        let named = [
            ("body.prompt_cache_key", part(body, parts.prompt_cache_key.as_ref())),
            ("body.session_id", part(body, parts.session_id.as_ref())),
            ("body.conversation", conversation_id),
            ("body.conversation_id", part(body, parts.conversation_id.as_ref())),
            ("body.metadata.user_id", of_metadata(metadata.as_ref().and_then(|m| m.user_id))),
            ("body.metadata.session_id", of_metadata(metadata.as_ref().and_then(|m| m.session_id))),
        ];
        named
            .into_iter()
            .find_map(|(kind, json)| Some(SessionSignal::Named { kind, id: id_in_json(json)? }))
    }

    /// The beginning of the conversation as it was written: the system and developer messages in
    /// front and the user's first message, whatever comes after; the last
    /// [`MAX_OPENING_BYTES`] of it, because that is where conversations with one system prompt
    /// differ.
    fn opening<'b>(&self, body: &'b [u8]) -> Option<&'b [u8]> {
        let messages = self.messages(body);
        let start = skip_space(messages, 1);
        let mut at = start;
        let mut end = start;
        while let Some((message, message_end)) = read_at::<WireMessage<'_>>(messages, at) {
            let is_in_front = matches!(&*message.role, "system" | "developer");
            if is_in_front || message.role == "user" || end == start {
                end = message_end;
            }
            at = skip_space(messages, message_end);
            if !is_in_front || messages.get(at) != Some(&b',') {
                break;
            }
            at = skip_space(messages, at + 1);
        }
        let opening = &messages[start.min(end)..end];
        let opening = &opening[opening.len().saturating_sub(MAX_OPENING_BYTES)..];
        Some(opening).filter(|opening| !opening.is_empty())
    }

    /// Whether someone has answered in this conversation already. `body` is what this was parsed
    /// from.
    pub fn is_continuation(&self, body: &[u8]) -> bool {
        let messages = self.messages(body);
        [&br#""assistant""#[..], br#""tool""#, br#""function""#]
            .into_iter()
            .any(|role| has_field(messages, br#""role""#, role))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = r#"{"role":"system","content":"be brief"}"#;
    const USER: &str = r#"{"role":"user","content":"hi"}"#;
    const ASSISTANT: &str = r#"{"role":"assistant","content":"hello"}"#;
    const MORE: &str = r#"{"role":"user","content":"and \"role\":\"assistant\"?"}"#;

    fn with(fields: &str) -> String {
        format!(r#"{{"model":"m","messages":[{USER}]{fields}}}"#)
    }

    fn talk(messages: &[&str]) -> String {
        format!(r#"{{"messages":[ {} ],"model":"m"}}"#, messages.join(" , "))
    }

    /// The signal's kind and text; `opening` for an opening.
    fn signal(body: &str, headers: &[(&str, &'static str)]) -> Option<(String, String)> {
        let request = ChatRequest::parse(body.as_bytes()).expect(body);
        let body = body.as_bytes().to_vec();
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, id)| *id);
        request.session_signal(&body, header).map(|signal| match signal {
            SessionSignal::Named { kind, id } => (kind.to_owned(), id.to_owned()),
            SessionSignal::Opening(bytes) => {
                ("opening".to_owned(), String::from_utf8_lossy(bytes).into_owned())
            }
        })
    }

    fn opening(messages: &[&str]) -> Option<String> {
        let (kind, text) = signal(&talk(messages), &[])?;
        assert_eq!(kind, "opening");
        Some(text)
    }

    #[test]
    fn headers_come_first_and_then_the_body_in_order() {
        let fields = [
            (r#""prompt_cache_key":"p""#, "body.prompt_cache_key", "p"),
            (r#""session_id":"s""#, "body.session_id", "s"),
            (r#""conversation":{"x":1,"id":"c"}"#, "body.conversation", "c"),
            (r#""conversation_id":"d""#, "body.conversation_id", "d"),
            (r#""metadata":{"user_id":"u","session_id":"t"}"#, "body.metadata.user_id", "u"),
        ];
        for from in 0..fields.len() {
            let all: String =
                fields[from..].iter().rev().flat_map(|(json, _, _)| [",", *json]).collect();
            let found = signal(&with(&all), &[]).unwrap();
            assert_eq!(found, (fields[from].1.into(), fields[from].2.into()));
            for header in 0..SESSION_HEADERS.len() {
                let headers: Vec<_> =
                    SESSION_HEADERS[header..].iter().map(|name| (*name, *name)).collect();
                let found = signal(&with(&all), &headers).unwrap();
                assert_eq!(found, (SESSION_HEADERS[header].into(), SESSION_HEADERS[header].into()));
            }
        }
        let text = signal(&with(r#","conversation":"c2""#), &[]).unwrap();
        assert_eq!(text, ("body.conversation".into(), "c2".into()));
        let session = signal(&with(r#","metadata":{"session_id":"t"}"#), &[]).unwrap();
        assert_eq!(session, ("body.metadata.session_id".into(), "t".into()));
    }

    #[test]
    fn what_is_no_id_is_passed_over() {
        for fields in [
            r#","prompt_cache_key":" ""#,
            r#","prompt_cache_key":7"#,
            r#","prompt_cache_key":null"#,
            r#","prompt_cache_key":"a\nb""#,
            r#","prompt_cache_key":"\u0020""#,
            r#","conversation":{},"metadata":"x""#,
            r#","conversation":[],"metadata":{"user_id":{}}"#,
            r#","conversation":{"id":null},"metadata":[]"#,
        ] {
            let body = with(&format!(r#"{fields},"conversation_id":"next""#));
            assert_eq!(signal(&body, &[("session-id", "\u{7}")]).unwrap().1, "next", "{fields}");
        }
        let long = with(&format!(r#","session_id":"{}","conversation_id":"c""#, "x".repeat(257)));
        assert_eq!(signal(&long, &[]).unwrap().1, "c");
        let escaped = with(r#","session_id":"{\"a\":1}""#);
        assert_eq!(signal(&escaped, &[]).unwrap().1, r#"{\"a\":1}"#);
    }

    #[test]
    fn a_person_and_an_id_of_one_request_are_no_session() {
        let headers =
            [("x-client-request-id", "r"), ("idempotency-key", "i"), ("x-request-id", "q")];
        let found = signal(&with(r#","user":"someone""#), &headers).unwrap();
        assert_eq!(found, ("opening".into(), USER.into()));
    }

    #[test]
    fn more_turns_do_not_change_the_opening() {
        for first in
            [&[SYSTEM, USER][..], &[USER], &[SYSTEM, SYSTEM, USER], &[SYSTEM], &[ASSISTANT]]
        {
            let expected = opening(first).unwrap();
            assert!(expected.ends_with(first[first.len() - 1]));
            for more in [&[ASSISTANT][..], &[ASSISTANT, MORE], &[ASSISTANT, MORE, ASSISTANT, USER]]
            {
                assert_eq!(opening(&[first, more].concat()).unwrap(), expected);
            }
        }
        assert_ne!(opening(&[SYSTEM, USER]), opening(&[SYSTEM, MORE]));
        assert_ne!(opening(&[SYSTEM, USER]), opening(&[USER]));
    }

    #[test]
    fn long_openings_are_bounded_and_still_told_apart() {
        let system = format!(r#"{{"role":"system","content":"{}"}}"#, "s".repeat(100_000));
        let one = opening(&[&system, USER]).unwrap();
        assert_eq!(one.len(), MAX_OPENING_BYTES);
        assert_ne!(Some(one), opening(&[&system, MORE]));
    }

    #[test]
    fn messages_of_no_known_shape_have_no_opening() {
        for messages in ["1", "[]", r#""text""#, r#"{"role":7}"#, r#"{"content":"x"}"#] {
            assert_eq!(signal(&talk(&[messages]), &[]), None, "{messages}");
        }
        assert_eq!(opening(&[USER, "1"]).as_deref(), Some(USER));
    }

    #[test]
    fn a_conversation_goes_on_once_someone_has_answered() {
        let is_continuation = |messages: &[&str]| {
            let body = talk(messages);
            ChatRequest::parse(body.as_bytes()).unwrap().is_continuation(body.as_bytes())
        };
        assert!(!is_continuation(&[SYSTEM, USER]));
        assert!(!is_continuation(&[MORE, r#"{"role":"user","content":"assistant"}"#]));
        assert!(is_continuation(&[SYSTEM, USER, ASSISTANT]));
        assert!(is_continuation(&[USER, r#"{"content":"4", "role" : "tool"}"#]));
    }
}
