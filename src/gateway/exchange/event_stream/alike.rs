//! Events that are like the one before are not read again, and amount to the same.

use proptest::prelude::*;

use super::{
    resumed::{
        PASSED,
        upstream::{Words, events},
    },
    *,
};
use crate::{
    domain::provider::ApiFormat,
    gateway::exchange::{
        passed_log::{Entry, TextKind},
        testing::{conversion, feed},
    },
};

/// An event that means the same, and is like none before.
fn unlike(event: &str) -> String {
    match event.rfind('}') {
        Some(at) => format!("{} {}", &event[..at], &event[at..]),
        None => event.to_owned(),
    }
}

/// A chunk of Chat that tells the usage as well, as some servers do in each.
fn with_usage((number, event): (usize, String)) -> String {
    match event.rfind('}') {
        Some(at) => format!(
            r#"{},"usage":{{"prompt_tokens":5,"completion_tokens":{number}}}{}"#,
            &event[..at],
            &event[at..]
        ),
        None => event,
    }
}

/// What is known of a stream in the end, and what was kept of it.
fn known(stream: &EventStream, is_done: bool) -> (String, Vec<String>) {
    let Way::Passed(passed) = &stream.events.way else { panic!("it passes") };
    let log = passed.log.as_ref().expect("it is kept");
    let entries = log.entries().iter().map(|entry| match entry {
        Entry::Event(data) => String::from_utf8_lossy(data).replace(" }", "}"),
        Entry::Words(kind, words) => format!("{kind:?} {words}"),
    });
    let known =
        format!("{:?} {} {} {is_done}", stream.events.seen, passed.next_number, log.can_resume());
    (known, entries.collect())
}

proptest! {
    #[test]
    fn what_is_not_read_again_amounts_to_the_same(
        said in prop::collection::vec((0..2_usize, "[a-c\"\\\\\né ]{0,4}"), 1..12),
        which in 0..PASSED.len(),
        piece in 1..400_usize,
        each_tells_usage: bool,
    ) {
        let (api, format) = PASSED[which];
        let kinds = [TextKind::Text, TextKind::Reasoning];
        let said: Vec<Words<'_>> = said.iter().map(|(kind, words)| (kinds[*kind], &**words)).collect();
        let mut events = events(format, "x", &said);
        if each_tells_usage && format == ApiFormat::Openai {
            events = events.into_iter().enumerate().map(with_usage).collect();
        }
        let odd = |(number, event): (usize, &String)| {
            if number % 2 == 1 { unlike(event) } else { event.clone() }
        };
        let others: String = events.iter().enumerate().map(odd).collect();
        let run = |events: &str| {
            let mut stream = conversion(api, format, false).stream(true);
            let (_, ending) = feed(&mut stream, events.as_bytes(), piece);
            known(&stream, matches!(ending, Some(Ending::Done(_))))
        };
        prop_assert_eq!(run(&events.concat()), run(&others));
    }
}

#[test]
fn what_was_used_is_told_by_events_alike() {
    let said = [(TextKind::Text, "a"), (TextKind::Text, "b"), (TextKind::Text, "c")];
    for (api, format) in PASSED {
        let events = events(format, "x", &said);
        let events: Vec<String> = match format {
            ApiFormat::Openai => events.into_iter().enumerate().map(with_usage).collect(),
            ApiFormat::Google | ApiFormat::Cloudcode => events,
            _ => continue,
        };
        let mut stream = conversion(api, format, false).stream(true);
        for event in &events[..events.len() - 2] {
            feed(&mut stream, event.as_bytes(), event.len());
        }
        let last = &events[events.len() - 3];
        let told = stream.usage().unwrap().tokens.output;
        let name =
            if format == ApiFormat::Openai { "completion_tokens" } else { "candidatesTokenCount" };
        let count = |tokens| format!("\"{name}\":{tokens}");
        let next = last.replace(&count(told), &count(90));
        assert_ne!(next, *last, "{api:?}");
        let Way::Passed(passed) = &stream.events.way else { panic!("it passes") };
        let data = next.trim().trim_start_matches("data: ");
        assert!(passed.pattern.find(data.as_bytes()).is_some(), "{api:?}: it is alike");
        feed(&mut stream, next.as_bytes(), next.len());
        let used = stream.partial_usage();
        assert_eq!((used.told.unwrap().tokens.output, used.said_then), (90, used.said), "{api:?}");
    }
}
