//! Requests that continue an answer by its id: what was said before is put back into the body, and
//! what is said now is kept for the next one.

use bytes::Bytes;
use serde::Deserialize;

use super::{
    deadline::{Deadline, DeadlinePassed},
    dispatch::Dispatch,
    services::Relay,
};
use crate::{
    actors::histories::{AnswerGiven, FindHistory},
    domain::id::KeyId,
    gateway::{
        exchange::{ClientApi, ClientCall, ClientRequest},
        translate::responses::{history_of, previous_response_id, with_history},
    },
};

/// A request's body, with the conversation it continues where that is known here.
pub struct Recalled {
    pub body: Bytes,
    /// The answer whose conversation was put into the body.
    pub continues: Option<String>,
}

impl From<Bytes> for Recalled {
    fn from(body: Bytes) -> Self {
        Self { body, continues: None }
    }
}

impl Relay {
    /// A body that continues an answer which is not known here stays as it is: its upstream may know
    /// it.
    pub async fn recall(
        &self,
        asked: ClientCall,
        owner: &KeyId,
        body: Bytes,
        deadline: Deadline,
    ) -> Recalled {
        if asked != ClientCall::Generate(ClientApi::Responses) {
            return body.into();
        }
        let Some(response_id) = previous_response_id(&body) else { return body.into() };
        // Written anew it would look as if it had been clear.
        if ClientRequest::is_ambiguous(asked, &body) {
            return body.into();
        }
        let question = FindHistory { owner: owner.clone(), response_id: response_id.clone() };
        // Without an answer it is as if it were not kept; after the deadline nobody is asked.
        match deadline.bound(self.recipients.find_history.send(question)).await {
            Ok(Ok(Some(items))) => {
                let body = with_history(&body, &items).into();
                Recalled { body, continues: Some(response_id) }
            }
            Ok(Ok(None) | Err(_)) | Err(DeadlinePassed) => body.into(),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    id: Option<String>,
    response: Option<Box<Answer>>,
}

impl Dispatch {
    /// Keeps what the next request may continue. `last`: the whole answer, or the events that end it, of
    /// which the last one holds it.
    pub(super) fn remember(&self, last: &[u8]) {
        let request = &self.admitted.request;
        if request.asked() != ClientCall::Generate(ClientApi::Responses) || !request.may_be_kept() {
            return;
        }
        let Some((response_id, json)) = answer_in(last) else { return };
        let items = history_of(request.body(), json).into();
        let owner = self.admitted.owner.id.clone();
        self.relay().recipients.answer_given.do_send(AnswerGiven { owner, response_id, items });
    }
}

/// The id of an answer, and the JSON it stands in.
fn answer_in(last: &[u8]) -> Option<(String, &[u8])> {
    let lines = last.rsplit(|byte| *byte == b'\n');
    lines.filter_map(|line| line.strip_prefix(b"data:")).chain([last]).find_map(|json| {
        let json = json.trim_ascii();
        let answer: Answer = serde_json::from_slice(json).ok()?;
        Some((answer.response.and_then(|response| response.id).or(answer.id)?, json))
    })
}
