//! Keys that are revoked or expire while they are in use, and proxies that are none.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Instant,
};

use crate::support::{
    PATIENCE, Process, Workplace,
    http::{self, Open},
};

/// A provider whose only answer is a stream that says "Hello", and ends when it is told to.
struct Upstream {
    address: SocketAddr,
    /// One for each call that has said "Hello".
    held: Receiver<Sender<()>>,
}

impl Upstream {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (hold, held) = channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let hold = hold.clone();
                // Whoever hangs up ends its thread, and what it had to say.
                thread::spawn(move || answer(connection.unwrap(), &hold));
            }
        });
        Self { address, held }
    }
}

fn answer(connection: TcpStream, hold: &Sender<Sender<()>>) -> Option<()> {
    let mut connection = BufReader::new(connection);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let from = head.len();
        (connection.read_line(&mut head).ok()? > 0).then_some(())?;
        let line = head[from..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
    }
    connection.read_exact(&mut vec![0; length]).ok()?;
    let socket = connection.get_mut();
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    write!(socket, "{head}{}", chunk("{\"content\":\"Hello\"}", "null")).ok()?;
    let (end, ended) = channel();
    hold.send(end).ok()?;
    ended.recv().ok()?;
    write!(socket, "{}data: [DONE]\n\n", chunk("{}", "\"stop\"")).ok()
}

struct Pool {
    workplace: Workplace,
    upstream: Upstream,
    admin: String,
    process: Process,
}

impl Pool {
    fn start(relay: &str) -> Self {
        let upstream = Upstream::start();
        let workplace = Workplace::new(&format!(
            "[relay]\n{relay}\n[[providers]]\nid = \"acme\"\nbase_url = \"http://{}\"\n\
             location = \"local\"\napi_format = \"openai\"\napi_keys = [\"sk-acme-1\"]\n\
             models = [{{ name = \"m\" }}]\n",
            upstream.address
        ));
        let admin = workplace.create_key("admin");
        let process = workplace.serve();
        Self { workplace, upstream, admin, process }
    }

    fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// Revokes as an operator at the terminal does, beside the running pool.
    fn revoke_at_terminal(&self, key: &str) {
        let revoked = self.workplace.run(&["keys", "revoke", id_of(key)]);
        assert_eq!(revoked.code, Some(0), "{}", revoked.stderr);
    }

    fn revoke(&self, key: &str) {
        let request = format!("DELETE /api/v1/client-keys/{}", id_of(key));
        assert_eq!(http::ask(self.address(), &request, &self.admin, "").status, 204);
    }

    fn stream(&self, path: &str, key: &str) -> (Open, Sender<()>) {
        let body = r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
        let request = format!("POST {path}");
        let mut answer = http::open(self.address(), &request, key, "connection: close\r\n", body);
        assert_eq!(answer.status, 200);
        assert!(answer.read_until("Hello"));
        (answer, self.upstream.held.recv_timeout(PATIENCE).unwrap())
    }
}

fn id_of(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

/// The event stream, opened by hand.
fn subscribe(address: SocketAddr, key: &str) -> BufReader<TcpStream> {
    let headers = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: c2l4dGVlbiBieXRlcyE9PQ==\r\n";
    let opened = http::open(address, "GET /api/v1/events", key, headers, "");
    assert_eq!(opened.status, 101, "{}", opened.head);
    opened.body
}

/// Reads frames up to the close frame, and says its code and its words.
fn closed(socket: &mut BufReader<TcpStream>) -> (u16, String) {
    loop {
        let mut head = [0; 2];
        socket.read_exact(&mut head).expect("the socket ended without a close frame");
        let mut length = usize::from(head[1]);
        if length == 126 {
            let mut longer = [0; 2];
            socket.read_exact(&mut longer).unwrap();
            length = usize::from(u16::from_be_bytes(longer));
        }
        let mut payload = vec![0; length];
        socket.read_exact(&mut payload).unwrap();
        if head[0] == 0x88 {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            return (code, String::from_utf8(payload[2..].to_vec()).unwrap());
        }
    }
}

#[test]
fn the_event_streams_of_keys_that_are_revoked_end_with_the_reason_and_others_stay() {
    let pool = Pool::start("");
    for role in ["viewer", "admin"] {
        let (revoked, other) = (pool.workplace.create_key(role), pool.workplace.create_key(role));
        let known = Instant::now();
        while http::get(pool.address(), "/api/v1/providers", &revoked).status != 200
            || http::get(pool.address(), "/api/v1/providers", &other).status != 200
        {
            assert!(known.elapsed() < PATIENCE, "a key that was made is not known");
        }
        let mut ended = subscribe(pool.address(), &revoked);
        let mut stays = subscribe(pool.address(), &other);

        pool.revoke_at_terminal(&revoked);

        assert_eq!(closed(&mut ended), (1008, "this key is revoked".to_owned()));
        assert_eq!(ended.read(&mut [0; 1]).unwrap(), 0, "the connection is closed too");
        let refused = http::get(pool.address(), "/api/v1/providers", &revoked);
        assert_eq!(refused.status, 401);
        assert!(refused.body.contains("this key is revoked"), "{}", refused.body);
        // A close frame of the client's own is answered: the other one is still served.
        stays.get_mut().write_all(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
        assert_eq!(closed(&mut stays).0, 1000);
    }
}

#[test]
fn a_key_that_expires_ends_its_event_stream_and_opens_nothing_more() {
    let pool = Pool::start("");
    let made = pool.workplace.run(&["keys", "create", "--role", "viewer", "--expires", "4s"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let key = made.stdout.trim();
    let started = Instant::now();
    while http::get(pool.address(), "/api/v1/providers", key).status != 200 {
        assert!(started.elapsed() < PATIENCE, "it was never let in");
    }

    let mut events = subscribe(pool.address(), key);

    assert_eq!(closed(&mut events), (1008, "this key has expired".to_owned()));
    let refused = http::get(pool.address(), "/api/v1/providers", key);
    assert_eq!(refused.status, 401);
    assert!(refused.body.contains("has expired"), "{}", refused.body);
    let listed = pool.workplace.run(&["keys", "list"]).stdout;
    assert!(listed.lines().any(|line| line.contains(id_of(key)) && line.contains("expired")));
}

#[test]
fn the_next_request_on_a_kept_connection_is_refused() {
    let pool = Pool::start("");
    let client = pool.client_key();
    let mut connection = BufReader::new(TcpStream::connect(pool.address()).unwrap());
    connection.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let mut ask = || {
        let request = format!(
            "GET /v1/models HTTP/1.1\r\nhost: pool\r\nauthorization: Bearer {client}\r\n\r\n"
        );
        connection.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(connection.read_line(&mut head).unwrap(), 0, "the connection was closed");
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        connection.read_exact(&mut body).unwrap();
        (head[9..12].to_owned(), String::from_utf8(body).unwrap())
    };
    assert_eq!(ask().0, "200");

    pool.revoke(&client);

    let (status, body) = ask();
    assert_eq!(status, "401");
    assert!(body.contains("this key is revoked"), "{body}");
}

impl Pool {
    /// A client key made by the API, which is known at once.
    fn client_key(&self) -> String {
        let made =
            http::ask(self.address(), "POST /api/v1/client-keys", &self.admin, r#"{"name":"c"}"#);
        assert_eq!(made.status, 201, "{}", made.body);
        made.json()["key"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_running_stream_is_finished_when_its_key_is_revoked() {
    let pool = Pool::start("");
    let client = pool.client_key();
    let (mut answer, end) = pool.stream("/v1/chat/completions", &client);

    pool.revoke(&client);
    end.send(()).unwrap();

    assert!(answer.read_until("[DONE]"));
}

#[test]
fn where_it_is_set_a_running_stream_ends_with_its_key_and_is_settled() {
    let pool = Pool::start("end_streams_of_revoked_keys = true");
    for (path, said) in [
        ("/v1/chat/completions", "\"invalid_api_key\""),
        ("/v1/messages", "\"authentication_error\""),
        ("/api/chat", "this key is revoked"),
    ] {
        let (client, other) = (pool.client_key(), pool.client_key());
        let (mut answer, _end) = pool.stream(path, &client);
        let (mut stays, end_of_other) = pool.stream(path, &other);

        pool.revoke(&client);

        let mut rest = String::new();
        answer.body.read_to_string(&mut rest).unwrap();
        assert!(rest.contains(said) && rest.contains("this key is revoked"), "{path}: {rest}");
        assert!(!rest.contains("[DONE]") && !rest.contains("message_stop"), "{path}: {rest}");
        end_of_other.send(()).unwrap();
        let mut rest = String::new();
        stays.body.read_to_string(&mut rest).unwrap();
        assert!(!rest.contains("revoked"), "{path}: {rest}");
    }
    let usage = http::get(pool.address(), "/api/v1/usage", &pool.admin).json();
    let totals = &usage["totals"][0];
    assert_eq!((&totals["failed"], &totals["completed"]), (&3.into(), &3.into()), "{usage}");
    assert!(totals["estimated"].as_u64().unwrap() >= 3, "{usage}");
}

#[test]
fn a_name_with_control_characters_makes_no_key() {
    let workplace = Workplace::new("");
    for name in ["two\nlines", "\u{1b}[2Jgone", " "] {
        let made = workplace.run(&["keys", "create", "--role", "client", "--name", name]);
        assert_ne!(made.code, Some(0), "{name:?}");
        assert!(
            made.stderr.contains("name: ") && !made.stderr.contains('\u{1b}'),
            "{}",
            made.stderr
        );
    }
}

#[test]
fn a_proxy_of_an_unknown_scheme_is_an_error_and_never_a_direct_connection() {
    let workplace = Workplace::new("");
    for variable in ["HTTPS_PROXY", "all_proxy"] {
        for proxy in ["socks9://p.test:1", "ftp://p.test", "htp://me:secret@p.test"] {
            let mut serve = workplace.command(&["serve", "--bind", "127.0.0.1:0"]);
            let ended = serve.env(variable, proxy).output().unwrap();
            let said = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(2), "{said}");
            assert!(said.contains(variable) && said.contains("socks5h://"), "{said}");
            assert!(!said.contains("secret") && !said.contains("panicked"), "{said}");
        }
    }
    let workplace = Workplace::new(
        "[[providers]]\nid = \"acme\"\nbase_url = \"http://127.0.0.1:1\"\nlocation = \"local\"\n\
         [[providers.api_keys]]\nkey = \"sk-acme-1\"\nproxy_url = \"socks9://me:secret@p.test\"\n",
    );
    let checked = workplace.run(&["check-config"]);
    assert_ne!(checked.code, Some(0));
    assert!(checked.stderr.contains("proxy_url") && !checked.stderr.contains("secret"));
}
