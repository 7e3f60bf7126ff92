//! Blocks that only this dialect knows, put together from a stream: a call that the maker carries out
//! comes with its input in pieces, everything else comes whole.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::chat::{Content, Dialect, Json, Part};

/// Longest input that is put together, in bytes.
const MAX_INPUT_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct OwnBlock {
    kind: String,
    json: Json,
    input: String,
}

impl OwnBlock {
    pub fn new(kind: &str, json: &RawValue) -> Self {
        Self { kind: kind.to_owned(), json: json.into(), input: String::new() }
    }

    /// `false`: it is longer than is taken.
    pub fn add_input(&mut self, piece: &str) -> bool {
        let fits = self.input.len().saturating_add(piece.len()) <= MAX_INPUT_BYTES;
        if fits {
            self.input.push_str(piece);
        }
        fits
    }

    pub fn into_part(self) -> Part {
        let whole = self.with_input().unwrap_or(self.json);
        Content::Opaque { by: Dialect::Messages, kind: self.kind, json: whole }.into()
    }

    /// The block as it came, with the pieces where its own input stands.
    fn with_input(&self) -> Option<Json> {
        #[derive(Deserialize)]
        struct Called<'a> {
            #[serde(borrow)]
            input: &'a RawValue,
        }

        serde_json::from_str::<&RawValue>(&self.input).ok()?;
        let text = self.json.as_str();
        let called: Called<'_> = serde_json::from_str(text).ok()?;
        let old = called.input.get();
        // The raw value borrows from the text: where it points to is where it stands.
        let start = (old.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let (before, rest) = text.split_at_checked(start)?;
        let after = rest.get(old.len()..)?;
        Json::parse([before, &self.input, after].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_an_input_become_that_of_the_block() {
        let json = r#"{"type":"server_tool_use","input":{},"id":"s","name":"web_search"}"#;
        let mut block = OwnBlock::new("server_tool_use", serde_json::from_str(json).unwrap());
        assert!(block.add_input(r#"{"query":"#) && block.add_input(r#""x"}"#));
        let Content::Opaque { json, .. } = block.into_part().content else { panic!("not its own") };
        let expected =
            r#"{"type":"server_tool_use","input":{"query":"x"},"id":"s","name":"web_search"}"#;
        assert_eq!(json.as_str(), expected);
    }

    #[test]
    fn an_input_that_is_cut_or_too_long_leaves_the_block_as_it_came() {
        let json = r#"{"type":"server_tool_use","input":{}}"#;
        let mut block = OwnBlock::new("server_tool_use", serde_json::from_str(json).unwrap());
        assert!(block.add_input("{\"a"));
        assert!(!block.add_input(&"x".repeat(MAX_INPUT_BYTES)));
        let Content::Opaque { json: kept, .. } = block.into_part().content else { panic!("lost") };
        assert_eq!(kept.as_str(), json);
    }
}
