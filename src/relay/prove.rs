//! The proof: what a candidate must have shown before any of it goes to the client.

use bytes::{Bytes, BytesMut};

use super::services::Relay;
use crate::{
    domain::failure::{Failure, FailureClass},
    gateway::{
        dialect::openai_chat::WholeAnswer,
        stream::chat_stream::{ChatStream, Ending, StreamEnd},
        upstream::{UpstreamRequest, UpstreamResponse},
    },
};

/// A complete good answer.
pub struct ProvedWhole {
    pub body: Bytes,
    pub answer: WholeAnswer,
}

/// A stream that has shown content.
pub struct ProvedStream {
    pub response: UpstreamResponse,
    pub chat: ChatStream,
    /// What has come of it so far and is to be sent.
    pub held: Bytes,
    /// Set when it is over already.
    pub ending: Option<Ending>,
}

/// Sends a request and takes the whole answer, if it is a complete good one.
pub async fn prove_whole(
    relay: &Relay,
    request: UpstreamRequest<'_>,
) -> Result<ProvedWhole, Failure> {
    let response = relay.upstream.send(request).await?;
    let body = response.read_whole(relay.settings.max_answer_bytes).await?;
    let answer = WholeAnswer::parse(&body)?;
    Ok(ProvedWhole { body, answer })
}

/// Sends a request and reads its stream up to the first content event.
pub async fn prove_stream(
    relay: &Relay,
    request: UpstreamRequest<'_>,
    strip_usage: bool,
) -> Result<ProvedStream, Failure> {
    let idle = relay.settings.idle_timeout;
    // An upstream's own keep-alives do not make it less silent.
    let proving = tokio::time::timeout(idle, read_to_content(relay, request, strip_usage));
    proving.await.unwrap_or_else(|_| {
        let detail = format!("no first event within {} s", idle.as_secs_f32());
        Err(Failure::new(FailureClass::Silent, detail))
    })
}

async fn read_to_content(
    relay: &Relay,
    request: UpstreamRequest<'_>,
    strip_usage: bool,
) -> Result<ProvedStream, Failure> {
    let mut response = relay.upstream.send(request).await?;
    if response.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        // Most likely an error that came with a good status; it says more than that it is no stream.
        WholeAnswer::parse(&response.read_whole(relay.settings.max_answer_bytes).await?)?;
        let detail = "the provider sent a whole answer where a stream was asked for";
        return Err(Failure::new(FailureClass::Server, detail));
    }
    let mut chat = ChatStream::new(strip_usage);
    let mut held = BytesMut::new();
    loop {
        let ending = match response.next_chunk().await? {
            Some(chunk) => {
                let output = chat.feed(chunk);
                held.extend_from_slice(&output.forward);
                output.ending
            }
            None if chat.end() == StreamEnd::Cut => {
                return Err(Failure::new(FailureClass::Cut, "the stream ended before any content"));
            }
            None => Some(Ending::Done(Bytes::new())),
        };
        let is_proved = chat.progress().proved;
        match ending {
            Some(Ending::Failed(failure)) => return Err(failure),
            Some(Ending::Done(_)) if !is_proved => {
                return Err(Failure::new(FailureClass::Cut, "the stream was empty"));
            }
            ending if is_proved => {
                return Ok(ProvedStream { response, chat, held: held.freeze(), ending });
            }
            // What has no content after so many bytes is let through: holding back more helps nobody.
            None if held.len() > relay.settings.hold_back_bytes => {
                return Ok(ProvedStream { response, chat, held: held.freeze(), ending: None });
            }
            _ => {}
        }
    }
}
