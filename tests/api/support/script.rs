//! What an upstream can be told to do, step by step, and the bytes it says.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The event that ends a stream.
pub const DONE: &str = "data: [DONE]\n\n";

/// What the upstream does with one call.
pub enum Step {
    Answer(Answer),
    Stream(Script),
    /// Resets the connection instead of an answer.
    Reset,
    /// Takes the request and says nothing.
    Silent,
    /// These very bytes, and the end of the connection.
    Bytes(String),
    /// A head that never ends.
    EndlessHead,
    /// Something else, after some time.
    Later(Duration, Box<Self>),
    /// Something else, when the test says so.
    Opened(oneshot::Receiver<()>, Box<Self>),
}

/// Makes the same step for each call.
pub type MakeStep = fn() -> Step;

/// A whole answer.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// An answer piece by piece.
pub struct Script {
    pub content_type: &'static str,
    pub pieces: Vec<Piece>,
    pub end: End,
}

pub enum Piece {
    Send(String),
    /// Goes on when the test says so.
    Wait(oneshot::Receiver<()>),
    /// Goes on when the client has been told that there will be more: the pool has waited for so long.
    Told,
    /// Goes on after some time.
    Pause(Duration),
}

pub enum End {
    Clean,
    /// The connection is closed in the middle of the body.
    Cut,
    /// Nothing more comes, and no end either.
    Stall,
}

/// Holds a stream back until it is opened, or dropped.
pub struct Gate(oneshot::Sender<()>);

pub fn gate() -> (Gate, oneshot::Receiver<()>) {
    let (open, opened) = oneshot::channel();
    (Gate(open), opened)
}

impl Gate {
    pub fn open(self) {
        // Whoever waited may have left.
        let _ = self.0.send(());
    }
}

impl Step {
    /// The same, after some time.
    pub fn after(self, time: Duration) -> Self {
        Self::Later(time, Box::new(self))
    }

    /// The same, when the test says so.
    pub fn when(self, opened: oneshot::Receiver<()>) -> Self {
        Self::Opened(opened, Box::new(self))
    }
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<Script> for Step {
    fn from(script: Script) -> Self {
        Self::Stream(script)
    }
}

/// An answer of any status and body.
pub fn raw(status: u16, body: impl Into<String>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into() }
}

/// A good answer of 5 prompt and 2 completion tokens.
pub fn whole(text: &str) -> Answer {
    let message = json!({"role": "assistant", "content": text});
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "upstream-model",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage(),
    });
    raw(200, body.to_string())
}

/// An error without a telling code.
pub fn error(status: u16) -> Answer {
    error_with_code(status, &Value::Null)
}

/// An error object with the given code.
pub fn error_with_code(status: u16, code: &Value) -> Answer {
    let error = json!({"message": "no, says the upstream", "type": "some_error", "param": null, "code": code});
    raw(status, json!({ "error": error }).to_string())
}

impl Answer {
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

pub fn usage() -> Value {
    json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7})
}

fn chunk(choices: &Value) -> String {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
        "model": "upstream-model", "choices": choices,
    });
    format!("data: {chunk}\n\n")
}

/// An event that says something.
pub fn content(text: &str) -> String {
    chunk(&json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]))
}

/// An event that says who speaks, and nothing more.
pub fn role() -> String {
    chunk(
        &json!([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]),
    )
}

/// The event with the finish reason.
pub fn finish() -> String {
    chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
}

/// The event that only reports what was used.
pub fn usage_chunk() -> String {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
        "model": "upstream-model", "choices": [], "usage": usage(),
    });
    format!("data: {chunk}\n\n")
}

/// An event that is an error.
pub fn error_event() -> String {
    let error = json!({"message": "no, says the upstream", "type": "server_error", "code": null});
    format!("data: {}\n\n", json!({ "error": error }))
}

/// A stream that is over before it has begun, to be added to.
pub fn stream() -> Script {
    Script { content_type: "text/event-stream", pieces: Vec::new(), end: End::Clean }
}

/// A good stream of these texts.
pub fn stream_of(texts: &[&str]) -> Script {
    let script =
        texts.iter().fold(stream().send(role()), |script, text| script.send(content(text)));
    script.send(finish()).send(usage_chunk()).send(DONE)
}

impl Script {
    pub fn send(mut self, piece: impl Into<String>) -> Self {
        self.pieces.push(Piece::Send(piece.into()));
        self
    }

    pub fn wait(mut self, opened: oneshot::Receiver<()>) -> Self {
        self.pieces.push(Piece::Wait(opened));
        self
    }

    pub fn pause(mut self, time: Duration) -> Self {
        self.pieces.push(Piece::Pause(time));
        self
    }

    pub fn until_told(mut self) -> Self {
        self.pieces.push(Piece::Told);
        self
    }

    pub fn called(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    pub fn then(self, end: End) -> Self {
        Self { end, ..self }
    }
}
