//! The direction of dependency: a folder of `src` names those below it, and never one above it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Every folder and file of `src`, and what of the crate its code may name besides itself.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("crypto", &["domain"]),
    ("persistence", &["domain"]),
    ("gateway", &["domain"]),
    ("config", &["domain"]),
    ("telemetry", &["config", "domain"]),
    ("actors", &["config", "crypto", "domain", "gateway", "persistence", "telemetry"]),
    ("relay", &["actors", "config", "domain", "gateway", "telemetry"]),
    ("ws", &["actors", "domain", "telemetry"]),
    ("http", &["actors", "domain", "gateway", "relay", "telemetry", "ws"]),
    (
        "app",
        &[
            "actors",
            "config",
            "crypto",
            "domain",
            "gateway",
            "http",
            "persistence",
            "relay",
            "telemetry",
            "ws",
        ],
    ),
    ("cli", &["actors", "app", "config", "domain", "gateway", "persistence", "telemetry"]),
    ("main", &[]),
    ("lib", &[]),
];

/// What would bring a clock or a runtime into rules that take the time as an argument.
const NOT_IN_DOMAIN: [&str; 5] = ["async ", "tokio::", "actix", "Instant::now", "SystemTime::now"];

struct Source {
    /// Below `src`.
    path: PathBuf,
    /// Without comments.
    code: String,
}

impl Source {
    /// The folder of `src` it is in, or its own name.
    fn part(&self) -> &str {
        let first = self.path.components().next().expect("it has a name").as_os_str();
        Path::new(first).file_stem().and_then(|name| name.to_str()).expect("a name in UTF-8")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).expect("sources are texts");
                let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
                let code = lines.collect::<Vec<_>>().join("\n");
                found.push(Source {
                    path: path.strip_prefix(&root).expect("it is in src").to_owned(),
                    code,
                });
            }
        }
    }
    found
}

/// The parts of the crate that code names: `a` and `b` of `crate::a::x` and `crate::{b::{y}, a}`.
fn named(code: &str) -> BTreeSet<&str> {
    let mut named = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            named.extend(word(rest));
            continue;
        };
        let (mut depth, mut begins) = (0_usize, true);
        for (at, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                _ if begins && !letter.is_whitespace() => {
                    named.extend(word(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    named
}

fn word(code: &str) -> Option<&str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
}

#[test]
fn names_are_found_in_paths_and_lists() {
    let code = "use crate::{\n    actors::{db::Db, router},\n    domain,\n};\ncrate::http::serve()";
    assert_eq!(named(code), BTreeSet::from(["actors", "domain", "http"]));
}

#[test]
fn each_part_names_those_below_it_alone() {
    let sources = sources();
    assert!(sources.len() > 100, "the sources are found");
    for source in &sources {
        let part = source.part();
        let (_, allowed) = MAY_NAME
            .iter()
            .find(|(name, _)| *name == part)
            .unwrap_or_else(|| panic!("{part} is new: add it to MAY_NAME, below who names it"));
        let parts = named(&source.code);
        let wrong = parts.iter().find(|name| {
            **name != part
                && MAY_NAME.iter().any(|(known, _)| known == *name)
                && !allowed.contains(*name)
        });
        assert_eq!(wrong, None, "{} names what is not below {part}", source.path.display());
    }
}

#[test]
fn the_database_alone_names_persistence_among_the_actors() {
    for source in sources().iter().filter(|source| source.part() == "actors") {
        let is_of_db = source.path.starts_with("actors/db") || source.path.ends_with("db.rs");
        let names_it = named(&source.code).contains("persistence");
        assert!(is_of_db || !names_it, "{} names persistence", source.path.display());
    }
}

#[test]
fn diesel_is_named_where_the_database_is_touched_alone() {
    for source in sources() {
        let touches = source.part() == "persistence" || source.path.starts_with("actors/db");
        let names_it = source.code.contains("diesel::");
        assert!(touches || !names_it, "{} names diesel", source.path.display());
    }
}

#[test]
fn the_domain_knows_no_clock_and_no_runtime() {
    for source in sources().iter().filter(|source| source.part() == "domain") {
        let found = NOT_IN_DOMAIN.iter().find(|word| source.code.contains(*word));
        assert_eq!(found, None, "in {}", source.path.display());
    }
}
