//! What is heard of any answer, good or not.

use super::*;
use crate::domain::format_evidence::{Family, Method, ProbeAnswer, Shape};

async fn probe(server: &Server, location: Location, waits: Waits) -> Result<ProbeAnswer, Failure> {
    let url: Url = server.url().parse().unwrap();
    let request = UpstreamRequest {
        url: &url,
        format: ApiFormat::Openai,
        forwarded: &[],
        credential: None,
        headers: &[],
        own_headers: &[],
        egress: &Egress::Usual,
        rules: &[],
        body: Bytes::from_static(b"{}"),
        stream: false,
        location,
        waits,
    };
    upstream().probe(Method::Post, request).await
}

#[tokio::test]
async fn a_refusal_is_heard_as_it_is() {
    const REFUSAL: &str = "HTTP/1.1 401 X\r\nconnection: close\r\n\r\n\
                           {\"error\":{\"message\":\"m\",\"code\":\"no_such_key\"}}";
    let server = Server::start(&[REFUSAL], Then::Close).await;
    let heard = probe(&server, Location::Local, patient()).await.unwrap();
    let word = Some("no_such_key".to_owned());
    let shape = Shape::Error { family: Family::Openai, word };
    assert_eq!(heard, ProbeAnswer { status: 401, shape });
}

#[tokio::test]
async fn of_an_endless_body_no_more_is_read_than_is_needed() {
    let piece: &'static str = "x".repeat(16 * 1024).leak();
    let mut pieces = vec!["HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n"];
    pieces.extend([piece; 6]);
    let server = Server::start(pieces.leak(), Then::Hang).await;
    let heard = probe(&server, Location::Local, patient()).await.unwrap();
    assert_eq!(heard, ProbeAnswer { status: 200, shape: Shape::Text });
}

#[tokio::test]
async fn whoever_says_nothing_is_not_waited_for_and_addresses_are_checked() {
    let server = Server::start(&[], Then::Hang).await;
    let short = Duration::from_millis(50);
    let waits = Waits { deadline: Instant::now() + short, head: short, idle: short };
    let silent = probe(&server, Location::Local, waits).await.unwrap_err();
    assert_eq!(silent.class, FailureClass::Silent);
    let refused = probe(&server, Location::Cloud, patient()).await.unwrap_err();
    assert_eq!(refused.class, FailureClass::Connect);
}
