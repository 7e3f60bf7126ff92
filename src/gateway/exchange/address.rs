//! Where a request of one format goes.

use std::borrow::Cow;

use url::Url;

use crate::domain::{
    id::ModelName,
    provider::{ApiFormat, Endpoint},
};

/// What a client wants of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer, whole or as a stream.
    Generate,
    /// How many tokens a prompt has.
    CountTokens,
    /// The vectors of texts.
    Embed,
}

/// Whether an upstream of this format can be asked for it.
pub fn is_served(format: ApiFormat, operation: Operation) -> bool {
    match operation {
        Operation::Generate => true,
        Operation::CountTokens => matches!(format, ApiFormat::Anthropic | ApiFormat::Google),
        Operation::Embed => {
            matches!(format, ApiFormat::Openai | ApiFormat::Google | ApiFormat::Ollama)
        }
    }
}

/// The address of a request. The endpoint itself, unless the format names model or method there.
///
/// Sources: <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/api/embeddings>,
/// <https://docs.anthropic.com/en/api/messages-count-tokens>,
/// <https://platform.openai.com/docs/api-reference/embeddings>,
/// <https://github.com/ollama/ollama/blob/main/docs/api.md> (2026-11).
pub fn address<'e>(
    endpoint: &'e Endpoint,
    operation: Operation,
    model: &ModelName,
    stream: bool,
) -> Cow<'e, Url> {
    let url = &endpoint.url;
    match (endpoint.format, operation) {
        (ApiFormat::Google, _) => {
            let name = model.as_str().trim_start_matches("models/");
            Cow::Owned(with_method(url, "/", name, operation, stream))
        }
        (ApiFormat::Cloudcode, _) => Cow::Owned(with_method(url, "", "", operation, stream)),
        (ApiFormat::Anthropic, Operation::CountTokens) => {
            let path = format!("{}/count_tokens", url.path().trim_end_matches('/'));
            Cow::Owned(with_path(url, &path))
        }
        (ApiFormat::Openai, Operation::Embed) => {
            Cow::Owned(beside(url, "/chat/completions", "/embeddings"))
        }
        (ApiFormat::Ollama, Operation::Embed) => Cow::Owned(beside(url, "/chat", "/embed")),
        _ => Cow::Borrowed(url),
    }
}

fn with_path(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

/// The address of another method of the same API.
fn beside(url: &Url, end: &str, other: &str) -> Url {
    let path = url.path().trim_end_matches('/');
    with_path(url, &format!("{}{other}", path.strip_suffix(end).unwrap_or(path)))
}

fn with_method(url: &Url, joint: &str, name: &str, operation: Operation, stream: bool) -> Url {
    let method = match operation {
        Operation::Generate if stream => "streamGenerateContent",
        Operation::Generate => "generateContent",
        Operation::CountTokens => "countTokens",
        Operation::Embed => "batchEmbedContents",
    };
    let path = format!("{}{joint}{name}:{method}", url.path().trim_end_matches('/'));
    let mut url = with_path(url, &path);
    if stream && operation == Operation::Generate {
        // Otherwise it is one JSON list.
        url.set_query(Some("alt=sse"));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str, format: ApiFormat, operation: Operation, stream: bool) -> String {
        let endpoint = Endpoint { format, url: url.parse().unwrap() };
        let model = ModelName::parse("gemini-2.5-flash").unwrap();
        address(&endpoint, operation, &model, stream).to_string()
    }

    #[test]
    fn every_method_has_its_address() {
        use ApiFormat::*;
        use Operation::*;
        let google = "https://g.test/v1beta/models";
        for (url, format, operation, stream, expected) in [
            ("https://a.test/v1/messages", Anthropic, Generate, true, "https://a.test/v1/messages"),
            (
                "https://a.test/v1/messages",
                Anthropic,
                CountTokens,
                false,
                "https://a.test/v1/messages/count_tokens",
            ),
            (
                "https://a.test/v1/chat/completions",
                Openai,
                Embed,
                false,
                "https://a.test/v1/embeddings",
            ),
            ("http://o.test/api/chat", Ollama, Embed, false, "http://o.test/api/embed"),
            (
                google,
                Google,
                Generate,
                false,
                "https://g.test/v1beta/models/gemini-2.5-flash:generateContent",
            ),
            (
                google,
                Google,
                Generate,
                true,
                "https://g.test/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            ),
            (
                google,
                Google,
                Embed,
                false,
                "https://g.test/v1beta/models/gemini-2.5-flash:batchEmbedContents",
            ),
            (
                "https://c.test/v1internal",
                Cloudcode,
                Generate,
                true,
                "https://c.test/v1internal:streamGenerateContent?alt=sse",
            ),
        ] {
            assert_eq!(at(url, format, operation, stream), expected);
        }
    }

    #[test]
    fn a_name_cannot_lead_out_of_its_path() {
        let endpoint = Endpoint {
            format: ApiFormat::Google,
            url: "https://g.test/v1beta/models".parse().unwrap(),
        };
        let model = ModelName::parse("x?key=1#y").unwrap();
        let url = address(&endpoint, Operation::Generate, &model, false);
        assert_eq!((url.query(), url.fragment()), (None, None));
        assert_eq!(url.host_str(), Some("g.test"));
    }
}
