//! What holds for every request, whatever the providers do.

use std::collections::HashSet;

use providerpool::domain::failure::FailureClass;
use serde_json::Value;

use super::{
    drawn::{Drawn, DrawnProvider, MODELS, Script},
    play::{Call, Outcome},
};
use crate::{
    faults::{Wrong, ledger_is},
    support::Pool,
};

/// The laws that a request has broken, in words.
pub fn broken_by(drawn: &Drawn, seen: &Outcome) -> Vec<String> {
    let mut wrong = Wrong::default();
    let is_of = |fits: &dyn Fn(&str) -> bool| {
        drawn.providers.iter().any(|provider| fits(&provider.text.concat()))
    };
    let (text, status) = (&seen.text, seen.status);
    let is_one = is_of(&|whole| whole.starts_with(text));
    wrong.unless(is_one, "the text should be the beginning of one provider's", text);
    let is_whole = !seen.is_complete || is_of(&|whole| whole == text);
    wrong.unless(is_whole, "what is said to be complete should be", text);
    let has_one_end = seen.is_complete != seen.is_failed;
    wrong.unless(has_one_end, "it should end in one way", &(seen.is_complete, seen.is_failed));
    let says_when = seen.retry_after.is_some();
    let may_say = matches!(status, 429 | 503);
    wrong.unless(says_when == may_say, "retry-after on 429 and 503", &(status, seen.retry_after));
    if let Some(told) = seen.retry_after {
        let bounds = truth(drawn, seen);
        let is_true = bounds.iter().any(|(least, most)| (*least..=*most).contains(&told));
        wrong.unless(is_true, &format!("retry-after should be in one of {bounds:?}"), &told);
    }
    let again = asked_again(&seen.calls);
    wrong.unless(again.is_none(), "what was silent should not be asked again", &again);
    refusals_stand(&mut wrong, seen);
    cuts_are_only_resumed(&mut wrong, seen);
    let is_excused = text.is_empty() && (is_stopped(&seen.calls) || is_late(drawn, seen));
    let is_served = seen.is_complete || !text.is_empty();
    if drawn.has_healthy(|_| true) && !is_excused {
        wrong.unless(is_served, "somebody is well, so it should be served", &status);
    }
    wrong.into_words()
}

/// What is wrong with the ledger after so many requests.
pub async fn broken_on_the_ledger(pool: &Pool, requests: u64, completed: u64) -> Vec<String> {
    let mut wrong = Wrong::default();
    ledger_is(&mut wrong, pool, completed, requests - completed).await;
    wrong.into_words()
}

/// Somebody has said what ends a request, or what only larger windows help with.
fn is_stopped(calls: &[Call]) -> bool {
    use FailureClass::{ClientFault, ContextTooLong, Refusal};
    calls.iter().any(|call| {
        matches!(call.script, Script::Fails { class: ClientFault | ContextTooLong | Refusal, .. })
    })
}

fn is_late(drawn: &Drawn, seen: &Outcome) -> bool {
    seen.trace["duration_ms"].as_u64().unwrap() >= super::play::deadline(drawn)
}

/// A place that was asked again after a silence.
fn asked_again(calls: &[Call]) -> Option<(&'static str, &'static str)> {
    let mut silent = HashSet::new();
    calls.iter().find_map(|call| {
        let place = (call.provider, call.model);
        if silent.contains(&place) {
            return Some(place);
        }
        let stalled = FailureClass::Stalled;
        if matches!(&call.script, Script::Silent)
            || matches!(&call.script, Script::Breaks { class, .. } if *class == stalled)
        {
            silent.insert(place);
        }
        None
    })
}

/// Nothing is asked after a refusal, and it is what the client is told, unless it came from somebody who
/// was to go on with a stream: that one broke off, and says so itself.
fn refusals_stand(wrong: &mut Wrong, seen: &Outcome) {
    let attempts = seen.trace["attempts"].as_array().unwrap();
    let is_refusal = |attempt: &&Value| {
        let class = &attempt["failure"]["class"];
        class == "refusal" || class == "client_fault"
    };
    let Some(refusal) = attempts.iter().find(is_refusal) else { return };
    let millis = |attempt: &Value, field: &str| attempt[field].as_u64().unwrap();
    let refused = millis(refusal, "after_ms") + millis(refusal, "duration_ms");
    let is_before = |attempt: &Value| millis(attempt, "after_ms") <= refused;
    wrong.unless(attempts.iter().all(is_before), "no refusal should be routed around", attempts);
    let has_begun = !seen.text.is_empty();
    if !has_begun && !attempts.iter().any(|attempt| attempt["end"] == "answered") {
        wrong.unless(seen.status == 400, "a refusal should be told", &seen.status);
    }
}

/// Where an answer broke off, another attempt is only made to go on with it.
fn cuts_are_only_resumed(wrong: &mut Wrong, seen: &Outcome) {
    let place = |attempt: &Value| (attempt["provider_id"].clone(), attempt["model_id"].clone());
    let mut cut = Vec::new();
    for attempt in seen.trace["attempts"].as_array().unwrap() {
        let is_again = cut.contains(&place(attempt));
        let is_good = !is_again || attempt["kind"] == "resume";
        wrong.unless(is_good, "what was cut should only be gone on with", attempt);
        if attempt["failure"]["class"] == "cut" {
            cut.push(place(attempt));
        }
    }
}

/// The least and the most that a client may be told, in seconds, of when to come back: where all are
/// cooling, when the first of them is back; else when any of them is, or at once.
fn truth(drawn: &Drawn, seen: &Outcome) -> Vec<(i64, i64)> {
    let seconds = |millis: i64| (millis + 999).div_euclid(1_000).max(1);
    let bounds = |until: i64| (seconds(until - seen.ended), seconds(until - seen.began));
    let stages = &MODELS[..=drawn.fallbacks];
    let ends: Vec<Option<i64>> = drawn
        .providers
        .iter()
        .enumerate()
        .flat_map(|(n, provider)| stages.iter().map(move |model| (n, provider, *model)))
        .filter(|(n, provider, model)| drawn.is_planned(*n, provider, model))
        .map(|(_, provider, model)| end_of(provider, model, &seen.cooldowns))
        .collect();
    if ends.iter().all(Option::is_some) {
        return ends.into_iter().flatten().min().map(bounds).into_iter().collect();
    }
    let any = seen.cooldowns.iter().map(|cooldown| bounds(until(cooldown)));
    any.chain([(0, 1)]).collect()
}

/// When a model of a provider can be asked again. `None`: it can be by now.
fn end_of(provider: &DrawnProvider, model: &str, cooldowns: &[Value]) -> Option<i64> {
    let here = || {
        cooldowns.iter().filter(|cooldown| {
            let of = &cooldown["model_id"];
            cooldown["provider_id"] == provider.id && (of.is_null() || of == model)
        })
    };
    let whole = here().filter(|cooldown| cooldown["credential_id"].is_null()).map(until).max();
    let keys: HashSet<&str> = here().filter_map(|it| it["credential_id"].as_str()).collect();
    let of_key = |key: &&str| here().filter(|it| it["credential_id"] == **key).map(until).max();
    let of_keys = if provider.keys > 0 && keys.len() == provider.keys {
        keys.iter().filter_map(of_key).min()
    } else {
        None
    };
    whole.max(of_keys)
}

fn until(cooldown: &Value) -> i64 {
    cooldown["until"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}
