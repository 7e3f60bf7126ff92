//! A stream of text that is cut at every end of an event, and within events: what is not taken up
//! again ends with an error, and what is taken up again is whole, or ends with an error.

use super::{
    super::support::{
        Setup, TestApp,
        script::{DONE, End, Script, content, finish, role, stream, usage_chunk},
    },
    cell::{Wrong, check_all, ledger_is, named, read_stream},
    settings::Setting,
};

const WORDS: [&str; 4] = ["One", ", two", ", thr\u{e9}e", "."];
const TEXT: &str = "One, two, thr\u{e9}e.";
/// The same text in other pieces.
const SAME_WORDS: &[&str] = &["One, t", "wo, thr\u{e9}e."];
/// It begins as the text does, and goes on in another way.
const OTHER_WORDS: &[&str] = &["One", ", but not", " two."];
const OTHER_TEXT: &str = "One, but not two.";

/// Who goes on with a stream that breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nobody: it is not allowed.
    Nobody,
    Same,
    /// Somebody who says something else.
    Other,
}

/// A place at which a stream is cut: after so many whole events, and so many bytes of the next.
#[derive(Debug, Clone, Copy)]
struct Cut {
    events: usize,
    bytes: usize,
}

fn events() -> Vec<String> {
    let words = WORDS.iter().map(|word| content(word));
    let end = [finish(), usage_chunk(), DONE.to_owned()];
    std::iter::once(role()).chain(words).chain(end).collect()
}

/// Each end of an event, and three places in each event.
fn cuts() -> Vec<Cut> {
    let mut cuts = Vec::new();
    for (number, event) in events().iter().enumerate() {
        let length = event.len();
        let places = [0, 1, length / 2, length - 2];
        cuts.extend(places.map(|bytes| Cut { events: number, bytes }));
    }
    cuts.push(Cut { events: events().len(), bytes: 0 });
    cuts
}

impl Cut {
    /// What of the text was sent.
    fn sent(self) -> String {
        WORDS[..self.events.saturating_sub(1).min(WORDS.len())].concat()
    }

    fn is_whole(self) -> bool {
        self.events == events().len()
    }

    /// Whether the finish reason was sent.
    fn had_end(self) -> bool {
        self.events > WORDS.len() + 1
    }

    /// What is said before the cut.
    fn said(self) -> Vec<String> {
        let mut events = events();
        let rest = events.split_off(self.events);
        let part = rest.first().map(|event| {
            let bytes = (0..=self.bytes).rev().find(|at| event.is_char_boundary(*at)).unwrap();
            event[..bytes].to_owned()
        });
        events.extend(part.filter(|part| !part.is_empty()));
        events
    }
}

/// The text that the client has to get, and whether an error ends it.
fn expected(cut: Cut, next: Next) -> (String, bool) {
    let sent = cut.sent();
    match next {
        _ if cut.is_whole() => (TEXT.to_owned(), false),
        // All of the text is here, and its end was told.
        _ if cut.had_end() => (TEXT.to_owned(), false),
        Next::Same => (TEXT.to_owned(), false),
        // All that was sent is repeated, and that is all that can be asked for.
        Next::Other if OTHER_TEXT.starts_with(&sent) => (OTHER_TEXT.to_owned(), false),
        // Nothing was sent: another one is asked as if this one had never been.
        Next::Nobody if sent.is_empty() => (TEXT.to_owned(), false),
        Next::Nobody | Next::Other => (sent, true),
    }
}

async fn cell(cut: Cut, next: Next) -> Vec<String> {
    let app = TestApp::with(Setup {
        configure: if next == Next::Nobody { |_| {} } else { |config| config.relay.resume = true },
        ..Setting::SecondProvider.setup()
    })
    .await;
    let script = cut.said().into_iter().fold(stream(), Script::send);
    app.upstream.next(script.then(End::Cut));
    app.backup.say(if next == Next::Other { OTHER_WORDS } else { SAME_WORDS });

    let stream = app.stream("hello").await.rest().await;

    let mut wrong = Wrong::default();
    let (text, error) = read_stream(&stream);
    let (wanted, is_broken) = expected(cut, next);
    let is_good =
        text == wanted && if is_broken { error == "stream_broken" } else { error.is_empty() };
    let what =
        format!("the text should be {wanted:?}{}", if is_broken { ", and an error" } else { "" });
    wrong.unless(is_good, &what, &(&text, &error));
    let times = |what: &str| stream.matches(what).count();
    wrong.unless(times("\"assistant\"") == 1, "somebody should speak, once", &stream);
    let ends = times("\"finish_reason\":\"stop\"");
    wrong.unless(ends == usize::from(!is_broken), "it should end once", &stream);
    let calls = app.upstream.calls();
    // Once more, last, where nobody else could go on.
    let may_ask = 1 + usize::from(next == Next::Other && is_broken);
    wrong.unless(calls == may_ask, "who breaks off is asked again only to go on, last", &calls);
    let failed = u64::from(is_broken);
    ledger_is(&mut wrong, &app, 1 - failed, failed).await;
    wrong.into_words()
}

async fn check_cuts(next: Next) {
    let name =
        |cut: Cut| format!("cut after {} events and {} bytes, {next:?}", cut.events, cut.bytes);
    check_all(cuts().into_iter().map(|cut| named(name(cut), cell(cut, next))).collect()).await;
}

#[actix_web::test]
async fn what_is_not_taken_up_again_ends_with_an_error() {
    check_cuts(Next::Nobody).await;
}

#[actix_web::test]
async fn what_is_taken_up_again_is_the_same_text() {
    check_cuts(Next::Same).await;
}

#[actix_web::test]
async fn nobody_goes_on_with_another_text() {
    check_cuts(Next::Other).await;
}
