//! A provider that answers every request by a script, and remembers all it was sent.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The target of the first line.
    pub path: String,
    /// First line and headers, as they came.
    pub head: String,
    pub body: String,
}

pub struct Scripted {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    /// Starts it on threads of its own, where it stays as long as the test program runs. `answer` makes
    /// the bytes of a response, after which the connection is closed.
    pub fn start(answer: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (Arc::clone(&seen), Arc::new(answer));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut connection = connection.unwrap();
                    let Some(request) = read_request(&connection) else { return };
                    let response = answer(&request);
                    noted.lock().unwrap().push(request);
                    // Whoever asked may have left.
                    let _ = connection.write_all(response.as_bytes());
                });
            }
        });
        Self { address, seen }
    }

    /// What it was sent since this was asked before.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// A response with a body of JSON.
pub fn json(status: u16, headers: &str, body: &str) -> String {
    typed(status, "application/json", headers, body)
}

/// A response that is a stream of events.
pub fn events(headers: &str, body: &str) -> String {
    typed(200, "text/event-stream", headers, body)
}

pub fn typed(status: u16, kind: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\n{headers}\
         content-length: {length}\r\n\r\n{body}"
    )
}

fn read_request(connection: &TcpStream) -> Option<Seen> {
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    connection.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    Some(Seen { path, head, body: String::from_utf8(body).unwrap() })
}
