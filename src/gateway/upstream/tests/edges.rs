//! Servers that break the rules of HTTP, or lie.

use super::*;

/// Answers each connection with what `answer` writes once a request has been read.
async fn serve<A>(answer: impl Fn(TcpStream) -> A + Send + 'static) -> String
where
    A: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            if read_request(&mut socket).await.is_some() {
                answer(socket).await;
            }
        }
    });
    url
}

async fn ask_at(url: &str) -> Result<UpstreamResponse, Failure> {
    send_to(&upstream(), url, Location::Local, patient()).await
}

#[tokio::test]
async fn a_compressed_answer_is_unusable_whether_or_not_it_lies() {
    const GZIP: &str = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}";
    const PLAIN: &str =
        "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 2\r\n\r\n{}";
    let server = Server::start(&[GZIP], Then::Serve).await;
    let failure = failure_of(ask(&server, patient()).await);
    assert_eq!((failure.class, failure.status), (FailureClass::Server, Some(200)));
    assert_eq!(failure.detail, "the answer is compressed, although plain bytes were asked for");
    let server = Server::start(&[PLAIN], Then::Serve).await;
    assert_eq!(ask(&server, patient()).await.unwrap().read_whole(2).await.unwrap(), "{}");
}

#[tokio::test]
async fn a_web_page_is_no_answer_and_other_types_are_left_to_who_reads_them() {
    let answer = |kind: &str| -> &'static [&'static str] {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 2\r\n\r\n{{}}");
        Box::leak(Box::new([&*head.leak()]))
    };
    for page in ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"] {
        let server = Server::start(answer(page), Then::Serve).await;
        let failure = failure_of(ask(&server, patient()).await);
        assert_eq!(failure.class, FailureClass::Server, "{page}");
    }
    for other in ["application/json", "text/plain", "text/event-stream"] {
        let server = Server::start(answer(other), Then::Serve).await;
        assert!(ask(&server, patient()).await.is_ok(), "{other}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_a_failure() {
    for head in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ] {
        let server = Server::start(Box::leak(Box::new([head])), Then::Serve).await;
        let failure = failure_of(ask(&server, patient()).await);
        assert_eq!(failure.class, FailureClass::Server, "{head}");
        assert_eq!(failure.detail, "the answer is empty");
    }
    let server = Server::start(&[CHUNKED, "0\r\n\r\n"], Then::Serve).await;
    assert_eq!(ask(&server, patient()).await.unwrap().next_chunk().await.unwrap(), None);
}

#[tokio::test]
async fn headers_without_end_are_given_up_and_not_collected() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let url = serve(move |mut socket| {
        let tell = tell.clone();
        async move {
            let mut sent = 0;
            socket.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
            let line = format!("x-filler: {}\r\n", "x".repeat(1000));
            while socket.write_all(line.as_bytes()).await.is_ok() {
                sent += line.len();
            }
            tell.send(sent).unwrap();
        }
    })
    .await;
    assert_eq!(failure_of(ask_at(&url).await).class, FailureClass::Connect);
    // What the buffers of two sockets on loopback take, and no more.
    let sent = told.recv().await.unwrap();
    assert!(sent < 32 << 20, "{sent} bytes of headers were taken");
}

#[tokio::test]
async fn interim_answers_without_end_are_not_waited_for_longer_than_an_answer() {
    let url = serve(async |mut socket: TcpStream| {
        while socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let waits = Waits { head: Duration::from_millis(50), ..patient() };
    let sent = send_to(&upstream(), &url, Location::Local, waits).await;
    assert_eq!(failure_of(sent).class, FailureClass::Silent);
}

#[tokio::test]
async fn a_reset_before_an_answer_is_a_connect_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            // Closing while there is something left to read resets the connection.
            let _ = socket.read_u8().await;
        }
    });
    let failure = failure_of(ask_at(&url).await);
    assert_eq!(failure.class, FailureClass::Connect);
    assert_eq!(failure.status, None);
}

#[tokio::test]
async fn silence_after_accepting_is_waited_for_as_long_as_the_request_says() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let waits = Waits { head: Duration::from_millis(20), ..patient() };
    // The system accepts: nobody ever reads.
    let failure = failure_of(send_to(&upstream(), &url, Location::Local, waits).await);
    assert_eq!(failure.class, FailureClass::Silent);
    drop(listener);
}

#[tokio::test]
async fn a_head_that_is_cut_or_no_head_at_all_is_a_connect_failure() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-str",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.",
        "220 mail.test ESMTP\r\n",
        "HTTP/1.1 999999 X\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
    ] {
        let server = Server::start(Box::leak(Box::new([head])), Then::Close).await;
        let failure = failure_of(ask(&server, patient()).await);
        assert_eq!(failure.class, FailureClass::Connect, "{head}");
    }
}

#[tokio::test]
async fn garbage_among_chunks_cuts_an_answer() {
    for garbage in ["zz\r\nhello\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "3\r\nhelloX"] {
        let pieces = Box::leak(Box::new([CHUNKED, "2\r\nhi\r\n", garbage]));
        let server = Server::start(pieces, Then::Hang).await;
        let mut response = ask(&server, patient()).await.unwrap();
        let failure = loop {
            match response.next_chunk().await {
                Ok(chunk) => assert!(chunk.is_some(), "a clean end after {garbage:?}"),
                Err(failure) => break failure,
            }
        };
        assert_eq!(failure.class, FailureClass::Cut, "{garbage:?}");
    }
}

#[tokio::test]
async fn a_compressed_refusal_is_judged_by_its_status() {
    const REFUSAL: &str = "HTTP/1.1 429 X\r\ncontent-encoding: gzip\r\nretry-after: 3\r\ncontent-length: 3\r\n\r\n\x1f\x0bx";
    let server = Server::start(&[REFUSAL], Then::Serve).await;
    let failure = failure_of(ask(&server, patient()).await);
    assert_eq!(failure.class, FailureClass::RateLimit);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn the_connection_of_a_stalled_answer_is_let_go_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/chat/completions", listener.local_addr().unwrap());
    let left = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await.unwrap();
        socket.write_all(CHUNKED.as_bytes()).await.unwrap();
        read_request(&mut socket).await
    });
    let waits = Waits { idle: Duration::from_millis(20), ..patient() };
    let mut response = send_to(&upstream(), &url, Location::Local, waits).await.unwrap();
    response.next_chunk().await.unwrap_err();
    assert!(left.await.unwrap().is_none(), "it was closed");
    // An end that was not the answer's is never taken for one.
    assert_eq!(response.next_chunk().await.unwrap_err().class, FailureClass::Cut);
}

/// Answers as many requests on each connection as `good` says, and closes it when it has read one more.
async fn server_that_closes_after(good: usize) -> (String, Arc<AtomicUsize>) {
    server_that_says_last(good, "").await
}

/// The same, saying something before it closes a connection.
async fn server_that_says_last(good: usize, last: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/chat/completions", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            for nth in 0..=good {
                if read_request(&mut socket).await.is_none() {
                    break;
                }
                counter.fetch_add(1, Ordering::Relaxed);
                let said = if nth < good { OK_HELLO } else { last };
                socket.write_all(said.as_bytes()).await.unwrap();
            }
        }
    });
    (url, requests)
}

#[tokio::test]
async fn a_request_lost_on_a_connection_that_was_kept_is_sent_on_another() {
    let (url, requests) = server_that_closes_after(1).await;
    let upstream = upstream();
    for _ in 0..3 {
        let answer = send_to(&upstream, &url, Location::Local, patient()).await.unwrap();
        assert_eq!(answer.read_whole(100).await.unwrap(), "hello");
    }
    assert_eq!(requests.load(Ordering::Relaxed), 4, "three, and one that was lost");
}

#[tokio::test]
async fn a_request_lost_on_a_connection_that_never_worked_is_not_sent_again() {
    let (url, requests) = server_that_closes_after(0).await;
    let failure = failure_of(send_to(&upstream(), &url, Location::Local, patient()).await);
    assert_eq!(failure.class, FailureClass::Connect);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

// Whoever has begun to answer has worked on it, and may have done what was asked.
#[tokio::test]
async fn a_request_that_had_begun_to_be_answered_is_not_sent_again() {
    for last in ["H", "HTTP/1.1 200 OK\r\ncontent-le", "no answer at all\r\n\r\n"] {
        let (url, requests) = server_that_says_last(1, last).await;
        let upstream = upstream();
        let answer = send_to(&upstream, &url, Location::Local, patient()).await.unwrap();
        assert_eq!(answer.read_whole(100).await.unwrap(), "hello");
        let failure = failure_of(send_to(&upstream, &url, Location::Local, patient()).await);
        assert_eq!(failure.class, FailureClass::Connect, "{last:?}");
        assert_eq!(requests.load(Ordering::Relaxed), 2, "{last:?}");
    }
}

// Whoever keeps a request for longer than the way there and back has it, and works on it.
#[tokio::test]
async fn a_request_that_is_lost_late_was_worked_on_and_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/chat/completions", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut answers = [OK_HELLO].into_iter();
            while read_request(&mut socket).await.is_some() {
                counter.fetch_add(1, Ordering::Relaxed);
                let Some(answer) = answers.next() else {
                    tokio::time::pause();
                    tokio::time::advance(Duration::from_secs(1)).await;
                    tokio::time::resume();
                    break;
                };
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    let upstream = upstream();
    let answer = send_to(&upstream, &url, Location::Local, patient()).await.unwrap();
    assert_eq!(answer.read_whole(100).await.unwrap(), "hello");

    let failure = failure_of(send_to(&upstream, &url, Location::Local, patient()).await);

    assert_eq!(failure.class, FailureClass::Connect);
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

// Other kept connections may be as dead as the first: it is sent on a new one, and no third time.
#[tokio::test]
async fn a_request_is_sent_again_once_and_on_a_new_connection() {
    const KEPT: usize = 5;
    for is_down in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/chat/completions", listener.local_addr().unwrap());
        let (lost, all_asked) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Barrier::new(KEPT)));
        let counter = Arc::clone(&lost);
        tokio::spawn(async move {
            for nth in 0.. {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (lost, all_asked) = (Arc::clone(&counter), Arc::clone(&all_asked));
                tokio::spawn(async move {
                    read_request(&mut socket).await.unwrap();
                    if nth < KEPT {
                        // Each of them has a connection of its own.
                        all_asked.wait().await;
                    } else if is_down {
                        lost.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    socket.write_all(OK_HELLO.as_bytes()).await.unwrap();
                    if read_request(&mut socket).await.is_some() {
                        lost.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let upstream = upstream();
        let ask = || async {
            let answer = send_to(&upstream, &url, Location::Local, patient()).await?;
            answer.read_whole(100).await
        };
        let answers: [_; KEPT] = tokio::join!(ask(), ask(), ask(), ask(), ask()).into();
        for answer in answers {
            assert_eq!(answer.unwrap(), "hello");
        }

        let last = ask().await;

        let sent = lost.load(Ordering::Relaxed);
        match last {
            Ok(answer) => assert_eq!((&*answer, sent, is_down), (&b"hello"[..], 1, false)),
            Err(failure) => {
                assert_eq!((failure.class, sent, is_down), (FailureClass::Connect, 2, true));
            }
        }
    }
}
