//! A small fast upstream for the benchmark: Chat Completions with a fixed answer, whole (1 KB) or as a
//! stream of 100 events, each written by itself. Standard library only, so that `rustc -O` builds it.
//!
//! Usage: `upstream PORT`. Listens on 127.0.0.1 and serves each connection from a thread.

use std::{
    env,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

const EVENTS: usize = 100;
const WHOLE_BODY_BYTES: usize = 1024;

/// Everything that is ever written, built once.
struct Answers {
    whole: Vec<u8>,
    /// Response head and events, as they are written; the terminal event comes after these.
    events: Vec<Vec<u8>>,
    usage: Vec<u8>,
    end: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let stub = whole_body("");
        let body = whole_body(&"a".repeat(WHOLE_BODY_BYTES - stub.len()));
        let whole = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );

        let mut events: Vec<_> = (0..EVENTS).map(|n| chunk(&event(n))).collect();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        events[0] = [head.as_bytes(), &events[0]].concat();
        let usage = chunk(
            "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
             \"model\":\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":50,\
             \"completion_tokens\":100,\"total_tokens\":150}}\n\n",
        );
        let end = [chunk("data: [DONE]\n\n"), b"0\r\n\r\n".to_vec()].concat();
        Self { whole: whole.into_bytes(), events, usage, end }
    }
}

fn whole_body(text: &str) -> String {
    format!(
        "{{\"id\":\"c1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"bench\",\
         \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\
         \"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":50,\"completion_tokens\":100,\
         \"total_tokens\":150}}}}"
    )
}

fn event(n: usize) -> String {
    let (delta, finish) = match n {
        0 => ("{\"role\":\"assistant\",\"content\":\"\"}", "null"),
        n if n + 1 == EVENTS => ("{}", "\"stop\""),
        _ => ("{\"content\":\" token\"}", "null"),
    };
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
         \"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{delta},\
         \"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The next request's body. None when the peer has closed the connection.
fn read_body(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut part = [0; 16 * 1024];
    let mut more = |buffer: &mut Vec<u8>| -> io::Result<bool> {
        let count = connection.read(&mut part)?;
        buffer.extend_from_slice(&part[..count]);
        Ok(count > 0)
    };
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if !more(buffer)? {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
    while buffer.len() < head_end + length {
        if !more(buffer)? {
            return Ok(None);
        }
    }
    let rest = buffer.split_off(head_end + length);
    let body = buffer.split_off(head_end);
    *buffer = rest;
    Ok(Some(body))
}

fn serve(mut connection: TcpStream, answers: &Answers) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(body) = read_body(&mut connection, &mut buffer)? {
        if !contains(&body, b"\"stream\":true") && !contains(&body, b"\"stream\": true") {
            connection.write_all(&answers.whole)?;
            continue;
        }
        for event in &answers.events {
            connection.write_all(event)?;
        }
        if contains(&body, b"include_usage") {
            connection.write_all(&answers.usage)?;
        }
        connection.write_all(&answers.end)?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let port = env::args().nth(1).and_then(|port| port.parse().ok());
    let port: u16 = port.ok_or_else(|| io::Error::other("usage: upstream PORT"))?;
    let answers = Arc::new(Answers::new());
    for connection in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let (connection, answers) = (connection?, Arc::clone(&answers));
        // An error is a peer that left in the middle: the load generator does at the end of a run.
        thread::spawn(move || serve(connection, &answers));
    }
    Ok(())
}
