//! A subscriber of the event stream.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use super::wait::within;

pub struct EventStream(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl EventStream {
    /// Errors: the status with which the pool refused.
    pub async fn open(url: &str, key: &str, origin: Option<&str>) -> Result<Self, u16> {
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        match within("a connection to the events", connect_async(request)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn message(&mut self) -> Message {
        within("a frame", self.0.next()).await.expect("the event stream ended").unwrap()
    }

    /// The next text frame: a system frame or an event.
    pub async fn next(&mut self) -> Value {
        loop {
            match self.message().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected an event, got {other:?}"),
            }
        }
    }

    /// Reads until an event of this type comes.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// Reads until the pool closes, and says why it did.
    pub async fn closed(&mut self) -> CloseFrame {
        loop {
            if let Message::Close(Some(reason)) = self.message().await {
                return reason;
            }
        }
    }

    pub async fn close(mut self) {
        self.0.send(Message::Close(None)).await.unwrap();
        while let Some(Ok(_)) = self.0.next().await {}
    }
}
