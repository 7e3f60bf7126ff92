//! Ways out: what goes through a credential's proxy, and that nothing goes past it.

use tokio::task::JoinHandle;

use super::*;

fn proxy(address: &str) -> Egress {
    Egress::parse(address).unwrap_or_else(|_| panic!("{address} is no proxy"))
}

async fn send_through(egress: &Egress, url: &str, location: Location) -> Result<Bytes, Failure> {
    let answer = send_by(&upstream(), url, location, egress, patient()).await?;
    answer.read_whole(100).await
}

/// An HTTP proxy that answers one request itself and gives what it has read.
async fn http_proxy(answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        let is_whole = |read: &[u8]| {
            let end: &[u8] = if read.starts_with(b"CONNECT") { b"\r\n\r\n" } else { b"\r\n\r\n{}" };
            read.ends_with(end)
        };
        while !is_whole(&read) {
            assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0, "it left");
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(read).unwrap()
    });
    (address, seen)
}

/// A SOCKS5 proxy (RFC 1928, RFC 1929) that lets one user in, answers one request in the place of
/// the host asked for, and gives user, password and that host.
async fn socks_proxy() -> (SocketAddr, JoinHandle<[String; 3]>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), 5, "the version");
        let methods = read_text(&mut socket).await;
        assert!(methods.contains('\u{2}'), "user and password are offered");
        socket.write_all(&[5, 2]).await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), 1, "the version of user and password");
        let user = read_text(&mut socket).await;
        let password = read_text(&mut socket).await;
        socket.write_all(&[1, 0]).await.unwrap();
        let mut head = [0; 4];
        socket.read_exact(&mut head).await.unwrap();
        assert_eq!(head, [5, 1, 0, 3], "connect to a name");
        let host = read_text(&mut socket).await;
        socket.read_u16().await.unwrap();
        socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        read_request(&mut socket).await.unwrap();
        socket.write_all(OK_HELLO.as_bytes()).await.unwrap();
        [user, password, host]
    });
    (address, seen)
}

/// A text with its length in front of it.
async fn read_text(socket: &mut TcpStream) -> String {
    let mut text = vec![0; socket.read_u8().await.unwrap().into()];
    socket.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// An address where nobody listens.
async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_request_goes_through_the_http_proxy_with_its_credentials() {
    let (address, seen) = http_proxy(OK_HELLO).await;
    let egress = proxy(&format!("http://me:secret@{address}"));
    let url = "http://models.test/v1/chat/completions";
    assert_eq!(send_through(&egress, url, Location::Cloud).await.unwrap(), "hello");
    let seen = seen.await.unwrap();
    assert!(seen.starts_with("POST http://models.test/v1/chat/completions HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nproxy-authorization: Basic bWU6c2VjcmV0\r\n"), "{seen}");
}

#[tokio::test]
async fn an_encrypted_request_goes_through_a_tunnel_of_the_http_proxy() {
    let (address, seen) = http_proxy("HTTP/1.1 407 X\r\ncontent-length: 0\r\n\r\n").await;
    let egress = proxy(&format!("http://me:secret@{address}"));
    let failure = send_through(&egress, "https://models.test/", Location::Cloud).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Connect);
    assert!(!failure.detail.contains("secret"), "{}", failure.detail);
    let seen = seen.await.unwrap();
    assert!(seen.starts_with("CONNECT models.test:443 HTTP/1.1\r\n"), "{seen}");
    let seen = seen.to_ascii_lowercase();
    assert!(seen.contains("proxy-authorization: basic bwu6c2vjcmv0\r\n"), "{seen}");
}

#[tokio::test]
async fn a_request_goes_through_the_socks_proxy_with_its_credentials() {
    let (address, seen) = socks_proxy().await;
    let egress = proxy(&format!("socks5h://me:secret@{address}"));
    assert_eq!(
        send_through(&egress, "http://models.test/", Location::Cloud).await.unwrap(),
        "hello"
    );
    assert_eq!(seen.await.unwrap(), ["me", "secret", "models.test"]);
}

#[tokio::test]
async fn past_a_dead_proxy_nothing_goes_and_its_password_does_not_show() {
    let server = Server::start(&[OK_HELLO], Then::Serve).await;
    for scheme in ["http", "https", "socks5", "socks5h"] {
        let egress = proxy(&format!("{scheme}://me:secret@{}", dead().await));
        let failure = send_through(&egress, &server.url(), Location::Local).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Connect, "{scheme}");
        let detail = failure.detail;
        assert!(detail.starts_with("through the credential's proxy: "), "{scheme}: {detail}");
        assert!(!detail.contains("secret") && !detail.contains("me:"), "{scheme}: {detail}");
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 0);
    let direct = send_through(&Egress::Direct, &server.url(), Location::Local).await;
    assert_eq!(direct.unwrap(), "hello");
}

#[tokio::test]
async fn past_a_proxy_that_hangs_up_or_cannot_be_used_nothing_goes() {
    let server = Server::start(&[OK_HELLO], Then::Serve).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs_up = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            drop(socket);
        }
    });
    for address in [
        format!("http://{hangs_up}"),
        format!("socks5://{hangs_up}"),
        "http://169.254.169.254".to_owned(),
        "http://no.invalid".to_owned(),
        "socks5://no.invalid".to_owned(),
    ] {
        let sent = send_through(&proxy(&address), &server.url(), Location::Local).await;
        assert_eq!(sent.unwrap_err().class, FailureClass::Connect, "{address}");
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_proxy_does_not_open_addresses_that_are_not_permitted() {
    let egress = proxy(&format!("http://{}", dead().await));
    for url in ["http://10.0.0.1/", "http://[::1]/", "http://localhost/", "http://a.localhost/"] {
        let failure = send_through(&egress, url, Location::Cloud).await.unwrap_err();
        assert!(failure.detail.contains("private or loopback"), "{url}: {}", failure.detail);
    }
    for location in [Location::Cloud, Location::Local] {
        let metadata = send_through(&egress, "http://169.254.169.254/", location).await;
        assert!(metadata.unwrap_err().detail.contains("never called"));
    }
}

#[tokio::test]
async fn a_proxy_is_not_called_as_an_upstream() {
    let egress = proxy("http://proxy.test:1");
    let itself = send_through(&egress, "http://proxy.test/", Location::Cloud).await;
    assert!(itself.unwrap_err().detail.contains("the host is the proxy"));
}
