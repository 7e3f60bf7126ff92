//! Providers that fail now and then.

use super::{
    super::support::script::{Step, error},
    cell::{Line, NOTHING, Sees::*, both, on},
    settings::Setting::*,
};

/// Each request is answered the second time, and an answer makes up for the failure before it.
const FLAPPING: &[Line] = &[
    on(Alone, Acme, [8, 0], NOTHING).times(4),
    on(SecondKey, Acme, [8, 0], NOTHING).times(4),
    on(SecondProvider, Acme, [8, 0], NOTHING).times(4),
    on(Fallback, Acme, [8, 0], NOTHING).times(4),
];

fn every_other(number: usize) -> bool {
    number.is_multiple_of(2)
}

faults! {
    every_other_call_fails: [
        both(|| error(500).into(), FLAPPING).at(every_other),
        both(|| error(503).into(), FLAPPING).at(every_other),
    ];
    every_other_call_is_reset: [both(|| Step::Reset, FLAPPING).at(every_other)];
}
