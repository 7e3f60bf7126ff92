//! Keys as people paste them: with white space around them, or a line break that cuts the head in two.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::support::{PATIENCE, Process, Workplace};

/// The beginning of the first answer to these bytes, and whatever has come with it.
fn answer_to(pool: &Process, request: &str) -> String {
    let mut connection = TcpStream::connect(pool.address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut read = [0; 4096];
    while !answer.contains(&b'}') {
        let length = connection.read(&mut read).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&read[..length]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn white_space_around_a_key_is_no_part_of_it() {
    let workplace = Workplace::new("");
    let key = workplace.create_key("client");
    let pool = workplace.serve();
    for (query, header) in [
        ("", format!("authorization: Bearer   {key}  ")),
        ("", format!("authorization: Bearer {key}\n")),
        ("", format!("x-api-key:  {key}\t")),
        ("?key=%20KEY%0A", "x-nothing: 1".to_owned()),
    ] {
        let query = query.replace("KEY", &key);
        let request = format!("GET /v1/models{query} HTTP/1.1\r\nhost: pool\r\n{header}\r\n\r\n");
        let answer = answer_to(&pool, &request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{header:?}: {answer}");
    }
}

#[test]
fn a_line_break_that_cuts_the_body_off_is_told() {
    let workplace = Workplace::new("");
    let key = workplace.create_key("client");
    let pool = workplace.serve();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: pool\r\nauthorization: Bearer {key}\n\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let answer = answer_to(&pool, &request);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("a line break"), "{answer}");
}
