use std::{fs, path::PathBuf};

use crate::{
    domain::{
        chat::{
            Answer, Assembly, Content, Delta, Json, Part, Request, Role, StopReason, Turn, Usage,
        },
        id::ModelName,
        time::Timestamp,
    },
    gateway::translate::{EventOutcome, ReadStream, ResponseContext},
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

pub(super) fn shown(request: &Request) -> ResponseContext<'_> {
    let created = Timestamp::from_millis(1_795_622_400_123);
    ResponseContext { id: "abc", created, model: &request.model, request }
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
) -> (Vec<Delta<'static>>, EventOutcome) {
    let mut deltas = Vec::new();
    let mut said = EventOutcome::More;
    for event in events(stream) {
        assert!(
            matches!(said, EventOutcome::More | EventOutcome::Idle),
            "something follows the end"
        );
        said = reader
            .read(event.as_bytes(), &mut |delta| deltas.push(delta.into_owned()))
            .unwrap_or_else(|_| panic!("{event}"));
    }
    (deltas, said)
}

/// The answer that deltas make.
pub(super) fn answer_of(deltas: &[Delta<'_>]) -> Answer {
    let mut assembly = Assembly::new(1 << 20);
    for delta in deltas {
        assembly.add(delta.clone()).unwrap();
    }
    assembly.finish().expect("it says how it ends")
}

/// The same answer, with what is carried as it was written in one layout.
pub(super) fn laid_out(mut answer: Answer) -> Answer {
    let in_one_line = |json: &mut Json| {
        let value: serde_json::Value = serde_json::from_str(json.as_str()).unwrap();
        *json = Json::parse(value.to_string()).unwrap();
    };
    for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        match &mut part.content {
            Content::Opaque { json, .. } => in_one_line(json),
            Content::Text { citations, .. } => {
                let originals = citations.iter_mut().filter_map(|cited| cited.original.as_mut());
                originals.for_each(|(_, json)| in_one_line(json));
            }
            _ => (),
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
