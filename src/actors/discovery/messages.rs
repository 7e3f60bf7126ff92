//! What can be asked of Discovery.

use actix::Message;
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

/// Asks a provider which formats it speaks, with questions that cost no tokens, and answers with what
/// it has told. Where nobody has set what it speaks, that is kept.
#[derive(Debug, Message)]
#[rtype(result = "Result<FormatVerdict, DiscoveryError>")]
pub struct DetectFormats {
    pub provider_id: ProviderId,
}
