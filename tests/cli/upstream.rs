//! A provider that answers at once; but a stream it begins, and ends when it is told to.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

/// How a request begins that wants a GitHub token exchanged, and what it is given.
const EXCHANGE: &str = "GET /copilot_internal/v2/token ";
pub const COPILOT_TOKEN: &str = "tid=not-to-be-seen;exp=4102444800";

pub struct Upstream {
    pub address: SocketAddr,
    /// Ends one stream per message.
    pub end_stream: Sender<()>,
}

impl Upstream {
    /// Starts it on threads of its own, where it stays as long as the test program runs.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (end_stream, told) = channel();
        let told = Arc::new(Mutex::new(told));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let told = Arc::clone(&told);
                thread::spawn(move || answer(connection.unwrap(), &told));
            }
        });
        Self { address, end_stream }
    }
}

fn answer(mut connection: TcpStream, told: &Mutex<Receiver<()>>) {
    let request = read_request(&connection);
    if request.starts_with(EXCHANGE) {
        let body = format!(r#"{{"token":"{COPILOT_TOKEN}","expires_at":4102444800}}"#);
        let length = body.len();
        write!(
            connection,
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        return;
    }
    if !request.contains(r#""stream":true"#) {
        let body = r#"{"id":"1","object":"chat.completion","created":0,"model":"m","choices":[
            {"index":0,"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
        let length = body.len();
        write!(
            connection,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        return;
    }
    let event = |delta: &str, finish: &str| {
        format!(
            r#"data: {{"id":"1","object":"chat.completion.chunk","created":0,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
        ) + "\n\n"
    };
    let begun = event(r#"{"content":"Hello"}"#, "null");
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{begun}"
    )
    .unwrap();
    told.lock().unwrap().recv().unwrap();
    let rest = event(r#"{"content":"."}"#, "null") + &event("{}", r#""stop""#);
    write!(connection, "{rest}data: [DONE]\n\n").unwrap();
}

/// The first line of a request, and its body.
fn read_request(connection: &TcpStream) -> String {
    let mut connection = BufReader::new(connection);
    let mut first = String::new();
    connection.read_line(&mut first).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    first + &String::from_utf8(body).unwrap()
}
