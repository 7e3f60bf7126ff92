//! Where values come from, each source a layer over the one before it.

use std::{collections::BTreeMap, fs, io, path::Path};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    value::{Dict, Map, Value},
};
use serde::Serialize;

use super::{Config, error::ConfigError, expand::expand};

/// The file that is read from the working directory when no other is given.
pub const FILE_NAME: &str = "providerpool.toml";

const PREFIX: &str = "PROVIDERPOOL__";

/// Environment variables by name. An empty value counts as not set.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Of this process, without variables that are not UTF-8.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Values given on the command line.
#[derive(Default)]
pub struct Overrides(Vec<Layer>);

impl Overrides {
    /// Sets `key` (`server.bind`) because of `flag` (`--bind`), which an error will name.
    ///
    /// Panics for a value that is no text, number, boolean, list or table.
    pub fn set(&mut self, flag: &str, key: &str, value: impl Serialize) {
        let value = Value::serialize(value).expect("a flag is a plain value");
        self.0.push(Layer { place: format!("the flag {flag}"), values: nested(key, ".", value) });
    }
}

/// The values of one source.
#[derive(Clone)]
pub struct Layer {
    /// Goes after "in".
    place: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// All sources, the weakest first, with variables and files put in.
///
/// Errors: [`ConfigError`] of the first source that cannot be read.
pub fn layers(
    path: Option<&Path>,
    environment: &Environment,
    overrides: &Overrides,
) -> Result<Vec<Layer>, ConfigError> {
    let misspelt = misspelt(environment);
    if !misspelt.is_empty() {
        return Err(ConfigError::Invalid(misspelt.join("\n")));
    }
    let mut layers = Vec::new();
    layers.extend(file_layer(path)?);
    layers.extend(environment_layers(environment)?);
    layers.extend(overrides.0.iter().cloned());
    for layer in &mut layers {
        expand(&mut layer.values, &layer.place, environment)?;
    }
    Ok(layers)
}

fn file_layer(given: Option<&Path>) -> Result<Option<Layer>, ConfigError> {
    let path = given.unwrap_or(Path::new(FILE_NAME));
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if given.is_none() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    let place = path.display().to_string();
    let values = parse_toml(&text, &place)?;
    Ok(Some(Layer { place, values }))
}

fn parse_toml(text: &str, place: &str) -> Result<Dict, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        // Not its `Display`, which shows the line, and with it perhaps a secret.
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        ConfigError::Malformed { place: place.to_owned(), line, message }
    })
}

fn environment_layers(environment: &Environment) -> Result<Vec<Layer>, ConfigError> {
    let place = |name: &str| format!("the environment variable {name}");
    let mut layers = Vec::new();
    if let Some(url) = environment.value("DATABASE_URL") {
        let values = nested("database.url", ".", Value::from(url));
        layers.push(Layer { place: place("DATABASE_URL"), values });
    }
    for name in environment.0.keys() {
        let (Some(key), Some(text)) = (name.strip_prefix(PREFIX), environment.value(name)) else {
            continue;
        };
        let place = place(name);
        let value = parse_variable(text, &place)?;
        layers.push(Layer { values: nested(&key.to_ascii_lowercase(), "__", value), place });
    }
    Ok(layers)
}

/// Lists and tables are written as in TOML. All else stays text: only the field knows better.
fn parse_variable(text: &str, place: &str) -> Result<Value, ConfigError> {
    if !text.starts_with(['[', '{']) {
        return Ok(Value::from(text));
    }
    let mut parsed = parse_toml(&format!("value = {text}"), place)?;
    Ok(parsed.remove("value").expect("it was just written there"))
}

/// What is said of variables that would set a key if each underscore before it were two. Any others may
/// be somebody else's.
fn misspelt(environment: &Environment) -> Vec<String> {
    let names = environment.0.keys().filter(|name| environment.value(name).is_some());
    let said = names.filter_map(|name| {
        let words = name.strip_prefix(PREFIX.strip_suffix('_')?)?;
        if words.starts_with('_') {
            return None;
        }
        let words = words.replace("__", "_");
        let splits = words.match_indices('_').map(|(at, _)| {
            let (section, key) = words.split_at(at);
            format!("{section}_{key}")
        });
        let key = splits.chain([words.clone()]).find(|key| is_known(key))?;
        Some(format!("the environment variable {name} sets nothing: did you mean {PREFIX}{key}?"))
    });
    said.collect()
}

/// Whether a key, as variables have it, holds a value.
fn is_known(key: &str) -> bool {
    let values = nested(&key.to_ascii_lowercase(), "__", Value::from(""));
    let layer = Layer { place: String::new(), values };
    let read: Result<Config, _> = Figment::from(layer).extract_lossy();
    !read.is_err_and(|error| match error.kind {
        Kind::UnknownField(..) => true,
        Kind::InvalidType(_, expected) => expected.starts_with("struct "),
        _ => false,
    })
}

/// `value` at the end of a path of keys.
fn nested(key: &str, separator: &str, value: Value) -> Dict {
    match key.split_once(separator) {
        None => Dict::from([(key.to_owned(), value)]),
        Some((section, rest)) => {
            Dict::from([(section.to_owned(), Value::from(nested(rest, separator, value)))])
        }
    }
}
