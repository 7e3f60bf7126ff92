//! Parts become blocks of a request.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{super::call_ids::CallIds, blocks_in::object, citations};
use crate::{
    domain::{
        chat::{
            CacheHint, Content, Dialect, Document, ImageDetail, Json, Losses, Part, Reasoning,
            Source, ToolCall, ToolResult,
        },
        model_rules::CallIdRule,
    },
    gateway::dialect::messages::{Block, CacheControl, CitationsConfig, FileSource, WireBlock},
};

/// Most breakpoints of the cache that a request may have.
///
/// Source: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching> (read 2026-11).
const MAX_BREAKPOINTS: usize = 4;

/// Writes parts as blocks, in the order they stand in the request.
#[derive(Debug)]
pub(super) struct BlockWriter {
    pub losses: Losses,
    ids: CallIds,
    /// Breakpoints that are too many and still to be passed over: the first ones, since a later one
    /// covers what is before it.
    surplus: usize,
}

impl BlockWriter {
    /// `breakpoints`: how many the request wants.
    ///
    /// Source for what ids are made of: <https://platform.claude.com/docs/en/api/messages> (2026-11).
    pub fn new(losses: Losses, breakpoints: usize) -> Self {
        let surplus = breakpoints.saturating_sub(MAX_BREAKPOINTS);
        let ids = CallIds::new(CallIdRule::Words, "toolu");
        Self { losses, ids, surplus }
    }

    pub fn cache(&mut self, hint: Option<CacheHint>) -> Option<CacheControl> {
        let hint = hint?;
        if self.surplus > 0 {
            self.surplus -= 1;
            self.losses.note("cache_control");
            return None;
        }
        Some(CacheControl(hint))
    }

    /// `None`: the dialect cannot say it, or it says nothing. Blank texts are refused upstream.
    pub fn block<'a>(&mut self, part: &'a Part) -> Option<WireBlock<'a>> {
        let block = match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) if text.trim().is_empty() => {
                return None;
            }
            Content::Text { text, citations } => {
                let kept: Vec<_> = citations.iter().filter_map(citations::for_maker).collect();
                self.losses.note_if(kept.len() < citations.len(), "citations");
                let citations = kept.into_iter().map(Cow::Borrowed).collect();
                let cache_control = self.cache(part.cache);
                Block::Text { text: text.into(), citations, cache_control }
            }
            Content::Refusal(text) => {
                self.losses.note("refusal");
                let cache_control = self.cache(part.cache);
                Block::Text { text: text.into(), citations: Vec::new(), cache_control }
            }
            Content::Image { source, detail } => {
                let is_plain = matches!(detail, None | Some(ImageDetail::Auto));
                self.losses.note_if(!is_plain, "image.detail");
                let source = self.image_source(source)?;
                Block::Image { source, cache_control: self.cache(part.cache) }
            }
            Content::Document(document) => self.document(document, part.cache)?,
            Content::ToolCall(call) => self.tool_use(call, part.cache),
            Content::ToolResult(result) => self.tool_result(result, part.cache),
            Content::Reasoning(reasoning) => {
                self.losses.note_if(part.cache.is_some(), "cache_control");
                self.thinking(reasoning)?
            }
            Content::Opaque { by: Dialect::Messages, json, .. } => {
                return Some(WireBlock::Opaque(json));
            }
            Content::Opaque { kind, .. } => return self.lose(format!("content.{kind}")),
            Content::Audio(_) => return self.lose("audio"),
            Content::Video(_) => return self.lose("video"),
        };
        Some(WireBlock::Known(block))
    }

    pub fn blocks<'a>(&mut self, parts: &'a [Part]) -> Vec<WireBlock<'a>> {
        parts.iter().filter_map(|part| self.block(part)).collect()
    }

    fn lose<T>(&mut self, name: impl Into<Cow<'static, str>>) -> Option<T> {
        self.losses.note(name);
        None
    }

    fn image_source<'a>(&mut self, source: &'a Source) -> Option<FileSource<'a>> {
        match source {
            Source::Url(url) => Some(FileSource::Url { url }),
            Source::Data { media_type, base64 } => {
                Some(FileSource::Base64 { media_type, data: base64 })
            }
            Source::File { by: Dialect::Messages, id } => Some(FileSource::File { file_id: id }),
            Source::File { .. } => self.lose("file"),
            Source::Text(_) => self.lose("image"),
        }
    }

    fn document<'a>(
        &mut self,
        document: &'a Document,
        cache: Option<CacheHint>,
    ) -> Option<Block<'a>> {
        let source = match &document.source {
            Source::Url(url) => FileSource::Url { url },
            Source::File { by: Dialect::Messages, id } => FileSource::File { file_id: id },
            Source::File { .. } => return self.lose("file"),
            Source::Text(text) => plain_text(Cow::Borrowed(text)),
            Source::Data { media_type, base64 } if media_type == "application/pdf" => {
                FileSource::Base64 { media_type, data: base64 }
            }
            // Other files are taken as plain text or not at all.
            Source::Data { base64, .. } => match decoded_text(base64) {
                Some(text) => plain_text(Cow::Owned(text)),
                None => return self.lose("document"),
            },
        };
        Some(Block::Document {
            source,
            title: document.title.as_deref(),
            context: document.context.as_deref(),
            citations: document.citations.map(|enabled| CitationsConfig { enabled }),
            cache_control: self.cache(cache),
        })
    }

    fn tool_use<'a>(&mut self, call: &'a ToolCall, cache: Option<CacheHint>) -> Block<'a> {
        let (input, is_exact) = input_object(&call.input);
        self.losses.note_if(!is_exact, "tool_call.input");
        self.losses.note_if(call.signature.is_some(), "reasoning.signature");
        Block::ToolUse {
            id: self.ids.of_call(call),
            name: &call.name,
            input,
            cache_control: self.cache(cache),
        }
    }

    fn tool_result<'a>(&mut self, result: &'a ToolResult, cache: Option<CacheHint>) -> Block<'a> {
        let tool_use_id = self.ids.of_result(result);
        let content = self.blocks(&result.parts);
        let cache_control = self.cache(cache);
        Block::ToolResult { tool_use_id, content, is_error: result.is_error, cache_control }
    }

    /// Thoughts without the maker's own signature are refused upstream.
    fn thinking<'a>(&mut self, reasoning: &'a Reasoning) -> Option<Block<'a>> {
        let data = reasoning
            .signature
            .as_ref()
            .and_then(|signature| signature.for_maker(Dialect::Messages));
        match data {
            Some(data) if reasoning.is_redacted => {
                Some(Block::RedactedThinking { data: data.into() })
            }
            Some(data) => {
                Some(Block::Thinking { thinking: &reasoning.text, signature: data.into() })
            }
            None => self.lose("reasoning"),
        }
    }
}

fn plain_text(data: Cow<'_, str>) -> FileSource<'_> {
    FileSource::Text { media_type: "text/plain", data }
}

fn decoded_text(base64: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(base64).ok()?).ok()
}

/// The input of a call as the object it must be, and whether it says what the model has written.
pub(super) fn input_object(input: &str) -> (Json, bool) {
    if let Some(object) = object(input) {
        return (object, true);
    }
    if input.trim().is_empty() {
        return (Json::parse("{}").expect("it is an object"), true);
    }
    (wrapped_input(input), false)
}

/// A text as the only field of an object.
pub(super) fn wrapped_input(input: &str) -> Json {
    let text = serde_json::to_string(input).expect("texts are always JSON");
    Json::parse(format!(r#"{{"input":{text}}}"#)).expect("an object was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_is_no_object_becomes_one() {
        for (input, expected, is_exact) in [
            ("", "{}", true),
            (" \n", "{}", true),
            (r#"{"a": 1}"#, r#"{"a": 1}"#, true),
            ("[1]", r#"{"input":"[1]"}"#, false),
            (r#"say "hi""#, r#"{"input":"say \"hi\""}"#, false),
            (r#"{"a":"#, r#"{"input":"{\"a\":"}"#, false),
        ] {
            let (json, exact) = input_object(input);
            assert_eq!((json.as_str(), exact), (expected, is_exact), "{input}");
        }
    }

    #[test]
    fn the_first_breakpoints_of_too_many_are_passed_over() {
        let mut writer = BlockWriter::new(Losses::default(), 6);
        let hints = [Some(CacheHint::OneHour); 6].map(|hint| writer.cache(hint).is_some());
        assert_eq!(hints, [false, false, true, true, true, true]);
        assert_eq!(writer.losses.to_string(), "cache_control");
    }
}
