//! Why a provider is not in a plan.

use crate::domain::{
    failure::FailureClass,
    id::{ModelName, ProviderId},
    model::Capabilities,
    time::Timestamp,
};

/// Why a provider is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExclusionReason {
    Disabled,
    /// Its secrets do not open with the master key in use.
    Locked,
    NoAddress,
    NoCredential,
    OtherModel,
    /// It serves the name, and the route leads elsewhere.
    NotInRoute,
    /// The request, or its key, names it as not to be asked.
    ExcludedByRequest,
    /// The request wants a cloud provider, or a local one.
    OtherMode,
    /// The route or alias of the name is stored in a way that is not understood.
    RouteUnreadable,
    /// It is known to lack what the request needs.
    Lacks {
        capabilities: Capabilities,
    },
    /// It is known to be for embeddings, and a chat is asked for.
    ForEmbeddings,
    /// The prompt is certainly longer than its window.
    WindowTooSmall,
    /// Its weight in the route is 0.
    NoWeight,
    /// Its credentials serve as many requests at once as they may.
    Busy,
    Cooling {
        until: Timestamp,
        cause: FailureClass,
    },
}

impl ExclusionReason {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Locked => "locked",
            Self::NoAddress => "no_address",
            Self::NoCredential => "no_credential",
            Self::OtherModel => "other_model",
            Self::NotInRoute => "not_in_route",
            Self::ExcludedByRequest => "excluded_by_request",
            Self::OtherMode => "other_mode",
            Self::RouteUnreadable => "route_unreadable",
            Self::Lacks { .. } => "lacks_capability",
            Self::ForEmbeddings => "for_embeddings",
            Self::WindowTooSmall => "window_too_small",
            Self::NoWeight => "no_weight",
            Self::Busy => "busy",
            Self::Cooling { .. } => "cooling",
        }
    }
}

/// A provider that is not asked, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    pub provider_id: ProviderId,
    pub model: ModelName,
    pub reason: ExclusionReason,
}
