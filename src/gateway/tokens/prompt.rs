//! Tokens of a request.

use super::{
    biased, media,
    text::{self, Sample},
};
use crate::domain::chat::{
    Content, OutputFormat, Part, Reasoning, Request, Tool, ToolCall, ToolResult, Turn,
};

/// What begins the answer.
const PER_REQUEST: u64 = 3;

/// What separates a turn from others, and its role.
///
/// Source: OpenAI's cookbook, "How to count tokens with tiktoken" (2026-11), which has 3, and one
/// more for a name.
const PER_TURN: u64 = 4;

/// What a call or a result has around it.
const PER_CALL: u64 = 8;

/// What a tool has around its name, its description and its schema.
const PER_TOOL: u64 = 12;

/// What Anthropic adds to the instructions when there are tools: 290 to 350 for its current models.
///
/// Source: <https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview> (read 2026-11).
const FOR_TOOLS: u64 = 350;

/// Most bytes of texts that are counted on a thread that others wait for: 0.2 ms of work.
const FEW_BYTES: usize = 2 * 1024;

/// The same for who asks for nothing but a number: some 30 ms.
const MANY_BYTES: usize = 256 * 1024;

/// Estimates the tokens of a prompt: instructions, turns, tools with their schemas, pictures and
/// other media, and what the makers of models put around all that. Takes less than a millisecond, and
/// until the vocabulary is ready it goes by the lengths of texts.
pub fn estimate_prompt(request: &Request) -> u64 {
    estimated(request, Prompt::default())
}

/// The same, more closely: takes some time, and waits for the vocabulary.
pub fn count_prompt(request: &Request) -> u64 {
    text::vocabulary();
    estimated(request, Prompt { sample: Sample::of_at_most(MANY_BYTES), fixed: 0 })
}

fn estimated(request: &Request, mut prompt: Prompt) -> u64 {
    prompt.fix(PER_REQUEST);
    for turn in &request.turns {
        prompt.turn(turn);
    }
    for tool in &request.tools {
        prompt.tool(tool);
    }
    if !request.tools.is_empty() {
        prompt.fix(FOR_TOOLS);
    }
    if let OutputFormat::Schema { name, description, schema, strict: _ } = &request.output {
        prompt.texts(name.iter().chain(description));
        prompt.text(schema.as_str());
    }
    biased(prompt.counted())
}

/// What was met of a prompt, or of an answer.
#[derive(Debug)]
pub(super) struct Prompt {
    sample: Sample,
    /// Tokens that do not depend on texts.
    fixed: u64,
}

impl Default for Prompt {
    fn default() -> Self {
        Self { sample: Sample::of_at_most(FEW_BYTES), fixed: 0 }
    }
}

impl Prompt {
    /// What was counted, not biased.
    pub fn counted(&self) -> u64 {
        self.sample.tokens().saturating_add(self.fixed)
    }

    pub fn fix(&mut self, tokens: u64) {
        self.fixed = self.fixed.saturating_add(tokens);
    }

    /// Adds to the text that is coming.
    pub fn piece(&mut self, text: &str) {
        self.sample.add(text);
    }

    /// The text that was coming is complete.
    pub fn break_off(&mut self) {
        self.sample.break_off();
    }

    pub fn text(&mut self, text: &str) {
        self.sample.add(text);
        self.sample.break_off();
    }

    fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t String>) {
        for text in texts {
            self.text(text);
        }
    }

    fn turn(&mut self, turn: &Turn) {
        self.fix(PER_TURN);
        self.texts(turn.name.iter());
        for part in &turn.parts {
            self.part(part);
        }
    }

    fn tool(&mut self, tool: &Tool) {
        self.fix(PER_TOOL);
        match tool {
            Tool::Function(function) => {
                self.texts([&function.name].into_iter().chain(&function.description));
                self.text(function.parameters.as_ref().map_or("", |schema| schema.as_str()));
            }
            Tool::Custom { name, description, format } => {
                self.texts([name].into_iter().chain(description));
                self.text(format.as_ref().map_or("", |format| format.as_str()));
            }
            Tool::Opaque { by: _, kind, json } => {
                self.text(kind);
                self.text(json.as_str());
            }
        }
    }

    pub fn part(&mut self, part: &Part) {
        match &part.content {
            Content::Text { text, citations: _ } | Content::Refusal(text) => self.text(text),
            Content::Image { .. } => self.fix(media::PER_IMAGE),
            Content::Document(document) => {
                let pages = media::document(document, &mut self.sample);
                self.fix(pages);
            }
            Content::Audio(source) => self.fix(media::audio(source)),
            Content::Video(source) => self.fix(media::video(source)),
            Content::ToolCall(ToolCall { id, name, input, kind: _, signature: _ }) => {
                self.fix(PER_CALL);
                self.texts([id, name, input].into_iter());
            }
            Content::ToolResult(ToolResult { call_id, name, parts, .. }) => {
                self.fix(PER_CALL);
                self.texts([call_id].into_iter().chain(name));
                for part in parts {
                    self.part(part);
                }
            }
            Content::Reasoning(thought) => self.thought(thought),
            Content::Opaque { by: _, kind: _, json } => self.text(json.as_str()),
        }
    }

    /// Thoughts that only their maker can read are taken to be as long as what holds them.
    fn thought(&mut self, thought: &Reasoning) {
        if thought.text.is_empty() {
            let hidden = thought.signature.as_ref().map_or(0, |signature| signature.data.len());
            self.sample.add_bytes(hidden / 4 * 3);
        } else {
            self.text(&thought.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        chat::{Dialect, Document, FunctionTool, Json, ReasoningSignature, Role, Source},
        id::ModelName,
    };

    fn asking(parts: Vec<Part>) -> Request {
        Request::new(ModelName::parse("m").unwrap(), vec![Turn::new(Role::User, parts)])
    }

    fn of_part(content: Content) -> u64 {
        estimate_prompt(&asking(vec![content.into()])) - estimate_prompt(&asking(Vec::new()))
    }

    #[test]
    fn a_prompt_costs_its_texts_and_what_is_around_them_and_a_fifth_more() {
        // "hello world" has two tokens; a turn 4, the request 3.
        assert_eq!(estimate_prompt(&asking(vec![Part::text("hello world")])), 11);
    }

    #[test]
    fn tools_cost_their_schemas() {
        let schema = Json::parse(r#"{"type":"object","properties":{"city":{"type":"string"}}}"#);
        let tool = |parameters| {
            Tool::Function(FunctionTool {
                name: "weather".to_owned(),
                description: Some("Tells the weather.".to_owned()),
                parameters,
                strict: None,
                cache: None,
            })
        };
        let with = |tools| estimate_prompt(&Request { tools, ..asking(Vec::new()) });
        let none = with(Vec::new());
        let bare = with(vec![tool(None)]);
        let full = with(vec![tool(schema)]);
        assert!(bare > none + FOR_TOOLS && bare < none + 480, "{none} and {bare}");
        assert!(full > bare + 10 && full < bare + 30, "{bare} and {full}");
    }

    #[test]
    fn what_is_no_text_costs_by_its_kind_and_not_by_its_base64() {
        let data = |media_type: &str, bytes: usize| Source::Data {
            media_type: media_type.to_owned(),
            base64: "A".repeat(bytes.div_ceil(3) * 4),
        };
        let document = |source| {
            let (title, context, citations) = (None, None, None);
            Content::Document(Document { source, title, context, citations })
        };
        let url = || Source::Url("https://example.com/x".to_owned());
        let image = Content::Image { source: data("image/png", 3_000_000), detail: None };
        assert_eq!(of_part(image), 1_920);
        assert_eq!(of_part(document(data("application/pdf", 120_000))), 3 * 3_600);
        assert_eq!(of_part(document(url())), 36_000);
        assert_eq!(of_part(document(data("text/plain", 3_000))), 1_200);
        assert_eq!(of_part(Content::Audio(data("audio/wav", 319_980))), 384);
        assert_eq!(of_part(Content::Audio(data("audio/mp3", 79_980))), 384);
        assert_eq!(of_part(Content::Video(url())), 21_240);
    }

    #[test]
    fn calls_results_and_thoughts_count() {
        let call = ToolCall {
            id: "call_1".to_owned(),
            name: "weather".to_owned(),
            kind: crate::domain::chat::CallKind::Function,
            input: r#"{"city":"Paris"}"#.to_owned(),
            signature: None,
        };
        assert!(of_part(Content::ToolCall(call)) > 12);
        let result = ToolResult {
            call_id: "call_1".to_owned(),
            name: None,
            kind: crate::domain::chat::CallKind::Function,
            parts: vec![Part::text("sunny ".repeat(100))],
            is_error: false,
        };
        assert!(of_part(Content::ToolResult(result)) > 110);
        let hidden = Reasoning {
            signature: Some(ReasoningSignature::new(Dialect::Messages, "A".repeat(4_000))),
            is_redacted: true,
            ..Reasoning::default()
        };
        assert_eq!(of_part(Content::Reasoning(hidden)), 1_200);
    }

    #[test]
    fn a_huge_prompt_is_estimated_by_a_few_of_its_words() {
        let asked = asking(vec![Part::text("word ".repeat(1 << 20))]);
        let (quick, close) = (estimate_prompt(&asked), count_prompt(&asked));
        assert!(close > 1 << 20 && close < 3 << 19, "{close}");
        assert!(quick.abs_diff(close) < close / 20, "{quick} and {close}");
    }
}
