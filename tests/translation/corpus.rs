//! What a fuzzer has found interesting, and the fixtures, against the laws of any bytes.

use std::{fs, path::Path};

use providerpool::gateway::translate::Framing;

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
