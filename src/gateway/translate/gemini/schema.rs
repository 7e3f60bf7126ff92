//! Gemini's own schema, put into JSON schema.
//!
//! It is a part of OpenAPI 3.0: types in capitals, `nullable`, and whole numbers that may stand in
//! texts, because they have 64 bits.
//!
//! Source: <https://ai.google.dev/api/caching#Schema> (read 2026-11).

use serde_json::value::RawValue;

use super::compact::compact;
use super::fields::{self, camel, wrong};
use crate::{domain::chat::Json, gateway::translate::InvalidRequest};

/// Deepest schema that is read.
const MAX_DEPTH: usize = 64;

/// Errors: [`InvalidRequest`] when it is no schema, or too deep.
pub(super) fn json_schema(schema: &RawValue, path: &str) -> Result<Json, InvalidRequest> {
    let mut out = String::with_capacity(schema.get().len());
    write_schema(schema, path, 0, &mut out)?;
    Ok(Json::parse(out).expect("objects are written of texts and of values that were parsed"))
}

fn write_schema(
    schema: &RawValue,
    path: &str,
    depth: usize,
    out: &mut String,
) -> Result<(), InvalidRequest> {
    if depth > MAX_DEPTH {
        let message = format!("the schema is nested more than {MAX_DEPTH} deep");
        return Err(InvalidRequest::about(path.to_owned(), message));
    }
    if matches!(schema.get(), "true" | "false") {
        out.push_str(schema.get());
        return Ok(());
    }
    let mut fields = fields::at(path.to_owned(), schema)?;
    let is_nullable = fields.flag("nullable")? == Some(true);
    let mut members = Members::new(path, depth, is_nullable, out);
    for (name, value) in fields.rest() {
        members.write(&camel(&name), value)?;
    }
    members.end();
    Ok(())
}

/// The members of one schema, while they are written.
struct Members<'a> {
    path: &'a str,
    depth: usize,
    is_nullable: bool,
    out: &'a mut String,
    is_first: bool,
}

impl<'a> Members<'a> {
    fn new(path: &'a str, depth: usize, is_nullable: bool, out: &'a mut String) -> Self {
        out.push('{');
        Self { path, depth, is_nullable, out, is_first: true }
    }

    fn write(&mut self, name: &str, value: &RawValue) -> Result<(), InvalidRequest> {
        let text = value.get();
        match name {
            "type" => self.write_type(value),
            "enum" if self.is_nullable => {
                let list = self.list(name, value)?;
                self.key(name);
                self.out.push('[');
                for item in &list {
                    self.out.push_str(item.get());
                    self.out.push(',');
                }
                self.out.push_str("null]");
                Ok(())
            }
            "items" | "additionalProperties" | "not" => {
                self.key(name);
                write_schema(value, &self.path_of(name), self.depth + 1, self.out)
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => self.write_schemas(name, value),
            "properties" | "$defs" => self.write_named(name, name, value),
            "defs" => self.write_named(name, "$defs", value),
            "ref" => {
                self.field("$ref", text);
                Ok(())
            }
            "example" => {
                self.field("examples", &format!("[{text}]"));
                Ok(())
            }
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
            | "maxProperties" => {
                let number = text.trim_matches('"');
                number.parse::<u64>().map_err(|_| wrong(self.path_of(name), "a whole number"))?;
                self.field(name, number);
                Ok(())
            }
            // Says no more than `enum` and the order of the properties do.
            "format" if text == r#""enum""# => Ok(()),
            "propertyOrdering" => Ok(()),
            _ => {
                self.field(name, text);
                Ok(())
            }
        }
    }

    /// Clients that have a JSON schema already write types in small letters, or a list of them.
    fn write_type(&mut self, value: &RawValue) -> Result<(), InvalidRequest> {
        let Ok(kind) = serde_json::from_str::<String>(value.get()) else {
            self.list("type", value)?;
            self.field("type", value.get());
            return Ok(());
        };
        let kind = kind.to_ascii_lowercase();
        if !kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return Err(wrong(self.path_of("type"), "a type"));
        }
        match (&*kind, self.is_nullable) {
            ("type_unspecified", _) => (),
            (kind, true) => self.field("type", &format!(r#"["{kind}","null"]"#)),
            (kind, false) => self.field("type", &format!(r#""{kind}""#)),
        }
        Ok(())
    }

    fn write_schemas(&mut self, name: &str, value: &RawValue) -> Result<(), InvalidRequest> {
        let list = self.list(name, value)?;
        self.key(name);
        self.out.push('[');
        for (n, schema) in list.iter().enumerate() {
            if n > 0 {
                self.out.push(',');
            }
            let path = format!("{}[{n}]", self.path_of(name));
            write_schema(schema, &path, self.depth + 1, self.out)?;
        }
        if self.is_nullable && name == "anyOf" {
            self.out.push_str(r#",{"type":"null"}"#);
        }
        self.out.push(']');
        Ok(())
    }

    /// Writes an object whose values are schemas, whatever their names are.
    fn write_named(
        &mut self,
        name: &str,
        written: &str,
        value: &RawValue,
    ) -> Result<(), InvalidRequest> {
        let path = self.path_of(name);
        let named = fields::at(path.clone(), value)?;
        self.key(written);
        self.out.push('{');
        for (n, (key, schema)) in named.rest().enumerate() {
            if n > 0 {
                self.out.push(',');
            }
            self.out.push_str(&quoted(&key));
            self.out.push(':');
            write_schema(schema, &format!("{path}.{key}"), self.depth + 1, self.out)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn list<'v>(
        &self,
        name: &str,
        value: &'v RawValue,
    ) -> Result<Vec<&'v RawValue>, InvalidRequest> {
        serde_json::from_str(value.get()).map_err(|_| wrong(self.path_of(name), "a list"))
    }

    fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn key(&mut self, name: &str) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        self.out.push_str(&quoted(name));
        self.out.push(':');
    }

    fn field(&mut self, name: &str, json: &str) {
        self.key(name);
        self.out.push_str(&compact(json));
    }

    fn end(self) {
        self.out.push('}');
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(schema: &str) -> Result<Json, InvalidRequest> {
        json_schema(serde_json::from_str(schema).unwrap(), "parameters")
    }

    fn converted(schema: &str) -> String {
        convert(schema).expect(schema).as_str().to_owned()
    }

    #[test]
    fn types_lose_their_capitals_and_order_is_kept() {
        let schema = r#"{"type":"OBJECT","properties":{"z_name":{"type":"STRING","format":"enum",
            "enum":["a","b"]},"at":{"type":"ARRAY","items":{"type":"INTEGER"},"minItems":"1"}},
            "required":["z_name"],"propertyOrdering":["z_name","at"]}"#;
        assert_eq!(
            converted(schema),
            r#"{"type":"object","properties":{"z_name":{"type":"string","enum":["a","b"]},"at":{"type":"array","items":{"type":"integer"},"minItems":1}},"required":["z_name"]}"#
        );
    }

    #[test]
    fn what_may_be_null_says_so_in_its_type() {
        assert_eq!(
            converted(r#"{"nullable":true,"type":"STRING","enum":["a"]}"#),
            r#"{"type":["string","null"],"enum":["a",null]}"#
        );
        assert_eq!(
            converted(r#"{"any_of":[{"type":"STRING"}],"nullable":true}"#),
            r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#
        );
    }

    #[test]
    fn what_is_a_json_schema_already_stays_one() {
        let schema = r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/b"},"c":{"type":["string","null"]}},"$defs":{"b":{"type":"number"}},"additionalProperties":false}"##;
        assert_eq!(converted(schema), schema);
        assert_eq!(
            converted(r##"{"ref":"#/defs/a","defs":{"a":{"type":"NULL"}},"example":1}"##),
            r##"{"$ref":"#/defs/a","$defs":{"a":{"type":"null"}},"examples":[1]}"##
        );
    }

    #[test]
    fn nonsense_is_refused_with_its_path() {
        for (schema, path) in [
            (r#"{"properties":{"a":7}}"#, "parameters.properties.a"),
            (r#"{"properties":[]}"#, "parameters.properties"),
            (r#"{"anyOf":[[]]}"#, "parameters.anyOf[0]"),
            (r#"{"type":7}"#, "parameters.type"),
            (r#"{"type":"a\"b"}"#, "parameters.type"),
            (r#"{"minItems":"x"}"#, "parameters.minItems"),
        ] {
            assert_eq!(convert(schema).unwrap_err().param.as_deref(), Some(path), "{schema}");
        }
        let deep = format!("{}{}{}", r#"{"items":"#.repeat(200), "{}", "}".repeat(200));
        assert!(convert(&deep).unwrap_err().message.contains("nested"));
    }
}
