//! Tools that are called with free text, put to models whose API has functions only: as a function of
//! one text, and its calls back as calls with that text.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::domain::{
    chat::{Answer, CallKind, Content, Delta, FunctionTool, Json, Part, Request, Tool, ToolCall},
    provider::ApiFormat,
};

/// The schema of a function that stands for such a tool.
const SCHEMA: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// Most text of one call that is held to be read, in bytes. A longer one goes on as it was written.
const MAX_INPUT_BYTES: usize = 8 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Input {
    input: String,
}

/// The request as an upstream of this format gets it. `None`: it needs no change.
pub(super) fn as_functions(request: &Request, format: ApiFormat) -> Option<Request> {
    if format == ApiFormat::Responses || names(request).is_empty() {
        return None;
    }
    let mut request = request.clone();
    for tool in &mut request.tools {
        let Tool::Custom { name, description, format } = tool else { continue };
        // What it may be called with can no longer be held to.
        request.losses.note_if(format.is_some(), "tools.custom");
        *tool = Tool::Function(FunctionTool {
            name: std::mem::take(name),
            description: description.take(),
            parameters: Json::parse(SCHEMA),
            strict: None,
            cache: None,
        });
    }
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match &mut part.content {
            Content::ToolCall(call) if call.kind == CallKind::Custom => {
                let input = Input { input: std::mem::take(&mut call.input) };
                call.input = serde_json::to_string(&input).expect("a text is always JSON");
                call.kind = CallKind::Function;
            }
            Content::ToolResult(result) => result.kind = CallKind::Function,
            _ => {}
        }
    }
    Some(request)
}

fn names(request: &Request) -> HashSet<String> {
    let name = |tool: &Tool| match tool {
        Tool::Custom { name, .. } => Some(name.clone()),
        Tool::Function(_) | Tool::Opaque { .. } => None,
    };
    request.tools.iter().filter_map(name).collect()
}

/// Turns the calls of an answer back.
pub(super) struct CustomCalls {
    names: HashSet<String>,
    /// What has come of calls that are not complete, by choice and number.
    open: BTreeMap<(u32, u32), String>,
}

impl CustomCalls {
    /// `None` where there is nothing to turn back.
    pub fn of(request: &Request, format: ApiFormat) -> Option<Self> {
        let names = names(request);
        let is_told_as_it_is = format == ApiFormat::Responses || names.is_empty();
        (!is_told_as_it_is).then(|| Self { names, open: BTreeMap::new() })
    }

    pub fn turn_back(&self, answer: &mut Answer) {
        let parts = answer.choices.iter_mut().flat_map(|choice| &mut choice.parts);
        for Part { content, .. } in parts {
            if let Content::ToolCall(ToolCall { name, kind, input, .. }) = content
                && self.names.contains(name)
            {
                (*kind, *input) = (CallKind::Custom, text_of(std::mem::take(input)));
            }
        }
    }

    /// Hands on a delta, or what has become of it. The text of a call comes when it is complete.
    pub fn pass(&mut self, delta: Delta<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        match delta {
            Delta::CallBegin { choice, number, id, name, signature, .. }
                if self.names.contains(&*name) =>
            {
                self.open.insert((choice, number), String::new());
                sink(Delta::CallBegin {
                    choice,
                    number,
                    id,
                    name,
                    kind: CallKind::Custom,
                    signature,
                });
            }
            Delta::CallInput { choice, number, text } => {
                let Some(held) = self.open.get_mut(&(choice, number)) else {
                    return sink(Delta::CallInput { choice, number, text });
                };
                held.push_str(&text);
                if held.len() > MAX_INPUT_BYTES {
                    self.complete(choice, number, sink);
                }
            }
            Delta::Break { choice } | Delta::Stop { choice, .. } => {
                let complete: Vec<u32> =
                    self.open.keys().filter(|at| at.0 == choice).map(|at| at.1).collect();
                for number in complete {
                    self.complete(choice, number, sink);
                }
                sink(delta);
            }
            other => sink(other),
        }
    }

    fn complete(&mut self, choice: u32, number: u32, sink: &mut dyn FnMut(Delta<'_>)) {
        if let Some(held) = self.open.remove(&(choice, number)) {
            sink(Delta::CallInput { choice, number, text: text_of(held).into() });
        }
    }
}

/// The text a function was called with. A model that does not keep to the schema is taken at its word.
fn text_of(arguments: String) -> String {
    serde_json::from_str(&arguments).map_or(arguments, |Input { input }| input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        chat::{Choice, Role, StopReason, ToolResult, Turn},
        id::ModelName,
    };

    fn request() -> Request {
        let call = |input: &str| {
            Content::ToolCall(ToolCall {
                id: "c1".into(),
                name: "patch".into(),
                kind: CallKind::Custom,
                input: input.into(),
                signature: None,
            })
        };
        let result = Content::ToolResult(ToolResult {
            call_id: "c1".into(),
            name: None,
            kind: CallKind::Custom,
            parts: vec![Part::text("done")],
            is_error: false,
        });
        let turns = vec![
            Turn::new(Role::Assistant, vec![call("*** \"a\"\n").into()]),
            Turn::new(Role::Tool, vec![result.into()]),
        ];
        let tool = Tool::Custom {
            name: "patch".into(),
            description: Some("Edits files.".into()),
            format: Json::parse(r#"{"type":"grammar"}"#),
        };
        let model = ModelName::parse("m").unwrap();
        Request { tools: vec![tool], ..Request::new(model, turns) }
    }

    fn function_call(input: &str) -> Content {
        Content::ToolCall(ToolCall {
            id: "c2".into(),
            name: "patch".into(),
            kind: CallKind::Function,
            input: input.into(),
            signature: None,
        })
    }

    #[test]
    fn a_tool_of_free_text_becomes_a_function_of_one_text_and_its_calls_too() {
        let asked = as_functions(&request(), ApiFormat::Anthropic).unwrap();
        assert!(matches!(&asked.tools[0], Tool::Function(tool) if tool.name == "patch"));
        let Content::ToolCall(call) = &asked.turns[0].parts[0].content else { panic!() };
        assert_eq!(call.input, r#"{"input":"*** \"a\"\n"}"#);
        assert_eq!(asked.losses.to_string(), "tools.custom");
        assert!(as_functions(&request(), ApiFormat::Responses).is_none());
    }

    #[test]
    fn calls_come_back_as_they_would_have_been_made() {
        let calls = CustomCalls::of(&request(), ApiFormat::Google).unwrap();
        for (written, meant) in [(r#"{"input":"a\nb"}"#, "a\nb"), ("not json", "not json")] {
            let parts = vec![function_call(written).into()];
            let choice = Choice { parts, ..Choice::default() };
            let mut answer = Answer { choices: vec![choice], ..Answer::default() };
            calls.turn_back(&mut answer);
            let Content::ToolCall(call) = &answer.choices[0].parts[0].content else { panic!() };
            assert_eq!((call.kind, &*call.input), (CallKind::Custom, meant));
        }
    }

    #[test]
    fn a_streamed_calls_text_comes_when_it_is_complete() {
        let mut calls = CustomCalls::of(&request(), ApiFormat::Openai).unwrap();
        let mut told = Vec::new();
        let begin = |number, name: &'static str| Delta::CallBegin {
            choice: 0,
            number,
            id: "c".into(),
            name: name.into(),
            kind: CallKind::Function,
            signature: None,
        };
        let input =
            |number, text: &'static str| Delta::CallInput { choice: 0, number, text: text.into() };
        for delta in [
            begin(0, "patch"),
            begin(1, "other"),
            input(0, "{\"inp"),
            input(1, "{}"),
            input(0, "ut\":\"x\"}"),
            Delta::Stop { choice: 0, reason: StopReason::ToolCalls },
        ] {
            calls.pass(delta, &mut |delta| {
                if let Delta::CallInput { number, text, .. } = delta {
                    told.push((number, text.into_owned()));
                }
            });
        }
        assert_eq!(told, [(1, "{}".to_owned()), (0, "x".to_owned())]);
    }
}
