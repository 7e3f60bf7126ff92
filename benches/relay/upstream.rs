//! A small fast upstream for the benchmarks: fixed answers in every dialect, whole or as a stream of events,
//! each written by itself. Standard library only, so that `rustc -O` builds it.
//!
//! Usage: `upstream PORT FOLDER`, where FOLDER holds `DIALECT.whole` and `DIALECT.stream` (its events with a
//! zero byte between them; see `../workload.py`). Listens on 127.0.0.1, serves each connection from a thread.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
};

/// What the path of a request to each dialect holds.
const PATHS: [(&str, &str); 5] = [
    ("/chat/completions", "chat"),
    ("/messages", "messages"),
    ("/responses", "responses"),
    ("enerateContent", "gemini"),
    ("/api/chat", "ollama"),
];

/// How much of a body is looked at, at its beginning and its end: proxies order its fields anew.
const ENDS: usize = 1000;

/// What is written to clients of one dialect, built once.
struct Answers {
    path: &'static str,
    whole: Vec<u8>,
    /// Events as they are written, the first with the head of the response.
    events: Vec<Vec<u8>>,
}

impl Answers {
    fn read(folder: &Path, path: &'static str, dialect: &str) -> io::Result<Self> {
        let body = fs::read(folder.join(format!("{dialect}.whole")))?;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let stream = fs::read_to_string(folder.join(format!("{dialect}.stream")))?;
        let mut events: Vec<_> = stream.split('\0').map(chunk).collect();
        let kind = if dialect == "ollama" { "application/x-ndjson" } else { "text/event-stream" };
        let stream_head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        events[0] = [stream_head.as_bytes(), &events[0]].concat();
        if let Some(last) = events.last_mut() {
            last.extend_from_slice(b"0\r\n\r\n");
        }
        Ok(Self { path, whole: [head.as_bytes(), &body].concat(), events })
    }
}

/// Whether it reports usage and says nothing: Chat Completions sends that only when asked.
fn is_usage_alone(event: &[u8]) -> bool {
    contains(event, b"\"choices\":[],")
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The next request's path and body. None when the peer has closed the connection.
fn read_request(
    connection: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut part = [0; 64 * 1024];
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
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let head = head.to_ascii_lowercase();
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
    Ok(Some((path, body)))
}

fn serve(mut connection: TcpStream, dialects: &[Answers]) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some((path, body)) = read_request(&mut connection, &mut buffer)? {
        let Some(answers) = dialects.iter().find(|it| path.contains(it.path)) else {
            // Proxies ask whether it lives.
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        };
        // Said at the beginning or at the end; what is between may be long.
        let ends =
            [&body[..body.len().min(ENDS)], &body[body.len().saturating_sub(ENDS)..]].concat();
        if !path.contains("stream") && !contains(&ends, b"\"stream\":true") {
            connection.write_all(&answers.whole)?;
            continue;
        }
        let tells_usage = contains(&ends, b"include_usage");
        for event in answers.events.iter().filter(|it| tells_usage || !is_usage_alone(it)) {
            connection.write_all(event)?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: upstream PORT FOLDER");
    let port = env::args().nth(1).and_then(|port| port.parse().ok()).ok_or_else(usage)?;
    let folder = env::args_os().nth(2).ok_or_else(usage)?;
    let read = |(path, dialect)| Answers::read(Path::new(&folder), path, dialect);
    let dialects: Arc<[Answers]> = PATHS.into_iter().map(read).collect::<io::Result<_>>()?;
    for connection in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let (connection, dialects) = (connection?, Arc::clone(&dialects));
        // An error is a peer that left in the middle: the load generator does at the end of a run.
        thread::spawn(move || serve(connection, &dialects));
    }
    Ok(())
}
