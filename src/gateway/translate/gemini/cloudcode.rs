//! Cloud Code Assist: Gemini's requests and answers, each in an envelope.
//!
//! Source: <https://github.com/google-gemini/gemini-cli>
//! `packages/core/src/code_assist/converter.ts` (read 2026-11).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{answer_in, request_out, stream_in};
use crate::{
    domain::{
        chat::{Answer, Delta, Losses, Request, Usage},
        failure::Failure,
        id::ModelName,
    },
    gateway::translate::{EventOutcome, ReadStream, Target, Unparsable, UpstreamSide, Written},
};

/// `/v1internal:generateContent` and its stream.
#[derive(Debug, Clone, Copy)]
pub struct Cloudcode<'a> {
    /// The project of Google's cloud that the account works in.
    pub project: Option<&'a str>,
}

/// A request, as it is sent.
#[derive(Serialize)]
struct Wrapped<'a, R> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    request: R,
}

/// An answer or an event of a stream, as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    trace_id: Option<String>,
}

impl Cloudcode<'_> {
    /// Puts a body of Gemini's into the envelope as it is. `None` when it is no JSON.
    pub fn wrap(&self, body: &[u8], model: &ModelName) -> Option<Vec<u8>> {
        let request: &RawValue = serde_json::from_slice(body).ok()?;
        Some(self.envelope(request, model))
    }

    /// Takes an answer of Gemini's, or the data of an event, out of the envelope. `None` when it is
    /// in none: an error stands bare.
    pub fn unwrap(data: &[u8]) -> Option<&[u8]> {
        Some(Envelope::parse(data)?.response?.get().as_bytes())
    }

    fn envelope(&self, request: impl Serialize, model: &ModelName) -> Vec<u8> {
        let envelope = Wrapped { model: model.as_str(), project: self.project, request };
        serde_json::to_vec(&envelope).expect("texts and parsed JSON values are always JSON")
    }
}

impl<'a> Envelope<'a> {
    fn parse(data: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        // A struct is read from a list too.
        text.trim_ascii_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
    }

    fn into_parts(self) -> Option<(&'a [u8], Option<String>)> {
        Some((self.response?.get().as_bytes(), self.trace_id))
    }
}

impl UpstreamSide for Cloudcode<'_> {
    fn write_request(&self, request: &Request, target: &Target<'_>) -> Written {
        let (body, losses) = request_out::with(request, target, |written, losses| {
            // Its requests are those of Vertex, which have no tier.
            losses.note_if(
                written.service_tier.take().is_some_and(|tier| tier != "standard"),
                "service_tier",
            );
            self.envelope(&*written, target.model)
        });
        Written { body, losses }
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, Failure> {
        let Some((response, trace_id)) = Envelope::parse(body).and_then(Envelope::into_parts)
        else {
            return answer_in::read(body);
        };
        let mut answer = answer_in::read(response)?;
        answer.id = answer.id.or(trace_id);
        Ok(answer)
    }

    fn may_end_each_event(&self) -> bool {
        true
    }

    fn stream_reader(&self) -> Box<dyn ReadStream> {
        Box::new(Reader::default())
    }
}

#[derive(Default)]
struct Reader(stream_in::Reader);

impl ReadStream for Reader {
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<EventOutcome, Unparsable> {
        self.0.read(Cloudcode::unwrap(data).unwrap_or(data), sink)
    }

    fn skip(&mut self, words: &str, are_thoughts: bool) {
        self.0.skip(words, are_thoughts);
    }

    fn usage(&self, json: &str) -> Option<Usage> {
        self.0.usage(json)
    }

    fn losses(&self) -> &Losses {
        self.0.losses()
    }
}
