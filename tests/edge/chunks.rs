//! Bodies in chunks: what frames them may not be more than what they hold.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::support::{PATIENCE, Process, Workplace};

struct Pool {
    process: Process,
    client: String,
    _workplace: Workplace,
}

impl Pool {
    fn start() -> Self {
        let workplace = Workplace::new("");
        let client = workplace.create_key("client");
        Self { process: workplace.serve(), client, _workplace: workplace }
    }

    /// The answer to a request whose body begins so, as far as it is read.
    fn answer(&self, key: &str, body: &[u8]) -> String {
        let mut connection = TcpStream::connect(self.process.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).unwrap();
        // It may be refused before all of it is sent.
        let _ = connection.write_all(body);
        let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = connection.read(&mut piece) {
            heard.extend_from_slice(&piece[..length]);
            if heard.ends_with(b"}") {
                break;
            }
        }
        String::from_utf8_lossy(&heard).into_owned()
    }
}

fn chunks(size: usize, count: usize) -> Vec<u8> {
    format!("{size:x}\r\n{}\r\n", " ".repeat(size)).repeat(count).into_bytes()
}

const END: &[u8] = b"0\r\n\r\n";

#[test]
fn a_body_that_is_hardly_anything_but_framing_is_refused() {
    let pool = Pool::start();
    let extension = format!("1;a={}\r\n \r\n", "b".repeat(10_000)).repeat(100).into_bytes();
    let trailer = [b"1\r\n \r\n0\r\na: ".as_slice(), &vec![b'b'; 1_000_000]].concat();
    let trailers = [b"1\r\n \r\n0\r\n".as_slice(), &b"a: b\r\n".repeat(200_000)].concat();
    for (what, body) in [
        ("chunks of one byte", chunks(1, 200_000)),
        ("chunks of two bytes", chunks(2, 200_000)),
        ("extensions", extension),
        ("a trailer", trailer),
        ("trailers", trailers),
    ] {
        let answer = pool.answer(&pool.client, &body);
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer}");
        assert!(answer.contains("the chunks of the body are too small"), "{what}: {answer}");
        // Nobody reads on to hear that it comes from nobody.
        let answer = pool.answer("nobody", &body);
        assert!(answer.starts_with("HTTP/1.1 401"), "{what}: {answer}");
    }
}

#[test]
fn small_chunks_are_read_to_their_end() {
    let pool = Pool::start();
    let json = |body: Vec<u8>| [body, b"2\r\n{}\r\n".to_vec(), END.to_vec()].concat();
    for (size, count) in [(1, 2_000), (8, 100_000), (1_000, 5_000), (1 << 20, 8)] {
        let answer = pool.answer(&pool.client, &json(chunks(size, count)));
        assert!(answer.starts_with("HTTP/1.1 400"), "{size}: {answer}");
        assert!(answer.contains("model is missing"), "{size}: {answer}");
    }
}
