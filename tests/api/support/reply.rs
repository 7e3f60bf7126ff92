//! What a caller gets back.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::wait::within;

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Null when the body is not JSON.
    pub json: Value,
}

impl Reply {
    pub async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = within("an answer", request.send()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = within("a whole answer", response.bytes()).await.unwrap();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Self { status, headers, body, json }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What the model said.
    pub fn said(&self) -> &str {
        self.json["choices"][0]["message"]["content"].as_str().unwrap_or_default()
    }

    /// The seconds after which to come back; 0 when it is not said.
    pub fn retry_after(&self) -> u64 {
        self.header("retry-after").parse().unwrap_or(0)
    }
}

/// A streamed answer, read as it comes. Dropping it hangs up.
pub struct Streaming {
    response: reqwest::Response,
}

impl Streaming {
    /// Resolves when the head of the answer is there.
    pub async fn to(request: reqwest::RequestBuilder) -> Self {
        Self { response: within("the head of a stream", request.send()).await.unwrap() }
    }

    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The next bytes; empty at the end.
    pub async fn piece(&mut self) -> String {
        let chunk = within("more of a stream", self.response.chunk()).await.unwrap();
        String::from_utf8(chunk.unwrap_or_default().to_vec()).unwrap()
    }

    /// Reads until `wanted` has come, and says all that came.
    pub async fn until(&mut self, wanted: &str) -> String {
        let mut text = String::new();
        while !text.contains(wanted) {
            let piece = self.piece().await;
            assert!(!piece.is_empty(), "the stream ended before {wanted:?}: {text}");
            text.push_str(&piece);
        }
        text
    }

    /// Reads to the end.
    pub async fn rest(self) -> String {
        self.rest_and(|_| {}).await
    }

    /// Reads to the end, and shows each piece as it comes.
    pub async fn rest_and(mut self, mut show: impl FnMut(&str)) -> String {
        let mut text = String::new();
        loop {
            let piece = self.piece().await;
            if piece.is_empty() {
                return text;
            }
            show(&piece);
            text.push_str(&piece);
        }
    }
}
