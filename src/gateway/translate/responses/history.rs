//! Conversations that a request continues by naming the answer before it.
//!
//! The API keeps them; here whoever keeps them does, and puts them back into the body: as they were
//! sent and answered, since a request goes on as it is when its upstream speaks this dialect too.
//! Instructions are not carried over, as the API has it.
//!
//! Source: `previous_response_id` in <https://developers.openai.com/api/reference/resources/responses>
//! (2026-11).

use std::borrow::Cow;

use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::gateway::dialect::{
    object::Fields,
    responses::{RawItem, elements_of, text_in},
};

/// The field that names the answer before.
pub const PREVIOUS: &str = "previous_response_id";

/// The answer that a request continues. `None`: none, or it cannot be read.
pub fn previous_response_id(body: &[u8]) -> Option<String> {
    // Most name none, and are not read for that. A name that is written with escapes is left to upstreams.
    memmem::find(body, PREVIOUS.as_bytes())?;
    let fields: Fields<'_> = serde_json::from_slice(body).ok()?;
    let id = text_in(Some(fields.find(PREVIOUS)?))?;
    (!id.is_empty()).then(|| id.into_owned())
}

/// The body with `history` in front of its own items, and without what referred to that. A body that
/// cannot be read stays as it is.
pub fn with_history(body: &[u8], history: &[Box<RawValue>]) -> Vec<u8> {
    let Ok(fields) = serde_json::from_slice::<Fields<'_>>(body) else { return body.to_vec() };
    let own = items_of(fields.find("input"));
    let all: Vec<&RawValue> =
        history.iter().map(|item| &**item).chain(own.iter().map(|item| &**item)).collect();
    let input = to_raw_value(&all).expect("raw values are JSON");
    let kept = fields.0.iter().filter(|(name, _)| name != PREVIOUS && name != "input");
    let kept = kept.map(|(name, value)| (Cow::Borrowed(&**name), *value));
    let whole = Fields(kept.chain([(Cow::Borrowed("input"), &*input)]).collect());
    serde_json::to_vec(&whole).expect("raw values are JSON")
}

/// An answer, or an event that has one, with the name of the answer before it: its upstream, who was
/// given the conversation, cannot know it. `None`: it stays as it is.
pub fn naming_previous(answer: &[u8], previous: &str) -> Option<Vec<u8>> {
    // Quotes within a text are escaped, so that this can be nothing but the name of a field.
    let quoted = format!("\"{PREVIOUS}\"");
    let rest = memmem::find_iter(answer, &quoted).find_map(|at| {
        let after = answer[at + quoted.len()..].trim_ascii_start();
        after.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"null")
    })?;
    let before = &answer[..answer.len() - rest.len() - b"null".len()];
    let name = serde_json::to_vec(previous).expect("a text is always JSON");
    Some([before, &name, rest].concat())
}

/// The items that a later request stands on when it continues this answer: those of the body and
/// those of the answer. `answer`: a response object, or an event that has one.
///
/// The body is the one that [`with_history`] has made, so that this is all of the conversation.
/// Thoughts that only the server of the answer could open are left out: it would look for them.
pub fn history_of(body: &[u8], answer: &[u8]) -> Vec<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        output: Option<&'a RawValue>,
        #[serde(borrow)]
        response: Option<&'a RawValue>,
    }
    let mut items = serde_json::from_slice::<Fields<'_>>(body)
        .map(|fields| items_of(fields.find("input")))
        .unwrap_or_default();
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(answer) else { return items };
    let within = answer.response.and_then(|raw| serde_json::from_str::<Answer<'_>>(raw.get()).ok());
    let output = answer.output.or(within.and_then(|answer| answer.output));
    let kept = elements_of(output).into_iter().filter(|item| can_be_sent_back(item));
    items.extend(kept.map(RawValue::to_owned));
    items
}

fn can_be_sent_back(item: &RawValue) -> bool {
    let Ok(read) = serde_json::from_str::<RawItem<'_>>(item.get()) else { return false };
    text_in(read.kind).is_none_or(|kind| kind != "reasoning")
        || text_in(read.encrypted_content).is_some_and(|text| !text.is_empty())
        || !elements_of(read.content).is_empty()
}

/// The items that an input stands for. A text is a message of the user's.
fn items_of(input: Option<&RawValue>) -> Vec<Box<RawValue>> {
    #[derive(Serialize)]
    struct Message<'a> {
        role: &'static str,
        content: &'a RawValue,
    }
    let Some(input) = input else { return Vec::new() };
    if input.get().starts_with('"') {
        let message = Message { role: "user", content: input };
        return vec![to_raw_value(&message).expect("raw values are JSON")];
    }
    elements_of(Some(input)).into_iter().map(RawValue::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(json: &[&str]) -> Vec<Box<RawValue>> {
        json.iter().map(|json| RawValue::from_string((*json).to_owned()).unwrap()).collect()
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_answer_before_is_found_and_replaced_by_the_conversation() {
        let body = br#"{"model":"m","previous_response_id":"resp_1","x":[ 1 ],"input":"and?"}"#;
        assert_eq!(previous_response_id(body).as_deref(), Some("resp_1"));
        let history = items(&[r#"{"role":"user","content":"hi"}"#, r#"{"type":"message"}"#]);
        assert_eq!(
            text(with_history(body, &history)),
            concat!(
                r#"{"model":"m","x":[ 1 ],"input":[{"role":"user","content":"hi"},"#,
                r#"{"type":"message"},{"role":"user","content":"and?"}]}"#
            )
        );
        for none in
            ["{}", r#"{"previous_response_id":null}"#, r#"{"previous_response_id":""}"#, "x"]
        {
            assert_eq!(previous_response_id(none.as_bytes()), None, "{none}");
        }
        assert_eq!(with_history(b"no json", &history), b"no json");
    }

    #[test]
    fn an_answer_that_cannot_know_it_is_given_the_name_of_the_one_before() {
        let text = r#"say \"previous_response_id\":null"#;
        for (told, expected) in [
            (
                r#"{"tools":[{"previous_response_id":{}}],"previous_response_id":null}"#,
                r#"{"tools":[{"previous_response_id":{}}],"previous_response_id":"resp_1"}"#,
            ),
            (
                r#"{"previous_response_id":null,"x":1}"#,
                r#"{"previous_response_id":"resp_1","x":1}"#,
            ),
            (
                "data: {\"response\":{\"previous_response_id\" : null}}\n\n",
                "data: {\"response\":{\"previous_response_id\" : \"resp_1\"}}\n\n",
            ),
        ] {
            let named = naming_previous(told.as_bytes(), "resp_1").expect(told);
            assert_eq!(String::from_utf8(named).unwrap(), expected);
        }
        let said = format!(r#"{{"text":"{text}"}}"#);
        for told in [r#"{"previous_response_id":"resp_0"}"#, "{}", &said] {
            assert_eq!(naming_previous(told.as_bytes(), "resp_1"), None, "{told}");
        }
    }

    #[test]
    fn what_is_kept_is_all_that_was_said_and_can_be_sent_back() {
        let body = br#"{"input":[{"role":"user","content":"hi"}]}"#;
        let output = r#"[{"type":"reasoning","id":"rs_1","summary":[]},
            {"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"abc"},
            {"type":"message","role":"assistant","content":[]}]"#;
        let answer = format!(r#"{{"id":"resp_1","output":{output}}}"#);
        let event = format!(r#"{{"type":"response.completed","response":{answer}}}"#);
        for answer in [answer, event] {
            let kept = history_of(body, answer.as_bytes());
            let kept: Vec<&str> = kept.iter().map(|item| item.get()).collect();
            assert_eq!(kept.len(), 3);
            assert_eq!(kept[0], r#"{"role":"user","content":"hi"}"#);
            assert!(kept[1].contains("rs_2") && kept[2].contains("message"));
        }
        assert_eq!(history_of(b"x", b"y").len(), 0);
    }
}
