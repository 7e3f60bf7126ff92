//! In which formats a candidate would be asked, and what would be lost on the way there.

use std::cell::RefCell;

use serde::Serialize;

use crate::{
    actors::router::Candidate,
    domain::{
        chat::Dialect, format::FormatSource, id::ModelName, model::ModelFacts, provider::ApiFormat,
        time::Timestamp,
    },
    gateway::exchange::{ClientRequest, Operation, is_served},
    relay::{format_plan, losses},
};

/// Most translations that are made for one answer: a request may be large, and a pool too.
const MAX_TRANSLATIONS: usize = 32;

/// One format in which a candidate would be asked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FormatView {
    api_format: ApiFormat,
    /// As `x-providerpool-translation` would tell it: `lossless`, or the names of what would be lost.
    /// Absent without a request; where it cannot be translated; and past the first 32 translations
    /// that differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    translation: Option<String>,
    /// Why the request cannot be translated.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Translations that were made: candidates often have the same model, in the same format.
#[derive(Default)]
pub struct Translations(RefCell<Vec<Made>>);

struct Made {
    format: ApiFormat,
    model: ModelName,
    facts: ModelFacts,
    result: Result<String, String>,
}

impl Translations {
    /// The formats of a candidate in order, and why the first is.
    pub fn formats(
        &self,
        candidate: &Candidate,
        client: Dialect,
        request: Option<&ClientRequest>,
        now: Timestamp,
    ) -> (Vec<FormatView>, FormatSource) {
        let plan = match request {
            Some(request) => format_plan(candidate, client, now, request.open_formats()),
            None => {
                format_plan(candidate, client, now, |format| is_served(format, Operation::Generate))
            }
        };
        let formats = plan.candidates().iter().map(|at| {
            let api_format = candidate.endpoints[*at].format;
            match request.and_then(|request| self.translation(request, candidate, api_format)) {
                None => FormatView { api_format, translation: None, error: None },
                Some(Ok(told)) => FormatView { api_format, translation: Some(told), error: None },
                Some(Err(error)) => {
                    FormatView { api_format, translation: None, error: Some(error) }
                }
            }
        });
        (formats.collect(), plan.source)
    }

    fn translation(
        &self,
        request: &ClientRequest,
        candidate: &Candidate,
        format: ApiFormat,
    ) -> Option<Result<String, String>> {
        let mut made = self.0.borrow_mut();
        let same = made.iter().find(|made| {
            made.format == format && made.model == candidate.model && made.facts == candidate.facts
        });
        if let Some(same) = same {
            return Some(same.result.clone());
        }
        if made.len() >= MAX_TRANSLATIONS {
            return None;
        }
        let result = match losses(request, candidate, format) {
            Ok(losses) => Ok(losses.to_string()),
            Err(failure) => Err(failure.reason.map_or(failure.detail, |reason| reason.message)),
        };
        let (model, facts) = (candidate.model.clone(), candidate.facts);
        made.push(Made { format, model, facts, result: result.clone() });
        Some(result)
    }
}
