//! Telling which formats an upstream speaks from what it answers to questions that cost nothing.
//!
//! Each format is asked for at its own paths with a body that none can take, and lists of models are
//! asked for. Beside them paths are asked that nobody has. Whatever a path answers as those do is no
//! information: a gateway that says 401 to everything has told nothing.

use serde::{Serialize, Serializer};
use url::Url;

use super::{
    failure::FailureClass,
    provider::{ApiFormat, Endpoint, USUAL_FORMATS},
};

/// Whose ways of writing errors and lists there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Openai,
    Anthropic,
    Google,
    Ollama,
}

impl Family {
    pub fn of(format: ApiFormat) -> Option<Self> {
        match format {
            ApiFormat::Openai | ApiFormat::Responses => Some(Self::Openai),
            ApiFormat::Anthropic => Some(Self::Anthropic),
            ApiFormat::Google => Some(Self::Google),
            ApiFormat::Ollama => Some(Self::Ollama),
            ApiFormat::Cloudcode | ApiFormat::Copilot => None,
        }
    }

    /// The format whose list of models is written in this way.
    fn lister(self) -> ApiFormat {
        match self {
            Self::Openai => ApiFormat::Openai,
            Self::Anthropic => ApiFormat::Anthropic,
            Self::Google => ApiFormat::Google,
            Self::Ollama => ApiFormat::Ollama,
        }
    }
}

/// What an answer looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// An error as a family writes it, with the typed word that names it.
    Error {
        family: Family,
        word: Option<String>,
    },
    /// A list of models.
    Models(Family),
    /// What is said at the root.
    Greeting(Family),
    /// Other JSON.
    Json,
    /// A page for people.
    Page,
    Text,
    Empty,
}

impl Shape {
    /// The word used on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Error { family: Family::Openai, .. } => "openai_error",
            Self::Error { family: Family::Anthropic, .. } => "anthropic_error",
            Self::Error { family: Family::Google, .. } => "google_error",
            Self::Error { family: Family::Ollama, .. } => "ollama_error",
            Self::Models(Family::Openai) => "openai_models",
            Self::Models(Family::Anthropic) => "anthropic_models",
            Self::Models(Family::Google) => "google_models",
            Self::Models(Family::Ollama) => "ollama_models",
            Self::Greeting(_) => "greeting",
            Self::Json => "json",
            Self::Page => "page",
            Self::Text => "text",
            Self::Empty => "empty",
        }
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
}

/// A question to an upstream. A POST says `{}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it is about; nothing for one that nobody has an answer to.
    pub about: Option<ApiFormat>,
    /// As whose client it is asked.
    pub asked_as: ApiFormat,
    pub method: Method,
    pub url: Url,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    pub status: u16,
    pub shape: Shape,
}

/// What an answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tells {
    /// How the upstream answers what it does not have.
    Control,
    /// The format is spoken.
    Spoken,
    /// There is something at its path, which answers in other ways than its own.
    PerhapsSpoken,
    /// The format is not there.
    Absent,
    /// Nothing: paths that nobody has are answered alike, or anyone might answer so.
    Nothing,
    /// Nothing now: no answer, a failing server, a rate limit.
    Inconclusive,
}

/// A question, its answer, and what that tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub probe: Probe,
    /// What it tells about.
    pub about: Option<ApiFormat>,
    pub answer: Result<ProbeAnswer, FailureClass>,
    pub tells: Tells,
}

/// What an upstream speaks, as far as it has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatVerdict {
    /// The surest first. Empty when it has told nothing.
    pub formats: Vec<ApiFormat>,
    pub evidence: Vec<Evidence>,
}

/// The questions for an upstream, by where it would take requests. `nobodys`: two names that no path
/// has, drawn at random.
pub fn probes(base: &Url, endpoints: &[Endpoint], nobodys: [&str; 2]) -> Vec<Probe> {
    let [first, second] = nobodys;
    let mut probes: Vec<Probe> = Vec::new();
    let mut ask = |about, asked_as, method, url| {
        let probe = Probe { about, asked_as, method, url };
        if !probes.contains(&probe) {
            probes.push(probe);
        }
    };
    for endpoint in endpoints {
        let (format, url) = (endpoint.format, &endpoint.url);
        let folder = folder_of(endpoint);
        match format {
            ApiFormat::Openai => {
                ask(None, format, Method::Post, below(&folder, first));
                ask(None, format, Method::Get, below(&folder, second));
                ask(Some(format), format, Method::Post, url.clone());
                ask(Some(format), format, Method::Get, below(&folder, "models"));
            }
            ApiFormat::Responses => ask(Some(format), format, Method::Post, url.clone()),
            ApiFormat::Anthropic => {
                ask(None, format, Method::Post, below(&folder, second));
                ask(Some(format), format, Method::Post, url.clone());
            }
            ApiFormat::Google => {
                ask(None, format, Method::Get, below(&folder, first));
                ask(Some(format), format, Method::Get, url.clone());
            }
            ApiFormat::Ollama => {
                ask(None, format, Method::Post, below(&folder, first));
                ask(None, format, Method::Get, below(base, second));
                ask(Some(format), format, Method::Post, url.clone());
                ask(Some(format), format, Method::Get, below(&folder, "tags"));
                ask(Some(format), format, Method::Get, below(base, ""));
            }
            ApiFormat::Cloudcode | ApiFormat::Copilot => {}
        }
    }
    probes
}

/// Where the other paths of the same API are.
fn folder_of(endpoint: &Endpoint) -> Url {
    let path = endpoint.url.path().trim_end_matches('/');
    let path = match path.strip_suffix("/chat/completions") {
        Some(folder) => folder,
        None => path.rsplit_once('/').map_or("", |(folder, _)| folder),
    };
    let mut url = endpoint.url.clone();
    url.set_path(path);
    url
}

fn below(folder: &Url, name: &str) -> Url {
    let mut url = folder.clone();
    url.set_path(&format!("{}/{name}", folder.path().trim_end_matches('/')));
    url
}

/// What the answers tell, all taken together.
pub fn judge(answers: Vec<(Probe, Result<ProbeAnswer, FailureClass>)>) -> FormatVerdict {
    let judged: Vec<(Tells, Option<ApiFormat>)> =
        answers.iter().map(|(probe, answer)| tells(probe, answer, &answers)).collect();
    let evidence = answers
        .into_iter()
        .zip(judged)
        .map(|((probe, answer), (tells, about))| Evidence { probe, about, answer, tells });
    let evidence: Vec<Evidence> = evidence.collect();
    FormatVerdict { formats: spoken(&evidence), evidence }
}

/// The formats that are spoken, before those that perhaps are; else in the usual order.
fn spoken(evidence: &[Evidence]) -> Vec<ApiFormat> {
    let is_told = |format: ApiFormat, tells: Tells| {
        evidence.iter().any(|it| it.about == Some(format) && it.tells == tells)
    };
    let sure = USUAL_FORMATS.into_iter().filter(|format| is_told(*format, Tells::Spoken));
    let perhaps = USUAL_FORMATS.into_iter().filter(|format| {
        !is_told(*format, Tells::Spoken) && is_told(*format, Tells::PerhapsSpoken)
    });
    sure.chain(perhaps).collect()
}

/// What one answer tells, and about which format.
fn tells(
    probe: &Probe,
    answer: &Result<ProbeAnswer, FailureClass>,
    all: &[(Probe, Result<ProbeAnswer, FailureClass>)],
) -> (Tells, Option<ApiFormat>) {
    let Some(about) = probe.about else { return (Tells::Control, None) };
    let Ok(heard) = answer else { return (Tells::Inconclusive, Some(about)) };
    let others = || {
        let others = all.iter().filter(|(other, _)| other.method == probe.method);
        others.filter_map(|(other, answer)| Some((other, answer.as_ref().ok()?)))
    };
    let mut controls = others().filter(|(other, _)| other.about.is_none()).peekable();
    if heard.status >= 500 || heard.status == 408 {
        return (Tells::Inconclusive, Some(about));
    }
    if controls.peek().is_none() || controls.any(|(_, answer)| answer == heard) {
        return (Tells::Nothing, Some(about));
    }
    // A limit of all requests shows wherever it happens to be reached.
    let is_limit_of_all = heard.status == 429
        && others().any(|(other, answer)| other.url != probe.url && answer.status == 429);
    if is_limit_of_all {
        return (Tells::Inconclusive, Some(about));
    }
    if matches!(heard.status, 404 | 410) {
        return (Tells::Absent, Some(about));
    }
    match probe.method {
        Method::Get => told_by_list(about, heard),
        Method::Post => (told_by_refusal(about, heard), Some(about)),
    }
}

/// What the answer to the question for models, or to that at the root, tells.
fn told_by_list(about: ApiFormat, heard: &ProbeAnswer) -> (Tells, Option<ApiFormat>) {
    match heard.shape {
        Shape::Models(family) | Shape::Greeting(family) if heard.status < 300 => {
            (Tells::Spoken, Some(family.lister()))
        }
        // There only the list can be asked for without a name of a model, and nobody else writes so.
        Shape::Error { family: Family::Google, .. }
            if about == ApiFormat::Google && is_of_somebody(heard.status) =>
        {
            (Tells::Spoken, Some(about))
        }
        _ => (Tells::Nothing, Some(about)),
    }
}

/// What the refusal of a body that none can take tells.
fn told_by_refusal(about: ApiFormat, heard: &ProbeAnswer) -> Tells {
    let Shape::Error { family, .. } = heard.shape else { return Tells::Nothing };
    if !is_of_somebody(heard.status) {
        return Tells::Nothing;
    }
    match (about, family) {
        // An error that is a text is written by everybody; that the model is missing is its own word.
        (ApiFormat::Ollama, Family::Ollama) if heard.status == 400 => Tells::Spoken,
        (ApiFormat::Ollama, _) | (_, Family::Ollama | Family::Google) => Tells::Nothing,
        (_, family) if Family::of(about) == Some(family) => Tells::Spoken,
        // Gateways have one way of writing errors for all their paths.
        _ => Tells::PerhapsSpoken,
    }
}

/// Whether a status is one that somebody gives who has the path.
fn is_of_somebody(status: u16) -> bool {
    matches!(status, 200..300 | 400 | 401 | 403 | 405 | 415 | 422 | 429)
}

#[cfg(test)]
mod tests;
