//! `POST /api/v1/providers/{id}/detect-format`: what a provider speaks, as far as it tells.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;

use crate::{
    actors::discovery::DetectFormats,
    domain::{
        failure::FailureClass,
        format_evidence::{Evidence, FormatVerdict, Method, Tells},
        id::ProviderId,
        provider::ApiFormat,
    },
    http::{
        actors::{Actors, ask_patiently},
        endpoint::{Endpoint, endpoint},
        problem::{ErrorResponse, Management},
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(detect)]
}

/// What a provider speaks, and how that is known.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DetectedFormats {
    /// The surest first. Empty when it has told nothing.
    formats: Vec<ApiFormat>,
    evidence: Vec<EvidenceView>,
}

/// One question, and what its answer tells.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EvidenceView {
    method: Method,
    path: String,
    /// What it tells about. Absent for a path that nobody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<ApiFormat>,
    /// Absent when there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// What the answer looks like: `openai_error`, `anthropic_models`, `json`, `page`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<&'static str>,
    /// Why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    failure: Option<FailureClass>,
    tells: Tells,
}

impl From<Evidence> for EvidenceView {
    fn from(evidence: Evidence) -> Self {
        let Evidence { probe, about, answer, tells } = evidence;
        let (heard, failure) = match answer {
            Ok(heard) => (Some(heard), None),
            Err(class) => (None, Some(class)),
        };
        Self {
            method: probe.method,
            path: probe.url.path().to_owned(),
            format: about,
            status: heard.as_ref().map(|heard| heard.status),
            shape: heard.as_ref().map(|heard| heard.shape.as_str()),
            failure,
            tells,
        }
    }
}

/// Asks a provider which APIs it speaks. It costs no tokens: lists of models are asked for, and each API
/// with a body that none can take. Paths that nobody has are asked beside them, and what is answered
/// like those tells nothing. Where nobody has set what it speaks, the answer is kept.
#[utoipa::path(post, path = "/api/v1/providers/{id}/detect-format", tag = "providers",
    params(("id" = ProviderId, Path)),
    responses((status = 200, body = DetectedFormats), (status = 404),
        (status = 409, description = "It has no address, or one that is of one API alone")))]
pub async fn detect(
    actors: Data<Actors>,
    id: Path<String>,
) -> Result<Json<DetectedFormats>, ErrorResponse<Management>> {
    let provider_id = ProviderId::parse(&id)?;
    let FormatVerdict { formats, evidence } =
        ask_patiently(&actors.discovery, DetectFormats { provider_id }).await??;
    let evidence = evidence.into_iter().map(Into::into).collect();
    Ok(Json(DetectedFormats { formats, evidence }))
}
