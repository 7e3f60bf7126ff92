//! An upstream on a raw socket: it can do what no decent server would.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
};

use super::script::{Answer, End, MakeStep, Piece, Script, Step, stream_of, whole};

/// A scripted upstream. Each call takes the next step; without one it answers well.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

/// What is answered to a request.
type AnswerTo = Arc<dyn Fn(&Seen) -> Step + Send + Sync>;

/// Which calls are meant, by their number, the first being 0.
pub type Which = fn(usize) -> bool;

#[derive(Default)]
struct Shared {
    /// Bound and not open yet: whoever connects is refused.
    closed: Mutex<Option<TcpSocket>>,
    script: Mutex<VecDeque<Step>>,
    always: Mutex<Option<(MakeStep, Which)>>,
    answer_to: Mutex<Option<AnswerTo>>,
    /// What it says when it answers well, in so many words.
    words: Mutex<&'static [&'static str]>,
    seen: Mutex<Vec<Seen>>,
    hung_up: AtomicUsize,
    /// Wakes whoever waits for the client to be told that there will be more.
    told: Notify,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Looks no closer than that: a body may hold numbers that few can read.
    fn wants_stream(&self) -> bool {
        self.text().contains("\"stream\":true")
    }

    /// The head as text, to look for what must not be there.
    pub fn head(&self) -> String {
        format!("{} {:?}", self.path, self.headers)
    }
}

/// A port where nobody listens.
pub async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

impl Upstream {
    pub fn start() -> Self {
        let upstream = Self::refusing();
        upstream.recover();
        upstream
    }

    /// Nobody listens there until it [recovers](Self::recover).
    pub fn refusing() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Shared {
            closed: Mutex::new(Some(socket)),
            words: Mutex::new(&["Hello", " world"]),
            ..Shared::default()
        };
        Self { address, shared: Arc::new(shared) }
    }

    /// From here on it answers well.
    pub fn recover(&self) {
        self.shared.script.lock().unwrap().clear();
        *self.shared.always.lock().unwrap() = None;
        *self.shared.answer_to.lock().unwrap() = None;
        if let Some(socket) = self.shared.closed.lock().unwrap().take() {
            tokio::spawn(accept(socket.listen(1024).unwrap(), Arc::clone(&self.shared)));
        }
    }

    /// Sets what it says when it answers well.
    pub fn say(&self, words: &'static [&'static str]) {
        *self.shared.words.lock().unwrap() = words;
    }

    /// Appends a step to the script.
    pub fn next(&self, step: impl Into<Step>) {
        self.shared.script.lock().unwrap().push_back(step.into());
    }

    /// What it does when the script has no more steps.
    pub fn always(&self, step: MakeStep) {
        self.at(step, |_| true);
    }

    /// What it does with some calls when the script has no more steps.
    pub fn at(&self, step: MakeStep, which: Which) {
        *self.shared.always.lock().unwrap() = Some((step, which));
    }

    /// What it does with each call when the script has no more steps, by what is asked.
    pub fn answer(&self, answer_to: impl Fn(&Seen) -> Step + Send + Sync + 'static) {
        *self.shared.answer_to.lock().unwrap() = Some(Arc::new(answer_to));
    }

    /// The client has been told that there will be more. Only those who wait by now go on: a client
    /// is told again and again.
    pub fn client_is_told(&self) {
        self.shared.told.notify_waiters();
    }

    pub fn calls(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    /// Begins to count anew.
    pub fn forget_calls(&self) {
        self.shared.seen.lock().unwrap().clear();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The keys with which it was called, in order.
    pub fn keys(&self) -> Vec<String> {
        let key = |call: &Seen| call.header("authorization").unwrap().replace("Bearer ", "");
        self.shared.seen.lock().unwrap().iter().map(key).collect()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the upstream was not called")
    }

    /// How often the pool closed a connection on which an answer was due.
    pub fn hung_up(&self) -> usize {
        self.shared.hung_up.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn step_for(&self, request: &Seen) -> Step {
        if let Some(step) = self.script.lock().unwrap().pop_front() {
            return step;
        }
        let answer_to = self.answer_to.lock().unwrap().clone();
        if let Some(answer_to) = answer_to {
            return answer_to(request);
        }
        let number = self.seen.lock().unwrap().len();
        if let Some((step, which)) = *self.always.lock().unwrap()
            && which(number)
        {
            return step();
        }
        let words = *self.words.lock().unwrap();
        if request.wants_stream() { stream_of(words).into() } else { whole(&words.concat()).into() }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if serve(socket, &shared).await.is_none() {
                shared.hung_up.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
}

/// Serves one connection. `None`: the pool closed it too early.
async fn serve(mut socket: TcpStream, shared: &Shared) -> Option<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut socket, &mut buffer).await {
        let mut step = shared.step_for(&request);
        shared.seen.lock().unwrap().push(request);
        loop {
            let (comes, next): (Pin<Box<dyn Future<Output = ()> + Send>>, _) = match step {
                Step::Later(time, next) => (Box::pin(tokio::time::sleep(time)), next),
                Step::Opened(opened, next) => (Box::pin(opened.map(drop)), next),
                due => {
                    step = due;
                    break;
                }
            };
            tokio::select! {
                () = comes => {}
                () = read_to_end(&mut socket) => return None,
            }
            step = *next;
        }
        match step {
            Step::Answer(answer) => write_answer(&mut socket, &answer).await?,
            Step::Stream(script) => {
                if !write_script(&mut socket, script, &shared.told).await? {
                    return Some(());
                }
            }
            Step::Reset => {
                socket.set_zero_linger().unwrap();
                return Some(());
            }
            Step::Silent => hang_up(&mut socket).await?,
            Step::Bytes(bytes) => {
                return socket.write_all(bytes.as_bytes()).await.ok();
            }
            Step::EndlessHead => write_endless_head(&mut socket).await?,
            Step::Later(..) | Step::Opened(..) => unreachable!("it has come"),
        }
    }
    Some(())
}

async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let headers: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let end = head_end + length.map_or(0, |(_, length)| length.parse::<usize>().unwrap());
    while buffer.len() < end {
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let rest = buffer.split_off(end);
    let body = std::mem::replace(buffer, rest).split_off(head_end);
    Some(Seen { method, path, headers, body })
}

async fn write_answer(socket: &mut TcpStream, answer: &Answer) -> Option<()> {
    let Answer { status, headers, body } = answer;
    let length = body.len();
    let mut head = format!("HTTP/1.1 {status} X\r\n");
    if !headers.iter().any(|(name, _)| name == "content-type") {
        head.push_str("content-type: application/json\r\n");
    }
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let text = format!("{head}content-length: {length}\r\n\r\n{body}");
    socket.write_all(text.as_bytes()).await.ok()
}

/// Whether the connection can be used again; `None` when the pool closed it.
async fn write_script(socket: &mut TcpStream, script: Script, told: &Notify) -> Option<bool> {
    let kind = script.content_type;
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await.ok()?;
    for piece in script.pieces {
        match piece {
            Piece::Send(text) => {
                let chunk = format!("{:x}\r\n{text}\r\n", text.len());
                socket.write_all(chunk.as_bytes()).await.ok()?;
            }
            Piece::Wait(opened) => tokio::select! {
                _ = opened => {}
                () = read_to_end(socket) => return None,
            },
            Piece::Told => tokio::select! {
                () = told.notified() => {}
                () = read_to_end(socket) => return None,
            },
            Piece::Pause(time) => tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = read_to_end(socket) => return None,
            },
        }
    }
    match script.end {
        End::Clean => socket.write_all(b"0\r\n\r\n").await.ok().map(|()| true),
        End::Cut => Some(false),
        End::Stall => hang_up(socket).await.map(|()| false),
    }
}

/// Never comes back with anything: the pool has to have enough of it.
async fn write_endless_head(socket: &mut TcpStream) -> Option<()> {
    socket.write_all(b"HTTP/1.1 200 OK\r\n").await.ok()?;
    loop {
        socket.write_all(b"x-more: and more\r\n").await.ok()?;
    }
}

/// Waits until the pool has had enough.
async fn hang_up(socket: &mut TcpStream) -> Option<()> {
    read_to_end(socket).await;
    None
}

async fn read_to_end(socket: &mut TcpStream) {
    let mut byte = [0];
    while socket.read(&mut byte).await.is_ok_and(|read| read > 0) {}
}
