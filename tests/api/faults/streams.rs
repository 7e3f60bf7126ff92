//! Streams that go wrong on their way. That each place of a cut is the same is in `cut_streams`.

use super::{
    super::support::script::{
        DONE, End, Script, content, error_event, finish, role, stream, usage_chunk,
    },
    cell::{Line, NOTHING, Sees::*, cools, on, streamed},
    lines::{CUT, SILENT_BEHIND_KEEP_ALIVES, WELL, breaks_after},
    settings::{Setting::*, little_patience, told_early},
};

/// A stream that has said all of its text and has not ended.
fn said() -> Script {
    stream().send(role()).send(content("Hello")).send(content(" world"))
}

fn begun() -> Script {
    stream().send(role()).send(content("Hello"))
}

/// What comes so late that there is no doubt that the wait for the first word ends first.
fn late() -> Script {
    stream().until_told()
}

/// A provider that breaks off is left alone the third time.
const CUT_THREE_TIMES: &[Line] =
    &[on(Alone, Breaks("Hello", "stream_broken"), [3, 0], &[cools("provider_model", "cut", 10)])
        .times(3)];

faults! {
    a_stream_that_is_empty: [
        streamed(|| stream().into(), CUT),
        streamed(|| stream().send(DONE).into(), CUT),
        streamed(|| stream().send(role()).into(), CUT),
        streamed(|| stream().send(": ping\n\n").into(), CUT),
    ];
    a_stream_that_is_cut_before_its_first_word: [
        streamed(|| stream().then(End::Cut).into(), CUT),
        streamed(|| stream().send(role()).then(End::Cut).into(), CUT),
    ];
    a_stream_that_is_cut: [
        streamed(|| begun().then(End::Cut).into(), breaks_after!("Hello")),
        streamed(|| said().then(End::Cut).into(), breaks_after!("Hello world")),
        streamed(|| said().send(finish()).then(End::Cut).into(), WELL),
        streamed(|| begun().then(End::Cut).into(), CUT_THREE_TIMES),
    ];
    a_stream_that_stops_before_its_first_word: [
        streamed(|| late().send(role()).then(End::Stall).into(), SILENT_BEHIND_KEEP_ALIVES)
            .with(told_early),
    ];
    a_stream_that_stops: [
        streamed(|| begun().then(End::Stall).into(), breaks_after!("Hello")).with(little_patience),
        streamed(|| said().then(End::Stall).into(), breaks_after!("Hello world"))
            .with(little_patience),
    ];
    a_stream_that_stops_after_its_finish_reason: [
        streamed(|| said().send(finish()).then(End::Stall).into(), WELL).with(little_patience),
    ];
    garbage_in_the_middle: [
        streamed(
            || begun().send("data: {\"choices\":[{\n\n").send(content(" world")).send(finish())
                .send(DONE).into(),
            breaks_after!("Hello"),
        ),
        // A line that is no field of an event: those who read streams pass over it.
        streamed(
            || begun().send("what is this\n\n").send(content(" world")).send(finish()).send(DONE)
                .into(),
            WELL,
        ),
    ];
    a_stream_without_a_terminal_event: [
        streamed(|| said().send(finish()).into(), WELL),
        streamed(|| said().send(finish()).send(usage_chunk()).into(), WELL),
    ];
    a_stream_with_neither_terminal_event_nor_finish_reason: [
        streamed(|| begun().into(), breaks_after!("Hello")),
        streamed(|| said().into(), breaks_after!("Hello world")),
    ];
    a_terminal_event_that_is_followed_by_a_cut: [
        streamed(|| said().send(finish()).send(DONE).then(End::Cut).into(), WELL),
        streamed(|| said().send(finish()).send(DONE).then(End::Stall).into(), WELL),
    ];
    an_error_in_the_middle: [
        streamed(|| begun().send(error_event()).into(), breaks_after!("Hello", "upstream_error")),
        streamed(
            || begun().send(error_event()).send(DONE).into(),
            breaks_after!("Hello", "upstream_error"),
        ),
    ];
}
