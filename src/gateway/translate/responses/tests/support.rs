use std::{fs, path::PathBuf};

use crate::{
    domain::{
        chat::{
            Answer, Choice, Content, Delta, Json, Part, Reasoning, Request, Role, StopReason,
            ToolCall, Turn, Usage,
        },
        id::ModelName,
        time::Timestamp,
    },
    gateway::translate::{ReadStream, Said, Shown},
};

pub(super) fn fixtures(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/responses");
    let mut found: Vec<_> = fs::read_dir(folder.join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

pub(super) fn fixture(kind: &str, case: &str) -> Vec<u8> {
    fixtures(kind).into_iter().find(|(name, _)| name == case).expect(case).1
}

pub(super) fn asking() -> Request {
    let turns = vec![Turn::new(Role::User, vec![Part::text("hi")])];
    let mut request = Request::new(ModelName::parse("m").unwrap(), turns);
    request.logprobs = Some(2);
    request
}

pub(super) fn shown(request: &Request) -> Shown<'_> {
    let created = Timestamp::from_millis(1_795_622_400_123);
    Shown { id: "abc", created, model: &request.model, request }
}

/// The data of each event.
pub(super) fn events(stream: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(stream).unwrap();
    let data =
        |block: &str| block.lines().find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    text.split("\n\n").filter_map(data).collect()
}

/// The deltas of all events, and what the last one meant.
pub(super) fn read_stream(
    reader: &mut dyn ReadStream,
    stream: &[u8],
) -> (Vec<Delta<'static>>, Said) {
    let mut deltas = Vec::new();
    let mut said = Said::More;
    for event in events(stream) {
        assert_eq!(said, Said::More, "something follows the end");
        said = reader
            .read(event.as_bytes(), &mut |delta| deltas.push(owned(delta)))
            .unwrap_or_else(|_| panic!("{event}"));
    }
    (deltas, said)
}

pub(super) fn owned(delta: Delta<'_>) -> Delta<'static> {
    match delta {
        Delta::Begin { id, model } => Delta::Begin {
            id: id.map(|id| id.into_owned().into()),
            model: model.map(|model| model.into_owned().into()),
        },
        Delta::Text { choice, text } => Delta::Text { choice, text: text.into_owned().into() },
        Delta::Reasoning { choice, text, is_summary } => {
            Delta::Reasoning { choice, text: text.into_owned().into(), is_summary }
        }
        Delta::ReasoningSeal { choice, seal, is_redacted } => {
            Delta::ReasoningSeal { choice, seal, is_redacted }
        }
        Delta::Refusal { choice, text } => {
            Delta::Refusal { choice, text: text.into_owned().into() }
        }
        Delta::CallBegin { choice, number, id, name, kind, seal } => Delta::CallBegin {
            choice,
            number,
            id: id.into_owned().into(),
            name: name.into_owned().into(),
            kind,
            seal,
        },
        Delta::CallInput { choice, number, text } => {
            Delta::CallInput { choice, number, text: text.into_owned().into() }
        }
        Delta::Citation { choice, citation } => Delta::Citation { choice, citation },
        Delta::Whole { choice, part } => Delta::Whole { choice, part },
        Delta::Logprobs { choice, tokens } => Delta::Logprobs { choice, tokens },
        Delta::Break { choice } => Delta::Break { choice },
        Delta::Stop { choice, reason } => Delta::Stop { choice, reason },
        Delta::Usage(usage) => Delta::Usage(usage),
    }
}

/// The answer that deltas make, by the rules of [`Delta`].
pub(super) fn answer_of(deltas: &[Delta<'_>]) -> Answer {
    let (mut answer, mut choice) = (Answer::default(), Choice::default());
    let mut calls = Vec::new();
    let mut is_open = false;
    for delta in deltas {
        let last = choice.parts.last_mut().filter(|_| is_open).map(|part| &mut part.content);
        match delta {
            Delta::Begin { id, model } => {
                answer.id = id.clone().map(Into::into);
                answer.model = model.clone().map(Into::into);
                continue;
            }
            Delta::Text { text: more, .. } => match last {
                Some(Content::Text { text, .. }) => text.push_str(more),
                _ => choice.parts.push(Part::text(more.clone())),
            },
            Delta::Refusal { text: more, .. } => match last {
                Some(Content::Refusal(text)) => text.push_str(more),
                _ => choice.parts.push(Content::Refusal(more.to_string()).into()),
            },
            Delta::Reasoning { text: more, is_summary, .. } => match last {
                Some(Content::Reasoning(thought)) if thought.is_summary == *is_summary => {
                    thought.text.push_str(more);
                }
                _ => choice.parts.push(
                    Content::Reasoning(Reasoning {
                        text: more.to_string(),
                        is_summary: *is_summary,
                        ..Reasoning::default()
                    })
                    .into(),
                ),
            },
            Delta::ReasoningSeal { seal, is_redacted, .. } => {
                let seal = Some(seal.clone());
                let is_redacted = *is_redacted;
                match last {
                    Some(Content::Reasoning(thought)) if !is_redacted => thought.seal = seal,
                    _ => choice.parts.push(
                        Content::Reasoning(Reasoning { seal, is_redacted, ..Reasoning::default() })
                            .into(),
                    ),
                }
                is_open = false;
                continue;
            }
            Delta::CallBegin { number, id, name, kind, seal, .. } => {
                assert_eq!(*number as usize, calls.len());
                calls.push(choice.parts.len());
                choice.parts.push(
                    Content::ToolCall(ToolCall {
                        id: id.to_string(),
                        name: name.to_string(),
                        kind: *kind,
                        input: String::new(),
                        seal: seal.clone(),
                    })
                    .into(),
                );
            }
            Delta::CallInput { number, text, .. } => {
                match &mut choice.parts[calls[*number as usize]].content {
                    Content::ToolCall(call) => call.input.push_str(text),
                    other => panic!("{other:?}"),
                }
            }
            Delta::Citation { citation, .. } => match choice.parts.last_mut().unwrap() {
                Part { content: Content::Text { citations, .. }, .. } => {
                    citations.push((**citation).clone());
                }
                other => panic!("{other:?}"),
            },
            Delta::Whole { part, .. } => choice.parts.push((**part).clone()),
            Delta::Logprobs { tokens, .. } => {
                choice.logprobs.get_or_insert_default().extend(tokens.clone());
                continue;
            }
            Delta::Break { .. } => {
                is_open = false;
                continue;
            }
            Delta::Stop { reason, .. } => choice.stop = reason.clone(),
            Delta::Usage(usage) => answer.usage = Some(*usage),
        }
        is_open = true;
    }
    answer.choices.push(choice);
    answer
}

/// The same answer, with what is carried as it was written in one layout.
pub(super) fn laid_out(mut answer: Answer) -> Answer {
    let in_one_line = |json: &mut Json| {
        let value: serde_json::Value = serde_json::from_str(json.as_str()).unwrap();
        *json = Json::parse(value.to_string()).unwrap();
    };
    for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        match &mut part.content {
            Content::Own { json, .. } => in_one_line(json),
            Content::Text { citations, .. } => {
                let originals = citations.iter_mut().filter_map(|cited| cited.original.as_mut());
                originals.for_each(|(_, json)| in_one_line(json));
            }
            _ => (),
        }
    }
    answer
}

/// The same answer as a stream can say it: without ids of thoughts.
pub(super) fn as_streamed(mut answer: Answer) -> Answer {
    answer.service_tier = None;
    for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        if let Content::Reasoning(thought) = &mut part.content {
            thought.id = None;
        }
    }
    answer
}

pub(super) fn usage_of(answer: &Answer) -> Usage {
    answer.usage.unwrap_or_default()
}

pub(super) fn stop_of(answer: &Answer) -> &StopReason {
    &answer.choices[0].stop
}
