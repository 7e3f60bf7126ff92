//! Ids of calls as an upstream takes them: none empty, none too long, and a result's that of its call.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

use sha2::{Digest, Sha256};

use crate::domain::chat::{CallKind, ToolCall, ToolResult};

/// Longest id of a call that OpenAI takes, in characters. Source: its refusal
/// `string_above_max_length` for `call_id` (2026-11).
const MAX_LEN: usize = 64;

/// The ids of one request's calls.
#[derive(Debug, Default)]
pub(super) struct CallIds {
    made: usize,
    /// Calls without ids that have no result yet: their names and the ids made for them.
    waiting: VecDeque<(String, String)>,
    kinds: HashMap<String, CallKind>,
}

impl CallIds {
    pub fn of_call<'a>(&mut self, call: &'a ToolCall) -> Cow<'a, str> {
        let id = if call.id.is_empty() {
            let id = format!("call_{}", self.made);
            self.made += 1;
            self.waiting.push_back((call.name.clone(), id.clone()));
            Cow::Owned(id)
        } else {
            short(&call.id)
        };
        self.kinds.insert(id.clone().into_owned(), call.kind);
        id
    }

    /// The id of the call that a result belongs to, and how that was made.
    pub fn of_result<'a>(&mut self, result: &'a ToolResult) -> (Cow<'a, str>, CallKind) {
        let id = if result.call_id.is_empty() {
            Cow::Owned(self.next_waiting(result.name.as_deref()))
        } else {
            short(&result.call_id)
        };
        let kind = self.kinds.get(&*id).copied().unwrap_or(result.kind);
        (id, kind)
    }

    /// The first call of that name that waits for a result, or the first at all.
    fn next_waiting(&mut self, name: Option<&str>) -> String {
        let named = self.waiting.iter().position(|(call, _)| name == Some(call.as_str()));
        if let Some((_, id)) = self.waiting.remove(named.unwrap_or(0)) {
            return id;
        }
        let id = format!("call_{}", self.made);
        self.made += 1;
        id
    }
}

fn short(id: &str) -> Cow<'_, str> {
    if id.chars().count() <= MAX_LEN {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("call_{:016x}", hash_of(id)))
}

/// Tells apart what is too long to be told apart by itself.
pub(super) fn hash_of(text: &str) -> u64 {
    let hash = Sha256::digest(text);
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, name: &str) -> ToolCall {
        let (id, name) = (id.to_owned(), name.to_owned());
        ToolCall { id, name, kind: CallKind::Function, input: "{}".to_owned(), seal: None }
    }

    fn result(call_id: &str, name: Option<&str>) -> ToolResult {
        ToolResult {
            call_id: call_id.to_owned(),
            name: name.map(str::to_owned),
            kind: CallKind::Function,
            parts: Vec::new(),
            is_error: false,
        }
    }

    #[test]
    fn results_find_calls_that_have_no_id() {
        let mut ids = CallIds::default();
        let calls = [call("", "a"), call("", "b"), call("", "a")];
        let made: Vec<_> = calls.iter().map(|call| ids.of_call(call).into_owned()).collect();
        assert_eq!(made, ["call_0", "call_1", "call_2"]);
        assert_eq!(ids.of_result(&result("", Some("b"))).0, "call_1");
        assert_eq!(ids.of_result(&result("", Some("a"))).0, "call_0");
        assert_eq!(ids.of_result(&result("", None)).0, "call_2");
        assert_eq!(ids.of_result(&result("", None)).0, "call_3");
    }

    #[test]
    fn long_ids_are_shortened_alike_for_call_and_result() {
        let long = "x".repeat(65);
        let mut ids = CallIds::default();
        let custom = ToolCall { kind: CallKind::Custom, ..call(&long, "a") };
        let id = ids.of_call(&custom).into_owned();
        assert!(id.len() <= MAX_LEN);
        let result = result(&long, None);
        assert_eq!(ids.of_result(&result), (Cow::Borrowed(&*id), CallKind::Custom));
        assert_eq!(short(&"y".repeat(64)), "y".repeat(64));
    }
}
