//! Functions that stand in namespaces, which is how Codex sends those of its MCP servers. Other
//! dialects have no such thing: a function gets one name of both, and its calls are shown with both
//! names again.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{domain::chat::Namespaced, gateway::translate::call_ids::digest};

/// Longest name of a function that everyone takes, in bytes.
const MAX_LEN: usize = 64;

/// The name of a function in a namespace.
pub(super) fn flat_name(namespace: &str, name: &str) -> String {
    let between = if namespace.ends_with("__") { "" } else { "__" };
    let flat = format!("{namespace}{between}{name}");
    if flat.len() <= MAX_LEN {
        return flat;
    }
    let hex = digest(&flat, 16);
    let mut cut = MAX_LEN - hex.len() - 1;
    while !flat.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}_{hex}", &flat[..cut])
}

/// The name and the namespace that a client knows a function by.
pub(super) fn shown<'a>(
    name: &'a str,
    namespaces: &'a BTreeMap<String, Namespaced>,
) -> (&'a str, Option<&'a str>) {
    match namespaces.get(name) {
        Some(known) => (&known.name, Some(&known.namespace)),
        None => (name, None),
    }
}

/// The name here of a function that a client has named.
pub(super) fn known<'a>(name: Cow<'a, str>, namespace: Option<&str>) -> Cow<'a, str> {
    match namespace.filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => Cow::Owned(flat_name(namespace, &name)),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_and_bounded() {
        assert_eq!(flat_name("mcp__github", "list"), "mcp__github__list");
        assert_eq!(flat_name("mcp__github__", "list"), "mcp__github__list");
        let long = flat_name(&"é".repeat(40), "list");
        assert!(long.len() <= MAX_LEN);
        assert_ne!(long, flat_name(&"é".repeat(40), "make"));
    }
}
