//! The reference of settings: `docs/configuration.md` is written from the example file and the defaults of
//! the code, and both are held to what the program knows.

use std::{collections::BTreeSet, env, fmt::Write as _, fs};

use providerpool::config::{Config, Environment, Overrides};
use regex::Regex;

use crate::{Page, root, support::Workplace};

const BEGIN: &str = "<!-- settings -->\n";
const END: &str = "<!-- /settings -->";

/// A table of the example file.
struct Table {
    /// As it is written: `[server]` or `[[providers.models]]`.
    heading: String,
    about: String,
    settings: Vec<Setting>,
}

struct Setting {
    key: String,
    value: String,
    about: String,
}

impl Table {
    /// The path of its keys: `providers.models`.
    fn path(&self) -> &str {
        self.heading.trim_matches(['[', ']'])
    }

    /// Whether its values are examples.
    fn is_example(&self) -> bool {
        ["providers", "routes", "aliases"].contains(&self.path().split('.').next().unwrap())
    }
}

/// The tables of the example file. Remarks belong to what follows them.
fn tables() -> Vec<Table> {
    let (mut tables, mut about) = (Vec::<Table>::new(), Vec::new());
    for line in Page::read("deploy/providerpool.example.toml").text.lines() {
        let text = line.trim_start_matches('#').trim();
        let setting = text.split_once(" = ").filter(|(key, _)| {
            key.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        });
        if text.is_empty() {
            about.clear();
        } else if text.starts_with('[') && text.ends_with(']') {
            let about = std::mem::take(&mut about).join(" ");
            tables.push(Table { heading: text.to_owned(), about, settings: Vec::new() });
        } else if let Some((key, value)) = setting {
            let about = std::mem::take(&mut about).join(" ");
            let table = tables.last_mut().expect("a setting stands in a table");
            table.settings.push(Setting { key: key.to_owned(), value: value.to_owned(), about });
        } else {
            about.push(text);
        }
    }
    tables
}

/// Why the program does not take a configuration.
fn refused(text: &str) -> String {
    let workplace = Workplace::new(text);
    let path = workplace.path("providerpool.toml");
    let loaded = Config::load(Some(&path), &Environment::default(), &Overrides::default());
    loaded.err().unwrap_or_else(|| panic!("it was taken:\n{text}")).to_string()
}

/// The keys that the program knows in a table, from what it says of one that it does not know.
fn known(table: &str) -> BTreeSet<String> {
    let unknown = "zzzzzzzz = 1";
    let text = match table.split_once('.') {
        None if table.is_empty() => unknown.to_owned(),
        None if ["providers", "routes", "aliases"].contains(&table) => {
            format!("[[{table}]]\n{unknown}")
        }
        None => format!("[{table}]\n{unknown}"),
        Some((list, rest)) if rest.starts_with("cooling") => {
            format!("[[{list}]]\n[{table}]\n{unknown}")
        }
        Some((list, _)) => format!("[[{list}]]\n[[{table}]]\n{unknown}"),
    };
    let message = refused(&text);
    let (_, keys) =
        message.split_once("known here: ").unwrap_or_else(|| panic!("{table}: {message}"));
    keys.split(", ").map(str::to_owned).collect()
}

/// The default of each setting, with a time or a size in words behind it: `server.bind`.
fn default_of(table: &str, key: &str) -> Option<String> {
    let shown = Config::default().show_masked();
    let (_, section) = shown.split_once(&format!("[{table}]\n"))?;
    let section = section.split("\n[").next()?;
    let value = section.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")))?;
    Some(match value.split_once(" # ") {
        Some((value, words)) => format!("`{value}` ({words})"),
        None => format!("`{value}`"),
    })
}

/// The reference, as the example file and the defaults say it.
fn reference() -> String {
    let mut text = String::new();
    for table in tables() {
        let value = if table.is_example() { "example" } else { "default" };
        writeln!(text, "\n### `{}`\n", table.heading).unwrap();
        if !table.about.is_empty() {
            writeln!(text, "{}\n", table.about).unwrap();
        }
        if table.settings.is_empty() {
            continue;
        }
        writeln!(text, "| setting | {value} | meaning |\n| --- | --- | --- |").unwrap();
        for Setting { key, value, about } in &table.settings {
            let default = if table.is_example() {
                format!("`{value}`")
            } else {
                default_of(table.path(), key).unwrap_or_else(|| format!("unset; e.g. `{value}`"))
            };
            writeln!(text, "| `{key}` | {default} | {} |", about.replace('|', "\\|")).unwrap();
        }
    }
    text
}

#[test]
fn the_reference_says_what_the_example_and_the_defaults_say() {
    let page = Page::read("docs/configuration.md");
    let (before, rest) = page.text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}\n{END}{after}", reference());
    if env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(root().join(&page.path), &wanted).unwrap();
    } else {
        assert!(page.text == wanted, "UPDATE_DOCS=1 cargo test --test docs writes the reference");
    }
}

#[test]
fn every_setting_that_the_program_knows_is_described_and_no_other() {
    let tables = tables();
    let paths: BTreeSet<&str> = tables.iter().map(Table::path).collect();
    // What is a table of its own there is a key of the one above it.
    let below = |table: &str| -> BTreeSet<String> {
        let inside = paths.iter().filter_map(|path| match table {
            "" => Some(*path),
            _ => path.strip_prefix(table)?.strip_prefix('.'),
        });
        inside.map(|path| path.split('.').next().unwrap().to_owned()).collect()
    };
    assert_eq!(below(""), known(""));
    for table in &tables {
        let keys = table.settings.iter().map(|setting| setting.key.clone());
        let described: BTreeSet<String> = keys.chain(below(table.path())).collect();
        assert_eq!(described, known(table.path()), "{}", table.heading);
    }
}

#[test]
fn every_setting_is_described_in_words() {
    for table in tables() {
        for Setting { key, about, .. } in &table.settings {
            assert!(about.ends_with('.'), "{} {key}: {about:?}", table.heading);
        }
    }
}

/// The numbers are tried with one more than they may be.
#[test]
fn every_range_is_the_one_that_the_program_holds_to() {
    let range = Regex::new(r"(\w+) to (\d+)( \w+)?\.$").unwrap();
    let mut count = 0;
    for table in tables().iter().filter(|table| !table.is_example()) {
        for Setting { key, value, about } in &table.settings {
            if value.parse::<u64>().is_err() {
                continue;
            }
            let told = range.captures(about).unwrap_or_else(|| panic!("{key} has no range"));
            let (least, most) = (&told[1], told[2].parse::<u64>().unwrap());
            let message = refused(&format!("[{}]\n{key} = {}", table.path(), most + 1));
            let line = message.lines().find(|line| line.contains(&format!(".{key} is "))).unwrap();
            assert!(line.contains(&format!(" to {most} ")), "{about}: {line}");
            // Where it is another setting, its default stands in the message.
            let is_number = least.bytes().all(|byte| byte.is_ascii_digit());
            assert!(!is_number || line.contains(&format!(" {least} to ")), "{about}: {line}");
            count += 1;
        }
    }
    assert!(count > 30, "{count} ranges were found");
}
