use std::time::Duration;

use super::{
    pool::{NOW, Pool, id, key, model, provider, route, shown, target},
    *,
};
use crate::actors::credentials::CredentialPool;
use crate::domain::{
    cooldown::CooldownScope,
    model::Capability,
    pattern::NamePattern,
    provider::{ApiFormat, Origin},
    rotation::TurnMode,
    route::{Alias, Route},
};

#[test]
fn of_priorities_100_50_and_10_the_first_is_asked_and_the_others_follow() {
    let pool = Pool::of(&[("low", 10), ("high", 100), ("middle", 50)]);
    assert_eq!(pool.providers("m"), ["high", "middle", "low"]);
}

#[test]
fn equal_priorities_go_by_id_every_time() {
    let pool = Pool::of(&[("c", 1), ("a", 1), ("b", 1)]);
    for _ in 0..3 {
        assert_eq!(pool.providers("m"), ["a", "b", "c"]);
    }
}

#[test]
fn an_unknown_model_is_served_by_nobody_and_never_by_a_relative() {
    let pool = Pool::new(vec![(provider("a", 1, &["gpt-4o", "gpt-4o-mini"]), 1)]);
    for relative in ["gpt-4", "gpt-4o-2024-08-06", "GPT-4o", "gpt-4o-mini-2", "gpt-4o-latest"] {
        assert_eq!(pool.picks(relative), Vec::<String>::new(), "{relative}");
    }
}

#[test]
fn a_cooling_provider_of_the_model_is_not_replaced_by_one_of_a_relative() {
    let mut pool = Pool::new(vec![
        (provider("a", 1, &["gpt-4o"]), 1),
        (provider("b", 1, &["gpt-4o-mini"]), 1),
    ]);
    pool.cool(CooldownScope::Provider(id("a")), 60, FailureClass::Server);
    let plan = pool.plan("gpt-4o");
    assert!(plan.candidates.is_empty());
    let until = NOW.plus(Duration::from_mins(1));
    assert_eq!(plan.soonest_back(|_, _| true), Some((until, FailureClass::Server)));
}

#[test]
fn what_the_request_excludes_or_prefers_is_followed() {
    let mut pool = Pool::of(&[("a", 3), ("b", 2), ("c", 1)]);
    pool.options.exclude = vec![id("a")];
    assert_eq!(pool.providers("m"), ["b", "c"]);
    assert_eq!(pool.reasons("m"), [("a".into(), ExclusionReason::ExcludedByRequest)]);
    pool.options.prefer = Some(id("c"));
    assert_eq!(pool.providers("m"), ["c", "b"]);
    pool.options.prefer = Some(id("a"));
    assert_eq!(pool.providers("m"), ["b", "c"], "preferring does not undo excluding");
}

#[test]
fn a_session_stays_where_it_was_served_until_that_place_cools() {
    let mut pool = Pool::of(&[("a", 9), ("b", 1)]);
    pool.bound = Some(id("b"));
    assert_eq!(pool.providers("m"), ["b", "a"]);
    pool.cool(CooldownScope::Provider(id("b")), 60, FailureClass::Server);
    assert_eq!(pool.providers("m"), ["a"]);
}

#[test]
fn a_session_that_keeps_its_place_takes_nobodys_turn() {
    let mut pool = Pool::of(&[("a", 1), ("b", 1)]).strategy(Strategy::RoundRobin);
    let mut firsts = Vec::new();
    for _ in 0..4 {
        pool.bound = Some(id("b"));
        assert_eq!(pool.providers("m")[0], "b");
        pool.bound = None;
        firsts.push(pool.providers("m")[0].clone());
    }
    assert_eq!(firsts, ["a", "b", "a", "b"]);
}

#[test]
fn a_provider_that_a_route_leaves_out_is_told_apart_from_one_that_has_other_models() {
    let rows = vec![
        (provider("a", 1, &["m"]), 1),
        (provider("b", 1, &["m"]), 1),
        (provider("c", 1, &["x"]), 1),
    ];
    let only_a = route("m", vec![target(Some("a"), None, 1)]);
    let pool = Pool::new(rows).routes(vec![only_a], vec![], Strategy::Priority);
    let never = never_asked(&pool.chain("m").stages[0], &pool.providers);
    let reasons: Vec<_> = never.iter().map(|e| (e.provider_id.as_str(), e.reason)).collect();
    let expected = [("b", ExclusionReason::NotInRoute), ("c", ExclusionReason::OtherModel)];
    assert_eq!(reasons, expected);
}

#[test]
fn who_is_never_asked_is_told_with_the_model_that_the_route_leads_to() {
    let rows = ["a", "b", "c", "d"]
        .map(|name| (provider(name, 1, &[if name == "b" { "y" } else { "x" }]), 0));
    let to_two =
        vec![target(Some("c"), None, 1), target(None, Some("x"), 1), target(None, Some("y"), 1)];
    let only_a = vec![target(Some("a"), Some("x"), 1)];
    let routes = vec![route("smart", to_two), route("one", only_a)];
    let pool = Pool::new(rows.into()).routes(routes, vec![], Strategy::Priority);
    let models = |asked| {
        let never = never_asked(&pool.chain(asked).stages[0], &pool.providers);
        never.into_iter().map(|e| format!("{}/{}", e.provider_id, e.model)).collect::<Vec<_>>()
    };
    assert_eq!(models("smart"), ["a/x", "b/y", "c/x", "d/x"]);
    assert_eq!(models("one"), ["a/x", "b/one", "c/one", "d/one"]);
}

#[test]
fn a_mode_leaves_out_the_other_location() {
    let mut local = provider("near", 1, &["m"]);
    local.location = Location::Local;
    local.enabled = Some(true);
    let mut pool = Pool::new(vec![(provider("far", 9, &["m"]), 1), (local, 0)]);
    pool.options.mode = Mode::Local;
    assert_eq!(pool.providers("m"), ["near"]);
    assert_eq!(pool.reasons("m"), [("far".into(), ExclusionReason::OtherMode)]);
    pool.options.mode = Mode::Cloud;
    assert_eq!(pool.providers("m"), ["far"]);
    pool.options.mode = Mode::Auto;
    assert_eq!(pool.providers("m"), ["far", "near"]);
}

#[test]
fn what_is_known_to_lack_a_capability_is_left_out_unless_the_request_relaxes() {
    let mut blind = provider("blind", 9, &["m"]);
    blind.models[0].capabilities = Some(Capabilities::NONE.with(Capability::Tools));
    let mut pool = Pool::new(vec![(blind, 1), (provider("unknown", 1, &["m"]), 1)]);
    pool.needs = Capabilities::NONE.with(Capability::Vision);
    assert_eq!(pool.providers("m"), ["unknown"]);
    let capabilities = pool.needs;
    assert_eq!(pool.reasons("m"), [("blind".into(), ExclusionReason::Lacks { capabilities })]);
    pool.options.relax = true;
    let plan = pool.plan("m");
    assert_eq!(shown(&plan), ["unknown/m", "blind/m"], "it comes last");
    assert_eq!(plan.candidates[1].lacks, capabilities, "and is flagged");
}

#[test]
fn a_window_that_is_certainly_too_small_is_left_out_while_there_is_another() {
    let windowed = |name, priority, window| {
        let mut provider = provider(name, priority, &["m"]);
        provider.models[0].context_tokens = Some(window);
        (provider, 1)
    };
    let mut pool = Pool::new(vec![windowed("small", 9, 1_000), windowed("large", 1, 100_000)]);
    pool.prompt_tokens = 5_000;
    assert_eq!(pool.providers("m"), ["large"]);
    pool.prompt_tokens = 500_000;
    assert_eq!(pool.providers("m"), ["small", "large"], "the upstream may say it");
    pool.prompt_tokens = 500;
    assert_eq!(pool.providers("m"), ["small", "large"]);
}

#[test]
fn a_small_window_is_asked_when_the_only_larger_one_has_no_weight() {
    let windowed = |name, window| {
        let mut provider = provider(name, 1, &["m"]);
        provider.models[0].context_tokens = Some(window);
        (provider, 1)
    };
    let mut weighted = route("m", vec![target(Some("a"), None, 1), target(Some("b"), None, 0)]);
    weighted.strategy = Some(Strategy::Weighted);
    let mut pool = Pool::new(vec![windowed("a", 1_000), windowed("b", 100_000)]).routes(
        vec![weighted],
        vec![],
        Strategy::Priority,
    );
    pool.prompt_tokens = 5_000;
    assert_eq!(pool.providers("m"), ["a"], "the upstream may say it");
}

#[test]
fn a_provider_without_a_usable_credential_is_left_out() {
    let mut pool = Pool::of(&[("a", 9), ("b", 1)]);
    let scope = CooldownScope::Credential(id("a"), "a_0".into());
    pool.cool(scope, 60, FailureClass::Auth);
    assert_eq!(pool.providers("m"), ["b"]);
    let until = NOW.plus(Duration::from_mins(1));
    let cooling = ExclusionReason::Cooling { until, cause: FailureClass::Auth };
    assert_eq!(pool.reasons("m"), [("a".into(), cooling)]);
}

#[test]
fn who_may_do_without_a_key_is_not_asked_without_those_that_are_switched_off() {
    let near = provider("near", 9, &["m"]);
    let near = Provider { location: Location::Local, enabled: Some(true), ..near };
    let mut pool = Pool::new(vec![(near, 0), (provider("b", 1, &["m"]), 1)]);
    assert_eq!(pool.providers("m"), ["near", "b"]);
    let mut off = key(&id("near"), 0);
    off.settings.enabled = false;
    pool.credentials = CredentialPool::new([off, key(&id("b"), 0)]).directory();
    assert_eq!(pool.providers("m"), ["b"]);
    assert_eq!(pool.reasons("m"), [("near".into(), ExclusionReason::NoCredential)]);
}

#[test]
fn a_cooling_provider_is_passed_over_until_its_time_has_come() {
    let mut pool = Pool::of(&[("a", 9), ("b", 1)]);
    pool.cool(CooldownScope::Provider(id("a")), 60, FailureClass::Server);
    assert_eq!(pool.providers("m"), ["b"]);
    let stage = &pool.chain("m").stages[0];
    let later = pool.plan_at(NOW.plus(Duration::from_mins(1)), stage, TurnMode::Take);
    assert_eq!(shown(&later), ["a/m", "b/m"]);
}

#[test]
fn a_missing_model_is_not_waited_for_but_a_failing_server_is() {
    let mut pool = Pool::new(vec![(provider("a", 9, &[]), 1), (provider("b", 1, &["m"]), 1)]);
    pool.cool(CooldownScope::Provider(id("b")), 300, FailureClass::Server);
    let missing = CooldownScope::ProviderModel(id("a"), model("m"));
    pool.cool(missing, 5, FailureClass::ModelMissing);
    let until = NOW.plus(Duration::from_mins(5));
    assert_eq!(pool.plan("m").soonest_back(|_, _| true), Some((until, FailureClass::Server)));
}

#[test]
fn nine_calls_in_rotation_over_three_providers_give_three_each() {
    let pool = Pool::of(&[("a", 5), ("b", 5), ("c", 5)]).strategy(Strategy::RoundRobin);
    let firsts: Vec<String> = (0..9).map(|_| pool.providers("m")[0].clone()).collect();
    for name in ["a", "b", "c"] {
        assert_eq!(firsts.iter().filter(|first| *first == name).count(), 3, "{firsts:?}");
    }
}

#[test]
fn in_rotation_a_provider_has_a_turn_for_each_of_its_credentials() {
    let rows = vec![(provider("gemini", 1, &["m"]), 2), (provider("claude", 1, &["m"]), 1)];
    let pool = Pool::new(rows).strategy(Strategy::RoundRobin);
    let firsts: Vec<String> = (0..4).map(|_| pool.providers("m")[0].clone()).collect();
    assert_eq!(firsts, ["gemini", "gemini", "claude", "gemini"]);
}

#[test]
fn looking_takes_no_turn() {
    let pool = Pool::of(&[("a", 1), ("b", 1)]).strategy(Strategy::RoundRobin);
    let stage = &pool.chain("m").stages[0];
    let look = || shown(&pool.plan_at(NOW, stage, TurnMode::Look));
    assert_eq!(look(), look());
    let next = look();
    assert_eq!(pool.picks("m"), next);
    assert_ne!(look(), next);
}

#[test]
fn the_faster_provider_is_asked_first_by_latency() {
    let mut pool = Pool::of(&[("slow", 1), ("fast", 1), ("middle", 1)]).strategy(Strategy::Latency);
    // Of one kind alone; the other kind goes by it too, until it has times of its own.
    let note = |pool: &Pool, name: &str, is_streamed, millis| {
        let stats = &pool.providers.find_row(&id(name)).unwrap().stats;
        let took = Duration::from_millis(millis);
        if is_streamed {
            stats.note_first_event(NOW, &model("m"), took);
        } else {
            stats.note_whole_answer(NOW, &model("m"), took);
        }
    };
    for (name, millis) in [("slow", 500), ("fast", 100), ("middle", 300)] {
        note(&pool, name, false, millis);
    }
    for is_streamed in [false, true] {
        pool.is_streamed = is_streamed;
        assert_eq!(pool.providers("m"), ["fast", "middle", "slow"], "{is_streamed}");
    }
    for (name, millis) in [("slow", 50), ("fast", 90), ("middle", 70)] {
        note(&pool, name, true, millis);
    }
    assert_eq!(pool.providers("m"), ["slow", "middle", "fast"]);
    pool.is_streamed = false;
    assert_eq!(pool.providers("m"), ["fast", "middle", "slow"]);
}

#[test]
fn without_targets_the_highest_priority_that_can_be_used_is_served_first_under_every_strategy() {
    for strategy in Strategy::ALL {
        let tiers = [("a", 1), ("b", 9), ("c", 9), ("d", 5)];
        let mut pool = Pool::of(&tiers).strategy(strategy);
        let first = |pool: &Pool| pool.providers("m")[0].clone();
        for _ in 0..6 {
            assert!(["b", "c"].contains(&first(&pool).as_str()), "{strategy:?}");
        }
        for cooling in ["b", "c"] {
            pool.cool(CooldownScope::Provider(id(cooling)), 60, FailureClass::Server);
        }
        for _ in 0..6 {
            assert_eq!(pool.providers("m"), ["d", "a"], "{strategy:?}");
        }
    }
}

#[test]
fn a_route_or_a_request_may_say_that_tiers_do_not_count() {
    let firsts = |pool: &Pool| -> Vec<String> {
        let mut firsts: Vec<String> = (0..4).map(|_| pool.providers("m")[0].clone()).collect();
        firsts.sort();
        firsts.dedup();
        firsts
    };
    let route = |across_tiers| Route {
        strategy: Some(Strategy::RoundRobin),
        across_tiers,
        ..route("m", vec![])
    };
    let pool = |across_tiers| {
        let routes = vec![route(across_tiers)];
        Pool::of(&[("a", 1), ("b", 9)]).routes(routes, vec![], Strategy::Priority)
    };
    assert_eq!(firsts(&pool(false)), ["b"]);
    assert_eq!(firsts(&pool(true)), ["a", "b"]);
    let mut said = pool(false);
    said.options.across_tiers = Some(true);
    assert_eq!(firsts(&said), ["a", "b"]);
    let mut unsaid = pool(true);
    unsaid.options.across_tiers = Some(false);
    assert_eq!(firsts(&unsaid), ["b"]);
}

#[test]
fn of_equal_providers_the_one_that_speaks_the_clients_dialect_is_asked_first() {
    let mut other = provider("a", 1, &["m"]);
    (other.api_format, other.also_speaks) = (Some(ApiFormat::Anthropic), vec![]);
    let mut unsure = provider("b", 1, &["m"]);
    (unsure.api_format, unsure.also_speaks) = (None, vec![]);
    let mut pool = Pool::new(vec![(other, 1), (unsure, 1), (provider("c", 1, &["m"]), 1)]);
    assert_eq!(pool.providers("m"), ["c", "a", "b"]);
    assert_eq!(pool.plan("m").candidates.iter().filter(|it| it.speaks).count(), 1);
    pool.client = Dialect::Messages;
    assert_eq!(pool.providers("m"), ["a", "b", "c"]);
    // What was a guess is known once it has answered.
    pool.client = Dialect::Chat;
    let stats = &pool.providers.find_row(&id("b")).unwrap().stats;
    stats.note_answer_in(&model("m"), ApiFormat::Openai);
    assert_eq!(pool.providers("m"), ["b", "c", "a"]);
}

#[test]
fn a_model_that_is_for_embeddings_is_not_asked_for_a_chat() {
    let pool = Pool::new(vec![(provider("a", 1, &["text-embedding-3-large"]), 1)]);
    assert_eq!(pool.picks("text-embedding-3-large"), [""; 0]);
    let reasons = pool.reasons("text-embedding-3-large");
    assert_eq!(reasons, [("a".into(), ExclusionReason::ForEmbeddings)]);
}

#[test]
fn a_route_leads_to_its_targets_in_order_and_nowhere_else() {
    let rows = vec![
        (provider("a", 1, &["small"]), 1),
        (provider("b", 9, &["small", "large"]), 1),
        (provider("c", 9, &["fast"]), 1),
    ];
    let targets = vec![target(Some("a"), Some("small"), 1), target(None, Some("large"), 1)];
    let pool = Pool::new(rows).routes(vec![route("fast", targets)], vec![], Strategy::Priority);
    assert_eq!(pool.picks("fast"), ["a/small", "b/large"]);
    assert_eq!(pool.picks("small"), ["b/small", "a/small"], "other names are as they were");
}

#[test]
fn a_glob_without_targets_sets_how_a_name_is_served_and_not_by_whom() {
    let mut filled = route("gpt-*", vec![]);
    (filled.strategy, filled.across_tiers) = (Some(Strategy::FillFirst), true);
    let rows = vec![(provider("b", 9, &["gpt-4o"]), 1), (provider("a", 1, &["gpt-4o"]), 1)];
    let pool = Pool::new(rows).routes(vec![filled], vec![], Strategy::Priority);
    assert_eq!(pool.picks("gpt-4o"), ["a/gpt-4o", "b/gpt-4o"]);
}

#[test]
fn shares_of_a_weighted_route_are_exact_and_a_weight_of_nought_is_never_asked() {
    let targets = vec![
        target(Some("a"), None, 5),
        target(Some("b"), None, 3),
        target(Some("c"), None, 2),
        target(Some("d"), None, 0),
    ];
    let mut weighted = route("m", targets);
    weighted.strategy = Some(Strategy::Weighted);
    let pool = Pool::of(&[("a", 1), ("b", 1), ("c", 1), ("d", 99)]);
    let pool = pool.routes(vec![weighted], vec![], Strategy::Priority);
    let picks: Vec<Vec<String>> = (0..100).map(|_| pool.providers("m")).collect();
    let firsts = |name: &str| picks.iter().filter(|pick| pick[0] == name).count();
    assert_eq!((firsts("a"), firsts("b"), firsts("c")), (50, 30, 20));
    assert!(picks.iter().all(|pick| !pick.contains(&"d".to_owned())));
    assert_eq!(pool.reasons("m"), [("d".into(), ExclusionReason::NoWeight)]);
}

#[test]
fn fallbacks_come_after_and_end_there() {
    let mut first = route("m", vec![]);
    first.fallbacks = vec![model("n"), model("x")];
    let mut second = route("n", vec![target(Some("b"), Some("o"), 1)]);
    second.fallbacks = vec![model("m")];
    let rows = vec![(provider("a", 1, &["m"]), 1), (provider("b", 1, &["n", "o"]), 1)];
    let pool = Pool::new(rows).routes(vec![first, second], vec![], Strategy::Priority);
    let chain = pool.chain("m");
    let stages: Vec<Vec<String>> =
        chain.stages.iter().map(|stage| shown(&pool.plan_at(NOW, stage, TurnMode::Look))).collect();
    assert_eq!(stages, [vec!["a/m".to_owned()], vec!["b/o".to_owned()], vec![]]);
}

#[test]
fn an_alias_is_followed_and_reported() {
    let alias = |name: &str, to: &str| Alias {
        name: NamePattern::parse(name).unwrap(),
        model: NamePattern::parse(to).unwrap(),
        origin: Origin::Api,
    };
    let pool = Pool::new(vec![(provider("a", 1, &["gpt-4o"]), 1)]);
    let pool = pool.routes(vec![], vec![alias("*-latest", "*")], Strategy::Priority);
    let chain = pool.chain("gpt-4o-latest");
    let substitution = chain.substitution.unwrap();
    assert_eq!((substitution.to.as_str(), substitution.by.as_str()), ("gpt-4o", "*-latest"));
    assert_eq!(pool.picks("gpt-4o-latest"), ["a/gpt-4o"]);
    assert_eq!(pool.chain("gpt-4o").substitution, None);
}

#[test]
fn when_no_model_is_named_no_embedding_or_speech_model_is_chosen() {
    let models = ["text-embedding-3-large", "whisper-1", "tts-1", "gpt-5.4", "gpt-5.4-mini"];
    let pool = Pool::new(vec![(provider("a", 1, &models), 1)]);
    for _ in 0..5 {
        let picks = pool.picks("auto");
        assert_eq!(picks.len(), 2, "{picks:?}");
        assert!(picks.iter().all(|pick| pick.contains("gpt")), "{picks:?}");
    }
    assert_eq!(pool.picks("whisper-1"), ["a/whisper-1"], "asked for by name it is served");
}

#[test]
fn when_no_model_is_named_all_models_of_one_provider_come_before_the_next_and_equals_take_turns() {
    let pool = Pool::new(vec![
        (provider("a", 9, &["x-1", "x-2", "x-3"]), 1),
        (provider("b", 1, &["y-1"]), 1),
    ]);
    let picks: Vec<Vec<String>> = (0..3).map(|_| pool.picks("auto")).collect();
    let mut firsts: Vec<&str> = picks.iter().map(|pick| pick[0].as_str()).collect();
    firsts.sort_unstable();
    assert_eq!(firsts, ["a/x-1", "a/x-2", "a/x-3"], "one per call");
    assert!(picks.iter().all(|pick| pick.len() == 4 && pick[3] == "b/y-1"), "{picks:?}");
}

#[test]
fn when_no_model_is_named_the_mode_and_the_needs_hold() {
    let mut local = provider("near", 9, &["llama-3.3-70b"]);
    (local.location, local.enabled) = (Location::Local, Some(true));
    let mut seeing = provider("far", 1, &["v-1", "v-2"]);
    seeing.models[0].capabilities = Some(Capabilities::NONE.with(Capability::Vision));
    seeing.models[1].capabilities = Some(Capabilities::NONE);
    let mut pool = Pool::new(vec![(local, 0), (seeing, 1)]);
    assert_eq!(pool.providers("local"), ["near"]);
    assert_eq!(pool.providers("cloud"), ["far", "far"]);
    pool.needs = Capabilities::NONE.with(Capability::Vision);
    assert_eq!(pool.picks("cloud"), ["far/v-1"]);
}

#[test]
fn who_can_never_be_asked_is_told_why() {
    let mut disabled = provider("disabled", 0, &["m"]);
    disabled.enabled = Some(false);
    let mut locked = provider("locked", 0, &["m"]);
    locked.locked = Some("k1".into());
    let mut keyless = provider("keyless", 0, &["m"]);
    keyless.enabled = Some(true);
    let mut nowhere = provider("nowhere", 0, &["m"]);
    nowhere.base_url = None;
    let pool = Pool::new(vec![
        (provider("good", 1, &["m"]), 1),
        (disabled, 1),
        (keyless, 0),
        (locked, 1),
        (nowhere, 1),
        (provider("other", 0, &["x"]), 1),
    ]);
    assert_eq!(pool.providers("m"), ["good"]);
    let never = never_asked(&pool.chain("m").stages[0], &pool.providers);
    let reasons: Vec<_> = never.into_iter().map(|e| e.reason).collect();
    assert_eq!(
        reasons,
        [
            ExclusionReason::Disabled,
            ExclusionReason::NoCredential,
            ExclusionReason::Locked,
            ExclusionReason::NoAddress,
            ExclusionReason::OtherModel,
        ]
    );
}
