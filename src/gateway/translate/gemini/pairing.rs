//! Which result belongs to which call, where a client gives no ids.

use std::collections::VecDeque;

/// Most calls that are remembered as waiting for their result.
const MAX_WAITING: usize = 1024;

/// Ids by the place of a call in the conversation, so that the same conversation has the same ids
/// each time it is sent, and results by the name of the call and the order.
#[derive(Default)]
pub(super) struct Pairing {
    seen: usize,
    waiting: VecDeque<(String, String)>,
}

impl Pairing {
    /// The id of the next call.
    pub fn call(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{}", self.seen));
        self.seen += 1;
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((id.clone(), name.to_owned()));
        id
    }

    /// The id of the call that the next result is for: the first of its name that still waits.
    pub fn result(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty());
        let place = match &id {
            Some(id) => self.waiting.iter().position(|(waiting, _)| waiting == id),
            None => self.waiting.iter().position(|(_, waiting)| waiting == name),
        };
        let waiting = place.and_then(|place| self.waiting.remove(place)).map(|(id, _)| id);
        id.or(waiting).unwrap_or_else(|| {
            self.seen += 1;
            format!("call_{}", self.seen - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_without_ids_go_to_calls_of_their_name_in_order() {
        let mut pairing = Pairing::default();
        let ids = ["f", "g", "f"].map(|name| pairing.call(None, name));
        assert_eq!(ids, ["call_0", "call_1", "call_2"]);
        let results = ["g", "f", "f", "h"].map(|name| pairing.result(None, name));
        assert_eq!(results, ["call_1", "call_0", "call_2", "call_3"]);
    }

    #[test]
    fn ids_that_are_there_count() {
        let mut pairing = Pairing::default();
        assert_eq!(pairing.call(Some("a".into()), "f"), "a");
        assert_eq!(pairing.call(Some("b".into()), "f"), "b");
        assert_eq!(pairing.result(Some("b".into()), "f"), "b");
        assert_eq!(pairing.result(None, "f"), "a");
        assert_eq!(pairing.call(Some(String::new()), "f"), "call_2");
    }
}
