//! The rules as tables: what is known, who asks for what, and in which order it is tried.

use std::time::Duration;

use super::*;
use crate::domain::{
    failure::WrongFormat,
    provider::{Endpoint, USUAL_FORMATS},
};
use ApiFormat::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn endpoints(basis: FormatBasis, formats: &[ApiFormat]) -> Endpoints {
    endpoints_at("https://a.test/", basis, formats)
}

fn endpoints_at(url: &str, basis: FormatBasis, formats: &[ApiFormat]) -> Endpoints {
    let url = url.parse::<url::Url>().unwrap();
    Endpoints::new(basis, formats.iter().map(|it| Endpoint { format: *it, url: url.clone() }))
}

fn model(name: &str) -> ModelName {
    ModelName::parse(name).unwrap()
}

/// What has been learnt of a provider, in the order in which it was.
#[derive(Debug, Clone, Copy)]
enum Word {
    Answered(&'static str, ApiFormat),
    Missing(&'static str, ApiFormat),
    MissingForModel(&'static str, ApiFormat),
}

fn memory(words: &[Word]) -> FormatMemory {
    let mut memory = FormatMemory::default();
    for word in words {
        match *word {
            Word::Answered(name, format) => memory.note_answer(&model(name), format),
            Word::Missing(name, format) => {
                memory.note_absence(NOW, &model(name), format, WrongFormat::Everywhere);
            }
            Word::MissingForModel(name, format) => {
                memory.note_absence(NOW, &model(name), format, WrongFormat::ForModel);
            }
        }
    }
    memory
}

fn plan_at(
    now: Timestamp,
    endpoints: &Endpoints,
    memory: &FormatMemory,
    client: Dialect,
    name: &str,
) -> (FormatSource, Vec<ApiFormat>) {
    let is_catalogued = name.starts_with("gpt-5");
    let ask = FormatAsk { now, endpoints, client, model: &model(name), is_catalogued, memory };
    let plan = FormatPlan::new(&ask, |_| true);
    (plan.source, plan.candidates().iter().map(|at| endpoints[*at].format).collect())
}

fn plan(
    endpoints: &Endpoints,
    words: &[Word],
    client: Dialect,
    name: &str,
) -> (FormatSource, Vec<ApiFormat>) {
    plan_at(NOW, endpoints, &memory(words), client, name)
}

#[test]
fn a_clients_own_dialect_comes_first_unless_the_model_has_only_another() {
    let all = endpoints(FormatBasis::Pinned, &[Openai, Responses, Anthropic]);
    for (client, name, expected) in [
        (Dialect::Chat, "gpt-5", [Openai, Responses, Anthropic]),
        (Dialect::Responses, "gpt-5", [Responses, Openai, Anthropic]),
        (Dialect::Messages, "gpt-5", [Anthropic, Openai, Responses]),
        (Dialect::Chat, "gpt-5.3-Codex", [Responses, Openai, Anthropic]),
        (Dialect::Messages, "openai/gpt-5.4-pro", [Responses, Anthropic, Openai]),
        (Dialect::Gemini, "vendor/claude-opus-4-7", [Anthropic, Openai, Responses]),
        (Dialect::Gemini, "llama", [Openai, Responses, Anthropic]),
    ] {
        let expected = (FormatSource::UserPinned, expected.to_vec());
        assert_eq!(plan(&all, &[], client, name), expected, "{client:?} {name}");
    }
}

#[test]
fn what_openai_has_made_of_late_is_asked_for_in_its_newer_api() {
    for (url, client, name, first) in [
        ("https://api.openai.com/v1", Dialect::Messages, "gpt-9", Responses),
        ("https://eu.api.openai.com/v1", Dialect::Gemini, "gpt-9", Responses),
        ("https://api.openai.com/v1", Dialect::Chat, "gpt-9", Openai),
        ("https://api.openai.com/v1", Dialect::Messages, "gpt-5", Openai),
        ("https://api.notopenai.com/v1", Dialect::Messages, "gpt-9", Openai),
        ("https://a.test/openai.com", Dialect::Messages, "gpt-9", Openai),
    ] {
        let both = endpoints_at(url, FormatBasis::Pinned, &[Openai, Responses]);
        assert_eq!(plan(&both, &[], client, name).1[0], first, "{url} {client:?} {name}");
    }
}

#[test]
fn an_address_and_a_single_format_leave_no_choice() {
    let missing = [Word::Missing("gpt-5-codex", Openai)];
    for (basis, source) in [
        (FormatBasis::Locked, FormatSource::EndpointLock),
        (FormatBasis::Pinned, FormatSource::UserPinned),
        (FormatBasis::Detected, FormatSource::Detected),
    ] {
        let only = endpoints(basis, &[Openai]);
        let expected = (source, vec![Openai]);
        assert_eq!(plan(&only, &missing, Dialect::Messages, "gpt-5-codex"), expected);
    }
}

#[test]
fn of_an_unknown_provider_the_usual_is_tried_in_the_order_of_the_family() {
    let unknown = endpoints(FormatBasis::Unknown, &USUAL_FORMATS);
    for (client, name, expected) in [
        (Dialect::Chat, "m", [Openai, Anthropic, Responses, Google, Ollama]),
        (Dialect::Gemini, "m", [Google, Openai, Anthropic, Responses, Ollama]),
        (Dialect::Chat, "claude-x", [Openai, Anthropic, Responses, Google, Ollama]),
        (Dialect::Responses, "claude-x", [Responses, Anthropic, Openai, Google, Ollama]),
        (Dialect::Chat, "gpt-5-codex", [Responses, Openai, Anthropic, Google, Ollama]),
    ] {
        let expected = (FormatSource::FamilyDefault, expected.to_vec());
        assert_eq!(plan(&unknown, &[], client, name), expected, "{client:?} {name}");
    }
}

#[test]
fn what_has_answered_comes_before_what_is_only_likely() {
    use FormatSource::{FamilyDefault, ModelMemory, ProviderMemory};
    let unknown = endpoints(FormatBasis::Unknown, &USUAL_FORMATS);
    for (words, client, name, source, first) in [
        (&[Word::Answered("m", Ollama)][..], Dialect::Chat, "m", ModelMemory, Ollama),
        (&[Word::Answered("m", Ollama)], Dialect::Chat, "other", ProviderMemory, Ollama),
        (&[Word::Answered("m", Ollama)], Dialect::Messages, "m", ModelMemory, Ollama),
        // The model's own word comes before that of others.
        (
            &[Word::Answered("m", Ollama), Word::Answered("other", Google)],
            Dialect::Chat,
            "m",
            ModelMemory,
            Ollama,
        ),
        // The client's own is spoken, as another model has shown.
        (
            &[Word::Answered("m", Ollama), Word::Answered("other", Openai)],
            Dialect::Chat,
            "m",
            ProviderMemory,
            Openai,
        ),
        (&[Word::Answered("m", Ollama)], Dialect::Chat, "gpt-5-codex", FamilyDefault, Responses),
        (&[Word::Missing("m", Openai)], Dialect::Chat, "m", ModelMemory, Anthropic),
        (&[Word::Missing("m", Openai)], Dialect::Chat, "other", ProviderMemory, Anthropic),
        (&[Word::MissingForModel("m", Openai)], Dialect::Chat, "other", FamilyDefault, Openai),
        (&[Word::Missing("m", Google)], Dialect::Chat, "m", FamilyDefault, Openai),
    ] {
        let (is, formats) = plan(&unknown, words, client, name);
        assert_eq!((is, formats[0]), (source, first), "{words:?} {client:?} {name}");
    }
}

#[test]
fn among_what_is_known_to_be_spoken_only_an_absence_changes_the_order() {
    for (basis, source) in [
        (FormatBasis::Pinned, FormatSource::UserPinned),
        (FormatBasis::Detected, FormatSource::Detected),
    ] {
        let known = endpoints(basis, &[Openai, Anthropic]);
        let answered = [Word::Answered("claude-x", Openai)];
        let expected = (source, vec![Anthropic, Openai]);
        assert_eq!(plan(&known, &answered, Dialect::Gemini, "claude-x"), expected);
        let missing = [Word::MissingForModel("m", Openai)];
        let expected = (FormatSource::ModelMemory, vec![Anthropic]);
        assert_eq!(plan(&known, &missing, Dialect::Chat, "m"), expected);
    }
}

#[test]
fn what_was_missing_is_tried_again_when_nothing_else_is_left_or_an_hour_has_passed() {
    let known = endpoints(FormatBasis::Detected, &[Openai, Anthropic]);
    let words = [Word::Missing("m", Openai), Word::Missing("m", Anthropic)];
    let both = (FormatSource::Detected, vec![Openai, Anthropic]);
    assert_eq!(plan(&known, &words, Dialect::Chat, "m"), both);
    let later = NOW.plus(Duration::from_hours(1));
    let one = memory(&words[..1]);
    assert_eq!(plan_at(later, &known, &one, Dialect::Chat, "m"), both);
}

#[test]
fn only_what_is_open_to_the_request_is_in_the_plan() {
    let known = endpoints(FormatBasis::Pinned, &[Openai, Anthropic, Google]);
    let (name, memory) = (model("m"), FormatMemory::default());
    let ask = FormatAsk {
        now: NOW,
        endpoints: &known,
        client: Dialect::Chat,
        model: &name,
        is_catalogued: true,
        memory: &memory,
    };
    let plan = FormatPlan::new(&ask, |format| format == Google);
    assert_eq!((plan.candidates(), plan.is_mutable), (&[2][..], false));
    assert!(FormatPlan::new(&ask, |_| false).candidates().is_empty());
    assert!(FormatPlan::new(&ask, |_| true).is_mutable);
}
