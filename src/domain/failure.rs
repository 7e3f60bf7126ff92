//! What can go wrong with one attempt, in the classes that decide what happens next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rule::RuleAction;

/// Longest reason passed on to a client, in characters.
pub const MAX_REASON_CHARS: usize = 2_000;

/// Longest word of a reason (its code, type or parameter), in characters.
pub const MAX_WORD_CHARS: usize = 128;

/// Longest cooldown hint that is believed.
pub const MAX_HINT: Duration = Duration::from_hours(24);

/// The class of a failed attempt. Decided from typed facts: status, provider error code, phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The request itself is wrong (400, 409, 413, 422): no other provider would take it.
    ClientFault,
    /// The prompt is longer than the model's window.
    ContextTooLong,
    /// The provider refused the content. Never routed around.
    Refusal,
    /// The credential is not accepted (401, 403).
    Auth,
    /// The account has no credit or no quota left (402, `insufficient_quota`).
    Payment,
    /// Too many requests (429).
    RateLimit,
    /// The provider says it is overloaded (503, 529).
    Overload,
    /// The provider failed (500, 502, 504, an unusable 200).
    Server,
    /// No connection: refused, reset, DNS, TLS.
    Connect,
    /// The provider took the request and sent no first event in time.
    Silent,
    /// A stream stopped sending without ending.
    Stalled,
    /// An answer ended before it was complete.
    Cut,
    /// The provider does not serve this model.
    ModelMissing,
    /// The client left.
    Cancelled,
}

impl FailureClass {
    pub const ALL: [Self; 14] = [
        Self::ClientFault,
        Self::ContextTooLong,
        Self::Refusal,
        Self::Auth,
        Self::Payment,
        Self::RateLimit,
        Self::Overload,
        Self::Server,
        Self::Connect,
        Self::Silent,
        Self::Stalled,
        Self::Cut,
        Self::ModelMissing,
        Self::Cancelled,
    ];

    /// The word used on the wire, in the database and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientFault => "client_fault",
            Self::ContextTooLong => "context_too_long",
            Self::Refusal => "refusal",
            Self::Auth => "auth",
            Self::Payment => "payment",
            Self::RateLimit => "rate_limit",
            Self::Overload => "overload",
            Self::Server => "server",
            Self::Connect => "connect",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
            Self::Cut => "cut",
            Self::ModelMissing => "model_missing",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

/// That a provider was asked in a format it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongFormat {
    /// Its path is not there, for no model.
    Everywhere,
    /// It may be there, and this model does not answer in it.
    ForModel,
}

/// One failed attempt, as the gateway saw it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: FailureClass,
    /// The upstream's status, when it sent one.
    pub status: Option<u16>,
    /// The upstream's own words about the request. Shown to the client only for the classes that
    /// are about the request itself: [`FailureClass::ClientFault`], `ContextTooLong`, `Refusal`.
    pub reason: Option<Box<Reason>>,
    /// How long the upstream asks to be left alone, at most [`MAX_HINT`].
    pub retry_after: Option<Duration>,
    /// Whether a limit is that of the whole account, and not of one model.
    pub account_wide: bool,
    /// Whether a model that is missing is missing in the provider's own words, and not only by what was
    /// asked of it.
    pub names_model: bool,
    /// Whether it happened on the way through a credential's own proxy, which is not the provider's to
    /// answer for.
    pub by_proxy: bool,
    /// Whether it was met by what is asked beside answers, and keeps nobody away.
    pub is_aside: bool,
    /// What the provider's own rules say it leads to.
    pub rule: Option<RuleAction>,
    /// Set when another format of the same provider may do: then nobody is to blame.
    pub wrong_format: Option<WrongFormat>,
    /// What happened, for logs and traces: our own words, no upstream text, no secrets.
    pub detail: String,
}

/// What an upstream says is wrong with a request: the fields of an OpenAI error object, bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    /// At most [`MAX_REASON_CHARS`].
    pub message: String,
    pub kind: Option<String>,
    pub code: Option<String>,
    pub param: Option<String>,
}

impl Failure {
    pub fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self {
            class,
            status: None,
            reason: None,
            retry_after: None,
            account_wide: false,
            names_model: false,
            by_proxy: false,
            is_aside: false,
            rule: None,
            wrong_format: None,
            detail: detail.into(),
        }
    }

    /// The class that the client is told of: a server that says when to come back is overloaded, whatever
    /// its status.
    pub fn class_told(&self) -> FailureClass {
        match self.class {
            FailureClass::Server if self.retry_after.is_some() => FailureClass::Overload,
            class => class,
        }
    }

    /// Whether the client is told the upstream's own words: the request itself is at fault, or a
    /// rule of the provider says so.
    pub fn is_about_the_request(&self) -> bool {
        self.rule.is_some_and(RuleAction::stops)
            || matches!(
                self.class,
                FailureClass::ClientFault | FailureClass::ContextTooLong | FailureClass::Refusal
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_reads_back_from_its_word() {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::parse(class.as_str()), Some(class));
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.as_str()));
        }
    }
}
