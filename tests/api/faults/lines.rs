//! What comes of the classes of failure: a line for each setting. Faults that mean the same share
//! them.

use super::{
    cell::{Cools, Line, NOTHING, Sees::*, cools, on},
    settings::Setting::*,
};

/// The server fails: once more there, then another provider. No other key, which leads to the same
/// server.
pub const SERVER: &[Line] = &[
    on(Alone, Fails(502, "upstream_error"), [2, 0], NOTHING),
    on(SecondKey, Fails(502, "upstream_error"), [2, 0], NOTHING),
    on(SecondProvider, Backup, [2, 1], NOTHING),
    on(Fallback, Backup, [2, 1], NOTHING),
    // The third failure in a minute cools, and is not repeated.
    on(SecondProvider, Backup, [3, 2], &[cools("provider_model", "server", 10)]).times(2),
];

/// As `SERVER`, and it says that it is too much.
pub const OVERLOAD: &[Line] = &[
    on(Alone, Fails(503, "overloaded"), [2, 0], NOTHING),
    on(SecondKey, Fails(503, "overloaded"), [2, 0], NOTHING),
    on(SecondProvider, Backup, [2, 1], NOTHING),
    on(Fallback, Backup, [2, 1], NOTHING),
    // The fifth failure in a minute cools.
    on(SecondProvider, Backup, [5, 3], &[cools("provider_model", "overload", 5)]).times(3),
];

/// There is no connection, or it is lost before an answer.
pub const CONNECT: &[Line] = &[
    on(Alone, Fails(502, "upstream_error"), [2, 0], NOTHING),
    on(SecondKey, Fails(502, "upstream_error"), [2, 0], NOTHING),
    on(SecondProvider, Backup, [2, 1], NOTHING),
    on(Fallback, Backup, [2, 1], NOTHING),
    on(SecondProvider, Backup, [3, 2], &[cools("provider", "connect", 10)]).times(2),
];

/// It breaks off before anything was sent on: another provider, and never there again.
pub const CUT: &[Line] = &[
    on(Alone, Fails(502, "upstream_error"), [1, 0], NOTHING),
    on(SecondKey, Fails(502, "upstream_error"), [1, 0], NOTHING),
    on(SecondProvider, Backup, [1, 1], NOTHING),
    on(Fallback, Backup, [1, 1], NOTHING),
    on(SecondProvider, Backup, [3, 3], &[cools("provider_model", "cut", 10)]).times(3),
];

/// It stops before anything was sent on.
pub const STALLED: &[Line] = &[
    on(Alone, Fails(504, "upstream_timeout"), [1, 0], NOTHING),
    on(SecondKey, Fails(504, "upstream_timeout"), [1, 0], NOTHING),
    on(SecondProvider, Backup, [1, 1], NOTHING),
    on(Fallback, Backup, [1, 1], NOTHING),
    on(SecondProvider, Backup, [3, 3], &[cools("provider_model", "stalled", 10)]).times(3),
];

/// It never says a word.
pub const SILENT: &[Line] = &[
    on(Alone, Fails(504, "upstream_timeout"), [1, 0], NOTHING),
    on(SecondKey, Fails(504, "upstream_timeout"), [1, 0], NOTHING),
    on(SecondProvider, Backup, [1, 1], NOTHING),
    on(Fallback, Backup, [1, 1], NOTHING),
    on(SecondProvider, Backup, [3, 3], &[cools("provider_model", "silent", 10)]).times(3),
];

/// No key is accepted. When that is so of several at once, it is the provider's fault.
pub const AUTH: &[Line] = &[
    on(Alone, Fails(502, "upstream_auth"), [1, 0], &[cools("credential", "auth", 1_800)]),
    on(SecondKey, Fails(502, "upstream_auth"), [2, 0], &[cools("provider", "auth", 10)]),
    on(SecondProvider, Backup, [1, 1], &[cools("credential", "auth", 1_800)]),
    on(Fallback, Backup, [1, 1], &[cools("credential", "auth", 1_800)]),
];

/// One of two keys is not accepted.
pub const AUTH_OF_ONE: &[Line] =
    &[on(SecondKey, Acme, [2, 0], &[cools("credential", "auth", 1_800)])];

/// Two of four keys are not accepted: that is half of them, and not most.
pub const AUTH_OF_HALF: &[Line] = &[on(FourKeys, Acme, [3, 0], TWO_REJECTED)];

const TWO_REJECTED: &[Cools] =
    &[cools("credential", "auth", 1_800), cools("credential", "auth", 1_800)];

/// There is no money left.
pub const PAYMENT: &[Line] = &[
    on(Alone, Fails(429, "insufficient_quota"), [1, 0], &[cools("credential", "payment", 1_800)]),
    on(SecondKey, Fails(429, "insufficient_quota"), [2, 0], &[cools("provider", "payment", 10)]),
    on(SecondProvider, Backup, [1, 1], &[cools("credential", "payment", 1_800)]),
    on(Fallback, Backup, [1, 1], &[cools("credential", "payment", 1_800)]),
];

/// The client has a stream by the time nobody has answered.
pub const SILENT_BEHIND_KEEP_ALIVES: &[Line] = &[
    on(Alone, Breaks("", "upstream_timeout"), [1, 0], NOTHING),
    on(SecondKey, Breaks("", "upstream_timeout"), [1, 0], NOTHING),
    on(SecondProvider, Backup, [1, 1], NOTHING),
    on(Fallback, Backup, [1, 1], NOTHING),
    on(SecondProvider, Backup, [3, 3], &[cools("provider_model", "silent", 10)]).times(3),
];

/// One of two accounts has no money left.
pub const PAYMENT_OF_ONE: &[Line] =
    &[on(SecondKey, Acme, [2, 0], &[cools("credential", "payment", 1_800)])];

/// It has no such model: no other key there will help, and it is not asked for it again.
pub const MODEL_MISSING: &[Line] = &[
    on(Alone, Fails(404, "model_not_found"), [1, 0], MISSING),
    on(SecondKey, Fails(404, "model_not_found"), [1, 0], MISSING),
    on(SecondProvider, Backup, [1, 1], MISSING),
    on(Fallback, Backup, [1, 1], MISSING),
    on(SecondProvider, Backup, [1, 2], MISSING).times(2),
];

const MISSING: &[Cools] = &[cools("provider_model", "model_missing", 3_600)];

/// What an answer is when nothing is the matter in the end.
pub const WELL: &[Line] = &[
    on(Alone, Acme, [1, 0], NOTHING),
    on(SecondKey, Acme, [1, 0], NOTHING),
    on(SecondProvider, Acme, [1, 0], NOTHING),
    on(Fallback, Acme, [1, 0], NOTHING),
];

/// The first call fails and the second is well.
pub const WELL_THE_SECOND_TIME: &[Line] = &[
    on(Alone, Acme, [2, 0], NOTHING),
    on(SecondKey, Acme, [2, 0], NOTHING),
    on(SecondProvider, Acme, [2, 0], NOTHING),
    on(Fallback, Acme, [2, 0], NOTHING),
];

/// The lines of an error that nobody else can help with.
macro_rules! stops_with {
    ($status:expr, $code:expr) => {
        const {
            &[
                $crate::faults::cell::on(Alone, Fails($status, $code), [1, 0], NOTHING),
                $crate::faults::cell::on(SecondKey, Fails($status, $code), [1, 0], NOTHING),
                $crate::faults::cell::on(SecondProvider, Fails($status, $code), [1, 0], NOTHING),
                $crate::faults::cell::on(Fallback, Fails($status, $code), [1, 0], NOTHING),
            ]
        }
    };
}

/// The lines of a stream that breaks off after it was begun: nobody else goes on with it. It ends with the
/// error of a broken stream, unless the upstream has said what is wrong.
macro_rules! breaks_after {
    ($text:expr) => {
        breaks_after!($text, "stream_broken")
    };
    ($text:expr, $code:expr) => {
        const {
            &[
                $crate::faults::cell::on(Alone, Breaks($text, $code), [1, 0], NOTHING),
                $crate::faults::cell::on(SecondKey, Breaks($text, $code), [1, 0], NOTHING),
                $crate::faults::cell::on(SecondProvider, Breaks($text, $code), [1, 0], NOTHING),
                $crate::faults::cell::on(Fallback, Breaks($text, $code), [1, 0], NOTHING),
            ]
        }
    };
}

pub(super) use {breaks_after, stops_with};
