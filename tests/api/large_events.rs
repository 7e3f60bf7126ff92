//! Events that are large: taken up to a limit, which is the same in every dialect.

use crate::support::{
    Reply, Setup, Streaming, TestApp, chat_body,
    dialect::{Client, FORMATS, events_saying, script, whole},
    script::Script,
};

const CLIENTS: [Client; 5] =
    [Client::Chat, Client::Responses, Client::Messages, Client::Gemini, Client::OllamaChat];

#[actix_web::test]
async fn an_event_of_megabytes_is_taken_in_every_dialect() {
    let text = "many words ".repeat(250_000);
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        for client in CLIENTS {
            let (events, last) = events_saying(format, &[&text]);
            app.upstream.next(events.into_iter().fold(script(format), Script::send).send(last));

            let sent = Streaming::to(client.ask(&app, true)).await.rest().await;

            let said: String =
                client.events(&sent).iter().map(|event| client.said_in(event)).collect();
            assert!(said == text && client.is_complete(&sent), "{client:?} over {format:?}");
        }
    }
}

#[actix_web::test]
async fn an_event_past_the_limit_is_a_cut_that_is_told_by_its_reason() {
    let text = "many words ".repeat(10_000);
    for format in FORMATS {
        let arrange = Box::new(|config: &mut providerpool::config::Config| {
            config.relay.max_event_bytes = 64 << 10;
            config.relay.resume = false;
        });
        let app = TestApp::with(Setup { speaks: Some(format), arrange, ..Setup::default() }).await;
        for client in CLIENTS {
            let (events, last) = events_saying(format, &["Hello", " you", &text]);
            app.upstream.next(events.into_iter().fold(script(format), Script::send).send(last));

            let streaming = Streaming::to(client.ask(&app, true)).await;
            let id = streaming.header("x-request-id").to_owned();
            let sent = streaming.rest().await;

            let what = format!("{client:?} over {format:?}: {sent}");
            assert!(client.is_failed(&sent) && !sent.contains("many words"), "{what}");
            let trace = app.trace(&id).await;
            let failure = &trace["attempts"][0]["failure"];
            assert_eq!(failure["class"], "cut", "{what}");
            assert_eq!(failure["detail"], "an event is longer than 65536 bytes", "{what}");
            // A good answer makes up for it.
            app.delete("/api/v1/cooldowns").await;
            app.upstream.next(whole(format));
            let well = Reply::to(app.relay(chat_body("hello", false).to_string())).await;
            assert_eq!(well.status, 200, "{}", well.text());
        }
    }
}
