//! `${NAME}` and `file:PATH` in values.

use std::fs;

use figment::value::{Dict, Value};

use super::{error::ConfigError, sources::Environment};

/// Replaces, in every text below `values`, `${NAME}` by an environment variable (`$${` stands for
/// `${`) and then a text that was written `file:PATH` by the trimmed content of that file. What was
/// put in is not looked at again. `place` says where the values stand.
///
/// Errors: [`ConfigError::Invalid`] for a variable that is not set or a file that cannot be read.
pub fn expand(
    values: &mut Dict,
    place: &str,
    environment: &Environment,
) -> Result<(), ConfigError> {
    for (name, value) in values {
        expand_value(value, name, environment)
            .map_err(|Problem { key, what }| invalid(&key, place, &what))?;
    }
    Ok(())
}

struct Problem {
    key: String,
    what: String,
}

fn invalid(key: &str, place: &str, what: &str) -> ConfigError {
    ConfigError::Invalid(format!("{key} (in {place}): {what}"))
}

fn expand_value(value: &mut Value, key: &str, environment: &Environment) -> Result<(), Problem> {
    match value {
        Value::String(_, text) => {
            *text = expand_text(text, environment)
                .map_err(|what| Problem { key: key.to_owned(), what })?;
        }
        Value::Dict(_, values) => {
            for (name, value) in values {
                expand_value(value, &format!("{key}.{name}"), environment)?;
            }
        }
        Value::Array(_, values) => {
            for (index, value) in values.iter_mut().enumerate() {
                expand_value(value, &format!("{key}.{index}"), environment)?;
            }
        }
        Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => {}
    }
    Ok(())
}

fn expand_text(text: &str, environment: &Environment) -> Result<String, String> {
    let expanded = put_variables(text, environment)?;
    // Decided by what was written: the value of a variable does not become a file to read.
    if !text.starts_with("file:") {
        return Ok(expanded);
    }
    let path = &expanded["file:".len()..];
    let content =
        fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok(content.trim().to_owned())
}

fn put_variables(text: &str, environment: &Environment) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            expanded.push_str(&rest[..at - 1]);
            expanded.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        expanded.push_str(&rest[..at]);
        let Some(length) = rest[at..].find('}') else {
            return Err("\"${\" has no \"}\" (write \"$${\" for the characters themselves)".into());
        };
        let name = &rest[at + 2..at + length];
        let value = environment.value(name);
        expanded.push_str(value.ok_or(format!("the environment variable {name} is not set"))?);
        rest = &rest[at + length + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<String, String> {
        put_variables(text, &[("A", "x"), ("B", "${A}"), ("F", "file:/etc")].into_iter().collect())
    }

    #[test]
    fn variables_are_put_in_once() {
        assert_eq!(put("a${A}b${A}").unwrap(), "axbx");
        assert_eq!(put("${B}").unwrap(), "${A}");
        assert_eq!(put("$A $ {A} }").unwrap(), "$A $ {A} }");
    }

    #[test]
    fn two_dollars_stand_for_one() {
        assert_eq!(put("$${A}${A}").unwrap(), "${A}x");
        assert_eq!(put("$$").unwrap(), "$$");
    }

    #[test]
    fn what_cannot_be_put_in_is_named() {
        assert_eq!(put("${C}").unwrap_err(), "the environment variable C is not set");
        assert!(put("${A").unwrap_err().contains("has no"));
    }

    #[test]
    fn a_variable_does_not_name_a_file() {
        let environment = [("F", "file:/etc/hostname")].into_iter().collect();
        assert_eq!(expand_text("${F}", &environment).unwrap(), "file:/etc/hostname");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = expand_text("file:/no/such", &Environment::default()).unwrap_err();
        assert!(error.starts_with("cannot read /no/such: "), "{error}");
    }
}
