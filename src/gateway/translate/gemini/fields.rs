//! What this dialect's objects have beside those of others: names in two cases, and lists whose elements
//! are told by their places.

use serde_json::value::RawValue;

pub(super) use crate::gateway::translate::fields::{Fields, camel, must_be as wrong};
use crate::{
    domain::chat::Losses,
    gateway::translate::{InvalidRequest, fields::Naming},
};

/// Errors: [`InvalidRequest`] when the body is no JSON object.
pub(super) fn of_body(body: &[u8]) -> Result<Fields<'_>, InvalidRequest> {
    Fields::of_body_named(Naming::Proto, body)
}

/// Errors: [`InvalidRequest`] when the value at `path` is no object.
pub(super) fn at(path: String, raw: &RawValue) -> Result<Fields<'_>, InvalidRequest> {
    Fields::named_at(Naming::Proto, path, raw)
}

/// Takes a list: what stands in it, each with its path.
pub(super) fn placed<'a>(
    fields: &mut Fields<'a>,
    name: &str,
) -> Result<Vec<(String, &'a RawValue)>, InvalidRequest> {
    let list = fields.list(name)?;
    let path = fields.path_of(name);
    Ok(list.into_iter().enumerate().map(|(n, raw)| (format!("{path}[{n}]"), raw)).collect())
}

/// Notes everything that is left.
pub(super) fn note_rest(fields: Fields<'_>, losses: &mut Losses) {
    let path = without_places(fields.path());
    for (name, _) in fields.rest() {
        let name = camel(&name);
        losses.note(if path.is_empty() { name.into_owned() } else { format!("{path}.{name}") });
    }
}

/// Receipts name a field, wherever in a list it stood.
fn without_places(path: &str) -> String {
    path.split(['[', ']']).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_lost_by_its_name_in_camel_case_and_without_its_place() {
        let body = br#"{"a":{"b":[{"c":"x","x_y":1,"z":null}]}}"#;
        let mut fields = of_body(body).unwrap();
        let mut inner = fields.object("a").unwrap().unwrap();
        let (path, raw) = placed(&mut inner, "b").unwrap().pop().unwrap();
        let mut innermost = at(path, raw).unwrap();
        assert_eq!(innermost.flag("c").unwrap_err().param.as_deref(), Some("a.b[0].c"));
        let mut losses = Losses::default();
        note_rest(innermost, &mut losses);
        assert_eq!(losses.to_string(), "a.b.xY");
    }
}
