//! What defaults come to under load, through the released binary alone: the seconds that pass here are
//! those of the documents.

use std::time::Duration;

use futures_util::future::join_all;
use providerpool::{config::ProviderConfig, domain::provider::ApiFormat};

use super::{
    faults::{Wrong, check_all_at_once, named},
    support::{
        Released, Upstream,
        dialect::{Client, events, script},
        provider,
        script::{Script, Step},
        tell,
    },
};

/// Streams that begin at the same time: more than the budget of hedges has room for.
const STREAMS: usize = 30;
/// In which all of them are served, in milliseconds.
const SOON: u64 = 15_000;
/// Only what hangs takes as long.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is wrong with the streams of this client, in front of two providers of that format.
async fn run(client: Client, format: ApiFormat) -> Vec<String> {
    let (silent, well) = (Upstream::start(), Upstream::start());
    silent.always(|| Step::Silent);
    well.answer(move |_| {
        let (events, last) = events(format);
        events.into_iter().fold(script(format), Script::send).send(last).into()
    });
    let rows = [("silent", 20, &silent), ("well", 10, &well)].map(|(id, priority, upstream)| {
        let of_openai = provider(id, priority, upstream.address, 1);
        ProviderConfig { api_format: Some(format), ..of_openai }
    });
    let pool = Released::start(|config| config.providers = rows.into()).await;

    let stream = async || {
        let request = client.ask(&pool, true).timeout(PATIENCE);
        let response = request.send().await.unwrap();
        let header = |name| response.headers()[name].to_str().unwrap().to_owned();
        let (id, by) = (header("x-request-id"), header("x-providerpool-provider"));
        (id, by, response.text().await.unwrap())
    };
    let streams = join_all((0..STREAMS).map(|_| stream())).await;

    let mut wrong = Wrong::default();
    for (id, by, body) in streams {
        let said: String = client.events(&body).iter().map(|event| client.said_in(event)).collect();
        let is_served = by == "well" && said == "Hello world" && client.is_complete(&body);
        wrong.unless(is_served, "it should be served by the one that is well", &(by, &body));
        let trace = pool.trace(&id).await;
        let is_soon = trace["duration_ms"].as_u64().is_some_and(|took| took < SOON);
        wrong.unless(is_soon, "it should be served soon", &trace);
    }
    let calls = (silent.calls(), well.calls());
    wrong.unless(calls == (STREAMS, STREAMS), "each should be asked once by each", &calls);
    wrong.into_words()
}

#[actix_web::test]
async fn thirty_streams_at_a_silent_provider_are_all_served_soon() {
    let test = "released::thirty_streams_at_a_silent_provider_are_all_served_soon";
    if !Released::is_there(test) {
        return tell(&format!("SKIPPED (no PROVIDERPOOL_BIN): {test}"));
    }
    let pairs = [
        (Client::Chat, ApiFormat::Openai),
        (Client::Messages, ApiFormat::Anthropic),
        (Client::Messages, ApiFormat::Openai),
    ];
    let run = |(client, format)| named(format!("{client:?} {format:?}"), run(client, format));
    check_all_at_once(pairs.len(), pairs.map(run).into()).await;
}
