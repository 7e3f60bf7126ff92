//! What a candidate must have answered before any of it goes to the client: the law of Commit.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::services::Relay;
use crate::{
    domain::{
        failure::{Failure, FailureClass},
        rule::FailureRule,
    },
    gateway::{
        exchange::{Conversion, Ending, EventStream, Transcript, WholeAnswer},
        secret_mask::Secrets,
        upstream::{UpstreamRequest, UpstreamResponse, ruled_inside},
    },
};

/// Sends a request upstream and reads as much as proves the candidate. `None`: it says something else
/// than the stream that it was to go on with.
pub trait Commit<P>:
    AsyncFn(&Relay, UpstreamRequest<'_>, &Conversion) -> Result<Option<P>, Failure>
{
}

impl<P, F> Commit<P> for F where
    F: AsyncFn(&Relay, UpstreamRequest<'_>, &Conversion) -> Result<Option<P>, Failure>
{
}

/// A stream that has shown content.
pub struct CommittedStream {
    pub response: UpstreamResponse,
    pub stream: Box<EventStream>,
    /// What has come of it so far and is to be sent.
    pub held: Bytes,
    /// Set when it is over already.
    pub ending: Option<Ending>,
}

/// Sends a request and takes the whole answer, if it is a complete good one.
pub async fn commit_whole(
    relay: &Relay,
    request: UpstreamRequest<'_>,
    conversion: &Conversion,
) -> Result<Option<WholeAnswer>, Failure> {
    let told = Told { relay, rules: request.rules, secrets: request.secrets() };
    let response = relay.upstream.send(request).await?;
    let body = response.read_whole(relay.settings.max_answer_bytes).await?;
    told.whole(conversion, &body).map(Some)
}

/// What an answer that began well tells, as it may be passed on.
struct Told<'a> {
    relay: &'a Relay,
    rules: &'a [FailureRule],
    secrets: Secrets<'a>,
}

impl Told<'_> {
    fn whole(&self, conversion: &Conversion, body: &Bytes) -> Result<WholeAnswer, Failure> {
        let answer =
            conversion.whole(body.clone()).map_err(|failure| self.failed(failure, body))?;
        let mut losses = self.relay.upstream.masked_losses(self.secrets, answer.losses);
        let masked = self.masked(&answer.body, &[]);
        if masked.is_some() {
            losses.note_masked();
        }
        let body = masked.unwrap_or(answer.body);
        Ok(WholeAnswer { body, losses, ..answer })
    }

    /// `None`: it may be passed on as it is.
    fn masked(&self, events: &[u8], foreign: &[Range<usize>]) -> Option<Bytes> {
        self.relay.upstream.masked_answer(self.secrets, events, foreign)
    }

    /// `error`: the body, or the event, that the failure was read from.
    fn failed(&self, failure: Failure, error: &[u8]) -> Failure {
        let failure = ruled_inside(failure, error, self.rules);
        self.relay.upstream.masked(self.secrets, failure)
    }
}

/// Sends a request and reads its stream up to the first content event.
pub async fn commit_stream(
    relay: &Relay,
    request: UpstreamRequest<'_>,
    conversion: &Conversion,
) -> Result<Option<CommittedStream>, Failure> {
    let idle = relay.settings.idle_timeout;
    let stream = conversion.stream(relay.settings.resume);
    // An upstream's own keep-alives do not make it less silent.
    let proving =
        tokio::time::timeout(idle, read_to_commit(relay, request, conversion, stream, false));
    let silent = || {
        let detail = format!("no first event within {} s", idle.as_secs_f32());
        Failure::new(FailureClass::Silent, detail)
    };
    proving.await.map_err(|_| silent())?
}

/// Sends a request and reads its stream until it has said again all of `transcript`. That may take as
/// long as it took the first time; only the pauses are bounded, and the request itself. `None`: it
/// says something else.
pub async fn commit_resumed(
    relay: &Relay,
    request: UpstreamRequest<'_>,
    conversion: &Conversion,
    transcript: &Transcript,
) -> Result<Option<CommittedStream>, Failure> {
    match conversion.resuming(transcript) {
        Some(stream) => read_to_commit(relay, request, conversion, stream, true).await,
        None => Ok(None),
    }
}

fn cut(detail: &str) -> Failure {
    Failure::new(FailureClass::Cut, detail)
}

/// `resumes`: it goes on with another stream.
async fn read_to_commit(
    relay: &Relay,
    request: UpstreamRequest<'_>,
    conversion: &Conversion,
    mut stream: Box<EventStream>,
    resumes: bool,
) -> Result<Option<CommittedStream>, Failure> {
    let told = Told { relay, rules: request.rules, secrets: request.secrets() };
    let mut response = relay.upstream.send(request).await?;
    if response.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        // Most likely an error that came with a good status; it says more than that it is no stream.
        told.whole(conversion, &response.read_whole(relay.settings.max_answer_bytes).await?)?;
        let detail = "the provider sent a whole answer where a stream was asked for";
        return Err(Failure::new(FailureClass::Server, detail));
    }
    let mut held = BytesMut::new();
    loop {
        let ending = match response.next_of_stream().await? {
            Some(chunk) => {
                let output = stream.feed(chunk);
                if output.is_news {
                    response.goes_on();
                }
                let masked = told.masked(&output.forward, &output.foreign);
                if masked.is_some() {
                    stream.note_masked();
                }
                held.extend_from_slice(&masked.unwrap_or(output.forward));
                output.ending
            }
            None => match stream.end() {
                Some(last) => Some(Ending::Done(last)),
                None => return Err(cut("the stream ended before any content")),
            },
        };
        let is_proved = stream.is_proved();
        match ending {
            // Once it has gone on, its words are in the client's stream, which others can only go on with.
            Some(Ending::Failed(failure)) if !(resumes && is_proved) => {
                return Err(told.failed(failure, stream.error().unwrap_or_default()));
            }
            Some(Ending::Mismatch) => return Ok(None),
            Some(Ending::Done(_)) if !is_proved => return Err(cut("the stream was empty")),
            ending if is_proved => {
                let held = held.freeze();
                return Ok(Some(CommittedStream { response, stream, held, ending }));
            }
            // What has no content after so many bytes is let through: holding back more helps nobody.
            None if held.len() > relay.settings.hold_back_bytes => {
                let held = held.freeze();
                return Ok(Some(CommittedStream { response, stream, held, ending: None }));
            }
            _ => {}
        }
    }
}
