//! Where a request of one format goes.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
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
            let models = url.path().trim_end_matches('/');
            // Tuned ones stand beside the others, not among them.
            let beside =
                models.strip_suffix("/models").filter(|_| name.starts_with("tunedModels/"));
            let path = format!("{}/{}", beside.unwrap_or(models), escaped(name));
            Cow::Owned(with_method(url, &path, operation, stream))
        }
        (ApiFormat::Cloudcode, _) => {
            Cow::Owned(with_method(url, url.path().trim_end_matches('/'), operation, stream))
        }
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

/// What stands in a segment of a path as it is. A dot does: no segment is of dots alone, since the
/// method follows the last one and [`ModelName`] has none of them.
const IN_A_SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as a part of a path. Slashes divide segments there as they do in the name: servers that take
/// names with slashes look for them as they are, and some proxies refuse escaped ones.
fn escaped(name: &str) -> String {
    let segments = name.split('/').map(|it| utf8_percent_encode(it, IN_A_SEGMENT).to_string());
    segments.collect::<Vec<_>>().join("/")
}

/// The address of a method of what is at this path.
fn with_method(url: &Url, path: &str, operation: Operation, stream: bool) -> Url {
    let method = match operation {
        Operation::Generate if stream => "streamGenerateContent",
        Operation::Generate => "generateContent",
        Operation::CountTokens => "countTokens",
        Operation::Embed => "batchEmbedContents",
    };
    let mut url = with_path(url, &format!("{path}:{method}"));
    if stream && operation == Operation::Generate {
        // Otherwise it is one JSON list.
        url.set_query(Some("alt=sse"));
    }
    url
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

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

    fn of_google(name: &str) -> Option<Url> {
        let url = "https://g.test/v1beta/models".parse().unwrap();
        let endpoint = Endpoint { format: ApiFormat::Google, url };
        let model = ModelName::parse(name).ok()?;
        Some(address(&endpoint, Operation::Generate, &model, false).into_owned())
    }

    #[test]
    fn a_name_stands_in_the_path_as_servers_read_it_back() {
        for (name, path) in [
            ("x?key=1#y", "/v1beta/models/x%3Fkey%3D1%23y:generateContent"),
            ("models/x", "/v1beta/models/x:generateContent"),
            ("tunedModels/x", "/v1beta/tunedModels/x:generateContent"),
            ("vendor/x:free", "/v1beta/models/vendor/x%3Afree:generateContent"),
            ("x:countTokens", "/v1beta/models/x%3AcountTokens:generateContent"),
            ("%2e%2e/%2e%2e/admin", "/v1beta/models/%252e%252e/%252e%252e/admin:generateContent"),
            (r"..\..\admin", "-"),
            ("../../../admin", "-"),
            ("x/./y", "-"),
            ("models/..", "-"),
        ] {
            let url = of_google(name);
            assert_eq!(url.as_ref().map_or("-", Url::path), path, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_cannot_lead_out_of_its_path(
            name in prop_oneof![
                ".{1,24}",
                r"([./\\?#%:@a-z]|%2e|%2F|\.\.|;|//){1,12}",
            ],
        ) {
            let Some(url) = of_google(&name) else { return Ok(()) };
            prop_assert_eq!((url.host_str(), url.query(), url.fragment()), (Some("g.test"), None, None));
            let inside = url.path().strip_prefix("/v1beta/models/");
            let inside = inside.and_then(|rest| rest.strip_suffix(":generateContent"));
            let read = percent_decode_str(inside.unwrap()).decode_utf8().unwrap();
            prop_assert_eq!(&*read, name.trim().trim_start_matches("models/"));
        }
    }
}
