//! Ids of calls as an upstream takes them: the same for a call and for its result.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::domain::{
    chat::{ToolCall, ToolResult},
    model_rules::CallIdRule,
};

/// Longest id that OpenAI takes.
const MAX_LEN: usize = 40;

/// Gives calls their ids. Dialects without ids tell by the name and the order which result belongs
/// to which call.
pub(super) struct CallIds<'a> {
    rule: CallIdRule,
    /// Calls of the last message that have no result up to now: id and name.
    open: Vec<(Cow<'a, str>, &'a str)>,
    made: usize,
}

impl<'a> CallIds<'a> {
    pub fn new(rule: CallIdRule) -> Self {
        Self { rule, open: Vec::new(), made: 0 }
    }

    /// Begins a message: earlier calls get no results any more.
    pub fn begin_message(&mut self) {
        self.open.clear();
    }

    pub fn of_call(&mut self, call: &'a ToolCall) -> Cow<'a, str> {
        let id = if call.id.is_empty() { self.make() } else { self.fitting(&call.id) };
        self.open.push((id.clone(), &call.name));
        id
    }

    pub fn of_result(&mut self, result: &'a ToolResult) -> Cow<'a, str> {
        if !result.call_id.is_empty() {
            let id = self.fitting(&result.call_id);
            self.open.retain(|(open, _)| *open != id);
            return id;
        }
        let by_name = |name: &str| self.open.iter().position(|(_, called)| *called == name);
        let at = result.name.as_deref().and_then(by_name).unwrap_or(0);
        if at < self.open.len() { self.open.remove(at).0 } else { self.make() }
    }

    fn make(&mut self) -> Cow<'a, str> {
        let id = format!("call_{}", self.made);
        self.made += 1;
        match self.fitting(&id) {
            Cow::Borrowed(_) => Cow::Owned(id),
            Cow::Owned(id) => Cow::Owned(id),
        }
    }

    /// The id itself where the rule allows it, otherwise one that is made of it.
    fn fitting<'i>(&self, id: &'i str) -> Cow<'i, str> {
        let digest = |length: usize| {
            let digest = Sha256::digest(id.as_bytes());
            let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let hex = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
            hex.take(length).collect::<String>()
        };
        match self.rule {
            CallIdRule::Short if id.len() > MAX_LEN => format!("call_{}", digest(24)).into(),
            CallIdRule::Nine if id.len() != 9 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                digest(9).into()
            }
            _ => Cow::Borrowed(id),
        }
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
    fn results_without_ids_find_their_calls_by_name_and_order() {
        let calls = [call("", "a"), call("", "b"), call("", "a")];
        let results = [result("", Some("b")), result("", None), result("", Some("a"))];
        let mut ids = CallIds::new(CallIdRule::Any);
        let called: Vec<_> = calls.iter().map(|call| ids.of_call(call)).collect();
        assert_eq!(called, ["call_0", "call_1", "call_2"]);
        let told: Vec<_> = results.iter().map(|result| ids.of_result(result)).collect();
        assert_eq!(told, ["call_1", "call_0", "call_2"]);
        assert_eq!(ids.of_result(&results[0]), "call_3", "a result of nothing");
    }

    #[test]
    fn an_id_that_a_maker_refuses_is_replaced_alike_in_both_places() {
        let long = "x".repeat(41);
        for (rule, id, length) in [
            (CallIdRule::Short, &*long, 29),
            (CallIdRule::Nine, "call_1", 9),
            (CallIdRule::Nine, "call-1234", 9),
        ] {
            let (call, result) = (call(id, "a"), result(id, None));
            let mut ids = CallIds::new(rule);
            let called = ids.of_call(&call);
            assert_eq!((called.len(), &*called != id), (length, true));
            assert_eq!(ids.of_result(&result), called);
        }
        let plain = call("abc123XYZ", "a");
        assert_eq!(CallIds::new(CallIdRule::Nine).of_call(&plain), "abc123XYZ");
    }
}
