//! Counts what an upstream that reports no usage has used.

use std::rc::Rc;

use super::client_request::ClientRequest;
use crate::{
    domain::chat::{Answer, Delta, Usage},
    gateway::tokens::{OutputEstimate, estimate_prompt, estimated_usage},
};

/// Most text that waits to be counted, in bytes. Most upstreams do report, and then none of it is.
const MAX_WAITING_BYTES: usize = 64 * 1024;

/// What is known of an answer that may have to be counted here.
#[derive(Default)]
pub(super) struct Estimate {
    /// Absent where nobody will ask.
    request: Option<Rc<ClientRequest>>,
    output: OutputEstimate,
    words: String,
    thoughts: String,
}

impl Estimate {
    pub fn of(request: Rc<ClientRequest>) -> Self {
        Self { request: Some(request), ..Self::default() }
    }

    pub fn add(&mut self, delta: &Delta<'_>) {
        if self.request.is_none() {
            return;
        }
        match delta {
            Delta::Text { text, .. }
            | Delta::Refusal { text, .. }
            | Delta::CallInput { text, .. } => self.words.push_str(text),
            Delta::Reasoning { text, .. } => self.thoughts.push_str(text),
            Delta::CallBegin { .. } | Delta::Whole { .. } | Delta::ReasoningSeal { .. } => {
                self.output.add(delta);
            }
            _ => {}
        }
        if self.words.len() + self.thoughts.len() > MAX_WAITING_BYTES {
            self.count();
        }
    }

    fn count(&mut self) {
        let words = std::mem::take(&mut self.words).into();
        self.output.add(&Delta::Text { choice: 0, text: words });
        let text = std::mem::take(&mut self.thoughts).into();
        self.output.add(&Delta::Reasoning { choice: 0, text, is_summary: false });
    }

    /// All that was used up to now.
    pub fn usage(&mut self) -> Usage {
        self.count();
        estimated_usage(self.prompt(), &self.output)
    }

    pub fn of_answer(&self, answer: &Answer) -> Usage {
        estimated_usage(self.prompt(), &OutputEstimate::of_answer(answer))
    }

    fn prompt(&self) -> u64 {
        let request = self.request.as_ref().and_then(|request| request.common().ok());
        request.map_or(0, |request| estimate_prompt(request))
    }
}
