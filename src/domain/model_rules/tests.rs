use super::*;

fn rules(name: &str) -> ModelRules {
    ModelRules::of(&ModelName::parse(name).unwrap())
}

#[test]
fn openais_reasoning_models_are_known_by_their_names() {
    for name in [
        "o1",
        "o3-mini",
        "o4-mini-2025-04-16",
        "gpt-5",
        "gpt-5.2-codex",
        "gpt-5-mini",
        "openai/gpt-5.6-luna",
        "openai/o3",
        "codex-mini-latest",
        "ft:gpt-5-mini:acme::x",
        "GPT-6",
    ] {
        let rules = rules(name);
        assert!(rules.reasons() && !rules.never_reasons() && rules.is_openai(), "{name}");
        assert_eq!(rules.call_ids(), CallIdRule::UpTo(40), "{name}");
    }
    for name in [
        "gpt-4o",
        "gpt-4.1-mini",
        "chatgpt-4o-latest",
        "gpt-5-chat-latest",
        "gpt-audio",
        "gpt-35-turbo",
    ] {
        let rules = rules(name);
        assert!(!rules.reasons() && rules.never_reasons() && rules.is_openai(), "{name}");
    }
    for name in ["openai/gpt-oss-120b", "olmo-2", "claude-sonnet-5", "gpt-oss:20b", "o", "orca"] {
        let rules = rules(name);
        assert!(!rules.reasons() && !rules.never_reasons() && !rules.is_openai(), "{name}");
    }
}

#[test]
fn each_generation_of_openais_knows_efforts_of_its_own() {
    for (name, first, last, breakpoints) in [
        ("o3", "low", "high", false),
        ("gpt-5-mini", "minimal", "high", false),
        ("gpt-5.1", "none", "high", false),
        ("gpt-5.5", "none", "xhigh", false),
        ("gpt-5.6", "none", "max", true),
        ("gpt-6", "none", "max", true),
    ] {
        let rules = rules(name);
        let efforts = (rules.efforts().first(), rules.efforts().last());
        assert_eq!(efforts, (Some(&first), Some(&last)), "{name}");
        assert_eq!(rules.has_breakpoints(), breakpoints, "{name}");
    }
    assert!(rules("gpt-4o").efforts().is_empty() && rules("glm-5").efforts().is_empty());
    assert!(rules("o3").calls_in_turn() && !rules("gpt-5").calls_in_turn());
}

#[test]
fn other_makers_have_words_of_their_own() {
    for (name, words) in [
        ("deepseek-v4-pro", ThinkingWords::SwitchAndEffort),
        ("glm-5", ThinkingWords::Switch),
        ("qwen3-max", ThinkingWords::Budget),
        ("deepseek-r1-distill-qwen-32b", ThinkingWords::SwitchAndEffort),
        ("deepseek/deepseek-v4-pro", ThinkingWords::Effort),
        ("acme-qwen3", ThinkingWords::Effort),
    ] {
        assert_eq!(rules(name).thinking(), words, "{name}");
    }
    for (name, thoughts) in [
        ("moonshotai/kimi-k3", Some(ThoughtField::ReasoningContent)),
        ("acme-qwen3", Some(ThoughtField::ReasoningContent)),
        ("openai/gpt-oss-120b", Some(ThoughtField::Reasoning)),
        ("mistral-large-latest", None),
    ] {
        assert_eq!(rules(name).thoughts(), thoughts, "{name}");
    }
    assert_eq!(rules("mistralai/Devstral-2").call_ids(), CallIdRule::Nine);
    assert_eq!(rules("glm-5").call_ids(), CallIdRule::Any);
    assert!(rules("anthropic/claude-sonnet-5").has_cache_control);
    assert!(rules("gemini-3-flash-preview").has_google_signatures);
}

#[test]
fn some_of_openais_have_no_chat_completions() {
    for name in [
        "gpt-5.2-codex",
        "openai/gpt-5.4-pro",
        "o3-pro-2025-06-10",
        "o4-mini-deep-research",
        "CODEX",
    ] {
        assert!(answers_in_responses_alone(name), "{name}");
    }
    for name in ["gpt-5.4", "o3", "o1-preview", "gemini-3-pro", "gpt-4o", "acme-pro"] {
        assert!(!answers_in_responses_alone(name), "{name}");
    }
}
