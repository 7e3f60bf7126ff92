//! A chunk of one stream made into a chunk of another, which it continues.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::chunk::{TEXT_FIELDS, TEXTS};
use crate::gateway::dialect::object::Fields;

/// Fields that have the same value in all chunks of a stream.
const SHARED: [&str; 4] = ["id", "created", "model", "system_fingerprint"];

/// Longest value kept of a field that all chunks share, in bytes.
const MAX_SHARED_BYTES: usize = 1024;

/// What of each text of a delta has not been sent yet, in the order of [`TEXT_FIELDS`].
pub type Rest<'a> = [Cow<'a, str>; TEXTS];

/// What all chunks of a stream have in common, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity([Option<Box<str>>; SHARED.len()]);

impl Identity {
    /// Reads it from the data of a chunk. `None` when it is no object, or one of the values is
    /// longer than any real one.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_slice(data).ok()?;
        let mut shared = Self(Default::default());
        for (name, value) in &fields.0 {
            if value.get().len() > MAX_SHARED_BYTES && SHARED.contains(&&**name) {
                return None;
            }
            if let Some(at) = SHARED.iter().position(|shared| shared == name) {
                shared.0[at] = Some(value.get().into());
            }
        }
        Some(shared)
    }

    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        SHARED.into_iter().zip(&self.0).filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// The event that says in the stream of `first` what the chunk in `data` says in its own. All fields
/// are kept but those that the chunks of that stream share.
///
/// `rest`: what of its texts is to be said, if not all. `without_role`: the role was sent before.
pub fn continued(
    data: &[u8],
    first: Option<&Identity>,
    rest: Option<&Rest<'_>>,
    without_role: bool,
) -> Vec<u8> {
    let json = in_stream(data, first, rest, without_role);
    let mut event = Vec::with_capacity(json.as_deref().unwrap_or_default().len() + 8);
    event.extend_from_slice(b"data: ");
    // A line feed can only stand between the tokens of JSON; an event needs a new line for it.
    for (line, bytes) in json.as_deref().unwrap_or(data).split(|byte| *byte == b'\n').enumerate() {
        if line > 0 {
            event.extend_from_slice(b"\ndata: ");
        }
        event.extend_from_slice(bytes);
    }
    event.extend_from_slice(b"\n\n");
    event
}

/// `None`: the object is no chunk, and stays as it is.
fn in_stream(
    data: &[u8],
    first: Option<&Identity>,
    rest: Option<&Rest<'_>>,
    without_role: bool,
) -> Option<Vec<u8>> {
    let fields: Fields<'_> = serde_json::from_slice(data).ok()?;
    let choices = value(&fields, "choices")?;
    let choices: Option<String> =
        serde_json::from_str::<Vec<&RawValue>>(choices).ok().map(|list| {
            let list: Vec<_> =
                list.iter().map(|raw| choice(raw.get(), rest, without_role)).collect();
            format!("[{}]", list.join(","))
        });
    let shared = || first.into_iter().flat_map(Identity::fields);
    let own = fields.0.iter().filter(|(name, _)| shared().all(|(shared, _)| shared != name));
    let own = own.map(|(name, value)| match &choices {
        Some(choices) if name == "choices" => (&**name, &**choices),
        _ => (&**name, value.get()),
    });
    Some(object(shared().chain(own)).into_bytes())
}

fn choice<'a>(json: &'a str, rest: Option<&Rest<'_>>, without_role: bool) -> Cow<'a, str> {
    let Ok(fields) = serde_json::from_str::<Fields<'_>>(json) else { return json.into() };
    if value(&fields, "index").is_some_and(|index| index != "0") {
        return json.into();
    }
    let Some(delta) = value(&fields, "delta").map(|json| delta(json, rest, without_role)) else {
        return json.into();
    };
    object(fields.0.iter().map(|(name, value)| match &**name {
        "delta" => ("delta", &*delta),
        name => (name, value.get()),
    }))
    .into()
}

fn delta<'a>(json: &'a str, rest: Option<&Rest<'_>>, without_role: bool) -> Cow<'a, str> {
    let Ok(fields) = serde_json::from_str::<Fields<'_>>(json) else { return json.into() };
    let rest: Option<[String; TEXTS]> = rest.map(|rest| rest.each_ref().map(|text| quoted(text)));
    let kept = fields.0.iter().filter(|(name, _)| !(without_role && name == "role"));
    object(kept.map(|(name, value)| {
        let text = TEXT_FIELDS.iter().position(|field| field == name);
        match (&rest, text) {
            (Some(rest), Some(text)) if value.get() != "null" => (&**name, &*rest[text]),
            _ => (&**name, value.get()),
        }
    }))
    .into()
}

fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let fields: Vec<String> =
        fields.map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    format!("{{{}}}", fields.join(","))
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}

/// The first value of this name, be it `null`.
fn value<'a>(fields: &Fields<'a>, wanted: &str) -> Option<&'a str> {
    fields.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str =
        r#"{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}"#;

    fn written(data: &str, rest: Option<&Rest<'_>>, without_role: bool) -> String {
        let first = Identity::parse(FIRST.as_bytes()).unwrap();
        String::from_utf8(continued(data.as_bytes(), Some(&first), rest, without_role)).unwrap()
    }

    #[test]
    fn a_chunk_keeps_all_but_what_the_other_stream_shares() {
        let data = r#"{"model":"n","x\"":[1, 2],"choices":[{"index":0,"delta":{"content":"\u00e9","y":null},"z":1e400}],"system_fingerprint":"f","id":"b"}"#;
        let expected = r#"data: {"id":"a","created":1,"model":"m","x\"":[1, 2],"choices":[{"index":0,"delta":{"content":"\u00e9","y":null},"z":1e400}],"system_fingerprint":"f"}"#;
        assert_eq!(written(data, None, false), format!("{expected}\n\n"));
    }

    #[test]
    fn only_the_rest_of_a_text_is_said_and_the_role_not_again() {
        let data = r#"{"choices":[{"delta":{"role":"assistant","content":"one two","reasoning":null,"t":1}}]}"#;
        let mut rest = Rest::default();
        rest[0] = " \"two\"".into();
        let expected = r#"data: {"id":"a","created":1,"model":"m","choices":[{"delta":{"content":" \"two\"","reasoning":null,"t":1}}]}"#;
        assert_eq!(written(data, Some(&rest), true), format!("{expected}\n\n"));
    }

    #[test]
    fn other_choices_and_other_objects_stay_as_they_are() {
        let data =
            r#"{"choices":[{"index":1,"delta":{"role":"assistant","content":"x"}},{"index":0}]}"#;
        assert!(written(data, Some(&Rest::default()), true).contains(&data[1..]));
        let vendors = r#"{"type":"ping","id":"p"}"#;
        assert_eq!(written(vendors, None, true), format!("data: {vendors}\n\n"));
    }

    #[test]
    fn a_chunk_over_several_lines_stays_one_event() {
        let data = "{\"id\":\"b\",\n\"choices\":[{\"index\":0,\"finish_reason\":\n\"stop\"}],\"x\":[1,\n2]}";
        let event = written(data, None, false);
        assert!(event.ends_with("\"x\":[1,\ndata: 2]}\n\n"), "{event}");
        assert!(event.lines().all(|line| line.is_empty() || line.starts_with("data: ")));
    }

    #[test]
    fn values_too_long_to_be_shared_are_not_kept() {
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_SHARED_BYTES));
        assert_eq!(Identity::parse(long.as_bytes()), None);
        let other = format!(r#"{{"id":"a","x":"{}"}}"#, "x".repeat(MAX_SHARED_BYTES));
        assert!(Identity::parse(other.as_bytes()).is_some());
    }
}
