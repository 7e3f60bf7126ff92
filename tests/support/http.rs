//! The little of HTTP that a look at a running pool needs: one request per connection, waited for.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use super::PATIENCE;

/// A response as it came.
pub struct Answer {
    pub status: u16,
    /// The status line and the headers, in lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&start))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }
}

/// A response that is still being read.
pub struct Open {
    pub status: u16,
    pub head: String,
    pub body: BufReader<TcpStream>,
}

impl Open {
    /// Reads up to a line with `text` in it. `false`: the response ended before.
    pub fn read_until(&mut self, text: &str) -> bool {
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.body.read_until(b'\n', &mut line).unwrap() == 0 {
                return false;
            }
            if String::from_utf8_lossy(&line).contains(text) {
                return true;
            }
        }
    }
}

/// Sends a request and reads the whole response.
pub fn ask(address: SocketAddr, request: &str, key: &str, body: &str) -> Answer {
    let close = "connection: close\r\n";
    let Open { status, head, body: mut rest } = open(address, request, key, close, body);
    let mut body = Vec::new();
    rest.read_to_end(&mut body).unwrap();
    Answer { status, head, body: String::from_utf8(body).unwrap() }
}

pub fn get(address: SocketAddr, path: &str, key: &str) -> Answer {
    ask(address, &format!("GET {path}"), key, "")
}

/// Sends a request and reads the head of the response. `request` is method and path.
pub fn open(address: SocketAddr, request: &str, key: &str, headers: &str, body: &str) -> Open {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        connection,
        "{request} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    read_head(BufReader::new(connection))
}

fn read_head(mut connection: BufReader<TcpStream>) -> Open {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(connection.read_line(&mut head).unwrap(), 0, "no whole head: {head}");
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Open { status, head: head.to_lowercase(), body: connection }
}

/// The live event stream. What comes over it is looked through as bytes: the frames of a server are
/// plain text with a short head.
pub struct Events {
    opened: Open,
    /// What has come and has not been looked at.
    rest: String,
}

impl Events {
    /// Subscribes to the events since the start, of these types: who asks for fewer need not read
    /// as fast.
    pub fn subscribe(address: SocketAddr, key: &str, types: &str) -> Self {
        let headers = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: c2l4dGVlbiBieXRlcyE9PQ==\r\n";
        let request = format!("GET /api/v1/events?since=0&types={types}");
        let opened = open(address, &request, key, headers, "");
        assert_eq!(opened.status, 101, "{}", opened.head);
        Self { opened, rest: String::new() }
    }

    /// Reads on until an event of this type has come.
    pub fn wait_for(&mut self, kind: &str) {
        let wanted = format!(r#""type":"{kind}""#);
        let mut piece = [0; 4096];
        loop {
            if let Some(found) = self.rest.find(&wanted) {
                self.rest.drain(..found + wanted.len());
                return;
            }
            let length = self.opened.body.read(&mut piece).unwrap();
            assert_ne!(length, 0, "the event stream ended before {kind}");
            self.rest.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    }
}
