//! The APIs that upstreams speak, and where they take requests of each.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::chat::Dialect;

/// The API an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApiFormat {
    Openai,
    Responses,
    Anthropic,
    Ollama,
    Google,
    /// Google's, in an envelope.
    Cloudcode,
    /// OpenAI's, with headers of GitHub's.
    Copilot,
}

impl ApiFormat {
    /// The dialect of its conversations.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Openai | Self::Copilot => Dialect::Chat,
            Self::Responses => Dialect::Responses,
            Self::Anthropic => Dialect::Messages,
            Self::Google | Self::Cloudcode => Dialect::Gemini,
            Self::Ollama => Dialect::Ollama,
        }
    }

    /// The usual path below a base URL that has no version in it. The first word is the version's.
    fn usual_path(self) -> &'static str {
        match self {
            Self::Openai => "/v1/chat/completions",
            Self::Copilot => "/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Anthropic => "/v1/messages",
            Self::Google => "/v1beta/models",
            Self::Cloudcode => "/v1internal",
            Self::Ollama => "/api/chat",
        }
    }
}

/// What is tried at a provider of which nothing is known, in this order.
pub const USUAL_FORMATS: [ApiFormat; 5] = [
    ApiFormat::Openai,
    ApiFormat::Anthropic,
    ApiFormat::Responses,
    ApiFormat::Google,
    ApiFormat::Ollama,
];

/// How it is known what a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatBasis {
    /// Its base URL is itself an address of one format.
    Locked,
    /// The catalogue, the configuration file or the user says so.
    Pinned,
    /// Detection has found it.
    Detected,
    /// It is not: what is usual is tried.
    Unknown,
}

impl FormatBasis {
    /// Whether every format that is listed is known to be spoken.
    pub fn is_known(self) -> bool {
        self != Self::Unknown
    }
}

/// Where a provider takes requests: one endpoint for each of its formats, its own first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub basis: FormatBasis,
    list: Box<[Endpoint]>,
}

impl Endpoints {
    /// Of a format that is listed twice, the first counts.
    pub fn new(basis: FormatBasis, list: impl IntoIterator<Item = Endpoint>) -> Self {
        let mut kept: Vec<Endpoint> = Vec::new();
        for endpoint in list {
            if kept.iter().all(|known| known.format != endpoint.format) {
                kept.push(endpoint);
            }
        }
        Self { basis, list: kept.into() }
    }
}

impl Deref for Endpoints {
    type Target = [Endpoint];

    fn deref(&self) -> &[Endpoint] {
        &self.list
    }
}

/// Where a provider takes requests of one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub format: ApiFormat,
    /// What its requests are posted to. Google's name the model and the method behind it.
    pub url: Url,
}

/// The format whose address a base URL already is, by how its path ends. An `/anthropic` is a base
/// below which Messages are.
pub(super) fn locked_format(base: &Url) -> Option<ApiFormat> {
    let path = base.path().trim_end_matches('/').to_ascii_lowercase();
    [
        ("/responses", ApiFormat::Responses),
        ("/messages", ApiFormat::Anthropic),
        ("/chat/completions", ApiFormat::Openai),
        ("/api/chat", ApiFormat::Ollama),
    ]
    .into_iter()
    .find_map(|(end, format)| path.ends_with(end).then_some(format))
}

/// The usual path of a format below a base URL: a base that already ends in a version (`/v1`, `/v4`)
/// gets no second one.
pub(super) fn usual_path(base: &Url, format: ApiFormat) -> &'static str {
    let last = base.path().trim_end_matches('/').rsplit('/').next().unwrap_or("");
    let ends_in_version = is_version(last);
    let path = format.usual_path();
    match path[1..].split_once('/') {
        Some((first, _)) if ends_in_version && is_version(first) => &path[1 + first.len()..],
        None if ends_in_version && is_version(&path[1..]) => "",
        _ => path,
    }
}

fn is_version(word: &str) -> bool {
    word.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}
