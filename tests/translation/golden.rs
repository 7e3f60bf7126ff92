//! Snapshots: one per fixture, with what it becomes in every other dialect.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use providerpool::domain::chat::Losses;
use serde_json::Value;

use crate::{
    dialects::{ALL, Spoken},
    fixtures::{cases, root},
};

/// What a fixture becomes, told section by section.
#[derive(Default)]
pub struct Story(String);

impl Story {
    /// Something in another dialect, with what was lost on the way.
    pub fn tell(&mut self, dialect: &Spoken, losses: &Losses, body: &[u8]) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        writeln!(self.0, "{gap}=== {}: {losses}", dialect.name()).unwrap();
        writeln!(self.0, "{}", pretty(body).trim_end()).unwrap();
    }
}

/// Snapshots that do not fit are collected, so that one run tells of all.
#[derive(Default)]
pub struct Gallery {
    wrong: Vec<String>,
}

impl Gallery {
    pub fn check(&mut self, dialect: &Spoken, kind: &str, case: &str, story: &Story) {
        let name = format!("{}.{kind}.{case}", dialect.name());
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let is_right = panic::catch_unwind(AssertUnwindSafe(|| {
            settings.bind(|| insta::assert_snapshot!(name.as_str(), story.0));
        }));
        if is_right.is_err() {
            self.wrong.push(name);
        }
    }

    pub fn close(self) {
        assert!(self.wrong.is_empty(), "these changed: {:#?}", self.wrong);
    }
}

/// JSON over several lines with its keys in order; anything else as it is.
fn pretty(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap(),
        Err(_) => String::from_utf8(body.to_vec()).unwrap(),
    }
}

#[test]
fn every_snapshot_is_of_a_fixture() {
    let mut expected = BTreeSet::new();
    for dialect in &ALL {
        for kind in ["requests", "answers", "streams"] {
            for case in cases(dialect, kind) {
                expected.insert(format!("{}.{kind}.{}.snap", dialect.name(), case.name));
            }
        }
    }
    let folder = root().join("translation/snapshots");
    let found: BTreeSet<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        // Others are proposals that nobody has accepted.
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "snap"))
        .collect();
    let orphans: Vec<_> = found.difference(&expected).collect();
    assert!(orphans.is_empty(), "nothing gives these any more: {orphans:?}");
}
