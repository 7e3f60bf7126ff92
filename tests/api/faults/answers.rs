//! Whole answers and heads that look good and are not.

use super::{
    super::support::script::{
        Answer, End, MakeStep, Step, error_event, raw, stream, stream_of, whole,
    },
    cell::{Fault, both, streamed, whole as unstreamed},
    lines::{CUT, SERVER, STALLED, WELL},
    settings::little_patience,
};

const ERROR_BODY: &str = r#"{"error":{"message":"no","type":"server_error","code":null}}"#;
const PAGE: &str = "<html>all is good</html>";

fn good() -> Answer {
    whole("Hello world")
}

fn good_stream() -> String {
    use super::super::support::script::Piece;
    let pieces = stream_of(&["Hello", " world"]).pieces.into_iter();
    let text = pieces.map(|piece| match piece {
        Piece::Send(text) => text,
        Piece::Wait(_) | Piece::Told | Piece::Pause(_) => String::new(),
    });
    text.collect()
}

/// An answer without a length: its end is that of the connection.
fn unframed(kind: &str, body: &str) -> Step {
    Step::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n{body}"))
}

const fn of_server(step: MakeStep) -> Fault {
    both(step, SERVER)
}

faults! {
    an_error_with_a_good_status: [of_server(|| raw(200, ERROR_BODY).into())];
    an_answer_of_another_type: [
        of_server(|| raw(200, PAGE).header("content-type", "text/html").into()),
        // The name is wrong and the answer is right.
        unstreamed(|| good().header("content-type", "text/plain").into(), WELL),
        streamed(|| stream_of(&["Hello", " world"]).called("text/plain").into(), WELL),
        // One was asked for and the other is given.
        streamed(|| good().into(), SERVER),
        unstreamed(|| stream_of(&["Hello", " world"]).into(), SERVER),
    ];
    an_answer_that_lies_about_its_compression: [
        of_server(|| good().header("content-encoding", "gzip").into()),
        of_server(|| raw(200, good_stream()).header("content-encoding", "gzip").into()),
        of_server(|| raw(200, "\u{1f}\u{8b}\u{8}\0\0\0\0\0").into()),
    ];
    an_answer_that_is_empty: [
        of_server(|| raw(200, "").into()),
        of_server(|| raw(204, "").into()),
        unstreamed(|| stream().into(), SERVER),
    ];
    an_answer_that_is_no_answer: [
        unstreamed(|| raw(200, "{}").into(), SERVER),
        unstreamed(|| raw(200, "{\"choices\":[").into(), SERVER),
        unstreamed(|| raw(200, "what?").into(), SERVER),
    ];
    a_whole_answer_that_is_cut: [
        unstreamed(|| stream().send(&good().body[..40]).then(End::Cut).into(), CUT),
        unstreamed(|| stream().then(End::Cut).into(), CUT),
    ];
    a_whole_answer_that_stops: [
        unstreamed(|| stream().send(&good().body[..40]).then(End::Stall).into(), STALLED)
            .with(little_patience),
    ];
    an_answer_without_a_length: [
        unstreamed(|| unframed("application/json", &good().body), WELL),
        streamed(|| unframed("text/event-stream", &good_stream()), WELL),
    ];
    an_error_as_the_first_event: [streamed(|| stream().send(error_event()).into(), SERVER)];
}
