//! Ids of calls as an upstream takes them: none empty, none that it refuses, and a result's that of its
//! call.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::domain::{
    chat::{ToolCall, ToolResult},
    model_rules::CallIdRule,
};

/// Gives calls their ids. Dialects without ids tell by the name and the order which result belongs
/// to which call.
#[derive(Debug)]
pub(super) struct CallIds {
    rule: CallIdRule,
    /// How ids begin that are made here.
    prefix: &'static str,
    made: usize,
    /// Calls that have no result up to now, in order.
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    id: String,
    name: String,
}

impl CallIds {
    pub fn new(rule: CallIdRule, prefix: &'static str) -> Self {
        Self { rule, prefix, made: 0, open: Vec::new() }
    }

    /// Begins a message, where earlier calls get no results any more.
    pub fn begin_message(&mut self) {
        self.open.clear();
    }

    pub fn of_call<'c>(&mut self, call: &'c ToolCall) -> Cow<'c, str> {
        let id = if call.id.is_empty() { self.make() } else { self.fitting(&call.id) };
        self.open.push(Open { id: id.clone().into_owned(), name: call.name.clone() });
        id
    }

    /// A result without an id answers the first call of its name, or else the first of all.
    pub fn of_result<'r>(&mut self, result: &'r ToolResult) -> Cow<'r, str> {
        if !result.call_id.is_empty() {
            let id = self.fitting(&result.call_id);
            self.open.retain(|open| open.id != id);
            return id;
        }
        let by_name = |name: &str| self.open.iter().position(|open| open.name == name);
        let at = result.name.as_deref().and_then(by_name).unwrap_or(0);
        if at < self.open.len() { self.open.remove(at).id.into() } else { self.make() }
    }

    fn make(&mut self) -> Cow<'static, str> {
        let id = format!("{}_{}", self.prefix, self.made);
        self.made += 1;
        self.fitting(&id).into_owned().into()
    }

    /// The id itself where the rule allows it, otherwise one that is made of it.
    fn fitting<'i>(&self, id: &'i str) -> Cow<'i, str> {
        let is_of_words = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        match self.rule {
            CallIdRule::UpTo(most) if id.chars().count() > most => {
                format!("{}_{}", self.prefix, digest(id, 24)).into()
            }
            CallIdRule::Nine if id.len() != 9 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                digest(id, 9).into()
            }
            CallIdRule::Words if !id.chars().all(is_of_words) => {
                id.chars().map(|c| if is_of_words(c) { c } else { '_' }).collect::<String>().into()
            }
            _ => Cow::Borrowed(id),
        }
    }
}

/// So many digits that tell one text from another.
pub(super) fn digest(text: &str, digits: usize) -> String {
    let hash = Sha256::digest(text);
    let halves = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let hex = halves.filter_map(|half| char::from_digit(u32::from(half), 16));
    hex.take(digits).collect()
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
            signature: None,
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
        let results = [result("", Some("b")), result("", None), result("", Some("x"))];
        let mut ids = CallIds::new(CallIdRule::Any, "call");
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
            (CallIdRule::UpTo(40), &*long, 29),
            (CallIdRule::Nine, "call_1", 9),
            (CallIdRule::Nine, "call-1234", 9),
            (CallIdRule::Words, "functions.get:0", 15),
        ] {
            let (call, result) = (call(id, "a"), result(id, None));
            let mut ids = CallIds::new(rule, "call");
            let called = ids.of_call(&call);
            assert_eq!((called.len(), &*called != id), (length, true));
            assert_eq!(ids.of_result(&result), called);
        }
        for (rule, id) in [
            (CallIdRule::UpTo(41), &*long),
            (CallIdRule::Nine, "abc123XYZ"),
            (CallIdRule::Words, "toolu_01A-b"),
        ] {
            assert_eq!(CallIds::new(rule, "call").of_call(&call(id, "a")), id);
        }
    }
}
