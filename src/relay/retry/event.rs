//! What whoever drives the retry core tells it, and what it answers.

use std::{sync::Arc, time::Duration};

use super::format::FormatFacts;
use crate::{
    actors::{credentials::LeaseError, router::Candidate},
    domain::{
        failure::{Failure, FailureClass},
        id::CredentialId,
        time::Timestamp,
        trace::AttemptKind,
    },
};

/// Which of the two attempts that may be under way at once.
pub type Slot = usize;
/// Attempts that may be under way at once.
pub const SLOTS: usize = 2;

/// What bounds a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// When it must be over.
    pub deadline: Duration,
    /// The longest it waits for somebody who can be asked, all waits together.
    pub max_wait: Duration,
    /// Shortest pause before the same candidate is asked again; the longest is four times as long.
    pub pause: Duration,
}

/// One stage of a request: what was asked for, or a fallback.
#[derive(Debug, Clone, Copy)]
pub struct StageRules {
    /// Whether a second candidate may be asked beside a slow one.
    pub may_hedge: bool,
}

/// How long an attempt may take before something is done about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// After which another candidate is asked beside it. `None`: never.
    pub soft: Option<Duration>,
    /// After which it is given up, while another candidate is left. `None`: never.
    pub hard: Option<Duration>,
}

/// What became of the plan for a stage.
#[derive(Clone, Default)]
pub struct Planned {
    /// Best first.
    pub candidates: Vec<Candidate>,
    /// When the first of those left out for a while comes back, and why it was left out.
    pub soonest: Option<(Duration, FailureClass)>,
    /// Whether somebody is left out only because its credentials serve as many requests as they may.
    pub has_busy: bool,
}

/// Why no attempt could be made at a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unavailable {
    /// What it needs is cooling.
    Cooling(Duration, FailureClass),
    /// Its credentials serve as many requests at once as they may.
    Busy,
    /// It has no credential that this request has not tried.
    NoCredential,
    /// It cannot be asked for this at all.
    Unfit,
    /// There is no other format in which it could be asked.
    NoFormat,
}

impl Unavailable {
    /// `at`: a moment as the time since the request arrived.
    pub fn of(error: LeaseError, at: impl FnOnce(Timestamp) -> Duration) -> Self {
        match error {
            LeaseError::Cooling { until, cause } => Self::Cooling(at(until), cause),
            LeaseError::Busy => Self::Busy,
            LeaseError::NoneLeft => Self::NoCredential,
        }
    }
}

/// What is known of an attempt that has failed, beside its failure.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub credential: Option<CredentialId>,
    pub format: FormatFacts,
    /// Whether it was made with a token that its credential was exchanged for.
    pub has_token: bool,
}

/// Whose a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Theirs whom its class concerns.
    Usual,
    /// Nobody's: the provider does not have the format it was asked in.
    Format,
    /// The provider's, which has none of the formats it was asked in.
    Formats,
    /// Nobody's: a token may just have lost its worth.
    Token,
}

/// What has happened.
pub enum Event {
    /// The request begins.
    Begin,
    Planned(Planned),
    /// The attempt asked for is under way.
    Started {
        slot: Slot,
        patience: Patience,
    },
    /// The attempt asked for could not be made.
    Unavailable {
        slot: Slot,
        why: Unavailable,
    },
    Failed {
        slot: Slot,
        failure: Arc<Failure>,
        facts: Facts,
    },
    /// It has shown that it answers.
    Answered {
        slot: Slot,
    },
    /// It says something else than the stream that it was to go on with.
    Differs {
        slot: Slot,
    },
    /// Whether the retry budget has given one, and a number from 0 to 1 drawn at random.
    Budget {
        is_granted: bool,
        random: f64,
    },
    /// What a look at the plans has shown: whether somebody could be asked now, and else when.
    Looked {
        is_open: bool,
        soonest: Option<(Duration, FailureClass)>,
    },
    /// What was asked for is done.
    Done,
    /// The time waited for has come.
    Timer,
    /// What is waited for may have come to be.
    Woken,
    /// The pool is about to stop: who waits is told so.
    Draining,
    /// The stream that was committed ended with a failure. `is_kept`: what has been sent of it can be
    /// compared.
    Broken {
        failure: Arc<Failure>,
        is_kept: bool,
    },
}

/// How the next attempt in a slot is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// At another candidate.
    Fresh,
    /// With another credential of the same candidate.
    OtherCredential,
    /// As the one before.
    Again,
    /// As the one before, in the next format of the provider's.
    OtherFormat,
    /// As the one before, with another token for the same credential.
    NewToken,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Plan this stage. `takes_turn`: whether it counts as a turn of its candidates.
    Plan {
        stage: usize,
        takes_turn: bool,
    },
    /// Make an attempt at the candidate of a slot: see [`Retry::candidate`].
    Ask {
        slot: Slot,
        how: How,
        kind: AttemptKind,
    },
    /// Tell of the failure of a slot's attempt whom it concerns.
    Note {
        slot: Slot,
        failure: Arc<Failure>,
        whose: Whose,
    },
    /// End the attempt of a slot, which has failed by its silence.
    Abandon {
        slot: Slot,
        failure: Arc<Failure>,
    },
    /// Take one attempt from the retry budget.
    TakeBudget {
        /// The slot whose attempt is to be made once more, unless its candidate is cooling by now.
        repeats_at: Option<Slot>,
    },
    /// Look at what the plans of these stages would be once all that was told is heard.
    Look {
        from: usize,
        to: usize,
    },
    /// Wait until then for what is under way. `for_others`: also for somebody who can be asked.
    Wait {
        until: Duration,
        for_others: bool,
    },
    /// The answer of this slot is the answer; what else is under way is let go. `slow`: was silent while
    /// it answered.
    Commit {
        slot: Slot,
        stage: usize,
        slow: Option<Slot>,
    },
    End(End),
}

/// How a request ends that nobody has answered.
#[derive(Debug)]
pub enum End {
    /// With this failure.
    Failed(Arc<Failure>),
    /// Nobody was asked.
    NobodyAsked,
    Deadline,
    /// The stream cannot be gone on with.
    NotResumed,
}
