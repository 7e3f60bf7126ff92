//! `POST /api/v1/routes/explain`: where a request would go, without sending it.

mod formats;

use actix_web::{
    HttpRequest,
    web::{Data, Json, Payload},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::formats::{FormatView, Translations};
use crate::{
    actors::{
        clock::{on_the_wall, steady},
        credentials::{Binding, CredentialDirectory, LeaseError, LeaseRequest},
        registry::ProviderTable,
        router::{Candidate, Plan, PlanRequest, RouterView, Stage, never_asked},
    },
    domain::{
        access_key::Role,
        format::FormatSource,
        health::HealthView,
        id::{CredentialId, KeyId, ModelName, ProviderId},
        model::Capabilities,
        rotation::TurnMode,
        route::{Mode, RouteOptions, Strategy},
        session::{SessionKey, SessionSignal, session_id},
        time::Timestamp,
        trace::{AliasTrace, CandidateTrace, ExclusionTrace, MAX_ENTRIES, PlanTrace},
    },
    gateway::{
        exchange::{ClientApi, ClientCall, ClientRequest},
        translate::PathParams,
    },
    http::{
        actors::Actors,
        auth,
        body::Bodies,
        endpoint::{Endpoint, endpoint},
        json::parse,
        problem::{ErrorResponse, Management, Problem},
        routing_headers::MAX_EXCLUDED,
        settings::ServerSettings,
    },
    relay::{check_allowed, exclusion_trace, plan_trace},
};

/// The header that would name the session of the request.
const SESSION_HEADER: &str = "x-providerpool-session";

/// One of the routes may be named `explain`, but none is made by a POST.
pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(explain)]
}

/// A request that is not sent: what its headers and its body would say.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainBody {
    /// The name asked for. Absent: that of `request`.
    model: Option<ModelName>,
    #[serde(default)]
    mode: Mode,
    /// Absent: the route's, else the pool's.
    strategy: Option<Strategy>,
    /// Whether the strategy orders all candidates, whatever the priority of their providers. Absent: as
    /// the route says.
    across_tiers: Option<bool>,
    /// Providers that are not to be asked, at most 64.
    #[serde(default)]
    #[schema(max_items = 64)]
    exclude: Vec<ProviderId>,
    /// A provider that is asked first, when it can serve the request.
    prefer: Option<ProviderId>,
    /// What the model must be able to do, beside what `request` shows.
    #[serde(default)]
    #[schema(value_type = Vec<crate::domain::model::Capability>)]
    require: Capabilities,
    /// Whether models that lack something of it may be asked after all others.
    #[serde(default)]
    relax: bool,
    /// The session, as in the header `x-providerpool-session`.
    #[schema(min_length = 1, max_length = 256)]
    session: Option<String>,
    /// The id of the client key that asks: sessions are those of one key, and what it may not ask for is
    /// refused. Absent: the session is looked for with each key, the oldest first.
    #[schema(value_type = Option<String>)]
    client_key: Option<KeyId>,
    /// The API in which the client asks.
    #[serde(default)]
    api: ExplainedApi,
    /// A whole request in that API, which tells what the model must be able to do, and read, and what
    /// would be lost on the way. One that continues an answer by its id counts as one whose answer only
    /// its provider knows.
    #[schema(value_type = Option<serde_json::Value>)]
    request: Option<Box<RawValue>>,
}

/// An API that the pool speaks.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExplainedApi {
    /// OpenAI Chat Completions.
    #[default]
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Gemini. Its requests name the model in their path, here it is `model`.
    Gemini,
    /// `POST /api/chat` of Ollama.
    Ollama,
}

impl From<ExplainedApi> for ClientApi {
    fn from(api: ExplainedApi) -> Self {
        match api {
            ExplainedApi::Chat => Self::Chat,
            ExplainedApi::Responses => Self::Responses,
            ExplainedApi::Messages => Self::Messages,
            ExplainedApi::Gemini => Self::Gemini,
            ExplainedApi::Ollama => Self::OllamaChat,
        }
    }
}

/// Where a request would go at this moment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The name asked for.
    model: ModelName,
    /// Set when an alias leads to another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    substitution: Option<AliasTrace>,
    /// Set when the session was served before: it goes to the same place while that is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionView>,
    /// First what was asked for, then each fallback.
    stages: Vec<StageView>,
    /// Set when nobody can be asked now, and somebody who cools down comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    available_at: Option<Timestamp>,
}

/// Where a session was served last.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SessionView {
    #[schema(value_type = String)]
    client_key: KeyId,
    provider_id: ProviderId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    credential_id: Option<CredentialId>,
}

/// One model that would be asked for, and its plan.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StageView {
    model: ModelName,
    /// The name of the route, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// Set when the name stands for no model but for any, of providers that fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    strategy: &'static str,
    /// Whether the priority of providers is left out of account.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    across_tiers: bool,
    /// Best first.
    candidates: Vec<CandidateView>,
    /// Who serves the model and would not be asked, and why.
    exclusions: Vec<ExclusionTrace>,
    /// Every other provider, and why it could not be asked in any case.
    never_asked: Vec<ExclusionTrace>,
    /// Entries that are not shown: of candidates and exclusions together, and of those never asked,
    /// the first 100 are.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
}

/// One candidate, and with which credential it would be asked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CandidateView {
    #[serde(flatten)]
    candidate: CandidateTrace,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialView>,
    /// Why there is no credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_credential: Option<NoCredential>,
    /// In which formats it would be asked: the first, and after it those that are tried when it turns
    /// out not to be there. Empty: it has none that could serve the request.
    formats: Vec<FormatView>,
    /// Why the first of them is.
    format_source: FormatSource,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CredentialView {
    #[schema(value_type = String)]
    id: CredentialId,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

/// Why a candidate would be asked with no credential, or not just now.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoCredential {
    /// It has none and is asked without.
    NotNeeded,
    NoneLeft,
    Busy,
    Cooling,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What routing needs of a request, however much of it was given.
struct Question {
    model: ModelName,
    options: RouteOptions,
    needs: Capabilities,
    api: ClientApi,
    request: Option<ClientRequest>,
    session: Option<String>,
    client_key: Option<KeyId>,
}

impl ExplainBody {
    fn into_question(self) -> Result<Question, Problem> {
        if self.exclude.len() > MAX_EXCLUDED {
            let message = format!("exclude: must be at most {MAX_EXCLUDED} providers");
            return Err(Problem::bad_request(message).about("exclude"));
        }
        if self.session.as_deref().is_some_and(|id| session_id(id).is_none()) {
            let message = "session: must be 1 to 256 bytes without control characters";
            return Err(Problem::bad_request(message).about("session"));
        }
        let api = self.api.into();
        let addressed = PathParams { model: self.model.clone(), stream: None };
        let parse = |body: Box<RawValue>| {
            let body = Bytes::from(body.get().to_owned());
            ClientRequest::parse(ClientCall::Generate(api), body, &addressed).map_err(|invalid| {
                Problem::bad_request(format!("request: {}", invalid.message)).about("request")
            })
        };
        let request = self.request.map(parse).transpose()?;
        let named = request.as_ref().map(|request| request.model().clone());
        let Some(model) = self.model.or(named) else {
            let message = "model: is required, here or in request";
            return Err(Problem::bad_request(message).about("model"));
        };
        Ok(Question {
            model,
            options: RouteOptions {
                mode: self.mode,
                strategy: self.strategy,
                across_tiers: self.across_tiers,
                exclude: self.exclude,
                prefer: self.prefer,
                required: self.require,
                relax: self.relax,
                strict: false,
            },
            needs: request.as_ref().map_or(Capabilities::NONE, ClientRequest::needs),
            api,
            request,
            session: self.session,
            client_key: self.client_key,
        })
    }
}

impl Question {
    /// Refuses what would be refused to the key that is named.
    fn check_allowed(&self, actors: &Actors) -> Result<(), Problem> {
        let Some(id) = &self.client_key else { return Ok(()) };
        let ring = actors.key_ring.read();
        let key = ring.list(&[Role::Client]).into_iter().find(|key| key.id == *id);
        let Some(key) = key else { return Ok(()) };
        Ok(check_allowed(key, &self.model, self.request.as_ref())?)
    }

    /// Where the session was served last, and of which key it is.
    fn bound(&self, actors: &Actors) -> Option<(KeyId, Binding)> {
        let named = self.session.as_deref().and_then(session_id);
        let Some(request) = &self.request else {
            return self.find(actors, SessionSignal::Named { kind: SESSION_HEADER, id: named? });
        };
        let header = |name: &str| named.filter(|_| name == SESSION_HEADER);
        request.with_session_signals(header, |signal| {
            let is_named = matches!(signal, SessionSignal::Named { .. });
            // Any other goes where it wants.
            let is_bound = is_named || request.is_continuation();
            is_bound.then(|| self.find(actors, signal))?
        })
    }

    /// Looks for the session with each key that may be meant.
    fn find(&self, actors: &Actors, signal: SessionSignal<'_>) -> Option<(KeyId, Binding)> {
        let ring = actors.key_ring.read();
        let keys = ring.list(&[Role::Client]);
        let mut keys =
            keys.filter(|key| self.client_key.as_ref().is_none_or(|wanted| *wanted == key.id));
        keys.find_map(|key| {
            let session = SessionKey::new(&key.id, &self.model, signal);
            Some((key.id.clone(), actors.affinity.find(session)?))
        })
    }
}

/// What a request would find, all of one moment.
struct Sight<'a> {
    now: Timestamp,
    routing: &'a RouterView,
    providers: &'a ProviderTable,
    directory: &'a CredentialDirectory,
    health: &'a HealthView,
    bound: Option<&'a Binding>,
    translations: Translations,
}

impl Sight<'_> {
    fn plan(&self, question: &Question, stage: &Stage) -> Plan {
        let request = question.request.as_ref();
        let ask = PlanRequest {
            now: self.now,
            options: &question.options,
            client: question.api.dialect(),
            is_chat: true,
            is_streamed: request.is_some_and(ClientRequest::is_streamed),
            needs: question.needs,
            prompt_bytes: request.map_or(0, |request| request.body().len() as u64),
            prompt_tokens: &|| request.map_or(0, ClientRequest::prompt_tokens),
            bound: self.bound.map(|binding| &binding.provider_id),
            is_tried: &|_, _, _| false,
        };
        self.routing.plan(&ask, stage, self.providers, self.directory, self.health, TurnMode::Look)
    }

    fn stage_view(&self, question: &Question, stage: &Stage, plan: &Plan) -> StageView {
        let pools_own = self.routing.routes().strategy();
        let strategy = stage.strategy(&question.options).unwrap_or(pools_own);
        let PlanTrace { model, route, strategy, after_ms: _, candidates, exclusions, left_out } =
            plan_trace(stage, strategy, plan, 0);
        let shown = candidates.into_iter().zip(&plan.candidates);
        let others = never_asked(stage, self.providers);
        let never_asked: Vec<_> = others.iter().take(MAX_ENTRIES).map(exclusion_trace).collect();
        StageView {
            model,
            route,
            mode: stage.mode,
            strategy,
            across_tiers: stage.is_across_tiers(&question.options),
            candidates: shown.map(|(shown, of)| self.candidate_view(question, shown, of)).collect(),
            exclusions,
            left_out: left_out as usize + others.len() - never_asked.len(),
            never_asked,
        }
    }

    fn candidate_view(
        &self,
        question: &Question,
        shown: CandidateTrace,
        candidate: &Candidate,
    ) -> CandidateView {
        let (credential, no_credential) = match self.next_credential(candidate) {
            Ok(credential) => (Some(credential), None),
            Err(reason) => (None, Some(reason)),
        };
        let client = question.api.dialect();
        let (formats, format_source) =
            self.translations.formats(candidate, client, question.request.as_ref(), self.now);
        CandidateView { candidate: shown, credential, no_credential, formats, format_source }
    }

    /// The credential with which a candidate would be asked.
    fn next_credential(&self, candidate: &Candidate) -> Result<CredentialView, NoCredential> {
        if !candidate.needs_credential {
            return Err(NoCredential::NotNeeded);
        }
        let provider = &candidate.provider;
        let bound = self.bound.filter(|binding| binding.provider_id == provider.id);
        let wanted = LeaseRequest {
            provider: &provider.id,
            model: &candidate.model,
            strategy: provider.credential_strategy,
            tried: &[],
            preferred: bound.and_then(|binding| binding.credential_id.as_ref()),
        };
        match self.directory.would_lease(self.now, self.health, wanted) {
            Ok(next) => {
                Ok(CredentialView { id: next.id.clone(), label: next.settings.label.clone() })
            }
            Err(LeaseError::NoneLeft) => Err(NoCredential::NoneLeft),
            Err(LeaseError::Busy) => Err(NoCredential::Busy),
            Err(LeaseError::Cooling { .. }) => Err(NoCredential::Cooling),
        }
    }
}

/// Explains where a request would go at this moment: what its name leads to, who would be asked in
/// which order, with which credential and in which formats, and why the others would not.
///
/// Nothing is sent and nothing changes: no turn is taken, nothing is counted.
#[utoipa::path(post, path = "/api/v1/routes/explain", tag = "routes", request_body = ExplainBody,
    responses((status = 200, body = Explanation), (status = 400),
        (status = 403, description = "The client key that is named may not ask for it")))]
pub async fn explain(
    request: HttpRequest,
    payload: Payload,
    actors: Data<Actors>,
    settings: Data<ServerSettings>,
    bodies: Data<Bodies>,
) -> Result<Json<Explanation>, ErrorResponse<Management>> {
    // It may hold a request, and so may be as large as one.
    let key = auth::admitted(&request);
    let body = bodies.read(&request, payload, settings.max_body_bytes, &key.id).await?;
    let body: ExplainBody = parse(&body.bytes)?;
    let question = body.into_question()?;
    question.check_allowed(&actors)?;
    let bound = question.bound(&actors);
    let (routing, providers) = (actors.routing.read(), actors.providers.read());
    let (directory, health) = (actors.directory.read(), actors.health_view.read());
    let sight = Sight {
        now: steady(),
        routing: &routing,
        providers: &providers,
        directory: &directory,
        health: &health,
        bound: bound.as_ref().map(|(_, binding)| binding),
        translations: Translations::default(),
    };
    let chain = routing.chain(&question.model, &providers);
    let plans: Vec<Plan> = chain.stages.iter().map(|stage| sight.plan(&question, stage)).collect();
    let stages = chain.stages.iter().zip(&plans);
    let stages = stages.map(|(stage, plan)| sight.stage_view(&question, stage, plan)).collect();
    Ok(Json(Explanation {
        available_at: available_at(&plans).map(on_the_wall),
        stages,
        substitution: chain.substitution.map(|substitution| AliasTrace {
            to: substitution.to,
            by: substitution.by.to_string(),
        }),
        session: bound.map(|(client_key, Binding { provider_id, credential_id })| SessionView {
            client_key,
            provider_id,
            credential_id,
        }),
        model: question.model,
    }))
}

/// When the first comes back, if nobody can be asked now.
fn available_at(plans: &[Plan]) -> Option<Timestamp> {
    if plans.iter().any(|plan| !plan.candidates.is_empty()) {
        return None;
    }
    let ends = plans.iter().filter_map(|plan| plan.soonest_back(|_, _| true));
    ends.map(|(until, _)| until).min()
}
