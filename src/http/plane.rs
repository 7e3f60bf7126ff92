//! Who may call what, by its path, and in which dialect errors are told there: for the answers and for
//! their description alike.

use actix_web::{HttpRequest, http::Method};

use crate::gateway::exchange::ClientApi;

/// What management keeps for itself, below these and on them.
pub const MANAGEMENT: [&str; 3] = ["/api/v1", "/api/openapi.json", "/metrics"];

/// A part of the surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// Everybody's.
    Open,
    /// For client keys.
    Relay,
    /// For admin keys.
    Management,
    /// There is nothing.
    Nowhere,
}

impl Plane {
    pub fn of(path: &str) -> Self {
        let is_below = |prefix: &&str| {
            path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if MANAGEMENT.iter().any(is_below) {
            return Self::Management;
        }
        match path.split('/').nth(1) {
            Some("v1" | "v1beta" | "api") => Self::Relay,
            Some("health") => Self::Open,
            Some("") if path == "/" => Self::Open,
            _ => Self::Nowhere,
        }
    }
}

/// The API that is spoken at a path, as far as the path tells. `None`: management's.
pub fn dialect(path: &str) -> Option<ClientApi> {
    if Plane::of(path) != Plane::Relay {
        return None;
    }
    Some(match path.split('/').nth(1) {
        Some("v1beta") => ClientApi::Gemini,
        Some("api") => ClientApi::OllamaChat,
        _ if path.starts_with("/v1/messages") => ClientApi::Messages,
        _ if path.starts_with("/v1/models/") && path.contains(':') => ClientApi::Gemini,
        _ => ClientApi::Chat,
    })
}

/// The API in which somebody asks the relay, also for what it does not have.
pub fn spoken(request: &HttpRequest) -> ClientApi {
    let only_looks = matches!(*request.method(), Method::GET | Method::HEAD);
    match dialect(request.path()) {
        // Models are called with a colon by Google's clients alone; all look at names that hold one.
        Some(ClientApi::Gemini) if only_looks && request.path().starts_with("/v1/") => {
            by_headers(request)
        }
        Some(ClientApi::Chat) | None => by_headers(request),
        Some(told) => told,
    }
}

/// The API of whoever asks on a path that several have: each one's clients send a header of their own.
pub fn by_headers(request: &HttpRequest) -> ClientApi {
    let has = |name: &str| request.headers().contains_key(name);
    if has("anthropic-version") {
        ClientApi::Messages
    } else if has("x-goog-api-key") {
        ClientApi::Gemini
    } else {
        ClientApi::Chat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ollama_has_what_management_does_not_keep_for_itself() {
        for path in ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/openapi.json", "/metrics/x"] {
            assert_eq!(Plane::of(path), Plane::Management, "{path}");
        }
        for path in ["/api", "/api/ps", "/api/v1x", "/v1", "/v1/nothing", "/v1beta/models"] {
            assert_eq!(Plane::of(path), Plane::Relay, "{path}");
        }
        for path in ["/health/live", "/"] {
            assert_eq!(Plane::of(path), Plane::Open, "{path}");
        }
        for path in ["", "//", "/chat/completions", "/v2", "/metric"] {
            assert_eq!(Plane::of(path), Plane::Nowhere, "{path}");
        }
    }
}
