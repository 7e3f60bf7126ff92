//! Counts what an upstream that reports no usage has used.

use std::rc::Rc;

use super::client_request::ClientRequest;
use crate::{
    domain::chat::{Answer, Delta, Usage},
    gateway::tokens::{OutputEstimate, estimate_prompt, estimated_usage},
};

/// What is known of an answer that may have to be counted here.
#[derive(Default)]
pub(super) struct Estimate {
    /// Absent where nobody will ask.
    request: Option<Rc<ClientRequest>>,
    output: OutputEstimate,
}

impl Estimate {
    pub fn of(request: Rc<ClientRequest>) -> Self {
        Self { request: Some(request), ..Self::default() }
    }

    pub fn add(&mut self, delta: &Delta<'_>) {
        if self.request.is_some() {
            self.output.add(delta);
        }
    }

    /// All that was used up to now.
    pub fn usage(&self) -> Usage {
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
