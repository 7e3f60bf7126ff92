//! One connection: from the hello frame to the close frame.

use std::time::Duration;

use actix_ws::{Message, MessageStream, ProtocolError, Session};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::{
    select,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tracing::debug;

use super::frames::{self, Ending};
use crate::{actors::events::Subscription, domain::access_key::KeyFault};

/// Largest frame taken from a client, in bytes. It has nothing to say beyond pongs and a close.
const MAX_CLIENT_FRAME: usize = 4096;

/// Heartbeats without a word from the client, or without room for what we send, that end a
/// connection.
const MISSED_HEARTBEATS: u32 = 2;

/// Carries events to one client until either side ends it. The subscription ends with it. `key` is done
/// when the client may have no more of them.
pub async fn run(
    session: Session,
    messages: MessageStream,
    subscription: Subscription,
    heartbeat: Duration,
    key: impl Future<Output = KeyFault>,
) {
    let messages = messages.max_frame_size(MAX_CLIENT_FRAME);
    let ending = serve(session, messages, subscription, heartbeat, key).await;
    debug!(?ending, "event subscriber left");
}

/// The client is gone or takes nothing more: there is nobody to tell.
#[derive(Debug, PartialEq, Eq)]
struct Gone;

async fn serve(
    session: impl Sink<Message> + Unpin,
    messages: impl Stream<Item = Result<Message, ProtocolError>> + Unpin,
    subscription: Subscription,
    heartbeat: Duration,
    key: impl Future<Output = KeyFault>,
) -> Result<Ending, Gone> {
    let mut client = Client { session, patience: heartbeat * MISSED_HEARTBEATS };
    let ending = select! {
        biased;
        // Also while an event waits for room: it is the last that goes out.
        fault = key => Ending::Key(fault),
        ending = exchange(&mut client, messages, subscription, heartbeat) => ending?,
    };
    client.send(Message::Close(Some(ending.close_reason()))).await?;
    Ok(ending)
}

/// Sends events and answers pings until there is a reason to end.
async fn exchange(
    client: &mut Client<impl Sink<Message> + Unpin>,
    mut messages: impl Stream<Item = Result<Message, ProtocolError>> + Unpin,
    mut subscription: Subscription,
    heartbeat: Duration,
) -> Result<Ending, Gone> {
    client.send_text(frames::hello(subscription.last_seq)).await?;
    if let Some(first_available) = subscription.gap {
        client.send_text(frames::gap(first_available)).await?;
    }
    for event in std::mem::take(&mut subscription.backlog) {
        client.send_text(frames::event(&event)).await?;
    }

    let mut last_heard = Instant::now();
    let mut heartbeats = interval_at(last_heard + heartbeat, heartbeat);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        select! {
            event = subscription.next() => match event {
                Ok(event) => client.send_text(frames::event(&event)).await?,
                Err(reason) => return Ok(Ending::Events(reason)),
            },
            message = messages.next() => {
                last_heard = Instant::now();
                match message {
                    Some(Ok(Message::Ping(payload))) => client.send(Message::Pong(payload)).await?,
                    Some(Ok(Message::Close(_))) => return Ok(Ending::Client),
                    Some(Ok(_)) => {}
                    Some(Err(ProtocolError::Overflow)) => return Ok(Ending::FrameTooLarge),
                    Some(Err(ProtocolError::Io(_))) | None => return Err(Gone),
                    Some(Err(_)) => return Ok(Ending::Malformed),
                }
            },
            _ = heartbeats.tick() => {
                if last_heard.elapsed() >= client.patience {
                    return Ok(Ending::Silent);
                }
                client.send(Message::Ping(bytes::Bytes::new())).await?;
            },
        }
    }
}

/// The way to the client, which may be blocked.
struct Client<S> {
    session: S,
    /// How long one message may wait for room.
    patience: Duration,
}

impl<S: Sink<Message> + Unpin> Client<S> {
    async fn send_text(&mut self, text: String) -> Result<(), Gone> {
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(self.patience, self.session.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use actix_ws::{CloseCode, CloseReason};
    use futures_util::{sink, stream};
    use tokio::{
        sync::{mpsc, oneshot},
        task::JoinHandle,
    };

    use super::*;
    use crate::{
        actors::events::{EndReason, EventRing, QueueLimits, Subscribers},
        domain::{
            event::{Event, EventData, EventFilter, EventType, Fact},
            time::Timestamp,
        },
    };

    const HEARTBEAT: Duration = Duration::from_secs(15);

    /// The far end of a connection, and the event stream behind it.
    struct Connection {
        to_server: Option<mpsc::Sender<Result<Message, ProtocolError>>>,
        from_server: mpsc::Receiver<Message>,
        ring: EventRing,
        subscribers: Subscribers,
        key: Option<oneshot::Sender<KeyFault>>,
        server: JoinHandle<Result<Ending, Gone>>,
    }

    /// Connects a client that has seen event 1 of 4, of which the ring holds the last two, and that
    /// has room for `room` messages it has not read.
    fn connect(room: usize) -> Connection {
        let mut ring = EventRing::new(2);
        for _ in 0..4 {
            push(&mut ring);
        }
        // Room for four.
        let bytes = 4 * push(&mut EventRing::new(1)).memory();
        let limits = QueueLimits { bytes, age: Duration::from_mins(10) };
        let mut subscribers = Subscribers::new(1, limits);
        let subscription =
            subscribers.add(EventFilter::default(), ring.since(1), ring.last_seq()).unwrap();
        let (to_server, incoming) = mpsc::channel(8);
        let (outgoing, from_server) = mpsc::channel(room);
        let session = Box::pin(sink::unfold(outgoing, async |outgoing, message| {
            outgoing.send(message).await.map(|()| outgoing)
        }));
        let messages = Box::pin(stream::unfold(incoming, async |mut incoming| {
            Some((incoming.recv().await?, incoming))
        }));
        let (key, fault) = oneshot::channel();
        let fault = async {
            match fault.await {
                Ok(fault) => fault,
                Err(_) => pending().await,
            }
        };
        let server = actix::spawn(serve(session, messages, subscription, HEARTBEAT, fault));
        let key = Some(key);
        Connection { to_server: Some(to_server), from_server, ring, subscribers, key, server }
    }

    fn push(ring: &mut EventRing) -> Arc<Event> {
        let fact = Fact::new(EventType::Failover, EventData::None {});
        ring.push(Timestamp::from_millis(0), fact)
    }

    impl Connection {
        fn publish(&mut self) {
            let event = push(&mut self.ring);
            self.subscribers.publish(std::time::Instant::now(), &event);
        }

        async fn text(&mut self) -> String {
            match self.from_server.recv().await {
                Some(Message::Text(text)) => text.to_string(),
                other => panic!("expected text, got {other:?}"),
            }
        }

        async fn skip_backlog(&mut self) {
            for _ in 0..4 {
                self.text().await;
            }
        }

        async fn say(&mut self, message: Message) {
            self.to_server.as_ref().unwrap().send(Ok(message)).await.unwrap();
        }

        async fn close_code(&mut self) -> CloseCode {
            match self.from_server.recv().await {
                Some(Message::Close(Some(CloseReason { code, .. }))) => code,
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    }

    #[actix::test]
    async fn a_client_gets_hello_gap_backlog_and_then_what_comes() {
        let mut connection = connect(8);
        connection.publish();

        assert_eq!(connection.text().await, frames::hello(4));
        assert_eq!(connection.text().await, frames::gap(3));
        for seq in 3..=5 {
            assert!(connection.text().await.starts_with(&format!("{{\"seq\":{seq},")));
        }
    }

    #[actix::test]
    async fn a_ping_is_answered_and_other_messages_are_ignored() {
        let mut connection = connect(8);
        connection.skip_backlog().await;
        connection.say(Message::Text("hello?".into())).await;
        connection.say(Message::Ping("x".into())).await;
        assert!(matches!(connection.from_server.recv().await, Some(Message::Pong(_))));
    }

    #[actix::test]
    async fn a_close_is_answered_and_frees_the_seat() {
        let mut connection = connect(8);
        connection.skip_backlog().await;
        connection.say(Message::Close(None)).await;

        assert_eq!(connection.close_code().await, CloseCode::Normal);
        assert_eq!(connection.server.await.unwrap(), Ok(Ending::Client));
        assert_eq!(connection.subscribers.count(), 0);
    }

    #[actix::test]
    async fn a_lost_connection_frees_the_seat() {
        let mut connection = connect(8);
        connection.to_server = None;
        assert_eq!(connection.server.await.unwrap(), Err(Gone));
        assert_eq!(connection.subscribers.count(), 0);
    }

    #[actix::test]
    async fn a_frame_that_is_too_large_is_not_taken() {
        let mut connection = connect(8);
        connection.skip_backlog().await;
        let to_server = connection.to_server.clone().unwrap();
        to_server.send(Err(ProtocolError::Overflow)).await.unwrap();
        assert_eq!(connection.close_code().await, CloseCode::Size);
    }

    #[actix::test]
    async fn a_client_that_answers_pings_stays_and_a_silent_one_is_closed() {
        tokio::time::pause();
        let mut connection = connect(8);
        connection.skip_backlog().await;
        for _ in 0..5 {
            let ping = connection.from_server.recv().await;
            assert!(matches!(ping, Some(Message::Ping(_))), "{ping:?}");
            connection.say(Message::Pong(bytes::Bytes::new())).await;
        }
        while let Some(message) = connection.from_server.recv().await {
            if matches!(message, Message::Close(_)) {
                break;
            }
        }
        assert_eq!(connection.server.await.unwrap(), Ok(Ending::Silent));
    }

    #[actix::test]
    async fn a_slow_client_is_told_so_when_it_reads_again() {
        let mut connection = connect(1);
        assert_eq!(connection.text().await, frames::hello(4));
        for _ in 0..6 {
            connection.publish();
        }
        assert_eq!(connection.subscribers.dropped(), 1);

        let mut texts = 0;
        let close = loop {
            match connection.from_server.recv().await.unwrap() {
                Message::Text(_) => texts += 1,
                other => break other,
            }
        };
        assert_eq!(texts, 1 + 2 + 4, "gap, backlog and queue come first");
        let Message::Close(Some(reason)) = close else { panic!("{close:?}") };
        assert_eq!(reason.code, CloseCode::Again);
    }

    #[actix::test]
    async fn a_client_that_reads_nothing_is_left() {
        tokio::time::pause();
        let connection = connect(1);
        assert_eq!(connection.server.await.unwrap(), Err(Gone));
        drop(connection.from_server);
    }

    #[actix::test]
    async fn who_may_have_no_more_events_gets_none_and_is_told_why() {
        let mut connection = connect(1);
        assert_eq!(connection.text().await, frames::hello(4));
        while connection.from_server.is_empty() {
            tokio::task::yield_now().await;
        }
        connection.key.take().unwrap().send(KeyFault::Revoked).unwrap();
        tokio::task::yield_now().await;

        assert_eq!(connection.text().await, frames::gap(3));
        assert!(connection.text().await.starts_with("{\"seq\":3,"), "it was on its way");
        let Some(Message::Close(Some(reason))) = connection.from_server.recv().await else {
            panic!("the events that waited came before the close frame");
        };
        assert_eq!(reason.code, CloseCode::Policy);
        assert_eq!(reason.description.as_deref(), Some("this key is revoked"));
        assert_eq!(connection.server.await.unwrap(), Ok(Ending::Key(KeyFault::Revoked)));
        assert_eq!(connection.subscribers.count(), 0);
    }

    #[actix::test]
    async fn a_stopping_pool_says_goodbye() {
        let mut connection = connect(8);
        connection.skip_backlog().await;
        connection.subscribers = Subscribers::new(1, QueueLimits { bytes: 1, age: HEARTBEAT });
        assert_eq!(connection.close_code().await, CloseCode::Away);
        assert_eq!(connection.server.await.unwrap(), Ok(Ending::Events(EndReason::Stopping)));
    }
}
