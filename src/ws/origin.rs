//! Which web pages may open the event stream.

use url::Url;

/// Whether a request with this `Origin` header may open a WebSocket at `host` (the `Host` header).
///
/// A browser always sends an origin, so a request without one is not from a web page. A page may come
/// from our own address, or from one of `allowed` (`https://pool.example:8443`); scheme, host and
/// port must all be equal.
pub fn origin_allowed(origin: Option<&str>, host: &str, allowed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    let Some(page) = parse_origin(origin) else { return false };
    // The scheme that the page was fetched by is taken for ours: TLS may end in front of us.
    let own = parse_origin(&format!("{}://{host}", page.scheme()));
    let mut trusted = allowed.iter().filter_map(|text| parse_origin(text)).chain(own);
    trusted.any(|trusted| trusted.origin() == page.origin())
}

/// An address of scheme, host and port alone.
fn parse_origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    bare.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: &str, host: &str) -> bool {
        origin_allowed(
            Some(origin),
            host,
            &["https://ui.test".into(), "http://dev.test:3000".into()],
        )
    }

    #[test]
    fn what_is_no_browser_is_let_in() {
        assert!(origin_allowed(None, "127.0.0.1:4100", &[]));
    }

    #[test]
    fn a_page_of_our_own_address_is_let_in() {
        assert!(allowed("http://127.0.0.1:4100", "127.0.0.1:4100"));
        assert!(allowed("http://[::1]:4100", "[::1]:4100"));
        assert!(allowed("https://pool.test", "pool.test"));
        assert!(allowed("https://Pool.test", "pool.TEST:443"));
    }

    #[test]
    fn a_page_of_another_port_host_or_scheme_is_not() {
        assert!(!allowed("http://127.0.0.1:3000", "127.0.0.1:4100"));
        assert!(!allowed("http://localhost:4100", "127.0.0.1:4100"));
        assert!(!allowed("http://pool.test", "pool.test:443"));
        assert!(!allowed("https://pool.test.evil.test", "pool.test"));
        assert!(!allowed("https://evil.test", "pool.test"));
    }

    #[test]
    fn a_listed_page_is_let_in_exactly() {
        assert!(allowed("https://ui.test", "127.0.0.1:4100"));
        assert!(allowed("https://ui.test:443", "127.0.0.1:4100"));
        assert!(allowed("http://dev.test:3000", "127.0.0.1:4100"));
        assert!(!allowed("http://ui.test", "127.0.0.1:4100"));
        assert!(!allowed("http://dev.test", "127.0.0.1:4100"));
        assert!(!allowed("https://sub.ui.test", "127.0.0.1:4100"));
    }

    #[test]
    fn what_is_no_origin_is_not() {
        for origin in
            ["null", "", "*", "file:///x", "https://pool.test/page", "https://a@pool.test"]
        {
            assert!(!allowed(origin, "pool.test"), "{origin:?} was let in");
        }
        assert!(!allowed("https://pool.test", "evil.test@pool.test"));
        assert!(!allowed("https://pool.test", ""));
    }
}
