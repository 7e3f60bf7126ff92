//! Why a request got no answer. `http` gives each variant its status and words.

use std::{sync::Arc, time::Duration};

use thiserror::Error;

use crate::domain::{
    access_key::KeyFault,
    chat::Losses,
    failure::{Failure, FailureClass},
    id::{ModelName, ProviderId},
    model::Capabilities,
    pattern::NamePattern,
    route::NameKind,
};

/// Why a request got no answer.
#[derive(Debug, Clone, Error)]
pub enum RelayError {
    #[error("the pool is about to stop")]
    Draining,
    #[error("the pool serves {limit} requests at once and no more")]
    Busy { limit: usize },
    #[error("{message}")]
    BadRequest { message: String, param: Option<String> },
    #[error("this key may not use the model {0}")]
    ModelNotAllowed(ModelName),
    /// A field of the body beside `model` by which a provider picks one.
    #[error(
        "this key may use some models only, and a provider may take another one because of {field}"
    )]
    FieldNotAllowed { field: String },
    #[error("no provider is set up: add a key to one, or set its usual environment variable")]
    NoProvider,
    #[error("no provider in use serves the model {0}")]
    NoSuchModel(ModelName),
    /// What is stored under the name is not understood, and nobody is asked in its place.
    #[error("the {kind} {name} cannot be read; the operator finds in the log what is wrong")]
    RouteUnreadable { kind: NameKind, name: NamePattern },
    #[error(
        "the model {model} is for embeddings and does not answer: ask for it at the embeddings API"
    )]
    ForEmbeddings { model: ModelName },
    /// Those who serve it are known not to be able to do what the request needs.
    #[error("no provider of the model {model} can do what the request needs")]
    Lacking { model: ModelName, capabilities: Capabilities },
    /// The request does not allow that anything of it is lost in translation.
    #[error(
        "something of the request would be lost at every provider of the model {model}: {losses}"
    )]
    Lossy { model: ModelName, losses: Losses },
    /// It continues an answer that is not kept here, and no provider can be asked for it.
    #[error("the answer that previous_response_id names is not known here, or no longer")]
    UnknownAnswer,
    /// Those who serve it have no API for what is asked of it.
    #[error("no provider of the model {model} offers what is asked of it")]
    NotOffered { model: ModelName },
    /// The request's own wishes leave nobody. `by`: where it has them.
    #[error("{by} leaves out every provider of the model {model}")]
    NoneAllowed { model: ModelName, by: &'static str },
    /// No model is named, and no provider that fits lists one.
    #[error("no provider that {mode} may choose lists its models: ask for a model by its name")]
    NoModelListed { mode: ModelName },
    /// Nobody was asked: all who could answer are left alone for a while.
    #[error("every provider of the model {model} is cooling down; first back is one {}", after(*cause))]
    Cooling { model: ModelName, cause: FailureClass, retry_after: Duration },
    /// Nobody was asked: the keys of all who could answer serve as many requests at once as they may.
    #[error("every provider of the model {model} serves as many requests at once as it may")]
    ProvidersBusy { model: ModelName },
    /// The upstream says that the request itself is at fault.
    #[error("the provider refused the request: {}", .0.detail)]
    AtFault(Arc<Failure>),
    /// Everyone who could answer was asked.
    #[error("no provider answered ({}; last: {}{})", tries(*attempts), at(provider.as_ref()), last.detail)]
    Exhausted {
        last: Arc<Failure>,
        /// Whose failure it was.
        provider: Option<ProviderId>,
        attempts: u32,
        retry_after: Option<Duration>,
    },
    /// An answer broke off after some of it had been sent.
    #[error("the answer broke off: {}", .0.detail)]
    BrokenOff(Arc<Failure>),
    #[error("the request took longer than it may")]
    DeadlinePassed,
    /// The stream's client may have no more of it.
    #[error("the answer was ended: {0}")]
    KeyEnded(KeyFault),
    #[error("the answer cannot be put on the ledger, so it is withheld")]
    LedgerUnavailable,
}

impl RelayError {
    /// The class under which the ledger keeps it, when it is the failure of an attempt.
    pub fn class(&self) -> Option<FailureClass> {
        match self {
            Self::AtFault(failure) | Self::BrokenOff(failure) => Some(failure.class),
            Self::Exhausted { last, .. } => Some(last.class),
            Self::Cooling { cause, .. } => Some(*cause),
            Self::DeadlinePassed => Some(FailureClass::Silent),
            // Those of the first five are not on the ledger at all.
            Self::BadRequest { .. }
            | Self::Draining
            | Self::Busy { .. }
            | Self::ModelNotAllowed(_)
            | Self::FieldNotAllowed { .. }
            | Self::NoProvider
            | Self::NoSuchModel(_)
            | Self::RouteUnreadable { .. }
            | Self::ForEmbeddings { .. }
            | Self::Lacking { .. }
            | Self::NoneAllowed { .. }
            | Self::NoModelListed { .. }
            | Self::Lossy { .. }
            | Self::NotOffered { .. }
            | Self::ProvidersBusy { .. }
            | Self::UnknownAnswer
            | Self::KeyEnded(_)
            | Self::LedgerUnavailable => None,
        }
    }
}

/// What a provider has cooled down for.
fn after(cause: FailureClass) -> &'static str {
    match cause {
        FailureClass::Auth => "whose key was refused",
        FailureClass::Payment => "whose account has no credit or quota left",
        FailureClass::RateLimit => "that limits its requests",
        FailureClass::Overload => "that is overloaded",
        FailureClass::ModelMissing => "that does not have the model",
        FailureClass::Connect => "that could not be reached",
        _ => "that failed",
    }
}

fn at(provider: Option<&ProviderId>) -> String {
    provider.map(|id| format!("{id}: ")).unwrap_or_default()
}

fn tries(attempts: u32) -> String {
    if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") }
}
