//! Which call a result belongs to, in a dialect whose ids may be missing.

/// A call that has not been answered.
struct OpenCall {
    id: String,
    name: String,
}

/// The calls of the last message that made any, and how many there were before.
#[derive(Default)]
pub(super) struct OpenCalls {
    made: usize,
    open: Vec<OpenCall>,
}

impl OpenCalls {
    /// A message of the model begins: what it has called before will not be answered any more.
    pub fn begin_message(&mut self) {
        self.open.clear();
    }

    /// Adds a call and tells its id: its own, or one made from its place in the conversation, so that
    /// it is the same when the conversation comes again.
    pub fn add(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{}", self.made));
        self.made += 1;
        self.open.push(OpenCall { id: id.clone(), name: name.to_owned() });
        id
    }

    /// Finds the call that a result answers: by its id, else the first of this name, else the first.
    /// Its id, empty when there is no such call, and the name of the tool.
    pub fn answer(&mut self, id: Option<String>, name: Option<String>) -> (String, Option<String>) {
        let place = match (&id, &name) {
            (Some(id), _) => self.open.iter().position(|call| call.id == *id),
            (None, Some(name)) => self.open.iter().position(|call| call.name == *name),
            (None, None) => (!self.open.is_empty()).then_some(0),
        };
        match place.map(|place| self.open.remove(place)) {
            Some(call) => (call.id, name.or(Some(call.name))),
            None => (id.unwrap_or_default(), name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_without_ids_find_their_calls() {
        let mut calls = OpenCalls::default();
        calls.begin_message();
        assert_eq!(calls.add(None, "weather"), "call_0");
        assert_eq!(calls.add(Some("x".into()), "clock"), "x");
        assert_eq!(calls.add(None, "weather"), "call_2");
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(calls.answer(None, named("clock")), ("x".into(), named("clock")));
        assert_eq!(calls.answer(None, named("weather")), ("call_0".into(), named("weather")));
        assert_eq!(calls.answer(None, None), ("call_2".into(), named("weather")));
        assert_eq!(calls.answer(None, None), (String::new(), None));
        assert_eq!(calls.answer(named("y"), None), ("y".into(), None));
        calls.begin_message();
        assert_eq!(calls.add(None, "clock"), "call_3");
    }
}
