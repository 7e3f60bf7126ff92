//! What can be asked of Discovery.

use actix::{Message, MessageResponse};
use serde::Serialize;
use thiserror::Error;

use crate::{
    actors::registry::RegistryError,
    domain::{format_evidence::FormatVerdict, id::ProviderId},
};

/// Why nothing was asked.
#[derive(Debug, Error)]
pub enum DiscoveryError {
    #[error("provider {0} has no address")]
    NoAddress(ProviderId),
    #[error("the address of provider {0} is that of one format, which it speaks")]
    OneFormat(ProviderId),
    #[error("secrets of provider {0} do not open with the master key in use")]
    Locked(ProviderId),
    #[error("{0} providers are being asked already")]
    Busy(usize),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Has a provider asked what it speaks as soon as there is room, if that is not known by then. Nobody
/// waits for it, and it is dropped when too many wait already: what a provider speaks is also found
/// with its first request.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DetectSoon {
    pub provider_id: ProviderId,
}

/// Asks what is being done.
#[derive(Debug, Message)]
#[rtype(result = "DiscoveryView")]
pub struct ShowDiscovery;

/// How many providers are being asked, and how many are going to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, MessageResponse)]
pub struct DiscoveryView {
    pub under_way: usize,
    pub waiting: usize,
}

/// Asks a provider which formats it speaks, with questions that cost no tokens, and answers with what
/// it has told. Where nobody has set what it speaks, that is kept.
#[derive(Debug, Message)]
#[rtype(result = "Result<FormatVerdict, DiscoveryError>")]
pub struct DetectFormats {
    pub provider_id: ProviderId,
}
