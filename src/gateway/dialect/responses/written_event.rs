//! An event of a stream, as a client gets it.

use std::borrow::Cow;

use memchr::memchr2;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    logprob::WrittenLogprob,
    written_item::{Piece, WrittenContent},
    written_response::ResponseObject,
};

/// An event. Which fields it has, its kind decides: those that it has not are left out.
///
/// Source: `ResponseStreamEvent` of openai-python (2026-11).
#[derive(Debug, Default, Serialize)]
pub struct WrittenEvent<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Counts the events of a stream from 0.
    pub sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Box<ResponseObject<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Piece<'a, WrittenContent<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<WrittenLogprob<'a>>>,
}

impl WrittenEvent<'_> {
    /// Writes it with its name, as the API does.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_named(self.kind, self, out);
    }
}

/// Writes an event and its name. Its data is one line: in what others have written, a line may end
/// only between the tokens of JSON, where a space does as well.
pub fn write_named(name: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let start = out.len();
    serde_json::to_writer(&mut *out, data)
        .expect("texts and raw values are always JSON, and a vector takes any bytes");
    let mut at = start;
    while let Some(found) = memchr2(b'\n', b'\r', &out[at..]) {
        at += found;
        out[at] = b' ';
    }
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let item: &RawValue = serde_json::from_str("{\n\"a\":\r\n\"b\\n\"}").unwrap();
        let mut out = Vec::new();
        let kind = "response.output_item.done";
        WrittenEvent { kind, sequence_number: 3, item: Some(item), ..WrittenEvent::default() }
            .write(&mut out);
        let expected = concat!(
            "event: response.output_item.done\n",
            r#"data: {"type":"response.output_item.done","sequence_number":3,"item":{ "a":  "b\n"}}"#,
            "\n\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
