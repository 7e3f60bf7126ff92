//! What a fuzzer has found interesting, and the fixtures, against the laws of any bytes.

use std::{fs, path::Path};

use proptest::prelude::*;
use providerpool::gateway::translate::Framing;
use serde_json::{Value, json};

use crate::{
    dialects::ALL,
    fixtures::{self, cases},
    laws,
};

fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn the_laws_hold_for_the_corpus() {
    for dialect in &ALL {
        for (law, check) in laws::OF_A_DIALECT {
            for input in inputs(&format!("{law}_{}", dialect.name())) {
                check(dialect, &input);
            }
        }
    }
    for (target, framing) in [("sse", Framing::Sse), ("lines", Framing::Lines)] {
        for input in inputs(target) {
            laws::framing(framing, &input);
        }
    }
}

#[test]
fn every_folder_of_the_corpus_belongs_to_a_target() {
    let corpus = fixtures::root().join("../fuzz/corpus");
    for folder in fs::read_dir(corpus).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        let is_of_a_dialect = ALL.iter().any(|dialect| {
            laws::OF_A_DIALECT.iter().any(|(law, _)| name == format!("{law}_{}", dialect.name()))
        });
        assert!(is_of_a_dialect || name == "sse" || name == "lines", "nobody reads {name}");
    }
}

/// What is a fixture of one dialect is nonsense to another, or nearly right.
#[test]
fn the_laws_hold_for_the_fixtures_of_every_other_dialect() {
    for dialect in &ALL {
        for kind in ["requests", "answers", "streams"] {
            for case in cases(dialect, kind) {
                for other in &ALL {
                    for (_, check) in laws::OF_A_DIALECT {
                        check(other, &case.bytes);
                    }
                }
            }
        }
    }
}

/// Fixtures with a piece missing.
#[test]
fn the_laws_hold_for_what_was_cut_short() {
    for dialect in &ALL {
        for kind in ["requests", "answers", "streams"] {
            for case in cases(dialect, kind) {
                let step = (case.bytes.len() / 8).max(1);
                for at in (0..case.bytes.len()).step_by(step) {
                    let without = [&case.bytes[..at], &case.bytes[at + 1..]].concat();
                    for (_, check) in laws::OF_A_DIALECT {
                        check(dialect, &case.bytes[..at]);
                        check(dialect, &without);
                    }
                }
            }
        }
    }
}

/// What may stand in the place of any value.
fn strange() -> impl Strategy<Value = Value> {
    let deep = (0..30).fold(json!(1), |inner, _| json!([inner]));
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0.5),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("text"),
        json!("\u{0}\n\u{2028}\u{1f642}"),
        json!("{}"),
        json!([]),
        json!({}),
        json!([null]),
        json!([{}]),
        json!({"type": "text"}),
        json!({"type": "unheard_of", "index": 4_000_000_000_u32}),
        deep,
    ])
}

/// Replaces the value at this place, counted through all of it in order.
fn replace(value: &mut Value, place: &mut usize, by: &Value) {
    if *place == 0 {
        *value = by.clone();
    }
    *place = place.wrapping_sub(1);
    match value {
        _ if *place > usize::MAX / 2 => (),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, place, by)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| replace(member, place, by));
        }
        _ => (),
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.values().map(size).sum(),
        _ => 0,
    }
}

/// Replaces a value in a JSON text, or in one line of a stream.
fn with_another_value(bytes: &[u8], line: usize, place: usize, by: &Value) -> Vec<u8> {
    let change = |json: &[u8]| {
        let mut value: Value = serde_json::from_slice(json).ok()?;
        let mut place = place % size(&value);
        replace(&mut value, &mut place, by);
        Some(value.to_string().into_bytes())
    };
    if let Some(changed) = change(bytes) {
        return changed;
    }
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let line = line % lines.len();
    let at = lines[line].iter().position(|byte| *byte == b'{').unwrap_or(0);
    if let Some(changed) = change(&lines[line][at..]) {
        lines[line].splice(at.., changed);
    }
    lines.join(&b'\n')
}

proptest! {
    #[test]
    fn the_laws_hold_whatever_stands_in_the_place_of_a_value(
        of in any::<prop::sample::Index>(),
        kind in prop::sample::select(vec!["requests", "answers", "streams"]),
        fixture in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<usize>(), any::<usize>(), strange()), 1..4),
    ) {
        let dialect = of.get(&ALL);
        let mut bytes = cases(dialect, kind).swap_remove(fixture.index(cases(dialect, kind).len())).bytes;
        for (line, place, by) in &changes {
            bytes = with_another_value(&bytes, *line, *place, by);
        }
        for (_, check) in laws::OF_A_DIALECT {
            check(dialect, &bytes);
        }
    }
}
