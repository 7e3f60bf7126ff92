//! Recorded requests, answers and streams: `tests/fixtures/<dialect>/<kind>/<case>`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::dialects::{ALL, Spoken};

/// Cases whose answers are failures: an error object, and what has failed by its own word.
const FAILURES: [&str; 2] = ["error", "failed"];

/// A fixture.
pub struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Case {
    pub fn is_failure(&self) -> bool {
        FAILURES.contains(&&*self.name)
    }
}

/// The answers or streams that are none of failures.
pub fn good(dialect: &Spoken, kind: &str) -> Vec<Case> {
    cases(dialect, kind).into_iter().filter(|case| !case.is_failure()).collect()
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// All cases of a kind (`requests`, `answers`, `streams`), by name.
pub fn cases(dialect: &Spoken, kind: &str) -> Vec<Case> {
    let folder = root().join("fixtures").join(dialect.name()).join(kind);
    // That there are some is a test of its own.
    let Ok(files) = fs::read_dir(&folder) else { return Vec::new() };
    let mut cases: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            Case { name, bytes: fs::read(&path).unwrap() }
        })
        .collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// The case of this name, if the dialect has it.
pub fn case(dialect: &Spoken, kind: &str, name: &str) -> Option<Case> {
    cases(dialect, kind).into_iter().find(|case| case.name == name)
}

/// What every dialect can say.
const BY_ALL: [(&str, &[&str]); 2] = [
    ("requests", &["plain", "system", "tools", "parallel_tools", "tool_result", "multi_turn"]),
    ("answers", &["plain", "tools", "max_tokens", "error"]),
];

#[test]
fn every_dialect_has_the_cases_that_all_can_say() {
    for dialect in &ALL {
        for (kind, names) in BY_ALL {
            for name in names {
                assert!(case(dialect, kind, name).is_some(), "{}: {kind}/{name}", dialect.name());
            }
        }
    }
}

#[test]
fn every_answer_is_there_whole_and_as_a_stream() {
    for dialect in &ALL {
        let [answers, streams] = ["answers", "streams"]
            .map(|kind| cases(dialect, kind).into_iter().map(|case| case.name).collect::<Vec<_>>());
        assert_eq!(answers, streams, "{}", dialect.name());
    }
}
