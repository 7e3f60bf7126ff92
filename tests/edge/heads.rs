//! What the head of a request says beside its method and path: whose it is, and whether its body is to
//! be sent at all.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::support::{PATIENCE, Process, Workplace};

const GO_ON: &str = "HTTP/1.1 100 Continue\r\n\r\n";

struct Pool {
    process: Process,
    admin: String,
    /// Two of them.
    clients: [String; 2],
    _workplace: Workplace,
}

impl Pool {
    fn start() -> Self {
        let workplace = Workplace::new("[server]\nmax_body_bytes = 2000000");
        let [admin, one, other] =
            ["admin", "client", "client"].map(|role| workplace.create_key(role));
        let process = workplace.serve();
        Self { process, admin, clients: [one, other], _workplace: workplace }
    }

    /// Sends a head, and then a body when that is asked for. All that comes up to the end of the
    /// connection.
    fn answer(&self, request: &str, headers: &str, body: &str) -> String {
        let mut connection = TcpStream::connect(self.process.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
        // Who gives the answer may close the connection at once, or wait for us to.
        while let Ok(length @ 1..) = connection.read(&mut piece) {
            heard.extend_from_slice(&piece[..length]);
            if heard == GO_ON.as_bytes() {
                connection.write_all(body.as_bytes()).unwrap();
            } else if ends_with_its_body(&heard) {
                break;
            }
        }
        String::from_utf8(heard).unwrap()
    }
}

fn ends_with_its_body(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard);
    let Some((head, body)) = text.rsplit_once("\r\n\r\n") else { return false };
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    length.is_some_and(|length| length.parse() == Ok(body.len()))
}

#[test]
fn who_asks_before_it_sends_a_body_is_told_at_once_that_it_is_not_wanted() {
    let pool = Pool::start();
    let (client, admin) = (&*pool.clients[0], &*pool.admin);
    for (request, key, length, expected) in [
        ("POST /v1/chat/completions", client, 2_000_001, "413"),
        ("POST /v1/messages", client, 2_000_001, "413"),
        ("POST /v1beta/models/m:generateContent", client, 2_000_001, "413"),
        ("POST /api/chat", client, 2_000_001, "413"),
        ("POST /api/show", client, 1_048_577, "413"),
        ("POST /api/v1/providers", admin, 1_048_577, "413"),
        ("POST /api/v1/routes/explain", admin, 2_000_001, "413"),
        ("POST /v1/chat/completions", "nobody", 2, "401"),
        ("POST /v1/chat/completions", admin, 2, "403"),
        ("POST /api/v1/providers", "nobody", 2, "401"),
        ("POST /api/v1/providers", client, 2, "403"),
        ("POST /v1/nowhere", client, 2, "404"),
        ("DELETE /v1/messages", client, 2, "405"),
    ] {
        let headers = format!(
            "authorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: {length}\r\n"
        );
        let answer = pool.answer(request, &headers, "");
        let start = format!("HTTP/1.1 {expected}");
        assert!(answer.starts_with(&start), "{request}, {length}: {answer}");
    }
    for (request, key, expected) in [
        ("POST /v1/chat/completions", client, "400"),
        ("POST /api/show", client, "400"),
        ("POST /api/v1/providers", admin, "400"),
    ] {
        let headers = format!(
            "authorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: 2\r\n"
        );
        let answer = pool.answer(request, &headers, "{}");
        let start = format!("{GO_ON}HTTP/1.1 {expected}");
        assert!(answer.starts_with(&start), "{request}: {answer}");
    }
}

#[test]
fn a_request_bears_one_key() {
    let pool = Pool::start();
    let (admin, [one, other]) = (&*pool.admin, &pool.clients);
    let bearer = |key: &str| format!("authorization: Bearer {key}\r\n");
    let own = |name: &str, key: &str| format!("{name}: {key}\r\n");
    let basic = "authorization: Basic dXNlcjpwYXNz\r\n";
    let ways = ["x-api-key", "x-goog-api-key"];
    let mut cases = vec![
        ("", bearer(one) + &bearer(one), 200),
        ("", bearer(one) + &bearer(other), 401),
        ("", bearer(other) + &bearer("nobody"), 401),
        ("", bearer("nobody") + &bearer(other), 401),
        ("", bearer(one) + basic, 401),
        ("", own(ways[0], one) + &own(ways[1], one), 200),
        ("", own(ways[0], one) + &own(ways[1], other), 401),
        ("?key=", bearer(one), 200),
    ];
    for way in ways {
        cases.extend([
            ("", own(way, one), 200),
            ("", own(way, one) + &bearer(one), 200),
            ("", own(way, other) + &bearer(one), 401),
            // Another service's, which the client has in its environment too.
            ("", own(way, "sk-ant-api03-x") + &bearer(one), 200),
            ("", own(way, one) + &bearer("sk-ant-oat01-x"), 200),
            ("", own(way, "sk-ant-api03-x"), 401),
            ("", own(way, one) + &own(way, other), 401),
            // Of somebody who stands before us.
            ("", own(way, one) + basic, 200),
        ]);
    }
    for (query, headers, expected) in cases {
        for path in ["/v1/models", "/v1beta/models", "/api/tags"] {
            let answer = pool.answer(&format!("GET {path}{query}"), &headers, "");
            let start = format!("HTTP/1.1 {expected}");
            assert!(answer.starts_with(&start), "{path}{query} {headers}: {answer}");
        }
    }
    for (query, expected) in [(one, "200"), (other, "401")] {
        let answer = pool.answer(&format!("GET /v1/models?key={query}"), &bearer(one), "");
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{answer}");
    }
    let refused = pool.answer("GET /v1/models", &(bearer(one) + &bearer(other)), "");
    assert!(refused.contains("the request bears different keys"), "{refused}");

    for (headers, expected) in [
        (bearer(admin), "200"),
        (bearer(admin) + &bearer(admin), "200"),
        (bearer(admin) + &bearer(one), "401"),
        (bearer(one) + &bearer(admin), "401"),
    ] {
        let answer = pool.answer("GET /api/v1/providers", &headers, "");
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{headers}: {answer}");
    }
}
