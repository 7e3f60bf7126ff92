//! What comes over a connection and is no request.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use serde_json::Value;

use crate::support::{PATIENCE, Process, Workplace, http};

/// The answer to these bytes, up to the end of the connection.
fn answer_to(pool: &Process, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(pool.address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be refused before all of it is sent.
    let _ = connection.write_all(bytes);
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Waits until so many malformed requests were counted.
fn counted(pool: &Process, admin: &str, count: u64) {
    let line = format!("providerpool_malformed_requests_total {count}\n");
    let start = Instant::now();
    while !http::get(pool.address, "/metrics", admin).body.contains(&line) {
        assert!(start.elapsed() < PATIENCE, "not {count} malformed requests");
    }
}

#[test]
fn malformed_requests_are_answered_and_told_once_for_each_address() {
    let workplace = Workplace::new("");
    let mut pool = workplace.serve();
    let admin = pool.line_with("  admin key ").split_whitespace().last().unwrap().to_owned();
    let large = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "a".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1_000));
    let malformed: [(&[u8], &str); 6] = [
        (b"nonsense\r\n\r\n", "HTTP/1.1 400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HTTP/1.1 400"),
        (b"GET / HTTP/1.1\r\n\0: b\r\n\r\n", "HTTP/1.1 400"),
        (b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", "HTTP/1.1 400"),
        (many.as_bytes(), "HTTP/1.1 431"),
        (large.as_bytes(), "HTTP/1.1 431"),
    ];
    for (bytes, expected) in malformed {
        let answer = answer_to(&pool, bytes);
        assert!(answer.starts_with(expected), "{}: {answer}", String::from_utf8_lossy(bytes));
    }
    let pasted = b"GET /v1/models HTTP/1.1\r\nauthorization: Bearer \nppk_x\r\n\r\n";
    let answer = answer_to(&pool, pasted);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let told: Value = serde_json::from_str(body).unwrap();
    assert!(told["error"]["message"].as_str().unwrap().contains("line break"), "{answer}");
    counted(&pool, &admin, 7);
    assert_eq!(pool.said().matches("malformed request").count(), 1, "{}", pool.said());
    assert!(!pool.said().contains("ERROR"), "{}", pool.said());
}

#[test]
fn who_speaks_tls_to_a_port_without_it_can_be_found_in_the_log() {
    let workplace = Workplace::new("");
    let mut pool = workplace.serve();
    let admin = pool.line_with("  admin key ").split_whitespace().last().unwrap().to_owned();
    answer_to(&pool, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    counted(&pool, &admin, 1);
    let said = pool.said();
    assert!(said.contains("TLS, which is not spoken at this address"), "{said}");
    assert!(said.contains("address=127.0.0.1"), "{said}");
}
