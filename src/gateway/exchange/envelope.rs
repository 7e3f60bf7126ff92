//! What an upstream puts around bodies and events that are otherwise, byte for byte, its client's.

use bytes::Bytes;

use crate::{domain::id::ModelName, gateway::translate::gemini::Cloudcode};

/// What is around a dialect that both sides speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// Nothing.
    None,
    /// Cloud Code's. An error of its may stand bare.
    Cloudcode,
}

impl Envelope {
    /// Puts the body of a request, which is JSON, into it.
    pub(super) fn wrap(self, body: &Bytes, model: &ModelName) -> Bytes {
        match self {
            Self::None => body.clone(),
            Self::Cloudcode => {
                let wrapped = Cloudcode { project: None }.wrap(body, model);
                wrapped.expect("it was read when the request came").into()
            }
        }
    }

    /// Takes a whole answer out of it.
    pub(super) fn unwrap(self, body: Bytes) -> Bytes {
        match self.inside(&body) {
            Some(inside) => body.slice_ref(inside),
            None => body,
        }
    }

    /// Takes the data of an event out of it, as an event of its own. `None`: there is nothing around it.
    pub(super) fn unwrap_event(self, data: &[u8]) -> Option<Vec<u8>> {
        let inside = self.inside(data)?;
        let mut event = Vec::with_capacity(inside.len() + 8);
        // What was sent in several lines has line feeds between its words.
        for line in inside.split(|byte| *byte == b'\n') {
            event.extend_from_slice(b"data: ");
            event.extend_from_slice(line);
            event.push(b'\n');
        }
        event.push(b'\n');
        Some(event)
    }

    fn inside(self, data: &[u8]) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::Cloudcode => Cloudcode::unwrap(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::{
        domain::{
            failure::FailureClass, id::RequestId, model::ModelFacts, provider::ApiFormat,
            time::Timestamp, usage::TokenUsage,
        },
        gateway::{
            exchange::{ClientApi, ClientCall, ClientRequest, Conversion, Ending, EventStream},
            stream::sse::MAX_EVENT_BYTES,
            translate::{PathParams, Target},
        },
    };

    /// Field names, numbers and spaces that no struct of ours would write.
    const ANSWER: &str = r#"{ "candidates":[{"content":{"role":"model","parts":[{"text":"Hi","novel":1.0}]},"finishReason":"STOP","urlContextMetadata":{"x":1e3}}] ,"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2},"novel":[{}] }"#;
    const FIRST: &str = r#"{"candidates":[{"content":{"parts":[{"text":"H\u00e9","novel":{}}]},"urlContextMetadata":{"x":1e3}}], "novel":1.50}"#;

    fn request(body: &str, stream: bool) -> Rc<ClientRequest> {
        let addressed = PathParams { model: ModelName::parse("m").ok(), stream: Some(stream) };
        let asked = ClientCall::Generate(ClientApi::Gemini);
        let body = Bytes::copy_from_slice(body.as_bytes());
        Rc::new(ClientRequest::parse(asked, body, &addressed).unwrap())
    }

    fn conversion(stream: bool) -> Conversion {
        let request = request(r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#, stream);
        let model = ModelName::parse("gemini-2.5-pro").unwrap();
        let at = Timestamp::from_millis(0);
        Conversion::new(
            request,
            ApiFormat::Cloudcode,
            model,
            RequestId::generate(),
            at,
            false,
            MAX_EVENT_BYTES,
        )
    }

    fn enveloped(response: &str) -> String {
        format!(r#"{{"traceId":"t", "response": {response} }}"#)
    }

    fn event(data: &str) -> String {
        format!("data: {data}\n\n")
    }

    /// Feeds a stream in two pieces, and gives what was sent, how it ended, and where it stands.
    fn pass(stream: &str, cut: usize) -> (String, Option<Ending>, Box<EventStream>) {
        let (mut passage, mut sent, mut ending) = (conversion(true).stream(true), Vec::new(), None);
        for piece in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
            let output = passage.feed(Bytes::copy_from_slice(piece));
            sent.extend_from_slice(&output.forward);
            ending = ending.or(output.ending);
        }
        (String::from_utf8(sent).unwrap(), ending, passage)
    }

    #[test]
    fn a_request_is_put_into_it_byte_for_byte() {
        let body = r#"{ "contents":[{"parts":[{"text":"h\u00e9"}]}], "novel" : [1.0, {"a":1e2}]}"#;
        let model = ModelName::parse("gemini-2.5-pro").unwrap();
        let target = Target { model: &model, max_output_tokens: None, asks_stream_usage: false };
        let sent = request(body, false)
            .for_upstream(ApiFormat::Cloudcode, &target, &ModelFacts::default())
            .unwrap();
        let expected = format!(r#"{{"model":"gemini-2.5-pro","request":{body}}}"#);
        assert_eq!((sent.body, sent.losses.is_empty()), (Bytes::from(expected), true));
    }

    #[test]
    fn a_whole_answer_is_taken_out_of_it_byte_for_byte() {
        for body in [enveloped(ANSWER), ANSWER.to_owned()] {
            let answer = conversion(false).whole(body.into()).unwrap();
            assert_eq!(answer.body, ANSWER);
            let tokens = TokenUsage { input: 5, output: 2, ..TokenUsage::default() };
            assert_eq!((answer.usage, answer.losses.is_empty()), (Some(tokens.into()), true));
        }
    }

    #[test]
    fn an_error_in_it_is_the_failure_it_stands_for() {
        let error = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#;
        for error in [error.to_owned(), enveloped(error)] {
            let failure = conversion(false).whole(error.clone().into()).err().unwrap();
            assert_eq!(failure.class, FailureClass::RateLimit, "{error}");
            let stream = event(&enveloped(FIRST)) + &event(&error);
            let (sent, ending, passage) = pass(&stream, 0);
            assert_eq!(sent, event(FIRST), "{error}");
            let Some(Ending::Failed(failure)) = ending else { panic!("{ending:?}") };
            assert_eq!(failure.class, FailureClass::RateLimit, "{error}");
            assert_eq!(passage.error(), Some(error.as_bytes()));
        }
    }

    #[test]
    fn a_stream_is_taken_out_of_it_wherever_it_is_cut() {
        let stream = event(&enveloped(FIRST)) + ": a comment\n\n" + &event(&enveloped(ANSWER));
        let expected = event(FIRST) + &event(ANSWER);
        for cut in 0..=stream.len() {
            let (sent, ending, mut passage) = pass(&stream, cut);
            assert_eq!((&sent, ending), (&expected, None), "cut at {cut}");
            let tokens = TokenUsage { input: 5, output: 2, ..TokenUsage::default() };
            assert!(passage.is_proved() && passage.losses().is_empty());
            assert_eq!((passage.usage(), passage.dropped()), (Some(tokens.into()), 0));
            assert_eq!(passage.end(), Some(Bytes::new()));
        }
    }

    #[test]
    fn a_stream_without_a_reason_to_end_is_cut() {
        let (sent, ending, mut passage) = pass(&event(&enveloped(FIRST)), 0);
        assert_eq!((sent, ending), (event(FIRST), None));
        assert_eq!(passage.end(), None);
    }

    #[test]
    fn data_of_several_lines_stays_readable() {
        let stream = "data: {\"response\":\ndata: {\"candidates\":[{\"content\":{\"parts\":\ndata: [{\"text\":\"Hi\"}]}}]}}\n\n";
        let (sent, ..) = pass(stream, 0);
        let lines = ["{\"candidates\":[{\"content\":{\"parts\":", "[{\"text\":\"Hi\"}]}}]}"];
        assert_eq!(sent, format!("data: {}\ndata: {}\n\n", lines[0], lines[1]));
    }
}
