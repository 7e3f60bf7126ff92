//! Ids of calls, as this dialect takes them.

use std::{borrow::Cow, collections::VecDeque};

use crate::domain::chat::{ToolCall, ToolResult};

/// Gives each call of a conversation an id that upstreams take, and its result the same.
///
/// They are made of letters, digits, `_` and `-`.
/// Source: <https://platform.claude.com/docs/en/api/messages> (read 2026-11).
#[derive(Debug, Default)]
pub(super) struct CallIds {
    made: usize,
    /// Calls without an id that have no result yet: what they were given, and their names.
    unanswered: VecDeque<(String, String)>,
}

impl CallIds {
    pub fn of_call<'a>(&mut self, call: &'a ToolCall) -> Cow<'a, str> {
        if !call.id.is_empty() {
            return clean(&call.id);
        }
        let id = format!("toolu_{}", self.made);
        self.made += 1;
        self.unanswered.push_back((id.clone(), call.name.clone()));
        id.into()
    }

    /// A result without an id answers the first call of its name, or else the first of all.
    pub fn of_result<'a>(&mut self, result: &'a ToolResult) -> Cow<'a, str> {
        if !result.call_id.is_empty() {
            return clean(&result.call_id);
        }
        let named = self
            .unanswered
            .iter()
            .position(|(_, name)| result.name.as_ref().is_some_and(|wanted| wanted == name));
        match self.unanswered.remove(named.unwrap_or(0)) {
            Some((id, _)) => id.into(),
            None => "toolu_unknown".into(),
        }
    }
}

fn clean(id: &str) -> Cow<'_, str> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.chars().all(is_fit) {
        Cow::Borrowed(id)
    } else {
        id.chars().map(|c| if is_fit(c) { c } else { '_' }).collect::<String>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chat::CallKind;

    fn call(id: &str, name: &str) -> ToolCall {
        ToolCall {
            id: id.into(),
            name: name.into(),
            kind: CallKind::Function,
            input: String::new(),
            seal: None,
        }
    }

    fn result(call_id: &str, name: Option<&str>) -> ToolResult {
        ToolResult {
            call_id: call_id.into(),
            name: name.map(Into::into),
            kind: CallKind::Function,
            parts: Vec::new(),
            is_error: false,
        }
    }

    #[test]
    fn ids_are_made_fit_alike_for_call_and_result() {
        let mut ids = CallIds::default();
        assert_eq!(ids.of_call(&call("functions.get:0", "f")), "functions_get_0");
        assert_eq!(ids.of_result(&result("functions.get:0", None)), "functions_get_0");
        assert_eq!(ids.of_call(&call("toolu_01A-b", "f")), "toolu_01A-b");
    }

    #[test]
    fn calls_without_ids_are_answered_by_name_and_then_in_order() {
        let mut ids = CallIds::default();
        let made: Vec<String> = ["a", "b", "a"]
            .into_iter()
            .map(|name| ids.of_call(&call("", name)).into_owned())
            .collect();
        assert_eq!(made, ["toolu_0", "toolu_1", "toolu_2"]);
        assert_eq!(ids.of_result(&result("", Some("b"))), "toolu_1");
        assert_eq!(ids.of_result(&result("", None)), "toolu_0");
        assert_eq!(ids.of_result(&result("", Some("x"))), "toolu_2");
        assert_eq!(ids.of_result(&result("", None)), "toolu_unknown");
    }
}
