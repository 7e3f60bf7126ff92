//! Events that are like the one before are not read again, and amount to the same.

use proptest::prelude::*;

use super::{
    resumed::{
        PASSED,
        upstream::{Words, events},
    },
    *,
};
use crate::gateway::exchange::{
    passed_log::{Entry, TextKind},
    testing::{feed, pair},
};

/// An event that means the same, and is like none before.
fn unlike(event: &str) -> String {
    match event.rfind('}') {
        Some(at) => format!("{} {}", &event[..at], &event[at..]),
        None => event.to_owned(),
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
    ) {
        let (api, format) = PASSED[which];
        let kinds = [TextKind::Text, TextKind::Reasoning];
        let said: Vec<Words<'_>> = said.iter().map(|(kind, words)| (kinds[*kind], &**words)).collect();
        let events = events(format, "x", &said);
        let odd = |(number, event): (usize, &String)| {
            if number % 2 == 1 { unlike(event) } else { event.clone() }
        };
        let others: String = events.iter().enumerate().map(odd).collect();
        let run = |events: &str| {
            let mut stream = pair(api, format, false).stream(true);
            let (_, ending) = feed(&mut stream, events.as_bytes(), piece);
            known(&stream, matches!(ending, Some(Ending::Done(_))))
        };
        prop_assert_eq!(run(&events.concat()), run(&others));
    }
}
