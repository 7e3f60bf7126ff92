//! Connections that are not made, are lost, or are silent, before there is any answer.

use providerpool::config::Config;

use super::{
    super::support::script::{DONE, End, Step, content, finish, role, stream},
    cell::{Line, NOTHING, Sees::*, both, cools, on, streamed, whole as unstreamed},
    lines::{CONNECT, SILENT, SILENT_BEHIND_KEEP_ALIVES},
    settings::{Setting::*, little_patience, told_early},
};

fn kept_alive(config: &mut Config) {
    little_patience(config);
    config.relay.keep_alive_ms = 20;
}

/// What there is no history of is waited for as long as a request may take.
fn very_short_deadline(config: &mut Config) {
    config.relay.timeout_ms = 1_500;
}

fn hedged_soon(config: &mut Config) {
    config.relay.idle_timeout_ms = 2_500;
    config.relay.hedge_unknown_ms = 500;
}

/// The client is told that there will be more when the hedge is due already.
fn told_past_the_hedge(config: &mut Config) {
    hedged_soon(config);
    config.relay.keep_alive_ms = 800;
}

fn not_hedged(config: &mut Config) {
    hedged_soon(config);
    config.relay.hedge = false;
}

fn hedged_whole(config: &mut Config) {
    config.relay.hedge_whole_min_ms = 500;
}

/// There is no time left for anybody else.
const PAST_THE_DEADLINE: &[Line] = &[
    on(Alone, Fails(504, "timeout"), [1, 0], NOTHING),
    on(SecondKey, Fails(504, "timeout"), [1, 0], NOTHING),
    on(SecondProvider, Fails(504, "timeout"), [1, 0], NOTHING),
    on(Fallback, Fails(504, "timeout"), [1, 0], NOTHING),
    // It is held against the provider all the same.
    on(Alone, Fails(504, "timeout"), [3, 0], &[cools("provider_model", "silent", 10)]).times(3),
];

/// Another provider is asked beside a slow one. A fallback is not another provider of the model, and
/// waits until the slow one has failed.
const SLOW_FOR_EVER: &[Line] = &[
    on(SecondProvider, Backup, [1, 1], NOTHING),
    on(Fallback, Backup, [1, 1], NOTHING),
    // Each time that another one was faster counts as a failure.
    on(SecondProvider, Backup, [3, 3], &[cools("provider_model", "silent", 10)]).times(3),
];

/// Nobody else is there: it is waited for.
const SLOW: &[Line] = &[on(Alone, Acme, [1, 0], NOTHING), on(SecondKey, Acme, [1, 0], NOTHING)];

/// How long whole answers take is known after the first.
const WHOLE_AND_THEN_SLOW: &[Line] =
    &[on(SecondProvider, Acme, [2, 1], NOTHING).times(2).then(Backup)];

faults! {
    a_connection_that_is_refused: [both(|| Step::Reset, CONNECT).refusing()];
    a_connection_that_is_reset_before_the_head: [both(|| Step::Reset, CONNECT)];
    an_answer_that_is_not_http: [
        both(|| Step::Bytes("SSH-2.0-OpenSSH_9.9\r\n".into()), CONNECT),
        both(|| Step::Bytes("HTTP/1.1 200 OK\r\ncontent-ty".into()), CONNECT),
    ];
    a_head_that_never_ends: [both(|| Step::EndlessHead, CONNECT)];

    an_upstream_that_is_silent: [
        streamed(|| Step::Silent, SILENT).with(little_patience),
        streamed(silent_but_for_pings, SILENT_BEHIND_KEEP_ALIVES).with(told_early),
        streamed(|| Step::Silent, SILENT_BEHIND_KEEP_ALIVES).with(kept_alive),
    ];
    a_whole_answer_that_does_not_come: [
        unstreamed(|| Step::Silent, PAST_THE_DEADLINE).with(very_short_deadline),
    ];
    a_first_event_that_comes_late: [
        streamed(|| Step::Silent, SLOW_FOR_EVER).with(hedged_soon),
        streamed(|| Step::Silent, SILENT).with(not_hedged),
        streamed(slow_stream, SLOW).with(told_past_the_hedge),
        unstreamed(|| Step::Silent, WHOLE_AND_THEN_SLOW).at(|number| number == 1).with(hedged_whole),
    ];
}

fn slow_stream() -> Step {
    let begun = stream().send(role()).until_told();
    begun.send(content("Hello world")).send(finish()).send(DONE).into()
}

fn silent_but_for_pings() -> Step {
    stream().until_told().send(": ping\n\n").then(End::Stall).into()
}
