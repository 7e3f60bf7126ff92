//! What matters of a request or an answer, in a form in which two can be compared part by part.

use std::collections::{BTreeMap, BTreeSet};

use providerpool::domain::chat::{
    Answer, Choice, Content, Document, Losses, OutputFormat, Part, Request, Role, Source,
    StopReason, ThinkingMode, Tool, ToolChoice,
};
use serde_json::Value;

/// Named things, each told in one text. A thing that changes on the way must be named in the losses.
#[derive(Debug, Default)]
pub struct Essence(BTreeMap<String, String>);

/// Which losses excuse which things: the thing's name up to a digit or a full stop, and beginnings of
/// names of losses. What is not in this table can be lost by nobody.
const EXCUSES: [(&str, &[&str]); 27] = [
    ("image", &["image", "tool_result.image"]),
    ("document", &["document", "file"]),
    ("file_text", &["document", "file"]),
    ("audio", &["audio"]),
    ("video", &["video"]),
    ("reasoning", &["reasoning"]),
    ("signature", &["reasoning", "thinking"]),
    ("refusal", &["refusal"]),
    ("citations", &["citations"]),
    ("error", &["tool_result.is_error"]),
    ("call", &["tool_call.input", "tools.custom"]),
    ("tools", &["tools.", "tool_choice"]),
    ("tool", &["tools."]),
    ("tool_choice", &["tool_choice"]),
    ("parallel", &["parallel_tool_calls"]),
    ("temperature", &["temperature"]),
    ("top_p", &["top_p"]),
    ("top_k", &["top_k"]),
    ("seed", &["seed"]),
    ("max_output_tokens", &["max_output_tokens"]),
    ("penalty", &["frequency_penalty", "presence_penalty", "repeat_penalty"]),
    ("stop_texts", &["stop"]),
    ("format", &["response_format"]),
    ("thinking", &["thinking"]),
    ("choices", &["n"]),
    ("logprobs", &["logprobs"]),
    ("stop", &["stop_reason"]),
];

/// Says what has changed without being named.
pub fn assert_nothing_is_lost_in_silence(
    way: &str,
    sent: &Essence,
    arrived: &Essence,
    losses: &Losses,
) -> Vec<String> {
    let names: BTreeSet<_> = sent.0.keys().chain(arrived.0.keys()).collect();
    let told = |essence: &Essence, name: &str| {
        essence.0.get(name).cloned().unwrap_or_else(|| "nothing".to_owned())
    };
    names
        .into_iter()
        .filter(|name| {
            sent.0.get(*name) != arrived.0.get(*name)
                && !is_excused(name, losses)
                && !is_more(name, sent, arrived, losses)
        })
        .map(|name| {
            let (before, after) = (told(sent, name), told(arrived, name));
            format!("{way}: {name} was {before}, is {after} ({losses})")
        })
        .collect()
}

/// Whether a thing has come to more than it was, for a reason: a limit that a dialect must name, the
/// text of a document among that of its turn, words that stand for what is named as lost.
fn is_more(name: &str, sent: &Essence, arrived: &Essence, losses: &Losses) -> bool {
    let [before, after] = [sent, arrived].map(|essence| essence.0.get(name));
    let has_texts = |essence: &Essence| essence.0.keys().any(|name| name.starts_with("file_text"));
    match (name.split_once('.'), before, after) {
        (None, None, Some(_)) => name == "max_output_tokens",
        (Some(("text", _)), Some(before), Some(after)) => {
            after.contains(before.as_str()) && (!losses.is_empty() || has_texts(sent))
        }
        (Some(("file_text", who)), Some(before), None) => {
            let text = arrived.0.get(&format!("text.{who}"));
            text.is_some_and(|text| text.contains(before.as_str()))
        }
        (_, Some(before), Some(after)) if name.starts_with("result") => {
            after.contains(before.as_str()) && !losses.is_empty()
        }
        _ => false,
    }
}

fn is_excused(name: &str, losses: &Losses) -> bool {
    let kind = name.split(['.', '#']).next().unwrap_or(name);
    let excuses = EXCUSES.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, names)| names);
    losses.iter().any(|loss| excuses.iter().any(|excuse| loss.starts_with(excuse)))
}

impl Essence {
    /// Adds to the thing of this name.
    fn add(&mut self, name: impl Into<String>, text: &str) {
        let told = self.0.entry(name.into()).or_default();
        if !told.is_empty() {
            told.push_str(" | ");
        }
        told.push_str(text);
    }

    /// Adds to a text. White space does not count: there is some between parts that were joined.
    fn add_text(&mut self, name: &str, text: &str) {
        let text: String = text.split_whitespace().collect();
        if !text.is_empty() {
            self.0.entry(name.to_owned()).or_default().push_str(&text);
        }
    }

    fn add_some<T: std::fmt::Debug>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.add(name, &format!("{value:?}"));
        }
    }

    /// Adds a part said by `who`. Calls are numbered as they come; a result names the number of its
    /// call, so that ids may change and yet must lead to the same call.
    fn add_part(&mut self, who: &str, part: &Part, calls: &mut Vec<String>) {
        match &part.content {
            Content::Text { text, citations } => {
                self.add_text(&format!("text.{who}"), text);
                if !citations.is_empty() {
                    self.add(format!("citations.{who}"), &citations.len().to_string());
                }
            }
            Content::Image { .. } => self.add("image", who),
            Content::Document(Document { source: Source::Text(text), .. }) => {
                self.add_text(&format!("file_text.{who}"), text);
            }
            Content::Document(_) => self.add("document", who),
            Content::Audio(_) => self.add("audio", who),
            Content::Video(_) => self.add("video", who),
            Content::ToolCall(call) => {
                let name = format!("call#{}", calls.len());
                self.add(name, &format!("{}({})", call.name, as_json(&call.input)));
                calls.push(call.id.clone());
                if call.signature.is_some() {
                    self.add("signature", who);
                }
            }
            Content::ToolResult(result) => {
                let call = calls.iter().rposition(|id| *id == result.call_id);
                let name =
                    format!("result#{}", call.map_or("of nothing".to_owned(), |n| n.to_string()));
                for part in &result.parts {
                    match &part.content {
                        Content::Text { text, .. } => self.add_text(&name, text),
                        _ => self.add_part("tool", part, calls),
                    }
                }
                if result.is_error {
                    self.add("error", &name);
                }
            }
            Content::Reasoning(thought) => {
                self.add_text(&format!("reasoning.{who}"), &thought.text);
                if thought.signature.is_some() {
                    self.add("signature", who);
                }
            }
            // Where it cannot be said as what it is, it is still to be said.
            Content::Refusal(text) => {
                self.add_text(&format!("text.{who}"), text);
                self.add("refusal", who);
            }
            // How a picture in an answer is said in Responses.
            Content::Opaque { kind, .. } if kind == "image_generation_call" => {
                self.add("image", who);
            }
            // That they are dropped is named by their kinds, and seen in the snapshots.
            Content::Opaque { .. } => (),
        }
    }
}

/// JSON written in one way. A dialect that needs an object wraps what is none, and says so elsewhere.
fn as_json(text: &str) -> String {
    if text.trim().is_empty() {
        return "{}".to_owned();
    }
    serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |value| value.to_string())
}

impl From<&Request> for Essence {
    fn from(request: &Request) -> Self {
        let mut essence = Self::default();
        let mut calls = Vec::new();
        let mut said = 0;
        let mut last = None;
        // A turn of parts that only one dialect knows is a loss, not a change of sides.
        let is_own = |part: &Part| matches!(part.content, Content::Opaque { .. });
        for turn in request.turns.iter().filter(|turn| !turn.parts.iter().all(is_own)) {
            let side = match turn.role {
                Role::System | Role::Developer => "instructions",
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::Tool => "tool",
            };
            if last.replace(side) != Some(side) && side != "instructions" {
                said += 1;
            }
            let who =
                if side == "instructions" { side.to_owned() } else { format!("{side}#{said}") };
            for part in &turn.parts {
                essence.add_part(&who, part, &mut calls);
            }
        }
        for tool in &request.tools {
            match tool {
                Tool::Function(tool) => essence.add("tools", &tool.name),
                Tool::Custom { name, .. } => {
                    essence.add("tools", name);
                    essence.add("tool.custom", name);
                }
                Tool::Opaque { kind, .. } => essence.add("tool.own", kind),
            }
        }
        let sampling = &request.sampling;
        essence.add_some("temperature", sampling.temperature);
        essence.add_some("top_p", sampling.top_p);
        essence.add_some("top_k", sampling.top_k);
        essence.add_some("seed", sampling.seed);
        essence.add_some("penalty.frequency", sampling.frequency_penalty);
        essence.add_some("penalty.presence", sampling.presence_penalty);
        essence.add_some("max_output_tokens", request.max_output_tokens);
        essence.add_some("stop_texts", Some(&request.stop).filter(|texts| !texts.is_empty()));
        essence.add_some("parallel", request.parallel_tool_calls.filter(|is| !is));
        // One of all tools is any tool.
        let choice = request.tool_choice.clone().map(|choice| match choice {
            ToolChoice::Among { names, must } if names.len() == request.tools.len() => {
                if must {
                    ToolChoice::Required
                } else {
                    ToolChoice::Auto
                }
            }
            other => other,
        });
        let choice = choice.filter(|choice| *choice != ToolChoice::Auto);
        essence.add_some("tool_choice", choice);
        // As the model sees fit is what is usual.
        let mode = request.thinking.as_ref().and_then(|thinking| thinking.mode);
        let mode = mode.filter(|mode| *mode != ThinkingMode::Adaptive);
        essence.add_some(
            "thinking",
            mode.map(|mode| match mode {
                // Two words for one thing.
                ThinkingMode::Effort(effort) => ThinkingMode::Budget(effort.budget()),
                other => other,
            }),
        );
        match &request.output {
            OutputFormat::Text => (),
            OutputFormat::Json => essence.add("format", "JSON"),
            OutputFormat::Schema { .. } => essence.add("format", "schema"),
        }
        essence
    }
}

impl From<&Answer> for Essence {
    fn from(answer: &Answer) -> Self {
        let mut essence = Self::default();
        for (number, choice) in answer.choices.iter().enumerate() {
            let said = Self::from(choice);
            match number {
                0 => essence = said,
                // All of it counts as one thing: there are dialects with one choice.
                _ => essence.add(format!("choices.{number}"), &format!("{:?}", said.0)),
            }
        }
        if let Some(usage) = &answer.usage {
            essence.add("usage.prompt", &usage.prompt().to_string());
            essence.add("usage.output", &usage.tokens.output.to_string());
        }
        essence
    }
}

impl From<&Choice> for Essence {
    fn from(choice: &Choice) -> Self {
        let mut essence = Self::default();
        let mut calls = Vec::new();
        for part in &choice.parts {
            essence.add_part("assistant", part, &mut calls);
        }
        let stop = match &choice.stop {
            StopReason::StopText(_) => StopReason::StopText(None),
            // Two words for one thing, which say of a text that it is a refusal.
            StopReason::Filtered | StopReason::Refused => {
                essence.0.remove("refusal");
                StopReason::Refused
            }
            other => other.clone(),
        };
        essence.add("stop", &format!("{stop:?}"));
        essence.add_some("logprobs", choice.logprobs.as_ref().map(Vec::len));
        essence
    }
}
