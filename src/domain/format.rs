//! In which of its formats a provider is asked.

use super::{
    chat::Dialect,
    id::ModelName,
    provider::{ApiFormat, Endpoint},
};

/// The position of the endpoint that serves a model best for a client of this dialect. `None` when
/// there is none at all, or none that `is_open` to what is asked.
///
/// A model that answers in one API only is asked there. Else the client's own dialect comes first,
/// since nothing is lost on the way then; after it the API of the model's maker, where the provider
/// speaks it; after that what the provider considers its own.
pub fn choose(
    endpoints: &[Endpoint],
    client: Dialect,
    model: &ModelName,
    is_open: impl Fn(ApiFormat) -> bool,
) -> Option<usize> {
    let at = |wanted: &dyn Fn(&ApiFormat) -> bool| {
        endpoints.iter().position(|endpoint| is_open(endpoint.format) && wanted(&endpoint.format))
    };
    let first = at(&|_| true);
    // The most common case by far.
    if endpoints.len() < 2 {
        return first;
    }
    let family = Family::of(model);
    let own = || at(&|format| format.dialect() == client);
    let makers = || at(&|format| Some(*format) == family.maker_format());
    if family == Family::ResponsesOnly {
        return makers().or_else(own).or(first);
    }
    own().or_else(makers).or(first)
}

/// Whose ways a model has, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Claude,
    /// OpenAI's models that have no Chat Completions.
    ResponsesOnly,
    Other,
}

impl Family {
    /// Source: <https://platform.openai.com/docs/models> (2026-11): the `codex` and `pro` models list
    /// `v1/responses` alone.
    fn of(model: &ModelName) -> Self {
        let name = model.as_str().trim().rsplit('/').next().unwrap_or_default();
        let contains = |word: &str| {
            name.as_bytes()
                .windows(word.len())
                .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        };
        let is_pro = name.starts_with("gpt-5") && contains("-pro");
        if contains("codex") || is_pro {
            Self::ResponsesOnly
        } else if ["claude", "sonnet", "opus", "haiku"].into_iter().any(contains) {
            Self::Claude
        } else {
            Self::Other
        }
    }

    fn maker_format(self) -> Option<ApiFormat> {
        match self {
            Self::Claude => Some(ApiFormat::Anthropic),
            Self::ResponsesOnly => Some(ApiFormat::Responses),
            Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(formats: &[ApiFormat], client: Dialect, model: &str) -> ApiFormat {
        let endpoint = |format: &ApiFormat| Endpoint {
            format: *format,
            url: "https://a.test/".parse().unwrap(),
        };
        let endpoints: Vec<Endpoint> = formats.iter().map(endpoint).collect();
        endpoints[choose(&endpoints, client, &ModelName::parse(model).unwrap(), |_| true).unwrap()]
            .format
    }

    #[test]
    fn a_clients_own_dialect_is_preferred_unless_the_model_has_only_another() {
        use ApiFormat::*;
        let all = [Openai, Responses, Anthropic];
        for (client, model, expected) in [
            (Dialect::Chat, "gpt-5", Openai),
            (Dialect::Responses, "gpt-5", Responses),
            (Dialect::Messages, "gpt-5", Anthropic),
            (Dialect::Chat, "gpt-5.3-Codex", Responses),
            (Dialect::Messages, "openai/gpt-5.4-pro", Responses),
            (Dialect::Gemini, "vendor/claude-opus-4-7", Anthropic),
            (Dialect::Gemini, "llama", Openai),
        ] {
            assert_eq!(chosen(&all, client, model), expected, "{client:?} {model}");
        }
        assert_eq!(chosen(&[Openai], Dialect::Chat, "gpt-5-codex"), Openai);
        assert_eq!(chosen(&[Ollama, Google], Dialect::Messages, "claude-x"), Ollama);
    }

    #[test]
    fn without_endpoints_there_is_nothing_to_choose() {
        let model = ModelName::parse("m").unwrap();
        assert_eq!(choose(&[], Dialect::Chat, &model, |_| true), None);
    }
}
