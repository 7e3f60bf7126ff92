//! What goes over the socket, all of it JSON text: one `system.hello`, a `system.gap` when something
//! is missing, then events. The two system frames carry no `seq`: they are said to one subscriber
//! and are not events.

use actix_ws::{CloseCode, CloseReason};
use serde::Serialize;

use crate::{
    actors::events::EndReason,
    domain::{access_key::KeyFault, event::Event},
};

#[derive(Serialize)]
#[serde(tag = "type")]
enum SystemFrame {
    /// The subscription is in force. Who loses the connection before the first event resumes with
    /// `since=last_seq`.
    #[serde(rename = "system.hello")]
    Hello { last_seq: u64 },
    /// Events that were asked for are gone; the next that can be had is `first_available`.
    #[serde(rename = "system.gap")]
    Gap { first_available: u64 },
}

/// The first frame of every connection; `last_seq` is the number of the newest event.
pub fn hello(last_seq: u64) -> String {
    to_json(&SystemFrame::Hello { last_seq })
}

/// The frame before a backlog that does not reach as far back as was asked for.
pub fn gap(first_available: u64) -> String {
    to_json(&SystemFrame::Gap { first_available })
}

/// The frame of one event.
pub fn event(event: &Event) -> String {
    to_json(event)
}

fn to_json(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).expect("a frame has text keys and plain values")
}

/// Why we end a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// There are no more events for this subscriber.
    Events(EndReason),
    /// The key it was opened with opens it no longer.
    Key(KeyFault),
    /// The client closed; its close frame is answered.
    Client,
    /// The client sent nothing, not even a pong, for two heartbeats.
    Silent,
    /// The client sent a frame larger than any it has a reason to send.
    FrameTooLarge,
    /// The client sent what is not WebSocket.
    Malformed,
}

impl Ending {
    /// The code and the words of the close frame. Source: RFC 6455 §7.4.1 and the IANA registry
    /// (1013, try again later).
    pub fn close_reason(self) -> CloseReason {
        let of_key;
        let (code, words) = match self {
            Self::Events(EndReason::TooSlow) => (
                CloseCode::Again,
                "too slow: events came faster than they were read; resume with since",
            ),
            Self::Events(EndReason::Stopping) => (CloseCode::Away, "the pool is stopping"),
            Self::Key(fault) => {
                of_key = fault.to_string();
                (CloseCode::Policy, of_key.as_str())
            }
            Self::Client => (CloseCode::Normal, "closed by the client"),
            Self::Silent => (CloseCode::Policy, "no pong within two heartbeats"),
            Self::FrameTooLarge => (CloseCode::Size, "frame too large"),
            Self::Malformed => (CloseCode::Protocol, "not a valid frame"),
        };
        CloseReason { code, description: Some(words.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_frames_have_the_documented_shape() {
        assert_eq!(hello(412), r#"{"type":"system.hello","last_seq":412}"#);
        assert_eq!(gap(7), r#"{"type":"system.gap","first_available":7}"#);
    }

    #[test]
    fn close_reasons_fit_into_a_control_frame() {
        for ending in [
            Ending::Events(EndReason::TooSlow),
            Ending::Events(EndReason::Stopping),
            Ending::Key(KeyFault::Changed),
            Ending::Client,
            Ending::Silent,
            Ending::FrameTooLarge,
            Ending::Malformed,
        ] {
            assert!(ending.close_reason().description.is_some_and(|words| words.len() <= 123));
        }
    }
}
