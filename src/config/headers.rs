//! `headers` of a provider and of a key: which of them can be sent.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::bounds::Bounds;

/// `table` names where they stand.
pub fn check(headers: &BTreeMap<String, SecretString>, table: &str, bounds: &mut Bounds) {
    for (name, value) in headers {
        if !is_header_name(name) {
            bounds.refuse(table, format!("{name:?}"), "must be a header name");
        } else if !is_printable(value) {
            let wanted = "must be printable ASCII characters";
            bounds.refuse_secret(&format!("{table}.{name}"), wanted);
        }
    }
}

pub fn is_printable(value: &SecretString) -> bool {
    value.expose_secret().bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Source: RFC 9110 §5.6.2, `token`.
fn is_header_name(name: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token_byte)
}
